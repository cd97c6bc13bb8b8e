//! The job manager's side of the reaper: keeps a connection, starts a reaper when there is none, repeats what was not
//! answered, and reports what changes.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::OsString,
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use rustix::fs::{Mode, OFlags};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixStream, unix::OwnedReadHalf},
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout},
};

use super::{
    BUSY, READY, SOCKET,
    protocol::{
        MAX_FRAME, Message, ProtocolError, Refusal, Request, Status, VERSION, decode_message, encode_request,
        split_frame,
    },
};
use crate::{launch::JobKey, scheduler::Outcome};

/// How long a new reaper may take until it is ready.
const START_DEADLINE: Duration = Duration::from_secs(20);
/// First and longest pause between attempts to reach a reaper.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));
/// After so many attempts in a row, requests that no reaper has seen yet fail.
const ATTEMPTS: u32 = 4;
/// Requests that may wait for their turn.
const QUEUE: usize = 1024;

/// The reaper could not be asked, or said no.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// It said no.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// It cannot be reached, nor started; the request has not been carried out.
    #[error("the reaper cannot be reached: {0}")]
    Unreachable(Arc<ReachError>),
    /// The request does not fit into a frame.
    #[error("the job is too large for the reaper: {0}")]
    TooLarge(ProtocolError),
    /// The client has been shut down.
    #[error("the reaper's client has been shut down")]
    Closed,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The directory cannot be made or opened.
    #[error("{}: {source}", path.display())]
    Directory {
        /** the reaper's directory */
        path: PathBuf,
        /** why */
        source: io::Error,
    },
    /// The program cannot be started.
    #[error("cannot start {}: {source}", program.display())]
    Start {
        /** first word of the command */
        program: PathBuf,
        /** why */
        source: io::Error,
    },
    /// It was started and did not say that it is ready.
    #[error("the reaper ended, or said nothing for {START_DEADLINE:?}; its log is {}", log.display())]
    NotReady {
        /** where its messages go */
        log: PathBuf,
    },
    /// The socket does not answer.
    #[error("connecting to the reaper: {0}")]
    Connect(#[source] io::Error),
    /// The peer is not a reaper of ours.
    #[error(
        "the reaper speaks protocol version {0}, this program {VERSION}; let its jobs end, then try again"
    )]
    Version(u8),
    /// The peer is somebody else's.
    #[error("the reaper's socket belongs to uid {0}")]
    Owner(u32),
    /// It spoke nonsense.
    #[error("the reaper's answer: {0}")]
    Protocol(#[from] ProtocolError),
}

/// A change of a job that the client follows.
pub type Change = (JobKey, Status);

/// A handle on the client's task; the task ends with its last handle and the receiver of changes.
#[derive(Debug, Clone)]
pub struct Client {
    calls: mpsc::Sender<Call>,
}

#[derive(Debug)]
enum Call {
    Ask(Request, oneshot::Sender<Result<Option<Status>, ClientError>>),
    Adopt(Adoption),
}

/// Jobs to be followed from now on, each with whether it is known to have been started.
#[derive(Debug)]
struct Adoption {
    jobs: Vec<(JobKey, bool)>,
    answer: oneshot::Sender<Result<(), ClientError>>,
}

impl Client {
    /// Makes a client for the reaper of `dir`, which is created (0700) when missing. `command` starts a reaper.
    ///
    /// Nothing is connected before the first request. Changes are sent for jobs that were started or adopted here. There
    /// are at most a handful per job, and to wait for their reader could stop the answers it waits for:
    /// hence no bound.
    pub fn new(dir: PathBuf, command: Vec<OsString>) -> (Client, mpsc::UnboundedReceiver<Change>) {
        let (calls, queue) = mpsc::channel(QUEUE);
        let (changes, receiver) = mpsc::unbounded_channel();
        let task = Task {
            dir,
            command,
            queue,
            changes,
            unanswered: BTreeMap::new(),
            starting: HashSet::new(),
            adoptions: Vec::new(),
            followed: HashMap::new(),
            table: HashMap::new(),
            next_id: 0,
        };
        tokio::spawn(task.run());
        (Client { calls }, receiver)
    }

    /// Carries out a request; for `Start` the answer is the job's status then. Waits for as long as it takes
    /// once a reaper may have seen the request.
    pub async fn ask(&self, request: Request) -> Result<Option<Status>, ClientError> {
        let (answer, result) = oneshot::channel();
        self.calls.send(Call::Ask(request, answer)).await.map_err(|_| ClientError::Closed)?;
        result.await.map_err(|_| ClientError::Closed)?
    }

    /// From now on follow these jobs: the present status of each comes as a change. With each goes whether it is known
    /// to have been started: if so and the reaper has never heard of it, it is lost; if not so, it was never started.
    pub async fn adopt(&self, jobs: Vec<(JobKey, bool)>) -> Result<(), ClientError> {
        let (answer, result) = oneshot::channel();
        let call = Call::Adopt(Adoption { jobs, answer });
        self.calls.send(call).await.map_err(|_| ClientError::Closed)?;
        result.await.map_err(|_| ClientError::Closed)?
    }
}

/// A request without an answer yet.
struct Unanswered {
    request: Request,
    /// Whether some reaper may have seen it.
    sent: bool,
    answer: oneshot::Sender<Result<Option<Status>, ClientError>>,
}

struct Task {
    dir: PathBuf,
    command: Vec<OsString>,
    queue: mpsc::Receiver<Call>,
    changes: mpsc::UnboundedSender<Change>,
    /// By number, so that they are repeated in order.
    unanswered: BTreeMap<u64, Unanswered>,
    /// Jobs of unanswered starts: there may be thousands, and each status is looked up here.
    starting: HashSet<JobKey>,
    /// Waiting for a table.
    adoptions: Vec<Adoption>,
    /// Jobs whose changes are reported, with the last report.
    followed: HashMap<JobKey, Status>,
    /// The reaper's table as far as we have been told.
    table: HashMap<JobKey, Status>,
    next_id: u64,
}

impl Task {
    async fn run(mut self) {
        let mut attempts = 0;
        loop {
            // With nothing to ask and nothing running, no reaper is needed.
            if self.unanswered.is_empty() && self.adoptions.is_empty() && !self.has_live_jobs() {
                let Some(call) = self.queue.recv().await else { return };
                self.take(call);
            }
            match self.reach().await {
                Ok(stream) => {
                    attempts = 0;
                    match self.converse(stream).await {
                        Ok(()) => return,
                        Err(error) => tracing::warn!(%error, "the reaper is gone"),
                    }
                }
                Err(error) => {
                    attempts += 1;
                    tracing::warn!(%error, attempts, "no reaper");
                    if attempts >= ATTEMPTS {
                        self.give_up(&Arc::new(error));
                    }
                    let pause = BACKOFF.0.saturating_mul(1 << attempts.min(16)).min(BACKOFF.1);
                    if !self.pause(pause).await {
                        return;
                    }
                }
            }
        }
    }

    fn has_live_jobs(&self) -> bool {
        self.followed.values().any(|status| !matches!(status, Status::Ended(_)))
    }

    /// Waits, and still takes calls; false when all handles are gone.
    async fn pause(&mut self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return true,
                call = self.queue.recv() => match call {
                    Some(call) => self.take(call),
                    None => return false,
                },
            }
        }
    }

    fn take(&mut self, call: Call) {
        match call {
            Call::Ask(request, answer) => {
                self.next_id += 1;
                if let Request::Start(key, _) = request {
                    self.starting.insert(key);
                }
                self.unanswered.insert(self.next_id, Unanswered { request, sent: false, answer });
            }
            Call::Adopt(adoption) => self.adoptions.push(adoption),
        }
    }

    /// Fails what no reaper has seen; for the rest the outcome is open, and it is asked again when there is one.
    fn give_up(&mut self, error: &Arc<ReachError>) {
        let unsent: Vec<u64> =
            self.unanswered.iter().filter(|(_, waiting)| !waiting.sent).map(|(&id, _)| id).collect();
        for id in unsent {
            if let Some(waiting) = self.remove(id) {
                let _ = waiting.answer.send(Err(ClientError::Unreachable(error.clone())));
            }
        }
        for adoption in self.adoptions.drain(..) {
            let _ = adoption.answer.send(Err(ClientError::Unreachable(error.clone())));
        }
    }

    /// Takes a request out: it has been answered, or never will be.
    fn remove(&mut self, id: u64) -> Option<Unanswered> {
        let waiting = self.unanswered.remove(&id)?;
        if let Request::Start(key, _) = waiting.request {
            self.starting.remove(&key);
        }
        Some(waiting)
    }

    /// Connects to the running reaper, or to one that is started for it.
    async fn reach(&self) -> Result<UnixStream, ReachError> {
        let in_dir = |source| ReachError::Directory { path: self.dir.clone(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).map_err(in_dir)?;
        match connect(&self.dir).await {
            Err(ReachError::Connect(_)) => {}
            result => return result,
        }
        start(&self.dir, &self.command).await?;
        connect(&self.dir).await
    }

    /// Speaks with a reaper until it is gone (an error) or every handle is (no error).
    async fn converse(&mut self, stream: UnixStream) -> Result<(), ReachError> {
        let (reader, mut writer) = stream.into_split();
        let mut frames = Frames { reader, input: Vec::new(), taken: 0 };
        self.read_table(&mut frames).await?;
        let mut output = Vec::new();
        let again: Vec<u64> = self.unanswered.keys().copied().collect();
        again.into_iter().for_each(|id| self.send(id, &mut output));
        loop {
            if !output.is_empty() {
                // The reaper reads between starts; what it writes meanwhile waits in the socket and in its memory.
                writer.write_all(&output).await.map_err(ReachError::Connect)?;
                output.clear();
            }
            tokio::select! {
                message = frames.next() => self.hear(message?),
                call = self.queue.recv() => match call {
                    None => return Ok(()),
                    Some(call) => {
                        let last = self.next_id;
                        self.take(call);
                        while let Ok(call) = self.queue.try_recv() {
                            self.take(call);
                        }
                        let new: Vec<u64> = self.unanswered.range(last + 1..).map(|(&id, _)| id).collect();
                        new.into_iter().for_each(|id| self.send(id, &mut output));
                        self.answer_adoptions();
                    }
                },
            }
        }
    }

    fn send(&mut self, id: u64, output: &mut Vec<u8>) {
        let Some(waiting) = self.unanswered.get_mut(&id) else { return };
        match encode_request(id, &waiting.request, output) {
            Ok(()) => waiting.sent = true,
            Err(error) => {
                if let Some(waiting) = self.remove(id) {
                    let _ = waiting.answer.send(Err(ClientError::TooLarge(error)));
                }
            }
        }
    }

    /// Reads the reaper's greeting and table, and reports what has changed since the last one.
    async fn read_table(&mut self, frames: &mut Frames) -> Result<(), ReachError> {
        self.table.clear();
        match frames.next().await? {
            Message::Hello { version: VERSION } => {}
            Message::Hello { version } => return Err(ReachError::Version(version)),
            _ => return Err(ReachError::Version(0)),
        }
        loop {
            match frames.next().await? {
                Message::Status(key, status) => drop(self.table.insert(key, status)),
                Message::Listed => break,
                other => self.hear(other),
            }
        }
        for (key, last) in self.followed.clone() {
            match self.table.get(&key) {
                Some(status) => self.report(key, status.clone()),
                // It was running, and the reaper that is there now has never heard of it: its journal has been lost.
                None if !matches!(last, Status::Ended(_)) => self.report(key, Status::Ended(Outcome::Lost)),
                None => {}
            }
        }
        self.answer_adoptions();
        Ok(())
    }

    fn answer_adoptions(&mut self) {
        for Adoption { jobs, answer } in std::mem::take(&mut self.adoptions) {
            for (key, started) in jobs {
                let lost = started.then_some(Status::Ended(Outcome::Lost));
                if let Some(status) = self.table.get(&key).cloned().or(lost) {
                    self.followed.remove(&key);
                    self.report(key, status);
                }
            }
            let _ = answer.send(Ok(()));
        }
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Status(key, status) => {
                self.table.insert(key, status.clone());
                // A job is followed from its start on: its first status comes before the answer.
                if self.followed.contains_key(&key) || self.starting.contains(&key) {
                    self.report(key, status);
                }
            }
            Message::Answer(id, result) => {
                let Some(Unanswered { request, answer, .. }) = self.remove(id) else { return };
                let status = match request {
                    Request::Forget(key) => {
                        self.followed.remove(&key);
                        self.table.remove(&key)
                    }
                    Request::Start(key, _) => self.table.get(&key).cloned(),
                    _ => None,
                };
                let _ = answer.send(result.map(|()| status).map_err(ClientError::Refused));
            }
            Message::Hello { .. } | Message::Listed => {}
        }
    }

    fn report(&mut self, key: JobKey, status: Status) {
        if self.followed.insert(key, status.clone()).as_ref() != Some(&status) {
            // With nobody to listen any more, the handles are going too.
            let _ = self.changes.send((key, status));
        }
    }
}

/// Takes messages out of the stream.
struct Frames {
    reader: OwnedReadHalf,
    input: Vec<u8>,
    /// How much of it has been taken out already.
    taken: usize,
}

impl Frames {
    /// The next message. Cancel-safe: what has been read stays in `input`.
    async fn next(&mut self) -> Result<Message, ReachError> {
        loop {
            if let Some((content, length)) = split_frame(self.input.get(self.taken..).unwrap_or_default())? {
                let message = decode_message(content)?;
                self.taken += length;
                return Ok(message);
            }
            // Only now, when what is left is a part of one message: a table holds thousands.
            self.input.drain(..self.taken);
            self.taken = 0;
            let gone = io::Error::from(io::ErrorKind::UnexpectedEof);
            match self.reader.read_buf(&mut self.input).await {
                Ok(0) => return Err(ReachError::Connect(gone)),
                Ok(_) => {}
                Err(error) => return Err(ReachError::Connect(error)),
            }
        }
    }
}

/// Connects by way of a descriptor of the directory: a socket's address may not exceed 107 bytes, a state
/// directory's may.
async fn connect(dir: &Path) -> Result<UnixStream, ReachError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let descriptor = rustix::fs::open(dir, flags, Mode::empty())
        .map_err(|error| ReachError::Directory { path: dir.to_owned(), source: error.into() })?;
    let address = format!("/proc/self/fd/{}/{SOCKET}", descriptor.as_raw_fd());
    let stream = UnixStream::connect(address).await.map_err(ReachError::Connect)?;
    let owner = stream.peer_cred().map_err(ReachError::Connect)?.uid();
    if owner == rustix::process::geteuid().as_raw() { Ok(stream) } else { Err(ReachError::Owner(owner)) }
}

/// Starts a reaper and waits until it says that it is ready, or that another is.
async fn start(dir: &Path, command: &[OsString]) -> Result<(), ReachError> {
    let log = dir.join("log");
    let stderr = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&log);
    let stderr = stderr.map_err(|source| ReachError::Directory { path: log.clone(), source })?;
    let (program, arguments) = command
        .split_first()
        .map_or((OsString::new(), [].as_slice()), |(program, arguments)| (program.clone(), arguments));
    let mut reaper = tokio::process::Command::new(&program);
    reaper.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
    // The runtime waits for the anchor that this becomes, whenever it ends.
    let mut reaper =
        reaper.spawn().map_err(|source| ReachError::Start { program: program.into(), source })?;
    let not_ready = || ReachError::NotReady { log: log.clone() };
    let mut lines =
        BufReader::new(reaper.stdout.take().ok_or_else(not_ready)?).take(MAX_FRAME as u64).lines();
    let said_so = async {
        while let Ok(Some(line)) = lines.next_line().await {
            match line.as_str() {
                READY => return true,
                // Another is just about to open its socket, or to leave.
                BUSY => {
                    sleep(BACKOFF.0).await;
                    return true;
                }
                _ => {}
            }
        }
        false
    };
    match timeout(START_DEADLINE, said_so).await {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(not_ready()),
    }
}
