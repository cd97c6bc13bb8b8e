//! Every reason not to serve a request, and the one place where each gets what the client is told (gram.md §6.4).
//!
//! The client learns a number; the audit file gets the true reason, and a code that stays the same (docs/refusals.md).

use crate::launch::LaunchError;
use crate::start::NotStarted;
use gram::wire::{JobReply, TargetError, VersionReply, WireError, reply};
use gram::{GramError, exchange::ExchangeError};
use gsi::GsiError;
use gsi::admission::Crowded;
use gsi::banlist::Ban;
use gsi::chain::ChainError;
use gsi::connection::ConnectionError;
use gsi::gridmap::MapError;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a request is not served.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The site does not let anybody in at the moment.
    #[error("{} exists", .0.display())]
    NoLogin(PathBuf),
    /// There is no room for this connection.
    #[error("too many connections: {0}")]
    Crowded(#[from] Crowded),
    /// The certificates shown are not good enough.
    #[error("certificate: {0}")]
    Chain(ChainError),
    /// No secure connection came about for another reason.
    #[error("handshake: {0}")]
    Handshake(GsiError),
    /// The handshake did not end in time.
    #[error("the handshake did not end in time")]
    HandshakeDeadline,
    /// No request arrived, or not in time.
    #[error("no request: {0}")]
    NoRequest(ExchangeError),
    /// The header is not one.
    #[error("malformed request: {0}")]
    Header(WireError),
    /// The request line names no service.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// There is no Content-Length.
    #[error("the request has no Content-Length")]
    NoLength,
    /// The body is too long.
    #[error("the body has {0} bytes")]
    TooLong(u64),
    /// The subject has asked too often lately.
    #[error("too many requests of {subject}, the next one is served in {:.1} s", .wait.as_secs_f32())]
    TooManyRequests {
        /// Who.
        subject: gsi::Subject,
        /// How long until there is one again.
        wait: Duration,
        /// A job was asked for: the answer can carry a number.
        job: bool,
    },
    /// The ban list forbids it.
    #[error("{ban}")]
    Banned {
        /// The line.
        ban: Ban,
        /// Its file.
        file: PathBuf,
    },
    /// The gridmap has nobody for this subject, or not this account.
    #[error("gridmap: {error}")]
    Unmapped {
        /// Why.
        error: MapError,
        /// The gridmap.
        file: PathBuf,
    },
    /// A personal gatekeeper runs as one account only.
    #[error("account {account} is not the one this personal gatekeeper runs as ({runs_as})")]
    OtherAccount {
        /// What the gridmap says.
        account: String,
        /// Who we are.
        runs_as: String,
    },
    /// No such service.
    #[error("there is no service {0:?}")]
    NoSuchService(String),
    /// The service's definition is of no use.
    #[error("the service cannot be used: {0}")]
    ServiceUnusable(String),
    /// Limited proxies may not use this service.
    #[error("a limited proxy, and the service {0:?} has no accept_limited")]
    LimitedProxy(String),
    /// The body is not a job request.
    #[error("malformed job request: {0}")]
    Body(WireError),
    /// A job needs a credential and none was delegated.
    #[error("no credential was delegated")]
    NoCredential,
    /// The audit file has not taken a line for long.
    #[error("the audit file cannot be written, and no job is accepted unrecorded")]
    Unrecorded,
    /// No job manager took the request.
    #[error(transparent)]
    JobManager(#[from] LaunchError),
    /// The connection has lasted too long altogether.
    #[error("the connection lasted longer than the {} s that one may take in all", .0.as_secs())]
    TotalDeadline(Duration),
}

/// What the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Yes to a ping.
    Pong,
    /// Our versions.
    Version,
    /// The job manager's word on a job request, or ours on its body.
    Job(JobReply),
    /// The body is too long.
    TooLong,
    /// An HTTP status without a body.
    Http(u16),
    /// Nothing: the connection is closed.
    Close,
}

impl Answer {
    /// A job request refused with a number.
    pub fn refused(error: GramError) -> Self {
        Self::Job(JobReply { status: error, contact: None, extensions: reply::version_extensions() })
    }

    /// The same, with a word on why.
    fn refused_because(error: GramError, reason: &impl std::fmt::Display) -> Self {
        let mut extensions = reply::version_extensions();
        extensions.push(("gt3-failure-message".to_owned(), reason.to_string()));
        Self::Job(JobReply { status: error, contact: None, extensions })
    }

    /// The whole message; None for [`Self::Close`].
    pub fn encode(&self) -> Option<Vec<u8>> {
        Some(match self {
            Self::Pong => reply::encode_pong(),
            Self::Version => VersionReply::ours().encode(),
            Self::Job(reply) => reply.encode(),
            Self::TooLong => reply::encode_too_long(),
            Self::Http(status) => reply::encode_gatekeeper_refusal(*status),
            Self::Close => return None,
        })
    }
}

impl Refusal {
    /// The one place where a refusal becomes what the client sees.
    pub fn answer(&self) -> Answer {
        match self {
            Self::NoLogin(_)
            | Self::Chain(_)
            | Self::Handshake(_)
            | Self::HandshakeDeadline
            | Self::NoRequest(_)
            | Self::Crowded(Crowded::PushedOut | Crowded::Address(_)) => Answer::Close,
            // Stock gatekeepers have no such limits; a number that clients take for a passing failure.
            Self::TooManyRequests { job: true, .. } => Answer::refused_because(GramError::NO_RESOURCES, self),
            Self::TooManyRequests { job: false, .. } | Self::Crowded(_) => Answer::Http(400),
            Self::NoLength | Self::NoCredential | Self::TotalDeadline(_) => Answer::Http(400),
            Self::Header(WireError::RequestLine(_)) | Self::Target(TargetError::Malformed(_)) => {
                Answer::Http(403)
            }
            Self::Header(_) => Answer::Http(400),
            Self::Banned { .. }
            | Self::Unmapped { .. }
            | Self::OtherAccount { .. }
            | Self::LimitedProxy(_) => Answer::Http(403),
            Self::NoSuchService(_) | Self::Target(TargetError::NoSuchName(_)) => Answer::Http(404),
            // Not refused, as far as we know: then nothing is claimed, and the client hears that the exchange failed (10).
            Self::JobManager(LaunchError::InDoubt(_)) => Answer::Close,
            Self::Unrecorded | Self::JobManager(LaunchError::Register(_)) => Answer::refused_because(
                GramError::NO_RESOURCES,
                &"the site cannot record your request at the moment (is its disk full?); try again later",
            ),
            // Accounts that may not be used are no different from none; one that does not exist is the site's mistake.
            Self::JobManager(LaunchError::Start(NotStarted::Refused { refusal, .. }))
                if refuses(*refusal) =>
            {
                Answer::Http(403)
            }
            Self::ServiceUnusable(_) | Self::JobManager(_) => Answer::Http(500),
            Self::TooLong(_) => Answer::TooLong,
            // A stock job manager has 91 for any body it cannot use, for another protocol version too.
            Self::Body(_) => Answer::refused(GramError::HTTP_UNPACK_FAILED),
        }
    }

    /// The file that decided, and the line of it where one did.
    pub fn place(&self) -> Option<(&Path, Option<usize>)> {
        match self {
            Self::NoLogin(file) => Some((file, None)),
            Self::Chain(error) => error.place(),
            Self::Banned { ban, file } => Some((file, Some(ban.line))),
            Self::Unmapped { error, file } => Some((
                file,
                match error {
                    MapError::Unmapped(_) => None,
                    MapError::AccountNotListed { line, .. } | MapError::Unusable { line, .. } => Some(*line),
                },
            )),
            _ => None,
        }
    }

    /// The stable name of the reason, for audit records and programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoLogin(_) => "no_login",
            Self::Crowded(Crowded::PushedOut) => "crowded_out",
            Self::Crowded(_) => "too_many_connections",
            Self::Chain(error) => error.code(),
            Self::Handshake(GsiError::Certificate(_)) => "malformed_certificate",
            Self::Handshake(GsiError::Delegation(_) | GsiError::Request(_)) => "bad_delegation",
            Self::Handshake(GsiError::Connection(error)) => match error {
                ConnectionError::Anonymous { .. } => "no_certificate",
                ConnectionError::ForeignDelegation { .. } => "bad_delegation",
                ConnectionError::Idle { .. } => "idle",
                ConnectionError::Refused { .. } => "refused_by_client",
                ConnectionError::Closed { .. } => "closed_by_client",
                _ => "handshake",
            },
            Self::Handshake(_) => "handshake",
            Self::HandshakeDeadline => "handshake_timeout",
            Self::NoRequest(ExchangeError::Deadline) => "request_timeout",
            Self::NoRequest(ExchangeError::Io(error)) if is_idle(error) => "idle",
            Self::NoRequest(_) => "no_request",
            Self::Header(_) | Self::Target(TargetError::Malformed(_)) | Self::NoLength => "malformed_request",
            Self::Target(TargetError::NoSuchName(_)) | Self::NoSuchService(_) => "no_service",
            Self::TooLong(_) => "too_long",
            Self::TooManyRequests { .. } => "too_many_requests",
            Self::Banned { .. } => "banned",
            Self::Unmapped { error, .. } => match error {
                MapError::Unmapped(_) => "unmapped",
                MapError::AccountNotListed { .. } => "account_not_listed",
                MapError::Unusable { .. } => "account_unusable",
            },
            Self::OtherAccount { .. } => "account_unusable",
            Self::ServiceUnusable(_) => "service_unusable",
            Self::LimitedProxy(_) => "limited_proxy",
            Self::Body(_) => "malformed_job",
            Self::NoCredential => "no_credential",
            Self::Unrecorded | Self::JobManager(LaunchError::Register(_)) => "unrecorded",
            Self::JobManager(LaunchError::InDoubt(_)) => "in_doubt",
            Self::JobManager(LaunchError::Start(NotStarted::Refused { .. })) => "account_unusable",
            Self::JobManager(_) => "job_manager",
            Self::TotalDeadline(_) => "total_timeout",
        }
    }
}

fn is_idle(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(ConnectionError::Idle { .. }))
}

impl From<GsiError> for Refusal {
    /// A handshake that failed.
    fn from(error: GsiError) -> Self {
        match error {
            GsiError::Chain(error) => Self::Chain(error),
            other => Self::Handshake(other),
        }
    }
}

/// Whether the launcher refuses the account, rather than to work.
fn refuses(refusal: launcher::protocol::Refusal) -> bool {
    use launcher::protocol::Refusal as Launcher;
    match refusal {
        Launcher::Root | Launcher::Uid | Launcher::Unlisted | Launcher::Gatekeeper | Launcher::Name => true,
        Launcher::Malformed | Launcher::Stranger | Launcher::Unknown | Launcher::Failed => false,
    }
}

impl From<ExchangeError> for Refusal {
    /// A request that did not come as one.
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Wire(WireError::BodyTooLong { length }) => Self::TooLong(length),
            ExchangeError::Wire(error) => Self::Header(error),
            other => Self::NoRequest(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gram::wire::reply::code_of_status;

    /// The error number a stock client ends up with.
    fn client_code(refusal: &Refusal) -> u16 {
        match refusal.answer() {
            Answer::Http(status) => code_of_status(status).0,
            Answer::TooLong | Answer::Close => 10,
            Answer::Job(reply) => reply.status.0,
            Answer::Pong | Answer::Version => 0,
        }
    }

    fn no_manager(refusal: launcher::protocol::Refusal) -> Refusal {
        LaunchError::from(NotStarted::Refused { account: "a".into(), refusal }).into()
    }

    fn ban() -> Ban {
        gsi::BanList::parse(b"issuer \"/CN=CA\"").unwrap().bans()[0].clone()
    }

    fn too_many(job: bool) -> Refusal {
        Refusal::TooManyRequests { subject: gsi::Subject::new("/CN=x"), wait: Duration::from_secs(1), job }
    }

    /// Every code that [`Refusal::code`] and [`ChainError::code`] have in their text stands in the table of the page, and
    /// nothing else does.
    #[test]
    fn the_codes_are_documented() {
        let page = include_str!("../../docs/refusals.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let documented: std::collections::BTreeSet<_> = rows.map(|(code, _)| code).collect();
        let sources = [include_str!("refusal.rs"), include_str!("../../gsi/src/chain/code.rs")];
        let codes = sources.iter().flat_map(|source| {
            let (_, text) = source.split_once("fn code(&self)").unwrap();
            let (text, _) = text.split_once("\n    }\n").unwrap();
            text.split('"').skip(1).step_by(2)
        });
        let codes: std::collections::BTreeSet<_> = codes.collect();
        assert_eq!(codes, documented);
    }

    #[test]
    fn numbers_at_the_client() {
        let subject = gsi::Subject::new("/CN=x");
        for (refusal, code) in [
            (Refusal::NoLogin("/etc/nologin".into()), 10),
            (Refusal::NoRequest(ExchangeError::Deadline), 10),
            (Refusal::NoLength, 10),
            (Refusal::NoCredential, 10),
            (Refusal::TooLong(70_000), 10),
            (Refusal::Header(WireError::RequestLine("GET / HTTP/1.1".into())), 7),
            (Refusal::Target(TargetError::Malformed("x".into())), 7),
            (Refusal::Unmapped { error: MapError::Unmapped(subject), file: "/gridmap".into() }, 7),
            (Refusal::Banned { ban: ban(), file: "/banned".into() }, 7),
            (Refusal::Chain(ChainError::Empty), 10),
            (Refusal::Crowded(Crowded::PushedOut), 10),
            (Refusal::Crowded(Crowded::Full(1)), 10),
            (too_many(true), 3),
            (too_many(false), 10),
            (Refusal::TotalDeadline(Duration::ZERO), 10),
            (Refusal::OtherAccount { account: "a".into(), runs_as: "b".into() }, 7),
            (Refusal::LimitedProxy("s".into()), 7),
            (Refusal::NoSuchService("s".into()), 93),
            (Refusal::Target(TargetError::NoSuchName("a/b".into())), 93),
            (Refusal::ServiceUnusable("why".into()), 47),
            (Refusal::Body(WireError::Version(3)), 91),
            (Refusal::Unrecorded, 3),
            (Refusal::JobManager(LaunchError::InDoubt("why".into())), 10),
            (Refusal::JobManager(LaunchError::Register(std::io::ErrorKind::StorageFull.into())), 3),
            (no_manager(launcher::protocol::Refusal::Root), 7),
            (no_manager(launcher::protocol::Refusal::Unlisted), 7),
            (no_manager(launcher::protocol::Refusal::Unknown), 47),
            (no_manager(launcher::protocol::Refusal::Stranger), 47),
        ] {
            assert_eq!(client_code(&refusal), code, "{refusal}");
        }
    }
}
