//! What can go wrong with a transfer, sorted by blame.

use crate::{ReprDigest, Url};
use gsi::{GsiError, connection::ConnectionError};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A transfer failure; names the URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GassError {
    /// The text is not a URL, or not one for this operation.
    #[error("{url}: {reason}")]
    BadUrl {
        /// As given, cut when long.
        url: String,
        /// What is wrong, and what would be right.
        reason: String,
    },

    /// No TCP connection.
    #[error("{url}: cannot connect: {source}")]
    Unreachable {
        /// Where to.
        url: Url,
        /// Why not.
        source: io::Error,
    },
    /// TLS failed, or the server is not who it should be.
    #[error("{url}: {source}")]
    Security {
        /// Where to.
        url: Url,
        /// Why not.
        source: Box<GsiError>,
    },
    /// An https URL, and no credential to show.
    #[error("{url}: https needs a credential; make a proxy first (gridiron proxy init)")]
    NoCredential {
        /// Where to.
        url: Url,
    },

    /// The server said no.
    #[error("{url}: the server refused: {status} {reason}")]
    Refused {
        /// What was asked for.
        url: Url,
        /// HTTP status.
        status: u16,
        /// Its text.
        reason: String,
    },
    /// More redirects than [`crate::client::MAX_REDIRECTS`], or one that would leave https.
    #[error("{url}: redirected to {location}: {reason}")]
    Redirect {
        /// The server that redirected.
        url: Url,
        /// Where to.
        location: String,
        /// Why it is not followed.
        reason: &'static str,
    },

    /// The body ended before it was complete.
    #[error("{url}: the transfer broke off after {received} bytes; the data is incomplete")]
    Truncated {
        /// What was being fetched.
        url: Url,
        /// Bytes that arrived.
        received: u64,
    },
    /// What arrived is not what the server has.
    #[error("{url}: the checksum is wrong: what arrived has {computed}, the server's file {announced}")]
    Checksum {
        /// What was being fetched.
        url: Url,
        /// What the server says.
        announced: ReprDigest,
        /// What arrived.
        computed: ReprDigest,
    },
    /// A checksum was asked for, and the server has none to give.
    #[error("{url}: the server gives no checksum to compare with")]
    Unverified {
        /// What was fetched.
        url: Url,
    },
    /// The server answered something that cannot be used.
    #[error("{url}: the server's answer makes no sense: {reason}")]
    Answer {
        /// Where to.
        url: Url,
        /// What was wrong with it.
        reason: String,
    },
    /// What was asked for needs a server of Gridiron: a directory listing, making a directory.
    #[error("{url}: this server cannot {what}; only a Gridiron server can")]
    Unable {
        /// Where to.
        url: Url,
        /// A verb and what it is done to.
        what: &'static str,
    },
    /// The server does not speak HTTP, or closed without an answer.
    #[error("{url}: no usable answer from the server: {source}")]
    Protocol {
        /// Where to.
        url: Url,
        /// What was wrong.
        source: hyper::Error,
    },
    /// The connection broke while data was being sent; how much of it has arrived, nobody can tell.
    #[error("{url}: the connection broke: {source}")]
    Broken {
        /// Where to.
        url: Url,
        /// What the system said.
        source: io::Error,
    },
    /// The server did nothing for too long.
    #[error("{url}: nothing happened for {} seconds while {doing}", limit.as_secs())]
    TimedOut {
        /// Where to.
        url: Url,
        /// What was waited for.
        doing: &'static str,
        /// The deadline.
        limit: Duration,
    },

    /// A local file.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What was being done to it.
        action: FileAction,
        /// Why it failed.
        source: io::Error,
    },
    /// Our own side of the transfer, apart from files that are named: the pipe that data comes from or goes to.
    #[error("{doing}: {source}")]
    Local {
        /// What was being done, with the path where there is one.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
}

/// What can fail about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAction {
    /// Opening or making it.
    Open,
    /// Reading from it.
    Read,
    /// Writing to it, or giving it its name.
    Write,
    /// Looking at what is in a directory.
    List,
}

impl fmt::Display for FileAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::List => "list",
        })
    }
}

/// Whose fault a failure is. It decides whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// What was asked: a bad URL, no credential.
    Request,
    /// The way there: no connection, silence, a connection that broke off.
    Network,
    /// The server, for now: it is overloaded or has an inner failure.
    Server,
    /// Nobody: the server said no, or is somebody else.
    Refusal,
    /// This side: our disk, our file.
    Local,
}

impl GassError {
    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::BadUrl { .. }
            | Self::NoCredential { .. }
            | Self::Unable { .. }
            | Self::Unverified { .. } => Blame::Request,
            Self::Unreachable { .. }
            | Self::Truncated { .. }
            | Self::Checksum { .. }
            | Self::Protocol { .. }
            | Self::Broken { .. }
            | Self::TimedOut { .. } => Blame::Network,
            Self::Security { source, .. } => blame_of_handshake(source),
            Self::Refused { status: 408 | 409 | 425 | 429 | 500 | 502..=504, .. } => Blame::Server,
            Self::Refused { .. } | Self::Redirect { .. } | Self::Answer { .. } => Blame::Refusal,
            Self::File { .. } | Self::Local { .. } => Blame::Local,
        }
    }

    /// Whether the same may well succeed a little later.
    pub fn is_passing(&self) -> bool {
        matches!(self.blame(), Blame::Network | Blame::Server)
    }
}

/// A handshake that broke off is the network's fault; one that was refused, by either side, is not.
fn blame_of_handshake(error: &GsiError) -> Blame {
    match error {
        GsiError::Io(_)
        | GsiError::Connection(
            ConnectionError::Closed { .. } | ConnectionError::Idle { .. } | ConnectionError::Socket { .. },
        ) => Blame::Network,
        _ => Blame::Refusal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passes_is_worth_another_attempt() {
        let url: Url = "https://h/f".parse().unwrap();
        let refused = |status| GassError::Refused { url: url.clone(), status, reason: String::new() };
        for (error, passing) in [
            (GassError::Truncated { url: url.clone(), received: 1 }, true),
            (
                GassError::Unreachable { url: url.clone(), source: io::ErrorKind::ConnectionReset.into() },
                true,
            ),
            (refused(503), true),
            (refused(429), true),
            (refused(400), false),
            (refused(404), false),
            (refused(507), false),
            (GassError::NoCredential { url: url.clone() }, false),
            (GassError::Local { doing: "x".into(), source: io::ErrorKind::StorageFull.into() }, false),
        ] {
            assert_eq!(error.is_passing(), passing, "{error}");
        }
    }
}
