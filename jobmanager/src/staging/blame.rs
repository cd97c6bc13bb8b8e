//! Whose fault a failed transfer is, and whether another attempt makes sense. Pure.

use super::TransferError;
use gass::{CacheError, GassError};
use gsi::{GsiError, connection::ConnectionError};
use std::{io, time::Duration};

/// Before the second attempt; doubled before each further one …
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// The request asks for what cannot be: a URL that is none, a file that is not there.
    Request,
    /// The other side said no, and would say so again.
    Peer,
    /// The way there, or the other side just now: unreachable, cut, overloaded.
    Way,
    /// This machine just now: no room, too many open files.
    Machine,
}

impl Blame {
    /// Another attempt may fare better.
    pub(super) fn may_pass(self) -> bool {
        matches!(self, Self::Way | Self::Machine)
    }
}

/// Whose fault it was.
pub(super) fn of(error: &TransferError) -> Blame {
    match error {
        TransferError::Gass(error) => of_gass(error),
        TransferError::Cache(error) => of_cache(error),
        TransferError::Local { source, .. } => of_io(source),
        // A renewed one may come.
        TransferError::Credential(_) => Blame::Machine,
    }
}

fn of_gass(error: &GassError) -> Blame {
    match error {
        GassError::BadUrl { .. } | GassError::NoCredential { .. } | GassError::Redirect { .. } => {
            Blame::Request
        }
        GassError::Refused { status, .. } => of_status(*status),
        GassError::Security { source, .. } => of_security(source),
        GassError::Unreachable { .. }
        | GassError::Truncated { .. }
        | GassError::Protocol { .. }
        | GassError::TimedOut { .. } => Blame::Way,
        GassError::Local { source, .. } => of_io(source),
        // What later versions of the crate may add.
        _ => Blame::Way,
    }
}

/// 5xx, "too slow" and "too many" are about the moment, everything else is about the request.
fn of_status(status: u16) -> Blame {
    match status {
        408 | 425 | 429 | 500..=599 => Blame::Way,
        _ => Blame::Peer,
    }
}

/// A connection that breaks or falls silent in mid-handshake is no refusal.
fn of_security(error: &GsiError) -> Blame {
    match error {
        GsiError::Connection(
            ConnectionError::Closed { .. } | ConnectionError::Idle { .. } | ConnectionError::Socket { .. },
        ) => Blame::Way,
        GsiError::Io(error) => of_io(error),
        _ => Blame::Peer,
    }
}

fn of_cache(error: &CacheError) -> Blame {
    match error {
        CacheError::Fetch(error) => of_gass(error),
        CacheError::Io { source, .. } => of_io(source),
        CacheError::Locked(_) | CacheError::Busy(_) => Blame::Machine,
        _ => Blame::Request,
    }
}

fn of_io(error: &io::Error) -> Blame {
    match error.kind() {
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::ResourceBusy
        | io::ErrorKind::OutOfMemory
        | io::ErrorKind::StaleNetworkFileHandle
        | io::ErrorKind::TimedOut
        | io::ErrorKind::Interrupted => Blame::Machine,
        _ => match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
            Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE | rustix::io::Errno::IO) => {
                Blame::Machine
            }
            _ => Blame::Request,
        },
    }
}

/// How long to wait before the next attempt, after `attempts` of them took `elapsed`; None: enough.
pub(super) fn pause(blame: Blame, attempts: u32, elapsed: Duration, patience: Duration) -> Option<Duration> {
    let doubled = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(10));
    let pause = doubled.min(LONGEST_PAUSE);
    (blame.may_pass() && elapsed + pause <= patience).then_some(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> gass::Url {
        "https://vm:1/x".parse().unwrap()
    }

    #[test]
    fn told_apart() {
        let peer = ([127, 0, 0, 1], 1).into();
        let security =
            |source: ConnectionError| GassError::Security { url: url(), source: Box::new(source.into()) };
        let refused = |status| GassError::Refused { url: url(), status, reason: String::new() };
        for (error, blame) in [
            (refused(404), Blame::Peer),
            (refused(400), Blame::Peer),
            (refused(429), Blame::Way),
            (refused(503), Blame::Way),
            (GassError::Truncated { url: url(), received: 3 }, Blame::Way),
            (
                GassError::Unreachable { url: url(), source: io::ErrorKind::ConnectionRefused.into() },
                Blame::Way,
            ),
            (GassError::BadUrl { url: "x".into(), reason: "y".into() }, Blame::Request),
            (security(ConnectionError::Closed { peer, during: "the handshake" }), Blame::Way),
            (security(ConnectionError::Anonymous { peer }), Blame::Peer),
            (
                GassError::Local { doing: String::new(), source: io::ErrorKind::StorageFull.into() },
                Blame::Machine,
            ),
            (
                GassError::Local { doing: String::new(), source: io::ErrorKind::PermissionDenied.into() },
                Blame::Request,
            ),
        ] {
            assert_eq!(of(&error.into()), blame);
        }
    }

    #[test]
    fn pauses_grow_and_end() {
        let patience = Duration::from_secs(60);
        let seconds = |attempts, elapsed| {
            pause(Blame::Way, attempts, Duration::from_secs(elapsed), patience).map(|pause| pause.as_secs())
        };
        assert_eq!(
            [seconds(1, 0), seconds(2, 1), seconds(3, 3), seconds(4, 7)].map(Option::unwrap),
            [1, 2, 4, 8]
        );
        assert_eq!(seconds(5, 15), Some(15));
        assert_eq!(seconds(u32::MAX, 45), Some(15));
        assert_eq!(seconds(8, 46), None);
        assert_eq!(pause(Blame::Peer, 1, Duration::ZERO, patience), None);
        assert_eq!(pause(Blame::Way, 1, Duration::ZERO, Duration::ZERO), None);
    }
}
