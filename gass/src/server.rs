//! The GASS server (gass.md §4-§6): files by URL over https with GSI, or over plain http; `/dev/stdout` and `/dev/stderr`.
//! The one inside `run -o/-s/-w`, the classic `globus-gass-server` and `gridiron gass serve` are all this one.
//!
//! | Module | Subject |
//! |---|---|
//! | [`door`] | accepting, who is let in, for how long strangers may stay |
//! | [`serve`] | a connection and its requests |
//! | [`request`] | what a request asks for, and whether it may |
//! | [`exports`], [`place`] | which files there are, and that nothing leads out of an exported directory |
//! | [`send`], [`body`], [`wish`], [`listing`] | GET and HEAD: files, parts of them, checksums, listings |
//! | [`receive`], [`resume`] | PUT and append; uploads that survive their connection |
//! | [`condition`], [`digests`] | states of files; checksums known from before |
//! | [`reply`] | replies, and the one place where failures get their HTTP status |
//!
//! Every connection is a task of its own, so one that stays silent blocks nobody. It has [`GREETING`] to finish TLS and
//! again for each header block; a body may pause as long as it likes, as output of a running job comes in whenever there
//! is some. Peers that died are found by TCP keepalive. Each right is its own: what may write to stdout may not write
//! files (the stock server's hole of §6 is closed).

mod body;
mod clients;
mod condition;
mod digests;
mod door;
mod exports;
mod listing;
mod output;
mod patience;
mod place;
mod receive;
mod reply;
mod request;
mod resume;
mod send;
mod serve;
mod wish;

pub use clients::Clients;
pub use exports::{Export, ExportError, Files, Tildes};
pub use output::Output;

use crate::GassError;
use door::Guard;
use gsi::admission::Bounds;
use gsi::{Acceptor, Credential, TrustDirectory, endpoint};
use request::Rights;
use serve::Service;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long a peer may take for TLS, and again for the header block of each request.
pub const GREETING: Duration = Duration::from_secs(30);
/// How long a peer may take nothing of what is sent to it.
pub const STALLED: Duration = Duration::from_secs(300);
/// Most connections at once. Jobs of one site stream their output from one address, as one identity, and many may end in the
/// same second.
pub const BOUNDS: Bounds = Bounds { strangers: 1024, guests: 4096, per_address: 4096, per_identity: 4096 };
/// Longest header block, in bytes.
pub const MAX_HEADERS: usize = 64 * 1024;
/// How long to wait after a failed accept (out of descriptors), so as not to spin.
const PAUSE: Duration = Duration::from_millis(100);

/// What peers may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Access {
    /// GET files.
    pub read: bool,
    /// PUT and append files.
    pub write: bool,
    /// Write `/dev/stdout`.
    pub stdout: bool,
    /// Write `/dev/stderr`.
    pub stderr: bool,
}

/// How peers are known.
#[derive(Clone)]
pub enum Security {
    /// https; only the owner of this credential is served.
    Myself(Credential, TrustDirectory),
    /// https; its owner is served, and these.
    Known(Credential, TrustDirectory, Arc<Clients>),
    /// http: everyone who can connect is served.
    Nobody,
}

/// Everything a server can be told.
#[derive(Clone)]
pub struct Settings {
    /// How peers are known.
    pub security: Security,
    /// What they may do.
    pub access: Access,
    /// Where `/dev/stdout` goes.
    pub stdout: Output,
    /// Where `/dev/stderr` goes.
    pub stderr: Output,
    /// The port; None for one of `GLOBUS_TCP_PORT_RANGE`, or any.
    pub port: Option<u16>,
}

/// How far a server reaches, beside its [`Settings`].
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Which files there are: everything the account can reach, or exported directories.
    pub files: Files,
    /// A client may end the server, by writing to `/dev/globus_gass_client_shutdown`.
    pub shutdown: bool,
}

/// A running server; dropping it stops it and all its transfers.
#[derive(Debug)]
pub struct Server {
    url: String,
    accepting: JoinHandle<()>,
    running: watch::Receiver<usize>,
    draining: watch::Sender<bool>,
    stop: watch::Receiver<bool>,
}

impl Server {
    /// An https server for the owner of `credential`, on a port of `GLOBUS_TCP_PORT_RANGE` or any; `/dev/stdout` and
    /// `/dev/stderr` are those of this process.
    ///
    /// # Errors
    /// A credential that TLS cannot use, or no free port.
    pub async fn start(
        credential: &Credential,
        trust: &TrustDirectory,
        access: Access,
    ) -> Result<Self, GassError> {
        Self::start_with(Settings {
            security: Security::Myself(credential.clone(), trust.clone()),
            access,
            stdout: Output::stdout(),
            stderr: Output::stderr(),
            port: None,
        })
    }

    /// As told, with all files of the account. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with(settings: Settings) -> Result<Self, GassError> {
        Self::start_within(settings, Scope::default())
    }

    /// As told, and no further than this. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_within(settings: Settings, scope: Scope) -> Result<Self, GassError> {
        let failed = |doing: &str, source| GassError::Local { doing: doing.to_owned(), source };
        let range = settings.port.map(|port| port..=port).or_else(endpoint::port_range);
        let listener =
            endpoint::listen_in(range).map_err(|error| failed("cannot listen for transfers", error))?;
        let address = listener.local_addr().map_err(|error| failed("cannot listen for transfers", error))?;
        let gsi = |credential: &Credential, trust: &TrustDirectory, clients| {
            let acceptor = Acceptor::new(credential, trust)
                .map_err(|error| failed("cannot serve with this credential", io::Error::other(error)))?;
            Ok(("https", Guard::Gsi(acceptor, clients)))
        };
        let (scheme, guard) = match &settings.security {
            Security::Myself(credential, trust) => gsi(credential, trust, Arc::new(Clients::none()))?,
            Security::Known(credential, trust, clients) => gsi(credential, trust, Arc::clone(clients))?,
            Security::Nobody => ("http", Guard::None),
        };
        let (busy, running) = watch::channel(0);
        let (draining, _) = watch::channel(false);
        let (stopping, stop) = watch::channel(false);
        let service = Arc::new(Service {
            rights: Rights { access: settings.access, shutdown: scope.shutdown, tildes: scope.files.tildes },
            files: scope.files,
            stdout: settings.stdout,
            stderr: settings.stderr,
            digests: Arc::default(),
            uploads: resume::Running::default(),
            busy,
            draining: draining.clone(),
            stop: stopping,
        });
        let accepting = tokio::spawn(door::accept(listener, Arc::new(guard), service));
        let url = format!("{scheme}://{}:{}", endpoint::host_name(), address.port());
        Ok(Self { url, accepting, running, draining, stop })
    }

    /// `https://host:port`, no trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until running transfers have ended and their data is flushed, at most `limit`. From now on no connection is
    /// kept for another request.
    pub async fn drain(&self, limit: Duration) {
        self.draining.send_replace(true);
        let mut running = self.running.clone();
        if tokio::time::timeout(limit, running.wait_for(|&transfers| transfers == 0)).await.is_err() {
            tracing::warn!(transfers = *self.running.borrow(), "transfers are still running");
        }
    }

    /// Completes when a client has asked for the end ([`Scope::shutdown`]); what to do about it is the caller's business.
    pub async fn asked_to_stop(&self) {
        if self.stop.clone().wait_for(|&stop| stop).await.is_err() {
            // Nobody is left who could ask.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Reads every header of a request that is taken apart here, for the fuzz target alone.
#[doc(hidden)]
pub fn examine_headers<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) {
    let pairs = headers.filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)));
    let headers: hyper::HeaderMap = pairs.collect();
    let version = condition::Version::default();
    let _ = (version.judge_read(&headers), version.has_range_of(&headers), condition::must_be_new(&headers));
    let _ = condition::judge_write(&headers, Some(&version));
    let _ = (wish::wants_digest(&headers), wish::reads_trailers(&headers));
    let _ = (wish::listing_form(&headers, true), wish::listing_form(&headers, false));
    let _ = resume::Upload::of(&headers, "");
    let _ = receive::Check::of(&headers, true);
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[cfg(test)]
mod tests;
