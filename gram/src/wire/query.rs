//! What a job contact is asked (gram.md §4 last item, §7, §8).

use super::{OutputRange, PROTOCOL_VERSION, WireError, body, http, timeline};
use crate::signal::{Signal, SignalError};
use crate::{GramError, StateMask};

/// A query on a job contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// What is its state?
    Status,
    /// End it; answered when it has ended.
    Cancel,
    /// Tell this call-back contact about these states.
    Register {
        /** which states */
        mask: StateMask,
        /** the call-back contact */
        url: String,
    },
    /// Stop telling this call-back contact.
    Unregister {
        /** the call-back contact */
        url: String,
    },
    /// A signal.
    Signal(Signal),
    /// A fresh credential follows by in-band delegation.
    Renew,
    /// What has happened to it? An extension of ours, see [`super::timeline`].
    Timeline,
    /// What has it written? An extension of ours, see [`super::output`].
    Output(OutputRange),
}

/// Why a body is not a query, with the number the peer gets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// No version line, no query line, a missing argument: HTTP 400.
    #[error("malformed query: {0}")]
    Malformed(String),
    /// Another protocol version.
    #[error("protocol version {0}, only {PROTOCOL_VERSION} is spoken here")]
    Version(i64),
    /// No such query.
    #[error("unknown query {0:?}")]
    Unknown(String),
    /// A signal without its argument, or with a wrong one: HTTP 400.
    #[error(transparent)]
    Signal(#[from] SignalError),
}

impl QueryError {
    /// The failure code of the reply; [`super::QueryReply::encode`] turns 91 into HTTP 400.
    pub fn code(&self) -> GramError {
        match self {
            Self::Malformed(_) => GramError::HTTP_UNPACK_FAILED,
            Self::Version(_) => GramError::VERSION_MISMATCH,
            Self::Unknown(_) => GramError::INVALID_JOB_QUERY,
            Self::Signal(error) => error.code(),
        }
    }
}

impl From<WireError> for QueryError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Version(version) => Self::Version(version),
            other => Self::Malformed(other.to_string()),
        }
    }
}

impl Query {
    /// Decodes a body: the version line, then a quoted string without a name. An unquoted one is unknown, because the
    /// stock job manager takes the line end into it.
    pub fn decode(body: &[u8]) -> Result<Self, QueryError> {
        Self::parse(&Self::text(body)?)
    }

    /// The text of the query in a body.
    pub(super) fn text(body: &[u8]) -> Result<String, QueryError> {
        let malformed = |what: &str| QueryError::Malformed(what.to_owned());
        let text = body::trim_nul(body);
        let line_end =
            text.windows(2).position(|pair| pair == b"\r\n").ok_or_else(|| malformed("no line end"))?;
        let (version, rest) = text.split_at(line_end);
        body::Attributes::decode(version)?.check_version()?;
        let rest = rest.get(2..).unwrap_or_default();
        if rest.is_empty() {
            return Err(malformed("no query after the version"));
        }
        if !rest.starts_with(b"\"") {
            return Err(QueryError::Unknown(super::excerpt(rest)));
        }
        let (query, _) = body::unquote(rest).ok_or_else(|| malformed("the closing quote is missing"))?;
        Ok(String::from_utf8_lossy(&query).into_owned())
    }

    /// Reads the text of a query. What follows the word of a query without arguments is ignored.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let text = text.trim();
        let (word, arguments) = text.split_once(' ').unwrap_or((text, ""));
        let words: Vec<&str> = arguments.split_ascii_whitespace().collect();
        match (word, words.as_slice()) {
            ("status", _) => Ok(Self::Status),
            ("cancel", _) => Ok(Self::Cancel),
            ("renew", _) => Ok(Self::Renew),
            (timeline::WORD, _) => Ok(Self::Timeline),
            ("register", [mask, url]) => {
                let bits = mask.parse().or_else(|_| mask.parse().map(i32::cast_unsigned));
                let bits =
                    bits.map_err(|_| QueryError::Malformed(format!("{mask:?} is not a set of state bits")))?;
                Ok(Self::Register { mask: StateMask(bits), url: (*url).to_owned() })
            }
            ("unregister", [url]) => Ok(Self::Unregister { url: (*url).to_owned() }),
            ("signal", [number, ..]) => {
                let value = number
                    .parse()
                    .map_err(|_| QueryError::Malformed(format!("{number:?} is not a signal number")))?;
                let argument = arguments.trim_start().strip_prefix(number);
                Ok(Self::Signal(Signal::new(value, argument)?))
            }
            (OutputRange::WORD, words) => OutputRange::parse(words)
                .map(Self::Output)
                .ok_or_else(|| QueryError::Malformed(format!("not a part of an output: {text:?}"))),
            ("register" | "unregister" | "signal", _) => {
                Err(QueryError::Malformed(format!("wrong number of arguments in {text:?}")))
            }
            _ => Err(QueryError::Unknown(super::excerpt(text.as_bytes()))),
        }
    }

    /// The whole message, for a job contact's path and host.
    pub fn encode(&self, path: &str, host: &str) -> Vec<u8> {
        http::encode_request(path, host, &body::Writer::new().nameless(self.to_string().as_bytes()).finish())
    }
}

impl std::fmt::Display for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status => f.write_str("status"),
            Self::Cancel => f.write_str("cancel"),
            Self::Register { mask, url } => write!(f, "register {} {url}", mask.0),
            Self::Unregister { url } => write!(f, "unregister {url}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Renew => f.write_str("renew"),
            Self::Timeline => write!(f, "{} {}", timeline::WORD, crate::timeline::VERSION),
            Self::Output(range) => write!(f, "{range}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(body: &str) -> Result<Query, QueryError> {
        Query::decode(body.as_bytes())
    }

    #[test]
    fn queries() {
        for (text, query) in [
            ("status", Query::Status),
            ("status and more", Query::Status),
            ("cancel", Query::Cancel),
            ("renew", Query::Renew),
            ("gridiron-timeline 1", Query::Timeline),
            (
                "register 1048575 https://h:1/",
                Query::Register { mask: StateMask::ALL, url: "https://h:1/".into() },
            ),
            ("unregister https://h:1/", Query::Unregister { url: "https://h:1/".into() }),
            ("signal 5 commit", Query::Signal(Signal::CommitRequest)),
            ("signal 9", Query::Signal(Signal::StopManager)),
            (
                "gridiron-output stdout 12 5",
                Query::Output(OutputRange { stream: crate::wire::output::Stream::Stdout, from: 12, wait: 5 }),
            ),
            (
                "signal 7 &(stdout = /tmp/a  b)",
                Query::Signal(Signal::StdioUpdate("&(stdout = /tmp/a  b)".into())),
            ),
            ("signal 99 x", Query::Signal(Signal::Other(99, Some("x".into())))),
        ] {
            assert_eq!(decode(&format!("protocol-version: 2\r\n\"{text}\"\r\n\0")), Ok(query), "{text}");
        }
    }

    #[test]
    fn refusals_and_their_numbers() {
        for (body, code) in [
            ("", 91),
            ("\"status\"\r\n", 91),
            ("protocol-version: 2\r\n", 91),
            ("protocol-version: 2\r\n\"status\r\n", 91),
            ("protocol-version: 1\r\n\"status\"\r\n", 49),
            ("protocol-version: 2\r\nstatus\r\n", 92),
            ("protocol-version: 2\r\n\"explode\"\r\n", 92),
            ("protocol-version: 2\r\n\"\"\r\n", 92),
            ("protocol-version: 2\r\n\"register 1\"\r\n", 91),
            ("protocol-version: 2\r\n\"register x https://h:1/\"\r\n", 91),
            ("protocol-version: 2\r\n\"register 1 https://h:1/ more\"\r\n", 91),
            ("protocol-version: 2\r\n\"unregister\"\r\n", 91),
            ("protocol-version: 2\r\n\"signal\"\r\n", 91),
            ("protocol-version: 2\r\n\"signal x\"\r\n", 91),
            ("protocol-version: 2\r\n\"signal 2\"\r\n", 91),
            ("protocol-version: 2\r\n\"gridiron-output stdout\"\r\n", 91),
        ] {
            assert_eq!(decode(body).unwrap_err().code().0, code, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn queries_read_back(mask: u32, url in "https://[a-z]{1,9}:[1-9]{1,4}/[a-z:/=]{0,9}", number in 1u32..12, text in "[a-z0-9]([a-z \"\\\\]{0,9}[a-z])?") {
            let mut queries = vec![
                Query::Status, Query::Cancel, Query::Renew, Query::Timeline,
                Query::Register { mask: StateMask(mask), url: url.clone() }, Query::Unregister { url },
            ];
            queries.extend(Signal::new(number, Some(&text)).ok().map(Query::Signal));
            for query in queries {
                let bytes = query.encode("/1/2/", "h");
                let at = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
                prop_assert_eq!(Query::decode(&bytes[at..]), Ok(query));
            }
        }

        #[test]
        fn never_panics(body: Vec<u8>, text in "(signal|register|status)?[ -~]{0,20}") {
            let _ = Query::decode(&body);
            let _ = Query::parse(&text);
        }
    }
}
