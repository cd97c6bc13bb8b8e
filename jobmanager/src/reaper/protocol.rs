//! What job manager and reaper say to each other, as bytes. No I/O here.
//!
//! Each frame is a big-endian `u32` length and that many bytes. The reaper speaks first: [`Message::Hello`], one
//! [`Message::Status`] per job it knows, [`Message::Listed`]; from then on statuses are pushed as they change, and each
//! request gets one [`Message::Answer`] with its number. Integers are big-endian; text and lists are preceded by
//! a `u32` length. The peers are our own programs under one uid, and yet every length is checked: a journal of bugs
//! in one of them must not become a crash of the other.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
    time::Duration,
};

use crate::{launch::JobKey, scheduler::Outcome};

/// Version of this protocol; a reaper of another version is asked nothing.
pub const VERSION: u8 = 1;
/// Largest frame, in bytes; room for the kernel's limit on arguments and environment (2 MiB).
pub const MAX_FRAME: usize = 4 * 1024 * 1024;
/// Most processes of one job.
pub const MAX_PROCESSES: u32 = 10_000;

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Program, absolute.
    pub executable: PathBuf,
    /// argv[1…].
    pub arguments: Vec<OsString>,
    /// The whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Working directory, absolute.
    pub directory: PathBuf,
    /// Opened for reading by each process.
    pub stdin: PathBuf,
    /// Opened for append by each process, created when missing.
    pub stdout: PathBuf,
    /// As stdout.
    pub stderr: PathBuf,
    /// How many processes, at least 1.
    pub processes: u32,
    /// Wall time after which the job is ended.
    pub limit: Option<Duration>,
}

/// What the job manager asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Start this job, unless it has been started already.
    Start(JobKey, Box<Command>),
    /// TERM to its processes, and KILL after five seconds.
    Cancel(JobKey),
    /// STOP.
    Suspend(JobKey),
    /// CONT.
    Resume(JobKey),
    /// The manager has the job's end on its own disk.
    Forget(JobKey),
}

/// What the reaper says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// First frame of a connection.
    Hello {
        /** see [`VERSION`] */
        version: u8,
    },
    /// A job's state: during the listing as it is, later as it changes.
    Status(JobKey, Status),
    /// End of the listing.
    Listed,
    /// The request with this number has been carried out, or not.
    Answer(u64, Result<(), Refusal>),
}

/// A job's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Running, as these processes.
    Active(Vec<u32>),
    /// Stopped by request.
    Suspended(Vec<u32>),
    /// Over.
    Ended(Outcome),
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What failed.
    pub stage: Stage,
    /// For people.
    pub message: String,
}

/// The step that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /** changing to the working directory */
    Directory = 1,
    /** the program does not exist */
    Executable = 2,
    /** the program may not be executed, or is none */
    Permission = 3,
    /** opening stdin */
    Stdin = 4,
    /** opening stdout */
    Stdout = 5,
    /** opening stderr */
    Stderr = 6,
    /** arguments or environment are too long or hold a NUL */
    Arguments = 7,
    /** no process to be had */
    Fork = 8,
    /** the journal could not be written (disk full?): nothing was done */
    Journal = 9,
    /** no such job, or it is over */
    NoSuchJob = 10,
    /** any other error of exec */
    Other = 11,
}

impl Stage {
    const ALL: [Stage; 11] = [
        Stage::Directory,
        Stage::Executable,
        Stage::Permission,
        Stage::Stdin,
        Stage::Stdout,
        Stage::Stderr,
        Stage::Arguments,
        Stage::Fork,
        Stage::Journal,
        Stage::NoSuchJob,
        Stage::Other,
    ];
}

/// The peer sent something else than this protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// Length above [`MAX_FRAME`].
    #[error("a frame of {0} bytes (limit {MAX_FRAME})")]
    TooLong(usize),
    /// The frame ends within a value.
    #[error("a frame that ends too early")]
    Truncated,
    /// The frame goes on after its last value.
    #[error("{0} bytes after the end of a message")]
    Trailing(usize),
    /// A tag with no meaning.
    #[error("unknown {what} {value}")]
    Unknown {
        /** which field */
        what: &'static str,
        /** its value */
        value: u32,
    },
    /// Not UTF-8 where text for people belongs.
    #[error("text that is not UTF-8")]
    NotText,
}

/// Finds the first frame in `input`: its content and the number of bytes it takes up, or None when more are needed.
pub fn split_frame(input: &[u8]) -> Result<Option<(&[u8], usize)>, ProtocolError> {
    let Some((length, rest)) = input.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if length > MAX_FRAME {
        return Err(ProtocolError::TooLong(length));
    }
    Ok(rest.get(..length).map(|content| (content, 4 + length)))
}

/// Appends the frame of request number `id` to `out`; fails when it is too long to be sent.
pub fn encode_request(id: u64, request: &Request, out: &mut Vec<u8>) -> Result<(), ProtocolError> {
    frame(out, |out| {
        out.extend_from_slice(&id.to_be_bytes());
        let (tag, key) = match request {
            Request::Start(key, _) => (1, key),
            Request::Cancel(key) => (2, key),
            Request::Suspend(key) => (3, key),
            Request::Resume(key) => (4, key),
            Request::Forget(key) => (5, key),
        };
        out.push(tag);
        put_key(out, *key);
        if let Request::Start(_, command) = request {
            put_command(out, command);
        }
    })
}

/// Reads one request with its number.
pub fn decode_request(content: &[u8]) -> Result<(u64, Request), ProtocolError> {
    let mut input = Input(content);
    let id = input.u64()?;
    let tag = input.u8()?;
    let key = input.key()?;
    let request = match tag {
        1 => Request::Start(key, Box::new(input.command()?)),
        2 => Request::Cancel(key),
        3 => Request::Suspend(key),
        4 => Request::Resume(key),
        5 => Request::Forget(key),
        other => return Err(ProtocolError::Unknown { what: "request", value: other.into() }),
    };
    input.end()?;
    Ok((id, request))
}

/// Appends the frame of `message` to `out`; fails when it is too long to be sent.
pub fn encode_message(message: &Message, out: &mut Vec<u8>) -> Result<(), ProtocolError> {
    frame(out, |out| match message {
        Message::Hello { version } => out.extend_from_slice(&[1, *version]),
        Message::Status(key, status) => {
            out.push(2);
            put_key(out, *key);
            put_status(out, status);
        }
        Message::Listed => out.push(3),
        Message::Answer(id, result) => {
            out.push(4);
            out.extend_from_slice(&id.to_be_bytes());
            match result {
                Ok(()) => out.push(0),
                Err(refusal) => {
                    out.push(refusal.stage as u8);
                    put_bytes(out, refusal.message.as_bytes());
                }
            }
        }
    })
}

/// Reads one message.
pub fn decode_message(content: &[u8]) -> Result<Message, ProtocolError> {
    let mut input = Input(content);
    let message = match input.u8()? {
        1 => Message::Hello { version: input.u8()? },
        2 => Message::Status(input.key()?, input.status()?),
        3 => Message::Listed,
        4 => Message::Answer(input.u64()?, input.result()?),
        other => return Err(ProtocolError::Unknown { what: "message", value: other.into() }),
    };
    input.end()?;
    Ok(message)
}

/// Writes a frame around what `content` appends; leaves `out` as it was when that is too long.
fn frame(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) -> Result<(), ProtocolError> {
    let begin = out.len();
    out.extend_from_slice(&[0; 4]);
    content(out);
    let length = out.len() - begin - 4;
    if length > MAX_FRAME {
        out.truncate(begin);
        return Err(ProtocolError::TooLong(length));
    }
    if let Some(prefix) = out.get_mut(begin..begin + 4) {
        prefix.copy_from_slice(&u32_of(length).to_be_bytes());
    }
    Ok(())
}

/// Saturates: what is longer than 4 GiB fails as a frame anyway.
fn u32_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn put_key(out: &mut Vec<u8>, key: JobKey) {
    out.extend_from_slice(&key.high.to_be_bytes());
    out.extend_from_slice(&key.low.to_be_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32_of(bytes.len()).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn put_os(out: &mut Vec<u8>, text: impl AsRef<OsStr>) {
    put_bytes(out, text.as_ref().as_bytes());
}

fn put_command(out: &mut Vec<u8>, command: &Command) {
    for path in [&command.executable, &command.directory, &command.stdin, &command.stdout, &command.stderr] {
        put_os(out, path);
    }
    out.extend_from_slice(&command.processes.to_be_bytes());
    // 0 stands for "no limit": a limit of nothing cannot be asked for.
    let seconds = command.limit.map_or(0, |limit| limit.as_secs().max(1));
    out.extend_from_slice(&seconds.to_be_bytes());
    out.extend_from_slice(&u32_of(command.arguments.len()).to_be_bytes());
    for argument in &command.arguments {
        put_os(out, argument);
    }
    out.extend_from_slice(&u32_of(command.environment.len()).to_be_bytes());
    for (name, value) in &command.environment {
        put_os(out, name);
        put_os(out, value);
    }
}

fn put_status(out: &mut Vec<u8>, status: &Status) {
    match status {
        Status::Active(pids) | Status::Suspended(pids) => {
            out.push(if matches!(status, Status::Active(_)) { 1 } else { 2 });
            out.extend_from_slice(&u32_of(pids.len()).to_be_bytes());
            pids.iter().for_each(|pid| out.extend_from_slice(&pid.to_be_bytes()));
        }
        Status::Ended(Outcome::Exited { code }) => {
            out.push(3);
            out.extend_from_slice(&code.to_be_bytes());
        }
        Status::Ended(Outcome::TimeLimit) => out.push(4),
        Status::Ended(Outcome::Lost) => out.push(5),
    }
}

/// What is left of a frame.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], ProtocolError> {
        let (chunk, rest) = self.0.split_first_chunk::<N>().ok_or(ProtocolError::Truncated)?;
        self.0 = rest;
        Ok(*chunk)
    }

    fn u8(&mut self) -> Result<u8, ProtocolError> {
        self.chunk().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32, ProtocolError> {
        self.chunk().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, ProtocolError> {
        self.chunk().map(u64::from_be_bytes)
    }

    fn bytes(&mut self) -> Result<&'a [u8], ProtocolError> {
        let length = self.u32()? as usize;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(ProtocolError::Truncated)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn os(&mut self) -> Result<OsString, ProtocolError> {
        Ok(OsString::from_vec(self.bytes()?.to_vec()))
    }

    fn path(&mut self) -> Result<PathBuf, ProtocolError> {
        self.os().map(PathBuf::from)
    }

    /// A list whose items take at least `least` bytes each, which bounds what a lying count can make us allocate.
    fn list<T>(
        &mut self,
        least: usize,
        item: impl Fn(&mut Self) -> Result<T, ProtocolError>,
    ) -> Result<Vec<T>, ProtocolError> {
        let count = self.u32()? as usize;
        if count > self.0.len() / least {
            return Err(ProtocolError::Truncated);
        }
        (0..count).map(|_| item(self)).collect()
    }

    fn key(&mut self) -> Result<JobKey, ProtocolError> {
        Ok(JobKey { high: self.u64()?, low: self.u64()? })
    }

    fn command(&mut self) -> Result<Command, ProtocolError> {
        let (executable, directory) = (self.path()?, self.path()?);
        let (stdin, stdout, stderr) = (self.path()?, self.path()?, self.path()?);
        let processes = self.u32()?;
        if !(1..=MAX_PROCESSES).contains(&processes) {
            return Err(ProtocolError::Unknown { what: "number of processes", value: processes });
        }
        let seconds = self.u64()?;
        let limit = (seconds > 0).then(|| Duration::from_secs(seconds));
        let arguments = self.list(4, Self::os)?;
        let environment = self.list(8, |input| Ok((input.os()?, input.os()?)))?;
        Ok(Command { executable, arguments, environment, directory, stdin, stdout, stderr, processes, limit })
    }

    fn status(&mut self) -> Result<Status, ProtocolError> {
        Ok(match self.u8()? {
            1 => Status::Active(self.list(4, Self::u32)?),
            2 => Status::Suspended(self.list(4, Self::u32)?),
            3 => Status::Ended(Outcome::Exited { code: self.chunk().map(i32::from_be_bytes)? }),
            4 => Status::Ended(Outcome::TimeLimit),
            5 => Status::Ended(Outcome::Lost),
            other => return Err(ProtocolError::Unknown { what: "status", value: other.into() }),
        })
    }

    fn result(&mut self) -> Result<Result<(), Refusal>, ProtocolError> {
        let tag = self.u8()?;
        if tag == 0 {
            return Ok(Ok(()));
        }
        let stage = Stage::ALL
            .into_iter()
            .find(|stage| *stage as u8 == tag)
            .ok_or(ProtocolError::Unknown { what: "stage", value: tag.into() })?;
        let message = std::str::from_utf8(self.bytes()?).map_err(|_| ProtocolError::NotText)?;
        Ok(Err(Refusal { stage, message: message.to_owned() }))
    }

    fn end(self) -> Result<(), ProtocolError> {
        if self.0.is_empty() { Ok(()) } else { Err(ProtocolError::Trailing(self.0.len())) }
    }
}

#[cfg(test)]
mod tests;
