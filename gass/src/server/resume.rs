//! Uploads that survive their connection (docs/gass.md): a PUT with an `Upload-Id` that the client has made up. What came
//! before the connection broke is kept beside the file, under a name that only the same identity with the same id finds
//! again; HEAD with the id tells how much, and a PUT with `Content-Range` brings the rest, or a part of it.

use super::listing::TEMPORARY;
use super::place::Place;
use super::receive::{Beside, Check, Kept, Store, replaceable};
use super::reply::Failed;
use crate::blocks;
use crate::body::BLOCK;
use crate::range::ContentRange;
use bytes::Bytes;
use gsi::digest::Sha256;
use hyper::HeaderMap;
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderName};
use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, flock, ftruncate, openat, statat, unlinkat};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::oneshot;

/// The client's name of an upload.
pub(super) const UPLOAD_ID: HeaderName = HeaderName::from_static("upload-id");

/// Longest id taken.
pub(super) const MAX_ID: usize = 64;
/// How long what was kept of an upload is left alone.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// Most names looked at when old uploads are looked for.
const MAX_SEARCHED: usize = 10_000;
/// How long an upload waits for an older one of the same name to let go.
const TAKE_OVER: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// Which part of which upload a request brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upload {
    /// The temporary file's name is made of it.
    key: String,
    part: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// From the beginning, whatever was kept; of this length, if it is announced.
    Anew(Option<u64>),
    /// So many bytes from here of a file of this length.
    Rest { first: u64, length: u64, total: u64 },
}

impl Upload {
    /// What the headers say; None without an id. `owner` is the identity the upload belongs to.
    ///
    /// # Errors
    /// [`Failed::Upload`] when they contradict themselves, or a part of a file comes without an id.
    pub(super) fn of(headers: &HeaderMap, owner: &str) -> Result<Option<Self>, Failed> {
        let range = headers.get(CONTENT_RANGE);
        let Some(id) = headers.get(UPLOAD_ID) else {
            return match range {
                None => Ok(None),
                Some(_) => Err(Failed::Upload("a part of a file needs an Upload-Id")),
            };
        };
        let key = key(id.as_bytes(), owner)?;
        let announced =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let part = match range.map(|range| ContentRange::parse(range.as_bytes())) {
            None => Part::Anew(announced),
            Some(Some(ContentRange::Part { first, last, total: Some(total) })) => {
                let length = (last - first) + 1;
                if announced.is_some_and(|announced| announced != length) {
                    return Err(Failed::Upload("Content-Length and Content-Range contradict each other"));
                }
                Part::Rest { first, length, total }
            }
            Some(_) => return Err(Failed::Upload("Content-Range must be bytes FIRST-LAST/TOTAL")),
        };
        Ok(Some(Self { key, part }))
    }

    fn temporary(&self, place: &Place) -> OsString {
        temporary(&self.key, place)
    }
}

/// The temporary file's name: the same for the same file, id and owner.
fn temporary(key: &str, place: &Place) -> OsString {
    let mut hash = Sha256::new();
    hash.update(key.as_bytes());
    hash.update(place.path().file_name().unwrap_or_default().as_encoded_bytes());
    let name: String = hash.finish().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{TEMPORARY}{name}.part").into()
}

fn key(id: &[u8], owner: &str) -> Result<String, Failed> {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let id = std::str::from_utf8(id).ok().filter(|id| (1..=MAX_ID).contains(&id.len()));
    let id = id.filter(|id| id.as_bytes().iter().all(legal));
    let id = id.ok_or(Failed::Upload("an Upload-Id is 1 to 64 letters, digits, dots, dashes"))?;
    Ok(format!("{id}/{owner}/"))
}

/// How much of an upload is kept. One that still runs in this process must have been told to end; it is waited for.
pub(super) fn offset(place: &Place, upload: &Upload) -> Result<u64, Failed> {
    let slot = place.clone().followed().slot()?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match openat(&slot.directory, upload.temporary(place), flags, Mode::empty()) {
        Ok(file) => {
            let file = File::from(file);
            lock(&file)?;
            Ok(file.metadata()?.len())
        }
        Err(rustix::io::Errno::NOENT) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// The uploads under way in this process. A client whose connection broke comes again before we have noticed; the new
/// connection ends the old one.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    uploads: HashMap<OsString, (u64, oneshot::Sender<()>)>,
}

/// One's place among them; dropping it gives it up.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    running: &'a Running,
    name: OsString,
    number: u64,
    stay: oneshot::Receiver<()>,
}

impl Running {
    pub(super) fn enter(&self, upload: &Upload, place: &Place) -> Turn<'_> {
        let name = upload.temporary(place);
        let (sender, stay) = oneshot::channel();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.next += 1;
        let number = state.next;
        state.uploads.insert(name.clone(), (number, sender));
        drop(state);
        Turn { running: self, name, number, stay }
    }
}

impl Turn<'_> {
    /// Completes when another connection takes over.
    pub(super) async fn over(&mut self) {
        // Nothing is ever sent.
        let _ = (&mut self.stay).await;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.running.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.uploads.get(&self.name).is_some_and(|(number, _)| *number == self.number) {
            state.uploads.remove(&self.name);
        }
    }
}

/// A part of a file that arrives; what has come stays when the rest does not.
pub(super) struct Piece {
    place: Place,
    upload: Upload,
    check: Check,
    must_be_new: bool,
    open: Option<Open>,
}

struct Open {
    beside: Beside,
    /// Bytes in the file.
    length: u64,
    /// Bytes this request may bring yet, if it said how many.
    left: Option<u64>,
}

/// How an upload stands.
#[derive(Debug)]
pub(super) enum Standing {
    /// All is there, and has its name.
    Complete(Kept),
    /// So much is there.
    Partial(u64),
}

impl Piece {
    pub(super) fn of(place: Place, upload: Upload, headers: &HeaderMap) -> Self {
        let must_be_new = super::condition::must_be_new(headers);
        // The checksum is that of the whole file, also when only the rest of it comes.
        Self { place, upload, check: Check::of(headers, false), must_be_new, open: None }
    }

    fn open(&mut self) -> Result<&mut Open, Failed> {
        if self.open.is_none() {
            let (place, part) = (self.place.clone().followed(), self.upload.part);
            let slot = place.slot()?;
            let existing = replaceable(&slot)?;
            forget_old(&slot.directory);
            let mut beside = Beside::resume(slot, existing, self.upload.temporary(&self.place))?;
            lock(&beside.file)?;
            let held = u64::try_from(super::place::stat(&beside.file)?.st_size).unwrap_or_default();
            let (length, left) = match part {
                Part::Anew(announced) => {
                    ftruncate(&beside.file, 0)?;
                    (0, announced)
                }
                Part::Rest { first, .. } if first != held => {
                    if held == 0 {
                        beside.discard();
                    }
                    return Err(Failed::Offset(held));
                }
                Part::Rest { length, .. } => (held, Some(length)),
            };
            self.check.take_file(&beside.file, length)?;
            beside.file.seek(SeekFrom::Start(length))?;
            self.open = Some(Open { beside, length, left });
        }
        self.open.as_mut().ok_or(Failed::Upload("the upload has ended"))
    }
}

impl Store for Piece {
    type Kept = Standing;
    const BATCH: usize = BLOCK;
    const KEEPS_PARTS: bool = true;

    fn write(&mut self, blocks: &[Bytes]) -> Result<(), Failed> {
        let size: u64 = blocks.iter().map(|block| block.len() as u64).sum();
        let open = self.open()?;
        if let Some(left) = &mut open.left {
            *left = left.checked_sub(size).ok_or(Failed::Upload("more data than announced"))?;
        }
        blocks::write(&open.beside.file, blocks)?;
        open.length += size;
        self.check.take(blocks);
        Ok(())
    }

    fn finish(mut self, trailers: &HeaderMap) -> Result<Standing, Failed> {
        let part = self.upload.part;
        self.open()?;
        let Some(Open { beside, length, left }) = self.open else {
            return Err(Failed::Upload("the upload has ended"));
        };
        if left.is_some_and(|left| left > 0) {
            return Err(Failed::Upload("less data than announced"));
        }
        if let Part::Rest { total, .. } = part
            && length < total
        {
            return Ok(Standing::Partial(length));
        }
        let digest = match self.check.finish(trailers, false) {
            Ok(digest) => digest,
            Err(failure) => {
                // Going on would not make it right.
                beside.discard();
                return Err(failure);
            }
        };
        let stat = beside.put_in_place(self.must_be_new)?;
        Ok(Standing::Complete(Kept { stat: Some(stat), digest }))
    }
}

/// Keeps other processes off. An older connection of this process lets go when it has been told to.
fn lock(file: &File) -> Result<(), Failed> {
    let mut waited = Duration::ZERO;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::WOULDBLOCK) if waited < TAKE_OVER => {
                std::thread::sleep(PAUSE);
                waited += PAUSE;
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Failed::Running),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Removes what was kept of uploads that nobody has gone on with.
fn forget_old(directory: &OwnedFd) {
    let Ok(entries) = Dir::read_from(directory) else { return };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    for entry in entries.take(MAX_SEARCHED).flatten() {
        let name = entry.file_name();
        if !name.to_bytes().starts_with(TEMPORARY.as_bytes()) || !name.to_bytes().ends_with(b".part") {
            continue;
        }
        let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
        let touched = stat.ok().and_then(|stat| u64::try_from(stat.st_mtime).ok());
        if touched.is_some_and(|touched| Duration::from_secs(touched) + KEPT_FOR < now) {
            let _ = unlinkat(directory, name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(HeaderName, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    fn part(list: &[(HeaderName, &str)]) -> Result<Option<Part>, Failed> {
        Upload::of(&headers(list), "me").map(|upload| upload.map(|upload| upload.part))
    }

    #[test]
    fn what_a_request_brings() {
        let id = (UPLOAD_ID, "a-1");
        assert_eq!(part(&[]).unwrap(), None);
        assert_eq!(part(&[(UPLOAD_ID, "a-1")]).unwrap(), Some(Part::Anew(None)));
        assert_eq!(part(&[id.clone(), (CONTENT_LENGTH, "5")]).unwrap(), Some(Part::Anew(Some(5))));
        let rest = Part::Rest { first: 5, length: 5, total: 10 };
        assert_eq!(part(&[id.clone(), (CONTENT_RANGE, "bytes 5-9/10")]).unwrap(), Some(rest));
        for wrong in [
            &[(CONTENT_RANGE, "bytes 5-9/10")][..],
            &[id.clone(), (CONTENT_RANGE, "bytes 5-9/*")],
            &[id.clone(), (CONTENT_RANGE, "bytes */10")],
            &[id.clone(), (CONTENT_RANGE, "nonsense")],
            &[id.clone(), (CONTENT_RANGE, "bytes 5-9/10"), (CONTENT_LENGTH, "4")],
            &[(UPLOAD_ID, "a/b")],
            &[(UPLOAD_ID, "")],
        ] {
            assert!(matches!(part(wrong), Err(Failed::Upload(_))), "{wrong:?}");
        }
        assert!(part(&[(UPLOAD_ID, &"x".repeat(MAX_ID))]).is_ok());
        assert!(part(&[(UPLOAD_ID, &"x".repeat(MAX_ID + 1))]).is_err());
    }

    #[test]
    fn uploads_of_different_people_are_different() {
        let place = Place::Anywhere("/x/f".into());
        let name = |id: &str, owner: &str| {
            let upload = Upload::of(&headers(&[(UPLOAD_ID, id)]), owner).unwrap().unwrap();
            upload.temporary(&place)
        };
        assert_eq!(name("1", "ann"), name("1", "ann"));
        assert_ne!(name("1", "ann"), name("1", "bob"));
        assert_ne!(name("1", "ann"), name("2", "ann"));
    }

    #[tokio::test]
    async fn a_new_connection_ends_the_old_one() {
        let running = Running::default();
        let place = Place::Anywhere("/x/f".into());
        let upload = Upload::of(&headers(&[(UPLOAD_ID, "1")]), "me").unwrap().unwrap();
        let mut old = running.enter(&upload, &place);
        let new = running.enter(&upload, &place);
        old.over().await;
        drop(old);
        assert_eq!(running.0.lock().unwrap().uploads.len(), 1);
        drop(new);
        assert_eq!(running.0.lock().unwrap().uploads.len(), 0);
    }

    #[test]
    fn old_uploads_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let old = SystemTime::now() - KEPT_FOR - Duration::from_secs(60);
        for (name, time) in [(".gass-1.part", Some(old)), (".gass-2.part", None), ("f.part", Some(old))] {
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            if let Some(time) = time {
                file.set_modified(time).unwrap();
            }
        }
        let directory = std::fs::File::open(folder.path()).unwrap();
        forget_old(&directory.into());
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".gass-2.part", "f.part"]);
    }
}
