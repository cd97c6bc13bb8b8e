//! A part of a job's output for its owner, who asks at the job contact (`gram::wire::output`). Nobody is kept waiting but the
//! asker: files are opened by the asker's own task.

use super::{
    Stream,
    source::open_regular,
    watcher::{Watcher, Watching},
};
use crate::{
    environment::Places,
    job::{Job, Output},
    launch::JobKey,
    site::JobFiles,
};
use gass::Cache;
use gram::{
    GramError,
    wire::{OutputRange, OutputReply, output::MAX_OUTPUT},
};
use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

/// Readers that may wait for news at once; further ones are answered at once.
pub const MAX_WAITING: usize = 32;
/// Outputs of jobs that are over which are kept open for their readers, and how long after the last reading.
pub const MAX_KEPT: usize = 64;
/// See [`MAX_KEPT`].
pub const KEEP: Duration = Duration::from_secs(120);
/// News within so short a time are told together.
const GATHER: Duration = Duration::from_millis(20);

/// What the manager tells about a stream.
#[derive(Debug)]
pub struct Readable {
    /// Where the job writes it.
    pub place: Place,
    /// The job's state, as a number.
    pub status: u32,
    /// Error of the job.
    pub failure: GramError,
    /// The job writes no more.
    pub ended: bool,
    /// Changes when it ends.
    pub ending: watch::Receiver<()>,
    /// Who else reads.
    pub readers: Arc<Readers>,
}

/// Where a stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File(PathBuf),
    /// In the GASS cache.
    Cache {
        /** the cache's directory */
        root: PathBuf,
        /** the entry's URL */
        url: String,
        /** its tag */
        tag: String,
    },
}

impl Place {
    /// Of a job's stream.
    pub fn of(job: &Job, files: &JobFiles, stream: Stream) -> Self {
        let places = Places::of(job, files);
        let (output, path) = match stream {
            Stream::Stdout => (job.stdout_as_started(), places.stdout),
            Stream::Stderr => (job.stderr_as_started(), places.stderr),
        };
        match output {
            Output::Cache(entry) => Self::Cache {
                root: job.spec.gass_cache.as_path().to_owned(),
                url: entry.url.clone(),
                tag: entry.tag.as_deref().unwrap_or(job.cache_tag()).to_owned(),
            },
            Output::File(_) | Output::Deliver(_) => Self::File(path),
        }
    }

    /// The file, which may not be there yet; may wait for a disk.
    pub(super) fn locate(&self) -> io::Result<PathBuf> {
        match self {
            Self::File(path) => Ok(path.clone()),
            Self::Cache { root, url, tag } => {
                let found = Cache::open(root).and_then(|cache| cache.query(url, tag));
                found.map_err(io::Error::other)?.ok_or_else(|| io::ErrorKind::NotFound.into())
            }
        }
    }
}

/// Those who read.
#[derive(Debug)]
pub struct Readers {
    watcher: Arc<Watcher>,
    followed: Mutex<HashMap<JobKey, Followed>>,
    waiting: Arc<Semaphore>,
}

#[derive(Debug)]
struct Followed {
    ending: watch::Sender<()>,
    asked: Instant,
    /// Files that outlive their names.
    kept: HashMap<Stream, Arc<File>>,
}

impl Readers {
    /// Nobody yet.
    pub(super) fn new(watcher: Arc<Watcher>) -> Self {
        Self { watcher, followed: Mutex::default(), waiting: Arc::new(Semaphore::new(MAX_WAITING)) }
    }

    /// Somebody reads this job's output: the receiver changes when the job ends.
    pub fn follow(&self, key: JobKey) -> watch::Receiver<()> {
        let now = Instant::now();
        let mut followed = self.followed();
        followed.retain(|_, followed| now.duration_since(followed.asked) < KEEP);
        let entry = followed.entry(key).or_insert_with(|| Followed {
            ending: watch::Sender::new(()),
            asked: now,
            kept: HashMap::new(),
        });
        entry.asked = now;
        entry.ending.subscribe()
    }

    /// The job has ended.
    pub fn ended(&self, key: JobKey) {
        if let Some(followed) = self.followed().get(&key) {
            followed.ending.send_modify(|()| {});
        }
    }

    /// The job's files are about to be removed: those that somebody reads are kept open for a while. May wait for a disk.
    pub fn keep(&self, job: &Job, files: &JobFiles) {
        if !self.followed().contains_key(&job.key) {
            return;
        }
        for stream in Stream::ALL {
            let file = Place::of(job, files, stream).locate().and_then(|path| open_regular(&path));
            let mut followed = self.followed();
            let kept: usize = followed.values().map(|followed| followed.kept.len()).sum();
            if let (Ok(file), Some(entry), true) = (file, followed.get_mut(&job.key), kept < MAX_KEPT) {
                entry.kept.insert(stream, Arc::new(file));
            }
        }
    }

    fn kept(&self, key: JobKey, stream: Stream) -> Option<Arc<File>> {
        self.followed().get(&key)?.kept.get(&stream).cloned()
    }

    fn followed(&self) -> MutexGuard<'_, HashMap<JobKey, Followed>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads what `range` asks for, waiting for it as long as it says. `look` asks the manager how things stand; `None` from it:
/// there is no such job.
///
/// # Errors
/// 156: no such job. 92: that stream is not kept anywhere here.
pub async fn read<F>(key: JobKey, range: OutputRange, look: impl Fn() -> F) -> Result<OutputReply, GramError>
where
    F: Future<Output = Option<Readable>>,
{
    let deadline = Instant::now() + Duration::from_secs(range.wait.into());
    let mut place = None;
    loop {
        let mut readable = look().await.ok_or(GramError::JOB_CONTACT_NOT_FOUND)?;
        let failed = |error: io::Error| {
            tracing::info!(job = %key, place = ?readable.place, %error, "output not read");
            GramError::INVALID_JOB_QUERY
        };
        // Watched before it is read: what comes in between is not missed.
        let mut watching = readable.watch().await.map_err(failed)?;
        let part = readable.part(key, &range).await.map_err(failed)?;
        let wanted = !part.data.is_empty() || part.ended || part.size < range.from;
        place = place.or_else(|| Arc::clone(&readable.readers.waiting).try_acquire_owned().ok());
        if wanted || place.is_none() || Instant::now() >= deadline {
            return Ok(part);
        }
        tokio::select! {
            () = watching.grown() => tokio::time::sleep(GATHER).await,
            _ = readable.ending.changed() => {}
            () = tokio::time::sleep_until(deadline) => {}
        }
    }
}

impl Readable {
    /// A file that is not there yet is looked for now and then.
    async fn watch(&self) -> io::Result<Watching> {
        let (readers, place) = (Arc::clone(&self.readers), self.place.clone());
        let watching = move || readers.watcher.watch(&place.locate().unwrap_or_default());
        tokio::task::spawn_blocking(watching).await.map_err(io::Error::other)
    }

    /// The part of the file, which may have lost its name already.
    async fn part(&self, key: JobKey, range: &OutputRange) -> io::Result<OutputReply> {
        let (from, place, ended) = (range.from, self.place.clone(), self.ended);
        let kept = self.readers.kept(key, range.stream);
        let reading = move || match (place.locate().and_then(|path| open_regular(&path)), kept) {
            (Ok(file), _) => part_of(&file, from),
            (Err(_), Some(file)) => part_of(&file, from),
            // The job has not begun to write.
            (Err(error), None) if error.kind() == io::ErrorKind::NotFound && !ended => Ok(empty()),
            (Err(error), None) => Err(error),
        };
        let part = tokio::task::spawn_blocking(reading).await.map_err(io::Error::other)??;
        Ok(OutputReply { status: self.status, job_failure_code: self.failure, ended, ..part })
    }
}

fn empty() -> OutputReply {
    OutputReply {
        status: 0,
        job_failure_code: GramError::SUCCESS,
        from: 0,
        size: 0,
        ended: false,
        data: Vec::new(),
    }
}

fn part_of(file: &File, from: u64) -> io::Result<OutputReply> {
    let size = file.metadata()?.len();
    let from = from.min(size);
    let mut data = vec![0; usize::try_from(size - from).unwrap_or(MAX_OUTPUT).min(MAX_OUTPUT)];
    let read = file.read_at(&mut data, from)?;
    data.truncate(read);
    Ok(OutputReply { from, size, data, ..empty() })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scene {
        _folder: tempfile::TempDir,
        path: PathBuf,
        readers: Arc<Readers>,
        ended: std::sync::atomic::AtomicBool,
    }

    const KEY: JobKey = JobKey { high: 1, low: 2 };

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("out");
            let readers = Arc::new(Readers::new(Arc::new(Watcher::start())));
            Self { _folder: folder, path, readers, ended: false.into() }
        }

        async fn read(&self, from: u64, wait: u32) -> Result<OutputReply, GramError> {
            let range = OutputRange { stream: Stream::Stdout, from, wait };
            read(KEY, range, || async {
                Some(Readable {
                    place: Place::File(self.path.clone()),
                    status: 2,
                    failure: GramError::SUCCESS,
                    ended: self.ended.load(std::sync::atomic::Ordering::SeqCst),
                    ending: self.readers.follow(KEY),
                    readers: Arc::clone(&self.readers),
                })
            })
            .await
        }

        fn end(&self) {
            self.ended.store(true, std::sync::atomic::Ordering::SeqCst);
            self.readers.ended(KEY);
        }
    }

    #[tokio::test]
    async fn parts_come_when_they_are_there() {
        let job = Scene::new();
        // Not begun: nothing, and no error.
        assert_eq!(job.read(0, 0).await.unwrap().data, b"");
        std::fs::write(&job.path, "one\n").unwrap();
        let first = job.read(0, 0).await.unwrap();
        assert_eq!((first.data.as_slice(), first.next(), first.is_last()), (&b"one\n"[..], 4, false));
        let waiting = job.read(4, 30);
        let writing = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let mut file = File::options().append(true).open(&job.path).unwrap();
            io::Write::write_all(&mut file, b"two\n").unwrap();
        };
        let (second, ()) = tokio::join!(waiting, writing);
        assert_eq!(second.unwrap().data, b"two\n");
        // Beyond the end: how much there is.
        let size = job.read(u64::MAX, 30).await.unwrap();
        assert_eq!((size.from, size.size, size.data.len()), (8, 8, 0));
    }

    #[tokio::test]
    async fn the_end_of_the_job_ends_the_wait() {
        let job = Scene::new();
        std::fs::write(&job.path, "one\n").unwrap();
        let ending = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            job.end();
        };
        let (last, ()) = tokio::join!(job.read(4, 30), ending);
        assert!(last.unwrap().is_last());
    }

    #[tokio::test]
    async fn what_is_being_read_outlives_its_removal() {
        let job = Scene::new();
        std::fs::write(&job.path, "one\ntwo\n").unwrap();
        assert_eq!(job.read(0, 0).await.unwrap().data.len(), 8);
        job.end();
        let mut of_job = crate::job::tests::sample();
        of_job.key = KEY;
        of_job.spec.stdout = Output::File(job.path.to_str().unwrap().into());
        let files = crate::site_for_tests(job._folder.path()).job_files(KEY);
        job.readers.keep(&of_job, &files);
        std::fs::remove_file(&job.path).unwrap();
        assert_eq!(job.read(4, 0).await.unwrap().data, b"two\n");
        job.readers.followed().clear();
        // Nobody had been reading: it is gone, and that is not the same as empty.
        assert_eq!(job.read(0, 0).await, Err(GramError::INVALID_JOB_QUERY));
    }

    #[tokio::test]
    async fn only_files_are_read() {
        let mut job = Scene::new();
        for path in ["/dev/zero", "/tmp"] {
            job.path = path.into();
            assert_eq!(job.read(0, 0).await, Err(GramError::INVALID_JOB_QUERY), "{path}");
        }
    }
}
