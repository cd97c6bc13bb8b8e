//! Data on its way from a request to the disk: received in one place, stored in another, both at once, in blocks.

use super::place::{Place, Slot, stat};
use super::reply::Failed;
use crate::blocks;
use crate::body::BLOCK;
use crate::digest::{REPR_DIGEST, ReprDigest};
use bytes::Bytes;
use gsi::digest::Sha256;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::Incoming;
use hyper::header::{HeaderName, TRAILER};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use tokio::task::{JoinHandle, spawn_blocking};

/// `Content-Digest`: for a body that is the whole file, the same as `Repr-Digest`.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// Where data goes. Its methods block, so they run on threads for that.
pub(super) trait Store: Send + Sized + 'static {
    /// What is known when all of it is stored.
    type Kept: Send + 'static;
    /// Blocks of at least so many bytes are wished for, if that much comes.
    const BATCH: usize;
    /// What came before the connection broke is stored as well.
    const KEEPS_PARTS: bool;

    fn write(&mut self, blocks: &[Bytes]) -> Result<(), Failed>;

    fn finish(self, trailers: &HeaderMap) -> Result<Self::Kept, Failed>;
}

enum Step<S: Store> {
    More(S),
    Kept(S::Kept),
}

/// Receives a body to its end into `store`; while one batch is written the next is received.
pub(super) async fn receive<S: Store>(store: S, body: &mut Incoming) -> Result<S::Kept, Failed> {
    let mut idle = Some(store);
    let mut writing: Option<JoinHandle<Result<Step<S>, Failed>>> = None;
    let mut batch = Batch::default();
    let mut broken = None;
    loop {
        let ended = batch.trailers.is_some() || broken.is_some();
        let due = batch.size >= S::BATCH || ended;
        if let Some(store) = idle.take_if(|_| due) {
            match broken.take() {
                None => writing = Some(spawn_blocking(batch.take().into(store))),
                Some(error) => {
                    if S::KEEPS_PARTS {
                        spawn_blocking(batch.take().into(store)).await.map_err(io::Error::other)??;
                    }
                    return Err(error);
                }
            }
        }
        tokio::select! {
            // What is written makes room first.
            biased;
            step = join(&mut writing), if writing.is_some() => {
                writing = None;
                match step? {
                    Step::Kept(kept) => return Ok(kept),
                    Step::More(store) => idle = Some(store),
                }
            }
            frame = body.frame(), if !ended && batch.size < BLOCK.max(S::BATCH) => match frame {
                None => { batch.trailers.get_or_insert_default(); }
                Some(Err(error)) => broken = Some(error.into()),
                Some(Ok(frame)) => batch.take_in(frame),
            },
        }
    }
}

async fn join<S: Store>(
    writing: &mut Option<JoinHandle<Result<Step<S>, Failed>>>,
) -> Result<Step<S>, Failed> {
    match writing {
        Some(writing) => writing.await.map_err(io::Error::other)?,
        // Not asked for.
        None => std::future::pending().await,
    }
}

/// What has come and is not written yet.
#[derive(Default)]
struct Batch {
    blocks: Vec<Bytes>,
    size: usize,
    /// The end has come.
    trailers: Option<HeaderMap>,
}

impl Batch {
    fn take_in(&mut self, frame: hyper::body::Frame<Bytes>) {
        match frame.into_data() {
            Ok(data) => {
                self.size += data.len();
                self.blocks.push(data);
            }
            Err(frame) => self.trailers = frame.into_trailers().ok(),
        }
    }

    fn take(&mut self) -> Self {
        Self {
            blocks: std::mem::take(&mut self.blocks),
            size: std::mem::take(&mut self.size),
            trailers: self.trailers.clone(),
        }
    }

    /// The writing, and the end when it has come: small files need but one step.
    fn into<S: Store>(self, mut store: S) -> impl FnOnce() -> Result<Step<S>, Failed> + Send + 'static {
        move || {
            store.write(&self.blocks)?;
            match self.trailers {
                Some(trailers) => store.finish(&trailers).map(Step::Kept),
                None => Ok(Step::More(store)),
            }
        }
    }
}

/// The checksum of what is received: told by the client, or to be told to it.
#[derive(Debug, Default)]
pub(super) struct Check {
    hash: Option<Sha256>,
    expected: Option<ReprDigest>,
}

impl Check {
    /// As the headers of a request want it; `whole` when its body is the whole file.
    pub(super) fn of(headers: &HeaderMap, whole: bool) -> Self {
        let expected = digest(headers, whole);
        let announced = || {
            let names = headers.get_all(TRAILER).into_iter().filter_map(|value| value.to_str().ok());
            names.flat_map(|list| list.split(',')).map(str::trim).any(|name| {
                name.eq_ignore_ascii_case("repr-digest")
                    || (whole && name.eq_ignore_ascii_case("content-digest"))
            })
        };
        let needed = expected.is_some() || super::wish::wants_digest(headers) || announced();
        Self { hash: needed.then(Sha256::new), expected }
    }

    pub(super) fn take(&mut self, blocks: &[Bytes]) {
        if let Some(hash) = &mut self.hash {
            blocks.iter().for_each(|block| hash.update(block));
        }
    }

    /// What a file holds already belongs to it as well.
    pub(super) fn take_file(&mut self, file: &File, length: u64) -> io::Result<()> {
        if let Some(hash) = self.hash.take() {
            self.hash = Some(super::send::hash(file, length, hash)?);
        }
        Ok(())
    }

    /// # Errors
    /// [`Failed::Checksum`].
    pub(super) fn finish(self, trailers: &HeaderMap, whole: bool) -> Result<Option<ReprDigest>, Failed> {
        let Some(hash) = self.hash else { return Ok(None) };
        let found = ReprDigest::from(hash);
        let trailing = digest(trailers, whole);
        let fits = |expected: Option<ReprDigest>| expected.is_none_or(|expected| expected == found);
        if fits(self.expected) && fits(trailing) { Ok(Some(found)) } else { Err(Failed::Checksum) }
    }
}

fn digest(headers: &HeaderMap, whole: bool) -> Option<ReprDigest> {
    let of = |name| headers.get(name).and_then(|value| ReprDigest::parse(value.as_bytes()));
    of(REPR_DIGEST).or_else(|| of(CONTENT_DIGEST).filter(|_| whole))
}

/// A stored file.
#[derive(Debug)]
pub(super) struct Kept {
    /// None for a device or pipe.
    pub(super) stat: Option<Stat>,
    pub(super) digest: Option<ReprDigest>,
}

/// A file that is replaced at once when all data is there: readers see the old content or the new, and an interrupted
/// transfer changes nothing. Devices and pipes are written as they are.
pub(super) struct Replacement {
    state: State,
    check: Check,
    /// Nothing may be replaced.
    must_be_new: bool,
}

enum State {
    Planned(Place),
    Beside(Beside),
    Device(File),
}

impl Replacement {
    pub(super) fn of(place: Place, headers: &HeaderMap) -> Self {
        let must_be_new = super::condition::must_be_new(headers);
        Self { state: State::Planned(place), check: Check::of(headers, true), must_be_new }
    }
}

impl Store for Replacement {
    type Kept = Kept;
    const BATCH: usize = BLOCK;
    const KEEPS_PARTS: bool = false;

    fn write(&mut self, blocks: &[Bytes]) -> Result<(), Failed> {
        if let State::Planned(place) = &self.state {
            self.state = prepare(place)?;
        }
        self.check.take(blocks);
        match &self.state {
            State::Beside(beside) => Ok(blocks::write(&beside.file, blocks)?),
            State::Device(file) => Ok(blocks::write(file, blocks)?),
            State::Planned(_) => Ok(()),
        }
    }

    fn finish(self, trailers: &HeaderMap) -> Result<Kept, Failed> {
        let digest = self.check.finish(trailers, true)?;
        let stat = match self.state {
            State::Beside(beside) => Some(beside.put_in_place(self.must_be_new)?),
            State::Device(_) | State::Planned(_) => None,
        };
        Ok(Kept { stat, digest })
    }
}

fn prepare(place: &Place) -> Result<State, Failed> {
    let place = place.clone().followed();
    let slot = place.slot()?;
    let existing = replaceable(&slot)?;
    if let Some(existing) = &existing
        && FileType::from_raw_mode(existing.st_mode) != FileType::RegularFile
    {
        return match place {
            // A pipe waits for its reader.
            Place::Anywhere(path) => Ok(State::Device(File::options().write(true).open(path)?)),
            Place::Beneath(..) => Err(io::Error::from(io::ErrorKind::InvalidInput).into()),
        };
    }
    Ok(State::Beside(Beside::create(slot, existing)?))
}

/// What a new file would take the place of.
///
/// # Errors
/// When it is a directory, a socket, a link that is not followed, or a file that may not be written.
pub(super) fn replaceable(slot: &Slot) -> Result<Option<Stat>, Failed> {
    let Some(existing) = slot.stat()? else { return Ok(None) };
    let kind = |kind: io::ErrorKind| Failed::from(io::Error::from(kind));
    match FileType::from_raw_mode(existing.st_mode) {
        FileType::Directory => Err(kind(io::ErrorKind::IsADirectory)),
        FileType::Symlink => Err(rustix::io::Errno::LOOP.into()),
        FileType::Socket => Err(kind(io::ErrorKind::InvalidInput)),
        FileType::RegularFile => {
            // Renaming asks the directory for permission, and the file nothing.
            let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            rustix::fs::openat(&slot.directory, &slot.name, flags, Mode::empty())?;
            Ok(Some(existing))
        }
        _ => Ok(Some(existing)),
    }
}

/// A new file in the directory of the one it is to replace; removed again unless it gets its name.
pub(super) struct Beside {
    slot: Slot,
    pub(super) file: File,
    temporary: OsString,
    existing: Option<Stat>,
    /// Dropping it removes the file.
    fleeting: bool,
}

impl Beside {
    fn create(slot: Slot, existing: Option<Stat>) -> Result<Self, Failed> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            let temporary = unique_name();
            match rustix::fs::openat(&slot.directory, &temporary, flags, new_mode(existing.as_ref())) {
                Ok(file) => return Ok(Self { slot, file: file.into(), temporary, existing, fleeting: true }),
                Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A file of this temporary name that was begun before, or is begun now; it stays until it gets its name.
    pub(super) fn resume(slot: Slot, existing: Option<Stat>, temporary: OsString) -> Result<Self, Failed> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&slot.directory, &temporary, flags, new_mode(existing.as_ref()))?;
        if FileType::from_raw_mode(stat(&file)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
        }
        Ok(Self { slot, file: file.into(), temporary, existing, fleeting: false })
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// [`Failed::Precondition`] when it `must_be_new` and something has the name.
    pub(super) fn put_in_place(mut self, must_be_new: bool) -> Result<Stat, Failed> {
        if let Some(existing) = &self.existing {
            let own = stat(&self.file)?;
            if (own.st_uid, own.st_gid) != (existing.st_uid, existing.st_gid) {
                // As writing in place would have left it; only root can.
                let (owner, group) =
                    (rustix::fs::Uid::from_raw(existing.st_uid), rustix::fs::Gid::from_raw(existing.st_gid));
                let _ = rustix::fs::fchown(&self.file, Some(owner), Some(group));
            }
            // Without set-user-id: the content is another.
            rustix::fs::fchmod(&self.file, Mode::from_raw_mode(existing.st_mode & 0o777))?;
        }
        let Slot { directory, name } = &self.slot;
        if must_be_new {
            let renamed = rustix::fs::renameat_with(
                directory,
                &self.temporary,
                directory,
                name,
                RenameFlags::NOREPLACE,
            );
            renamed.map_err(|error| match error {
                rustix::io::Errno::EXIST => Failed::Precondition,
                error => error.into(),
            })?;
        } else {
            rustix::fs::renameat(directory, &self.temporary, directory, name)?;
        }
        self.fleeting = false;
        Ok(stat(&self.file)?)
    }

    /// Removes it.
    pub(super) fn discard(mut self) {
        self.fleeting = true;
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if self.fleeting {
            let removed = rustix::fs::unlinkat(&self.slot.directory, &self.temporary, AtFlags::empty());
            if let Err(error) = removed {
                tracing::warn!(file = %self.temporary.display(), %error, "a temporary file stays");
            }
        }
    }
}

/// Subject to the umask, like any other new file; an existing file keeps its mode, and is private until then.
fn new_mode(existing: Option<&Stat>) -> Mode {
    match existing {
        Some(stat) => {
            Mode::from_raw_mode(stat.st_mode) & Mode::from_raw_mode(0o666) | Mode::RUSR | Mode::WUSR
        }
        None => Mode::from_raw_mode(0o666),
    }
}

/// Another for each call, in this and other processes; a clash is noticed.
fn unique_name() -> OsString {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{}{:x}-{count:x}-{time:x}", super::listing::TEMPORARY, std::process::id()).into()
}

/// A file that grows by what comes, block by block, so that others can follow it.
pub(super) struct Addition {
    place: Place,
    file: Option<File>,
}

impl Addition {
    pub(super) fn to(place: Place) -> Self {
        Self { place, file: None }
    }
}

impl Store for Addition {
    type Kept = ();
    const BATCH: usize = 1;
    const KEEPS_PARTS: bool = true;

    fn write(&mut self, blocks: &[Bytes]) -> Result<(), Failed> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(self.place.open_to_append()?.into()),
        };
        Ok(blocks::write(file, blocks)?)
    }

    fn finish(self, _: &HeaderMap) -> Result<(), Failed> {
        Ok(())
    }
}

/// Makes a directory.
///
/// # Errors
/// [`Failed::NoParent`], and when something has the name already.
pub(super) fn make_directory(place: &Place) -> Result<(), Failed> {
    let slot = place.without_slash().slot().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Failed::NoParent,
        // An exported directory itself.
        io::ErrorKind::IsADirectory => io::Error::from(io::ErrorKind::AlreadyExists).into(),
        _ => error.into(),
    })?;
    Ok(rustix::fs::mkdirat(&slot.directory, &slot.name, Mode::from_raw_mode(0o777))?)
}
