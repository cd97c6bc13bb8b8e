//! GRAM messages as bytes (gram.md §3, §4, §6, §7, §9): bytes in, values out; no I/O.
//!
//! | file | subject |
//! |---|---|
//! | [`http`] | the HTTP header of a message, both ways |
//! | [`body`] | attribute lines and their quoting |
//! | [`request`] | what a gatekeeper is asked: ping, job request, version |
//! | [`reply`] | what gatekeeper and job manager answer |
//! | [`query`] | what a job contact is asked |
//! | [`output`] | reading a job's output while it runs, an extension of ours |
//! | [`timeline`] | a job's life so far, an extension of ours |
//! | [`update`] | what a call-back listener is told |
//! | [`bulk`] | many jobs in one message, an extension |
//!
//! Decoders of whole messages say "need more" with [`Decoded::NeedMore`]. We send exactly what the stock programs send
//! (header lines in their order, one buffer for header and body, the NUL byte they count) because they insist on it; we
//! take anything that has the same meaning.

pub mod body;
pub mod bulk;
pub mod http;
pub mod output;
pub mod query;
pub mod reply;
pub mod request;
pub mod timeline;
pub mod update;

use crate::GramError;

pub use body::Attributes;
pub use http::{ReplyHead, RequestHead};
pub use output::{OutputRange, OutputReply};
pub use query::{Query, QueryError};
pub use reply::{JobReply, QueryReply, VersionReply};
pub use request::{GatekeeperBody, JobRequest, Target, TargetError};
pub use update::Update;

/// Longest body taken or sent, in bytes.
pub const MAX_BODY: usize = 64_000;
/// Longest header taken, in bytes up to and including the empty line.
pub const MAX_HEADER: usize = 16 * 1024;
/// The protocol version both ends must name.
pub const PROTOCOL_VERSION: u32 = 2;
/// The content type of every GRAM message.
pub const CONTENT_TYPE: &str = "application/x-globus-gram";

/// Additional attributes of a reply or update: name and value.
pub type Extensions = Vec<(String, String)>;

/// What an incremental decoder found at the start of its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded<T> {
    /// A value, made from this many bytes of the input.
    Value(T, usize),
    /// The input is a beginning; read more and ask again.
    NeedMore,
}

/// Bytes that are not a GRAM message. Always the peer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// No end of the header within [`MAX_HEADER`].
    #[error("the header is longer than {MAX_HEADER} bytes")]
    HeaderTooLong,
    /// The first line is not `POST <uri> HTTP/<version>`.
    #[error("not a request line: {0:?}")]
    RequestLine(String),
    /// The first line is not `HTTP/1.1 <status> <reason>`.
    #[error("not a status line: {0:?}")]
    StatusLine(String),
    /// A header line is not `name: value`, or there are too many.
    #[error("malformed header line: {0}")]
    HeaderLine(String),
    /// A message that must have a body does not say how long it is.
    #[error("the Content-Length line is missing")]
    MissingLength,
    /// Content-Length is not a number, or stands there twice with different numbers.
    #[error("Content-Length {0:?} is not one decimal number")]
    BadLength(String),
    /// Content-Length is above [`MAX_BODY`], or what else holds for the message.
    #[error("a body of {length} bytes is too long; most messages have at most {MAX_BODY}")]
    BodyTooLong {
        /// What the peer announced.
        length: u64,
    },
    /// A line of the body is not `name: value`.
    #[error("body, byte {offset}: {what}")]
    Body {
        /// Offset in the body.
        offset: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// An attribute the message must have is missing.
    #[error("the attribute {0} is missing")]
    MissingAttribute(&'static str),
    /// An attribute's value is not what it must be.
    #[error("the attribute {name} is {value:?}, expected {expected}")]
    BadAttribute {
        /// Its name.
        name: &'static str,
        /// What came.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// `protocol-version` is not [`PROTOCOL_VERSION`].
    #[error("protocol version {0}, only {PROTOCOL_VERSION} is spoken here")]
    Version(i64),
}

impl WireError {
    /// The number a stock program has for this: the one place where malformed bytes become a GRAM error.
    pub fn code(&self) -> GramError {
        match self {
            Self::HeaderTooLong
            | Self::RequestLine(_)
            | Self::StatusLine(_)
            | Self::HeaderLine(_)
            | Self::MissingLength
            | Self::BadLength(_) => GramError::HTTP_UNFRAME_FAILED,
            Self::BodyTooLong { .. } => GramError::PROTOCOL_FAILED,
            Self::Body { .. } | Self::MissingAttribute(_) | Self::BadAttribute { .. } => {
                GramError::HTTP_UNPACK_FAILED
            }
            Self::Version(_) => GramError::VERSION_MISMATCH,
        }
    }
}

/// A piece of foreign text for an error message: short, printable.
fn excerpt(bytes: &[u8]) -> String {
    const LONGEST: usize = 80;
    let shown = bytes.get(..LONGEST).unwrap_or(bytes);
    String::from_utf8_lossy(shown).chars().map(|c| if c.is_control() { '\u{b7}' } else { c }).collect()
}

#[cfg(test)]
mod tests;
