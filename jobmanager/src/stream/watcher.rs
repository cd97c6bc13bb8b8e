//! Hears when files grow: one watcher for all output of all jobs. The kernel tells (inotify), so output that does not come
//! costs nothing. Where it cannot tell, because other machines write the file, or because its watches are used up, one
//! sweep looks at all such files together.

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use std::{
    collections::HashMap,
    io,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{Notify, watch},
    task::AbortHandle,
};

/// How often files that the kernel does not tell about are looked at.
pub const SWEEP: Duration = Duration::from_secs(2);
/// Pause between two readings of events.
const GATHER: Duration = Duration::from_millis(20);
/// Bytes of events read at once.
const EVENTS: usize = 4096;
/// File systems whose files change behind the kernel's back (NFS, SMB, FUSE, Lustre, AFS, Ceph, GPFS): `statfs(2)`.
const REMOTE: [u64; 9] = [
    0x6969,
    0x517b,
    0xfe53_4d42,
    0xff53_4d42,
    0x6573_5546,
    0x0bd0_0bd0,
    0x5346_414f,
    0x00c3_6400,
    0x4750_4653,
];

/// The watcher. Must be made inside a tokio runtime, and ends when it is dropped.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    tasks: [AbortHandle; 2],
}

#[derive(Debug)]
struct Shared {
    /// None: the kernel gives no more of them.
    kernel: Option<AsyncFd<OwnedFd>>,
    files: Mutex<Files>,
    /// There is something to sweep.
    sweeping: Notify,
}

#[derive(Debug, Default)]
struct Files {
    /// By watch descriptor; one file has one, however many watch it.
    told: HashMap<i32, Told>,
    /// Looked at by the sweep.
    swept: HashMap<u64, Swept>,
    next: u64,
}

#[derive(Debug)]
struct Told {
    grown: watch::Sender<()>,
    watching: usize,
}

#[derive(Debug)]
struct Swept {
    path: PathBuf,
    length: u64,
    grown: watch::Sender<()>,
}

/// One file being watched, until this is dropped.
#[derive(Debug)]
pub struct Watching {
    grown: watch::Receiver<()>,
    place: Place,
    watcher: Weak<Shared>,
}

#[derive(Debug)]
enum Place {
    Told(i32),
    Swept(u64),
}

impl Watcher {
    /// A watcher of nothing yet.
    pub fn start() -> Self {
        let kernel = open_kernel();
        if let Err(error) = &kernel {
            tracing::warn!(%error, "the kernel will not tell when output grows; it is looked at every few seconds");
        }
        let shared =
            Arc::new(Shared { kernel: kernel.ok(), files: Mutex::default(), sweeping: Notify::new() });
        let hearing = tokio::spawn(hear(Arc::clone(&shared))).abort_handle();
        let sweeping = tokio::spawn(sweep(Arc::clone(&shared))).abort_handle();
        Self { shared, tasks: [hearing, sweeping] }
    }

    /// Watches a file; one that does not exist yet is looked at by the sweep.
    pub fn watch(&self, path: &Path) -> Watching {
        let kernel = self.shared.kernel.as_ref().filter(|_| is_local(path));
        let length = length(path);
        // Locked before the kernel is asked: a descriptor that somebody gives back just now must not be taken for ours.
        let mut files = self.shared.files();
        let descriptor = kernel.and_then(|kernel| {
            inotify::add_watch(kernel.get_ref(), path, WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE)
                .inspect_err(|error| tracing::debug!(path = %path.display(), %error, "watched by looking"))
                .ok()
        });
        let (grown, place) = match descriptor {
            Some(descriptor) => {
                let told = files
                    .told
                    .entry(descriptor)
                    .or_insert_with(|| Told { grown: watch::Sender::new(()), watching: 0 });
                told.watching += 1;
                (told.grown.subscribe(), Place::Told(descriptor))
            }
            None => {
                let (number, grown) = (files.next, watch::Sender::new(()));
                files.next += 1;
                let receiver = grown.subscribe();
                files.swept.insert(number, Swept { path: path.to_owned(), length, grown });
                self.shared.sweeping.notify_one();
                (receiver, Place::Swept(number))
            }
        };
        Watching { grown, place, watcher: Arc::downgrade(&self.shared) }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Watching {
    /// Waits until the file has grown since the last call; for ever when the watcher is gone. Safe to be dropped.
    pub async fn grown(&mut self) {
        if self.grown.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let Some(shared) = self.watcher.upgrade() else { return };
        let mut files = shared.files();
        match self.place {
            Place::Swept(number) => {
                files.swept.remove(&number);
            }
            Place::Told(descriptor) => {
                let Some(told) = files.told.get_mut(&descriptor) else { return };
                told.watching -= 1;
                if told.watching == 0 {
                    files.told.remove(&descriptor);
                    if let Some(kernel) = &shared.kernel {
                        // It goes by itself when the file is removed.
                        let _ = inotify::remove_watch(kernel.get_ref(), descriptor);
                    }
                }
            }
        }
    }
}

impl Shared {
    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, descriptor: i32, events: ReadFlags) {
        let files = self.files();
        if events.contains(ReadFlags::QUEUE_OVERFLOW) {
            files.told.values().for_each(|told| told.grown.send_modify(|()| {}));
        } else if let Some(told) = files.told.get(&descriptor) {
            told.grown.send_modify(|()| {});
        }
    }
}

#[expect(deprecated, reason = "its successor is unsafe, for descriptors that nobody owns; this one is owned")]
fn open_kernel() -> io::Result<AsyncFd<OwnedFd>> {
    let kernel = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    AsyncFd::with_interest(kernel, Interest::READABLE)
}

/// Passes on what the kernel tells.
async fn hear(shared: Arc<Shared>) {
    let Some(kernel) = &shared.kernel else { return };
    let mut buffer = [const { MaybeUninit::uninit() }; EVENTS];
    loop {
        let Ok(mut ready) = kernel.readable().await else { return };
        let mut reader = inotify::Reader::new(kernel.get_ref(), &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => shared.tell(event.wd(), event.events()),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => break ready.clear_ready(),
                Err(error) => {
                    tracing::error!(%error, "the kernel does not tell any more when output grows");
                    return;
                }
            }
        }
        // A job that prints byte by byte must not keep us busy: its events gather meanwhile.
        tokio::time::sleep(GATHER).await;
    }
}

/// Looks at the files that nobody tells about.
async fn sweep(shared: Arc<Shared>) {
    loop {
        let paths: Vec<(u64, PathBuf)> =
            shared.files().swept.iter().map(|(number, file)| (*number, file.path.clone())).collect();
        if paths.is_empty() {
            shared.sweeping.notified().await;
        }
        tokio::time::sleep(SWEEP).await;
        let look = move || paths.into_iter().map(|(number, path)| (number, length(&path))).collect();
        // A file system that hangs holds up this task and nothing else.
        let Ok(lengths) = tokio::task::spawn_blocking::<_, Vec<(u64, u64)>>(look).await else { return };
        let mut files = shared.files();
        for (number, length) in lengths {
            if let Some(file) = files.swept.get_mut(&number).filter(|file| file.length != length) {
                file.length = length;
                file.grown.send_modify(|()| {});
            }
        }
    }
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn is_local(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|system| {
        let kind = system.f_type.cast_unsigned();
        !REMOTE.contains(&(kind & 0xffff_ffff))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    async fn soon(watching: &mut Watching) -> bool {
        tokio::time::timeout(Duration::from_secs(20), watching.grown()).await.is_ok()
    }

    async fn quiet(watching: &mut Watching) -> bool {
        tokio::time::timeout(Duration::from_millis(100), watching.grown()).await.is_err()
    }

    #[tokio::test]
    async fn each_file_is_told_about_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("1"), folder.path().join("2"));
        let mut files = [&one, &two].map(|path| std::fs::File::create(path).unwrap());
        let watcher = Watcher::start();
        let (mut first, mut again, mut other) =
            (watcher.watch(&one), watcher.watch(&one), watcher.watch(&two));
        files[0].write_all(b"x").unwrap();
        assert!(soon(&mut first).await && soon(&mut again).await);
        assert!(quiet(&mut other).await);
        drop(again);
        files[0].write_all(b"x").unwrap();
        assert!(soon(&mut first).await);
        drop((first, other));
        assert!(watcher.shared.files().told.is_empty());
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_yet_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("later");
        let watcher = Watcher::start();
        let mut watching = watcher.watch(&path);
        assert!(quiet(&mut watching).await);
        std::fs::write(&path, "x").unwrap();
        assert!(soon(&mut watching).await);
        drop(watching);
        assert!(watcher.shared.files().swept.is_empty());
    }
}
