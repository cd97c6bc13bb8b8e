//! Reading a job's output over its job contact, while the job runs: an extension of ours (docs/protocol-extensions.md).
//! Stock job managers answer the query with error 92 and stock clients never send it.
//!
//! The question is `gridiron-output <stdout|stderr> <from> <seconds>`: what stands in that stream from byte `from` on? When
//! nothing does yet, the answer may wait for so many seconds. The answer is an ordinary reply to a query, behind whose NUL
//! the bytes themselves follow, unquoted.

use super::{
    Attributes, MAX_BODY, QueryReply, WireError,
    body::{self, extension},
    http,
    reply::version_extensions,
};
use crate::{GramError, JobState};

/// Most bytes of output in one answer; header lines and extensions have room beside them.
pub const MAX_OUTPUT: usize = MAX_BODY - 4_000;
/// Longest wait that can be asked for, in seconds; a longer one is cut.
pub const MAX_WAIT: u32 = 60;

const FROM: &str = "gridiron-output-from";
const SIZE: &str = "gridiron-output-size";
const ENDED: &str = "gridiron-output-ended";

/// One of a job's two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Stdout, Self::Stderr];

    /// The attribute's name, and the word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name() == name)
    }
}

/// Which part of a job's output is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputRange {
    /// Of which stream.
    pub stream: Stream,
    /// Offset of the first byte.
    pub from: u64,
    /// How long to wait when there is nothing yet, in seconds, at most [`MAX_WAIT`].
    pub wait: u32,
}

impl OutputRange {
    /// The word that begins the query.
    pub const WORD: &'static str = "gridiron-output";

    /// Reads the words after [`OutputRange::WORD`].
    pub fn parse(words: &[&str]) -> Option<Self> {
        let [stream, from, wait] = words else { return None };
        let stream = Stream::from_name(stream)?;
        let wait = wait.parse::<u32>().ok()?.min(MAX_WAIT);
        Some(Self { stream, from: from.parse().ok()?, wait })
    }
}

impl std::fmt::Display for OutputRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {} {}", Self::WORD, self.stream.name(), self.from, self.wait)
    }
}

/// Part of a job's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputReply {
    /// The job's state as a number.
    pub status: u32,
    /// Error of the job.
    pub job_failure_code: GramError,
    /// Offset of the first byte of `data`: the one asked for, or the end of the stream when that lies before it.
    pub from: u64,
    /// How much there is by now, in bytes.
    pub size: u64,
    /// The job writes no more: when `from` and `data` reach `size`, that was all.
    pub ended: bool,
    /// The bytes, at most [`MAX_OUTPUT`].
    pub data: Vec<u8>,
}

impl OutputReply {
    /// Nothing more will come.
    pub fn is_last(&self) -> bool {
        self.ended && self.next() >= self.size
    }

    /// Where the next question should begin.
    pub fn next(&self) -> u64 {
        self.from.saturating_add(self.data.len() as u64)
    }

    /// The whole message. `data` beyond [`MAX_OUTPUT`] is left out.
    pub fn encode(&self) -> Vec<u8> {
        let mut extensions = version_extensions();
        let mut add = |name: &str, value: String| extensions.push((name.to_owned(), value));
        add(FROM, self.from.to_string());
        add(SIZE, self.size.to_string());
        add(ENDED, if self.ended { "yes" } else { "no" }.to_owned());
        let mut body = body::Writer::new();
        body.number("status", self.status);
        body.number("failure-code", 0);
        body.number("job-failure-code", self.job_failure_code.0);
        let mut body = body.extensions(&extensions).finish();
        body.extend_from_slice(self.data.get(..MAX_OUTPUT).unwrap_or(&self.data));
        http::encode_reply(&body)
    }

    /// Decodes a body; `Ok(Err(code))` is a refusal.
    ///
    /// # Errors
    /// Bytes that are no reply, or one that says nothing about output.
    pub fn decode(message: &[u8]) -> Result<Result<Self, GramError>, WireError> {
        if message.len() > MAX_BODY {
            return Err(WireError::BodyTooLong { length: message.len() as u64 });
        }
        // No value before it holds a NUL.
        let end = message.iter().position(|byte| *byte == 0).unwrap_or(message.len());
        let (head, rest) = message.split_at(end);
        let reply = QueryReply::decode(head)?;
        if !reply.failure_code.is_success() {
            return Ok(Err(reply.failure_code));
        }
        let attributes = Attributes::decode(head)?;
        let data = rest.get(1..).unwrap_or_default().to_vec();
        if data.len() > MAX_OUTPUT {
            return Err(WireError::Body { offset: end, what: "more output than one answer may have" });
        }
        Ok(Ok(Self {
            status: reply.status,
            job_failure_code: reply.job_failure_code,
            from: number(&attributes, FROM)?,
            size: number(&attributes, SIZE)?,
            ended: extension(&reply.extensions, ENDED) == Some("yes"),
            data,
        }))
    }

    /// The job's state.
    pub fn state(&self) -> Option<JobState> {
        JobState::from_value(self.status)
    }
}

/// Offsets are as long as files, which is longer than the numbers of the protocol's own attributes.
fn number(attributes: &Attributes, name: &'static str) -> Result<u64, WireError> {
    let value = attributes.text(name).ok_or(WireError::MissingAttribute(name))?;
    value.parse().map_err(|_| WireError::BadAttribute {
        name,
        value: super::excerpt(value.as_bytes()),
        expected: "a decimal number",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(message: &[u8]) -> &[u8] {
        &message[message.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4..]
    }

    fn reply(data: Vec<u8>) -> OutputReply {
        let job_failure_code = GramError::SUCCESS;
        OutputReply { status: 2, job_failure_code, from: 7, size: 7 + data.len() as u64, ended: false, data }
    }

    #[test]
    fn questions() {
        let range = OutputRange { stream: Stream::Stderr, from: u64::MAX, wait: 20 };
        assert_eq!(range.to_string(), "gridiron-output stderr 18446744073709551615 20");
        assert_eq!(OutputRange::parse(&["stderr", "18446744073709551615", "20"]), Some(range));
        assert_eq!(OutputRange::parse(&["stdout", "0", "100000"]).unwrap().wait, MAX_WAIT);
        for wrong in
            [&["stdlog", "0", "0"][..], &["stdout", "-1", "0"], &["stdout", "0"], &["stdout", "0", "0", "0"]]
        {
            assert_eq!(OutputRange::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn an_answer_is_full_and_still_a_message() {
        let full = reply(vec![0; MAX_OUTPUT]).encode();
        assert!(body(&full).len() <= MAX_BODY);
        assert_eq!(OutputReply::decode(body(&full)).unwrap().unwrap().data.len(), MAX_OUTPUT);
        let too_much = [body(&full), b"x"].concat();
        assert!(OutputReply::decode(&too_much).is_err());
    }

    #[test]
    fn the_end_is_where_the_job_has_ended_and_all_is_read() {
        let mut last = reply(b"bye\n".to_vec());
        assert!(!last.is_last());
        last.ended = true;
        assert!(last.is_last());
        last.size += 1;
        assert!(!last.is_last());
    }

    #[test]
    fn refusals_and_strange_answers() {
        let refused = QueryReply::failed(GramError::INVALID_JOB_QUERY).encode();
        assert_eq!(OutputReply::decode(body(&refused)), Ok(Err(GramError::INVALID_JOB_QUERY)));
        let status = QueryReply::state(JobState::Active, GramError::SUCCESS, None).encode();
        assert_eq!(OutputReply::decode(body(&status)), Err(WireError::MissingAttribute(FROM)));
    }

    proptest! {
        #[test]
        fn answers_read_back(data: Vec<u8>, from: u64, size: u64, ended: bool, status: u32, failure: u16) {
            let job_failure_code = GramError(failure);
            let reply = OutputReply { status, job_failure_code, from, size, ended, data };
            prop_assert_eq!(OutputReply::decode(body(&reply.encode())), Ok(Ok(reply)));
        }

        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = OutputReply::decode(&bytes);
        }
    }
}
