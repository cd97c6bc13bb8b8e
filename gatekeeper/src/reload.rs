//! Values made from files, made again when these change. What does not load is logged and the old value stays: a bad
//! file never replaces a good one.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A value and the files it was made from.
pub struct Made<T> {
    /// The value.
    pub value: T,
    /// A change of any of these (also: it appears, disappears, is replaced) makes the value again.
    pub files: Vec<PathBuf>,
}

type Load<T> = Box<dyn Fn() -> Result<Made<T>, String> + Send + Sync>;

/// Gives the present value. Asking costs a `stat` per file and reads nothing unless one has changed.
pub struct Reloaded<T> {
    load: Load<T>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    stamps: Vec<(PathBuf, Stamp)>,
}

/// What tells two versions of a file apart; None: there is no such file.
type Stamp = Option<[i64; 7]>;

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    let signed = u64::cast_signed;
    Some([
        signed(metadata.dev()),
        signed(metadata.ino()),
        signed(metadata.size()),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    ])
}

fn stamps(files: Vec<PathBuf>) -> Vec<(PathBuf, Stamp)> {
    files.into_iter().map(|path| (path.clone(), stamp(&path))).collect()
}

impl<T> Reloaded<T> {
    /// Loads for the first time.
    pub fn new(load: impl Fn() -> Result<Made<T>, String> + Send + Sync + 'static) -> Result<Self, String> {
        let Made { value, files } = load()?;
        let state = State { value: Arc::new(value), stamps: stamps(files) };
        Ok(Self { load: Box::new(load), state: Mutex::new(state) })
    }

    /// The value as the files have it now, or had it when they were last good.
    pub fn current(&self) -> Arc<T> {
        let mut state = self.lock();
        let present = state.present_stamps();
        if present != state.stamps {
            self.make_again(&mut state, present);
        }
        Arc::clone(&state.value)
    }

    /// Makes the value again although nothing may have changed.
    pub fn look_again(&self) {
        let mut state = self.lock();
        let present = state.present_stamps();
        self.make_again(&mut state, present);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_again(&self, state: &mut State<T>, present: Vec<(PathBuf, Stamp)>) {
        // Stamped before reading: a change during the reading is then seen next time.
        match (self.load)() {
            Ok(Made { value, files }) => {
                let known =
                    |path: &PathBuf| present.iter().find(|(other, _)| other == path).map(|(_, stamp)| *stamp);
                state.stamps = files
                    .into_iter()
                    .map(|path| (path.clone(), known(&path).unwrap_or_else(|| stamp(&path))))
                    .collect();
                state.value = Arc::new(value);
                tracing::info!(files = ?state.stamps.iter().map(|(path, _)| path).collect::<Vec<_>>(), "read again");
            }
            Err(error) => {
                tracing::error!(%error, "a changed file is not usable, what was read before stays in force");
                state.stamps = present;
            }
        }
    }
}

impl<T> State<T> {
    fn present_stamps(&self) -> Vec<(PathBuf, Stamp)> {
        self.stamps.iter().map(|(path, _)| (path.clone(), stamp(path))).collect()
    }
}

impl<T> std::fmt::Debug for Reloaded<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloaded").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn read_again_only_when_changed_and_good() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("number");
        fs::write(&path, "1").unwrap();
        let reads = Arc::new(AtomicUsize::new(0));
        let reloaded = Reloaded::new({
            let (path, reads) = (path.clone(), Arc::clone(&reads));
            move || {
                reads.fetch_add(1, Ordering::Relaxed);
                let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
                let value: i32 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
                Ok(Made { value, files: vec![path.clone()] })
            }
        })
        .unwrap();
        assert_eq!((*reloaded.current(), *reloaded.current()), (1, 1));
        assert_eq!(reads.load(Ordering::Relaxed), 1);
        fs::write(&path, "22").unwrap();
        assert_eq!(*reloaded.current(), 22);
        fs::write(&path, "bad").unwrap();
        assert_eq!((*reloaded.current(), *reloaded.current()), (22, 22));
        assert_eq!(reads.load(Ordering::Relaxed), 3, "a bad file is tried once");
        fs::remove_file(&path).unwrap();
        assert_eq!(*reloaded.current(), 22);
        fs::write(&path, "3").unwrap();
        assert_eq!(*reloaded.current(), 3);
    }
}
