//! The reaper's event loop: one thread waiting for peers, ended children, ended orphans and the clock.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            fs::OpenOptionsExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::Path,
    time::Duration,
};

use rustix::{
    event::epoll::{self, CreateFlags, EventData, EventFlags},
    fs::{FlockOperation, flock},
    io::Errno,
    net::sockopt::socket_peercred,
    process::geteuid,
    time::Timespec,
};

use super::{
    BUSY, Context, READY, ReaperError, SOCKET, anchor,
    connection::Connection,
    journal::Journal,
    proc,
    protocol::{Message, Refusal, Request, Stage, VERSION},
    record::{ProcessId, Record},
    recovery,
    table::Table,
};
use crate::launch::JobKey;

/// Peers at once: the job manager, and perhaps the next one while the last is not quite gone.
const MAX_CONNECTIONS: usize = 8;
/// How long a new reaper waits for its first peer.
const LINGER: Duration = Duration::from_secs(30);
/// How long after a failure (journal not writable) the same is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// Events taken from the kernel at once.
const EVENTS: usize = 64;

const LISTENER: u64 = 0;
const CHILDREN: u64 = 1;
const FIRST_TOKEN: u64 = 2;

/// The reaper.
pub(super) struct Server {
    pub(super) journal: Journal,
    pub(super) table: Table,
    /// Our own children, by pid.
    pub(super) children: HashMap<u32, (JobKey, u32)>,
    /// Processes that an earlier reaper started, by token.
    pub(super) orphans: HashMap<u64, Orphan>,
    /// What is due when; entries that no longer apply are passed over.
    pub(super) timers: BTreeSet<(Duration, JobKey, Due)>,
    /// What has happened and could not be written yet.
    pub(super) pending: VecDeque<Record>,
    /// When to try again what failed.
    pub(super) retry: Option<Duration>,
    epoll: OwnedFd,
    listener: UnixListener,
    child_ended: UnixStream,
    connections: HashMap<u64, Connection>,
    next_token: u64,
    linger_until: Duration,
    anchor: ProcessId,
    /// Held as long as we live.
    _lock: File,
}

/// A job's process that is not our child.
pub(super) struct Orphan {
    pub(super) key: JobKey,
    pub(super) rank: u32,
    pub(super) process: ProcessId,
    /// None when there was no descriptor to be had: then it is looked at every [`RETRY`].
    pub(super) pidfd: Option<OwnedFd>,
}

/// A deadline of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /** its wall time is up */
    Limit,
    /** it was told to end and has had time to */
    Kill,
}

impl Server {
    /// Takes over the directory: lock, socket, journal, what earlier reapers left. Says on stdout that it is ready.
    pub(super) fn open(dir: &Path, anchor: ProcessId) -> Result<Server, ReaperError> {
        // Short relative names: a socket's may not exceed 107 bytes.
        std::env::set_current_dir(dir).context("entering the reaper's directory")?;
        let lock = File::options().create(true).append(true).mode(0o600).open("lock");
        let lock = lock.context("opening the lock file")?;
        if let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            say(BUSY);
            return if error == Errno::WOULDBLOCK {
                Err(ReaperError::Busy)
            } else {
                Err(error).context("locking")
            };
        }
        let boot = proc::boot_id().context("reading the boot id")?;
        let (journal, replay) = Journal::open(Path::new("journal"), &boot).context("opening the journal")?;
        if replay.damaged > 0 {
            tracing::error!(lines = replay.damaged, "the journal is damaged; these lines are passed over");
        }
        let _ = std::fs::remove_file(SOCKET);
        let listener = UnixListener::bind(SOCKET).context("binding the socket")?;
        listener.set_nonblocking(true).context("binding the socket")?;
        let (child_ended, wake) = UnixStream::pair().context("making a pipe")?;
        child_ended.set_nonblocking(true).context("making a pipe")?;
        signal_hook::low_level::pipe::register(signal_hook::consts::SIGCHLD, wake)
            .context("waiting for children")?;
        let epoll = epoll::create(CreateFlags::CLOEXEC).context("making an epoll")?;
        let watch = |fd: &dyn AsFd, token| {
            epoll::add(&epoll, fd.as_fd(), EventData::new_u64(token), EventFlags::IN).context("polling")
        };
        watch(&listener, LISTENER)?;
        watch(&child_ended, CHILDREN)?;
        let mut server = Server {
            journal,
            table: replay.table,
            children: HashMap::new(),
            orphans: HashMap::new(),
            timers: BTreeSet::new(),
            pending: VecDeque::new(),
            retry: None,
            epoll,
            listener,
            child_ended,
            connections: HashMap::new(),
            next_token: FIRST_TOKEN,
            linger_until: proc::since_boot() + LINGER,
            anchor,
            _lock: lock,
        };
        server.recover().context("taking over from the last reaper")?;
        say(READY);
        Ok(server)
    }

    fn recover(&mut self) -> io::Result<()> {
        // On a full disk these wait, and as long as they do nothing is started: what there is can still be watched.
        for record in recovery::look(&self.table)? {
            self.record_fact(record);
        }
        self.record_fact(Record::Anchor { anchor: self.anchor, reaper: std::process::id() });
        self.take_over();
        Ok(())
    }

    /// Writes down what is about to be so, then lets it be so. On error nothing has changed.
    pub(super) fn record(&mut self, record: &Record) -> io::Result<()> {
        self.write_pending()?;
        self.journal.append(record).inspect_err(|error| tracing::error!(%error, %record, "journal"))?;
        self.apply(record);
        if let Err(error) = self.journal.compact_if_long(&self.table) {
            tracing::warn!(%error, "journal");
        }
        Ok(())
    }

    /// Writes down what is so already: if not now, then before anything else.
    pub(super) fn record_fact(&mut self, record: Record) {
        if self.record(&record).is_err() {
            self.apply(&record);
            self.pending.push_back(record);
            self.retry.get_or_insert(proc::since_boot() + RETRY);
        }
    }

    pub(super) fn write_pending(&mut self) -> io::Result<()> {
        while let Some(record) = self.pending.front() {
            self.journal.append(record)?;
            self.pending.pop_front();
        }
        Ok(())
    }

    fn apply(&mut self, record: &Record) {
        if self.table.apply(record).is_err() {
            tracing::error!(%record, "contradicts the table");
        }
    }

    /// Serves until there is nothing left to do.
    pub(super) fn run(&mut self) -> Result<(), ReaperError> {
        let mut events = Vec::with_capacity(EVENTS);
        while !self.idle() {
            let timeout = self.next_due().map(|due| due.saturating_sub(proc::since_boot()));
            let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("waiting for events"),
            }
            for event in &events {
                self.handle(event.data.u64());
            }
            self.fire_timers();
            self.release_old_anchors();
            self.flush();
        }
        self.leave();
        Ok(())
    }

    fn handle(&mut self, token: u64) {
        match token {
            LISTENER => self.accept(),
            CHILDREN => {
                // Signals come in one at a time or several as one; either way all children are looked at.
                while matches!(self.child_ended.read(&mut [0; 64]), Ok(1..)) {}
                self.bury_children();
            }
            token if self.orphans.contains_key(&token) => self.bury_orphan(token),
            token => self.serve(token),
        }
    }

    fn idle(&self) -> bool {
        self.connections.is_empty()
            && self.children.is_empty()
            && self.orphans.is_empty()
            && self.pending.is_empty()
            && proc::since_boot() >= self.linger_until
    }

    fn next_due(&self) -> Option<Duration> {
        let timer = self.timers.first().map(|&(due, ..)| due);
        let linger = self.connections.is_empty().then_some(self.linger_until);
        [timer, self.retry, linger.filter(|&until| until > proc::since_boot())].into_iter().flatten().min()
    }

    /// The end in order: the journal says that no process is unaccounted for, so the anchors may go.
    fn leave(&mut self) {
        let _ = std::fs::remove_file(SOCKET);
        let anchors = std::mem::take(&mut self.table.anchors);
        if let Err(error) = self.journal.compact(&self.table) {
            tracing::error!(%error, "journal");
        }
        anchors.iter().for_each(|other| anchor::release(other.process));
    }

    /// When nothing of earlier reapers runs any more, their anchors (and the zombies in their care) are done with.
    fn release_old_anchors(&mut self) {
        if self.table.anchors.len() > 1 && self.orphans.is_empty() && self.pending.is_empty() {
            let own = self.anchor;
            self.table.anchors.retain(|other| {
                if other.process != own {
                    anchor::release(other.process);
                }
                other.process == own
            });
            if let Err(error) = self.journal.compact(&self.table) {
                tracing::warn!(%error, "journal");
            }
        }
    }

    /// Puts a process of an earlier reaper under watch; the event comes once.
    pub(super) fn watch_orphan(&mut self, orphan: Orphan) {
        let token = self.token();
        if let Some(pidfd) = &orphan.pidfd {
            let flags = EventFlags::IN | EventFlags::ONESHOT;
            if let Err(error) = epoll::add(&self.epoll, pidfd, EventData::new_u64(token), flags) {
                tracing::error!(%error, "polling a process");
            }
        } else {
            self.retry.get_or_insert(proc::since_boot() + RETRY);
        }
        self.orphans.insert(token, orphan);
    }

    fn token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }

    fn accept(&mut self) {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => return tracing::warn!(%error, "accepting"),
        };
        match socket_peercred(&stream) {
            Ok(peer) if peer.uid == geteuid() && self.connections.len() < MAX_CONNECTIONS => {}
            refused => return tracing::warn!(?refused, "a peer that may not connect, or one too many"),
        }
        let token = self.token();
        let connection = Connection::new(stream).and_then(|connection| {
            epoll::add(&self.epoll, connection.stream(), EventData::new_u64(token), EventFlags::IN)?;
            Ok(connection)
        });
        match connection {
            Ok(connection) => drop(self.connections.insert(token, connection)),
            Err(error) => return tracing::warn!(%error, "accepting"),
        }
        self.linger_until = Duration::ZERO;
        self.tell(token, &Message::Hello { version: VERSION });
        let statuses: Vec<_> =
            self.table.jobs.iter().filter_map(|(&key, job)| Some((key, job.status()?))).collect();
        for (key, status) in statuses {
            self.tell(token, &Message::Status(key, status));
        }
        self.tell(token, &Message::Listed);
    }

    fn serve(&mut self, token: u64) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        match connection.receive() {
            Ok(requests) => {
                for (id, request) in requests {
                    let answer = self.carry_out(token, request);
                    self.tell(token, &Message::Answer(id, answer));
                }
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::UnexpectedEof {
                    tracing::warn!(%error, "connection");
                }
                self.connections.remove(&token);
            }
        }
    }

    fn carry_out(&mut self, token: u64, request: Request) -> Result<(), Refusal> {
        match request {
            Request::Start(key, command) => {
                let known = self.table.jobs.get(&key).and_then(|job| job.status());
                match known {
                    Some(status) => self.tell(token, &Message::Status(key, status)),
                    None => self.start(key, &command)?,
                }
                Ok(())
            }
            Request::Cancel(key) => self.cancel(key),
            Request::Suspend(key) => self.suspend(key),
            Request::Resume(key) => self.resume(key),
            Request::Forget(key) => self.forget(key),
        }
    }

    /// Queues a message for one peer.
    fn tell(&mut self, token: u64, message: &Message) {
        if let Some(connection) = self.connections.get_mut(&token)
            && let Err(error) = connection.queue(message)
        {
            tracing::warn!(%error, "disconnecting a peer");
            self.connections.remove(&token);
        }
    }

    /// Tells every peer how the job is now.
    pub(super) fn announce(&mut self, key: JobKey) {
        let Some(status) = self.table.jobs.get(&key).and_then(|job| job.status()) else { return };
        let message = Message::Status(key, status);
        for token in self.connections.keys().copied().collect::<Vec<_>>() {
            self.tell(token, &message);
        }
    }

    /// Writes what is queued, and polls for room where a peer does not take all of it.
    fn flush(&mut self) {
        let epoll = &self.epoll;
        self.connections.retain(|&token, connection| {
            let had_output = connection.has_output();
            let result = connection.flush().and_then(|()| {
                if !had_output {
                    return Ok(());
                }
                let more = if connection.has_output() { EventFlags::OUT } else { EventFlags::empty() };
                let flags = EventFlags::IN | more;
                Ok(epoll::modify(epoll, connection.stream(), EventData::new_u64(token), flags)?)
            });
            result.inspect_err(|error| tracing::warn!(%error, "connection")).is_ok()
        });
    }
}

/// Refuses because the journal could not be written.
pub(super) fn not_recorded(error: &io::Error) -> Refusal {
    Refusal { stage: Stage::Journal, message: format!("the reaper's journal cannot be written: {error}") }
}

/// Our starter reads this; when it has gone, nobody does.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
    let _ = io::stdout().flush();
}
