//! The listener: accepts, bounds, spawns one task per connection, reads changed settings, stops gracefully.

pub(crate) mod start;
#[cfg(test)]
mod tests;

pub use start::StartError;

use crate::Config;
use crate::audit::Record;
use crate::connection::{self, Accepted, Door, Site};
use crate::metrics::export;
use crate::reload::Reloaded;
use crate::settings::{Settings, Source};
use gsi::KeyPool;
use gsi::admission::Admission;
use start::listen;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument;

/// Keys for delegation made ahead (gsi.md §5.6): as many new users are served at once without waiting for one.
const KEYS_AHEAD: usize = 4;
/// How long one user's delegations use the same key.
const KEY_REUSE: Duration = Duration::from_secs(3600);
/// How long to wait after a failed accept (out of descriptors), so as not to spin.
const PAUSE: Duration = Duration::from_millis(100);

/// How long to wait at the end for the audit database.
const AUDIT_PATIENCE: Duration = Duration::from_secs(5);

/// A bound gatekeeper.
pub struct Gatekeeper {
    listener: TcpListener,
    metrics: Option<TcpListener>,
    settings: Settings,
    keys: KeyPool,
    admission: Admission,
    connections: JoinSet<()>,
    look_again: mpsc::Receiver<()>,
}

impl std::fmt::Debug for Gatekeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gatekeeper").field("site", self.settings.site()).finish_non_exhaustive()
    }
}

impl Gatekeeper {
    /// Reads certificates and rules, binds. This configuration stays. The error is a [`StartError`].
    pub async fn bind(config: Config) -> io::Result<Self> {
        Self::bind_to(Source::fixed(config), None).await
    }

    /// The same with a configuration that is read again when its file changes; with a listening socket, such as one from
    /// systemd, that one is used and `listen` is not looked at.
    #[expect(clippy::unused_async, reason = "binding may come to need it, and needs a runtime around it")]
    pub async fn bind_to(source: Source, socket: Option<std::net::TcpListener>) -> io::Result<Self> {
        let (settings, listener) = Settings::start(source, socket)?;
        let metrics = settings.metrics_address().map(listen).transpose()?;
        let admission = Admission::new(settings.site().limits.bounds());
        let keys = KeyPool::new(KEYS_AHEAD, KEY_REUSE);
        let (_, look_again) = mpsc::channel(1);
        let metrics = metrics.map(|(listener, _)| listener);
        Ok(Self { listener, metrics, settings, keys, admission, connections: JoinSet::new(), look_again })
    }

    /// With something that says when to read all files again, changed or not.
    #[must_use]
    pub fn looking_again_on(mut self, look_again: mpsc::Receiver<()>) -> Self {
        self.look_again = look_again;
        self
    }

    /// `host:port:subject`, what clients use.
    pub fn contact(&self) -> String {
        let (site, door) = (self.settings.site(), self.settings.door().current());
        format!("{}:{}:{}", site.host, site.port, door.subject)
    }

    /// Serves until `stop` completes; then lets running requests finish.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let runs_as = self.settings.site().rules.runs_as();
        tracing::info!(address = ?self.listener.local_addr().ok(), ?runs_as, "gatekeeper listens");
        self.settings.site().managers.resume(|account| runs_as.may_be(account))?;
        let mut beside = JoinSet::new();
        if let Some(listener) = self.metrics.take() {
            tracing::info!(address = ?listener.local_addr().ok(), "metrics page");
            beside.spawn(export::serve(listener, self.settings.site().metrics.clone()));
        }
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(()) = self.look_again.recv() => {
                    self.settings.look_again();
                    self.admission.set_bounds(self.settings.site().limits.bounds());
                }
                accepted = self.listener.accept() => match accepted {
                    Ok((tcp, peer)) => self.serve(tcp, peer),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept");
                        // Out of descriptors, most likely: somebody who does not use his is sent away.
                        self.admission.make_room();
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
        self.finish().await;
        Ok(())
    }

    fn serve(&mut self, tcp: TcpStream, peer: SocketAddr) {
        while self.connections.try_join_next().is_some() {}
        if self.settings.follow_file() {
            self.admission.set_bounds(self.settings.site().limits.bounds());
        }
        let metrics = &self.settings.site().metrics;
        let open = metrics.connection();
        let place = self.admission.enter(peer.ip());
        if place.is_err() {
            metrics.turned_away.inc();
        }
        let (site, door) = (Arc::clone(self.settings.site()), Arc::clone(self.settings.door()));
        let keys = self.keys.clone();
        let id = uuid::Uuid::new_v4().to_string();
        let span = tracing::info_span!("connection", request = %id, %peer);
        let record = Record::new(jiff::Timestamp::now(), id, peer);
        let accepted = Accepted { tcp, place, since: Instant::now(), record };
        let serving = async {
            serve_one(accepted, site, door, keys).await;
            drop(open);
        };
        self.connections.spawn(serving.instrument(span));
    }

    /// Takes what has come in already, closes the door, and waits for everybody inside.
    async fn finish(mut self) {
        // Whoever is in the queue believes to be connected.
        while let Ok(Ok((tcp, peer))) = tokio::time::timeout(Duration::ZERO, self.listener.accept()).await {
            self.serve(tcp, peer);
        }
        let Self { listener, mut connections, settings, .. } = self;
        drop(listener);
        settings.site().managers.stop();
        tracing::info!(running = connections.len(), "stopping");
        let finishing = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(settings.site().limits.stop(), finishing).await.is_err() {
            tracing::warn!(left = connections.len(), "requests that did not finish in time are dropped");
        }
        settings.site().audit.close(AUDIT_PATIENCE).await;
    }
}

async fn serve_one(accepted: Accepted, site: Arc<Site>, door: Arc<Reloaded<Door>>, keys: KeyPool) {
    Box::pin(connection::serve(accepted, &site, &door.current(), &keys)).await;
}

/// Bind and run.
pub async fn serve(config: Config, stop: impl Future<Output = ()>) -> io::Result<()> {
    Gatekeeper::bind(config).await?.run(stop).await
}
