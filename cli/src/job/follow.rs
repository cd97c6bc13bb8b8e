//! A job's output as it is written, read at its contact: an extension of our job managers (docs/protocol-extensions.md). It
//! starts nothing at the site, and what the job prints is here at once.

use crate::job::{output::Stream, watch};
use gram::{
    GramError, JobContact,
    client::{Client, ClientError},
    wire::{OutputRange, OutputReply, output},
};
use std::{
    io::{self, Write},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How long one question may wait for news, in seconds.
const WAIT: u32 = 30;
/// A job manager that does not answer any more may be about to be started again: so long it is asked again.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two such questions.
const AGAIN: Duration = Duration::from_millis(500);
/// Most bytes looked through for the last lines.
const MAX_TAIL: u64 = 16 * 1024 * 1024;
/// The query is not known, or the output is not kept there.
const NOT_TOLD: GramError = GramError(92);
/// No answer: the exchange broke off, or nobody listens.
const NO_ANSWER: [GramError; 3] = [GramError(10), GramError(12), GramError(79)];

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At the first byte.
    Start,
    /// So many lines before the end.
    LastLines(u32),
}

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// At what there is now.
    Now,
    /// When the job has ended and everything is read.
    End,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// All that was asked for has been written.
    Complete,
    /// The job manager does not tell: it is not of our make, or does not have this output.
    NotTold,
    /// The job is not known any more; everything up to this byte has been written.
    Gone(u64),
}

/// Reads a stream of `job` and writes it to `sink`. A sink that takes no more ends it well.
///
/// # Errors
/// The job manager refuses for another reason than those of [`Finish`], or cannot be authenticated.
pub async fn read(
    client: &Client,
    job: &JobContact,
    stream: Stream,
    (from, until): (From, Until),
    sink: &mut impl Write,
) -> Result<Finish, ClientError> {
    let mut asking = Asking { client, job, stream: wire_stream(stream), answered: false };
    let mut position = 0;
    if let From::LastLines(lines) = from {
        let size = match asking.ask(u64::MAX, 0).await? {
            Ok(reply) => reply.size,
            Err(finish) => return Ok(finish),
        };
        let text = match asking.before(size).await? {
            Ok(text) => text,
            Err(finish) => return Ok(finish),
        };
        if show(sink, last_lines(&text, lines)).is_err() {
            return Ok(Finish::Complete);
        }
        position = size;
    }
    let wait = if until == Until::End { WAIT } else { 0 };
    loop {
        let reply = match asking.ask(position, wait).await? {
            Ok(reply) => reply,
            Err(Finish::Gone(_)) => return Ok(Finish::Gone(position)),
            Err(finish) => return Ok(finish),
        };
        position = reply.next();
        if show(sink, &reply.data).is_err() {
            return Ok(Finish::Complete);
        }
        let complete = match until {
            Until::Now => position >= reply.size,
            Until::End => reply.is_last(),
        };
        if complete {
            return Ok(Finish::Complete);
        }
    }
}

/// The questions about one stream.
struct Asking<'a> {
    client: &'a Client,
    job: &'a JobContact,
    stream: output::Stream,
    /// The job manager has told something before.
    answered: bool,
}

impl Asking<'_> {
    /// One question; asked again while a job manager that has answered before may be about to come back.
    async fn ask(&mut self, from: u64, wait: u32) -> Result<Result<OutputReply, Finish>, ClientError> {
        let until = Instant::now() + PATIENCE;
        let range = OutputRange { stream: self.stream, from, wait };
        loop {
            let error = match self.client.output(self.job, &range).await {
                Ok(reply) => {
                    self.answered = true;
                    return Ok(Ok(reply));
                }
                Err(error) => error,
            };
            if error.code == NOT_TOLD && !self.answered {
                return Ok(Err(Finish::NotTold));
            }
            let is_silent = NO_ANSWER.contains(&error.code);
            if is_silent && self.answered && Instant::now() < until {
                sleep(AGAIN).await;
            } else if is_silent || error.code == NOT_TOLD || watch::gone(&error) {
                return Ok(Err(Finish::Gone(from)));
            } else {
                return Err(error);
            }
        }
    }

    /// What stands before byte `end`, at most [`MAX_TAIL`] of it.
    async fn before(&mut self, end: u64) -> Result<Result<Vec<u8>, Finish>, ClientError> {
        let mut text = Vec::new();
        let mut position = end.saturating_sub(MAX_TAIL);
        while position < end {
            let reply = match self.ask(position, 0).await? {
                Ok(reply) => reply,
                Err(finish) => return Ok(Err(finish)),
            };
            if reply.data.is_empty() {
                break;
            }
            position = reply.next();
            text.extend_from_slice(&reply.data);
        }
        text.truncate(usize::try_from(end.min(MAX_TAIL)).unwrap_or(usize::MAX));
        Ok(Ok(text))
    }
}

fn show(sink: &mut impl Write, data: &[u8]) -> io::Result<()> {
    sink.write_all(data)?;
    sink.flush()
}

fn wire_stream(stream: Stream) -> output::Stream {
    match stream {
        Stream::Stdout => output::Stream::Stdout,
        Stream::Stderr => output::Stream::Stderr,
    }
}

/// The last so many lines; an unfinished one counts.
pub fn last_lines(text: &[u8], lines: u32) -> &[u8] {
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let mut newlines =
        body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    match lines.checked_sub(1) {
        None => &[],
        Some(skipped) => {
            let start = newlines.nth(skipped as usize).unwrap_or(0);
            text.get(start..).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn the_last_lines_are_those_of_tail() {
        for (text, lines, expected) in [
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc", 2, "b\nc"),
            ("a\n", 5, "a\n"),
            ("a\nb\n", 0, ""),
            ("", 3, ""),
        ] {
            assert_eq!(last_lines(text.as_bytes(), lines), expected.as_bytes(), "{text:?} {lines}");
        }
    }
}
