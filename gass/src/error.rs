//! What can go wrong with a transfer, sorted by blame.

use crate::Url;
use gsi::GsiError;
use std::io;
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

    /// Our own side of the transfer: the file or pipe that data comes from or goes to.
    #[error("{doing}: {source}")]
    Local {
        /// What was being done, with the path where there is one.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
}
