//! The small server that `run -o/-s/-w` embeds (gass.md §4, §6): self authorization, `/dev/stdout`, `/dev/stderr`,
//! reads with `-s`, writes only with `-w` (the stock server's hole of §6 is closed).
//!
//! Every connection is a task of its own, so one that stays silent blocks nobody. It has [`GREETING`] to finish TLS and
//! its header block; after that it may pause as long as it likes, as output of a running job comes in whenever there is
//! some. Peers that died are found by TCP keepalive.

mod output;
mod patience;
mod reply;
mod request;
mod serve;

pub use output::Output;

use crate::GassError;
use gsi::{Acceptor, Credential, Subject, TrustDirectory, endpoint};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

/// How long a peer may take for TLS, and again for its header block.
pub const GREETING: Duration = Duration::from_secs(30);
/// How long a peer may take nothing of what is sent to it.
pub const STALLED: Duration = Duration::from_secs(300);
/// Most connections served at once; further ones wait to be accepted.
pub const MAX_CONNECTIONS: usize = 512;
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

/// A running server; dropping it stops it and all its transfers.
#[derive(Debug)]
pub struct Server {
    url: String,
    accepting: JoinHandle<()>,
    running: watch::Receiver<usize>,
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

    /// As told. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with(settings: Settings) -> Result<Self, GassError> {
        let failed = |doing: &str, source| GassError::Local { doing: doing.to_owned(), source };
        let range = settings.port.map(|port| port..=port).or_else(endpoint::port_range);
        let listener =
            endpoint::listen_in(range).map_err(|error| failed("cannot listen for transfers", error))?;
        let address = listener.local_addr().map_err(|error| failed("cannot listen for transfers", error))?;
        let (scheme, guard) = match &settings.security {
            Security::Myself(credential, trust) => {
                let acceptor = Acceptor::new(credential, trust)
                    .map_err(|error| failed("cannot serve with this credential", io::Error::other(error)))?;
                ("https", Guard::Gsi(acceptor, credential.identity().clone()))
            }
            Security::Nobody => ("http", Guard::None),
        };
        let (busy, running) = watch::channel(0);
        let service = Arc::new(serve::Service {
            access: settings.access,
            stdout: settings.stdout,
            stderr: settings.stderr,
            busy,
        });
        let accepting = tokio::spawn(accept(listener, Arc::new(guard), service));
        let url = format!("{scheme}://{}:{}", endpoint::host_name(), address.port());
        Ok(Self { url, accepting, running })
    }

    /// `https://host:port`, no trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until running transfers have ended and their data is flushed, at most `limit`.
    pub async fn drain(&self, limit: Duration) {
        let mut running = self.running.clone();
        if tokio::time::timeout(limit, running.wait_for(|&transfers| transfers == 0)).await.is_err() {
            tracing::warn!(transfers = *self.running.borrow(), "transfers are still running");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Who gets in.
enum Guard {
    Gsi(Acceptor, Subject),
    None,
}

async fn accept(listener: TcpListener, guard: Arc<Guard>, service: Arc<serve::Service>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Dropped with this task, which ends them.
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (guard, service) = (Arc::clone(&guard), Arc::clone(&service));
                connections.spawn(async move {
                    if let Err(error) = admit(stream, &guard, service).await {
                        tracing::warn!(%peer, error = error.as_ref(), "transfer connection ended badly");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept transfers");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn admit(stream: TcpStream, guard: &Guard, service: Arc<serve::Service>) -> Result<(), Failure> {
    endpoint::prepare(&stream)?;
    match guard {
        Guard::Gsi(acceptor, own) => {
            let stream = tokio::time::timeout(GREETING, acceptor.accept(stream)).await??;
            gsi::Expect::Myself.accepts(stream.peer(), own)?;
            serve::connection(stream, service).await
        }
        Guard::None => serve::connection(stream, service).await,
    }
}

#[cfg(test)]
mod tests;
