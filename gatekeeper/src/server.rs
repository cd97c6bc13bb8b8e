//! The listener: accepts, bounds, spawns one task per connection, stops gracefully.

use crate::Config;
use crate::attendance::Attendance;
use crate::audit::{Audit, Record};
use crate::connection::{self, Accepted, Site};
use crate::launch::Launcher;
use crate::places::Places;
use crate::policy::{Map, RunsAs};
use crate::reload::{Made, Reloaded};
use crate::service::ServiceTable;
use crate::start::{ByLauncher, Direct, Starter};
use gram::endpoint;
use gsi::{Acceptor, Credential, Gridmap, KeyPool, TrustDirectory};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::Instrument;

/// Keys for delegation made ahead (gsi.md §5.6): as many new users are served at once without waiting for one.
const KEYS_AHEAD: usize = 4;
/// How long one user's delegations use the same key.
const KEY_REUSE: Duration = Duration::from_secs(3600);
/// How long to wait after a failed accept (out of descriptors), so as not to spin.
const PAUSE: Duration = Duration::from_millis(100);

/// Why a gatekeeper does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is not one.
    #[error("listen = {address:?}: {reason}; expected address:port, such as [::]:2119")]
    Address {
        /** as configured */
        address: String,
        /** why not */
        reason: String,
    },
    /// It cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /** which */
        address: SocketAddr,
        /** why */
        source: io::Error,
    },
    /// A file cannot be used.
    #[error("{}: {reason}", .path.display())]
    File {
        /** which */
        path: PathBuf,
        /** why */
        reason: String,
    },
    /// Certificates or services cannot be used.
    #[error("{0}")]
    Setup(String),
    /// The network is no place for root.
    #[error("the gatekeeper does not run as root")]
    Root,
    /// Who we are cannot be found out.
    #[error("uid {0} has no name in /etc/passwd, and LOGNAME is not set")]
    Nameless(u32),
}

impl From<StartError> for io::Error {
    fn from(error: StartError) -> Self {
        Self::other(error)
    }
}

/// What connections are accepted with; made again when the host certificate is renewed.
struct Door {
    acceptor: Acceptor,
    subject: String,
}

/// A bound gatekeeper.
pub struct Gatekeeper {
    listener: TcpListener,
    door: Reloaded<Door>,
    keys: KeyPool,
    site: Arc<Site>,
}

impl std::fmt::Debug for Gatekeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gatekeeper").field("site", &self.site).finish_non_exhaustive()
    }
}

impl Gatekeeper {
    /// Reads certificates and gridmap, binds. The error is a [`StartError`].
    pub async fn bind(config: Config) -> io::Result<Self> {
        Self::bind_to(config, None).await
    }

    /// As [`Self::bind`]; with a listening socket, such as one from systemd, that one is used and `listen` is not
    /// looked at.
    #[expect(clippy::unused_async, reason = "binding may come to need it, and needs a runtime around it")]
    pub async fn bind_to(config: Config, socket: Option<std::net::TcpListener>) -> io::Result<Self> {
        Ok(Self::start(config, socket)?)
    }

    fn start(config: Config, socket: Option<std::net::TcpListener>) -> Result<Self, StartError> {
        let uid = rustix::process::geteuid().as_raw();
        if uid == 0 && !config.run_as_root {
            return Err(StartError::Root);
        }
        let (runs_as, starter) = starter(&config, uid)?;
        let door = door(&config)?;
        let subject = door.current().subject.clone();
        let map = mapper(&config)?;
        let services = {
            let (own, classic) = (config.services.clone(), config.grid_services.clone());
            Reloaded::new(move || ServiceTable::load(&own, classic.as_deref())).map_err(StartError::Setup)?
        };
        let audit = Audit::open(&config.audit)
            .map_err(|error| StartError::File { path: config.audit.clone(), reason: error.to_string() })?;
        let launcher = Launcher::new(config.state, starter, config.limits.answer());
        let managers = Attendance::open(config.register.clone(), launcher)
            .map_err(|error| StartError::File { path: config.register, reason: error.to_string() })?;
        let (listener, port) = match socket {
            Some(socket) => adopt(socket)?,
            None => listen(&config.listen)?,
        };
        let site = Site {
            map,
            services,
            runs_as,
            managers,
            audit,
            limits: config.limits,
            nologin: config.nologin,
            host: config.host.unwrap_or_else(endpoint::host_name),
            port,
            subject,
        };
        Ok(Self { listener, door, keys: KeyPool::new(KEYS_AHEAD, KEY_REUSE), site: Arc::new(site) })
    }

    /// `host:port:subject`, what clients use.
    pub fn contact(&self) -> String {
        format!("{}:{}:{}", self.site.host, self.site.port, self.site.subject)
    }

    /// Serves until `stop` completes; then lets running requests finish.
    pub async fn run(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let Self { listener, door, keys, site } = self;
        tracing::info!(address = ?listener.local_addr().ok(), runs_as = ?site.runs_as, "gatekeeper listens");
        site.managers.resume(|account| site.runs_as.may_be(account))?;
        let places = Places::new(site.limits.connections, site.limits.connections_per_address);
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accept = async {
                let free = places.free().await?;
                Ok::<_, io::Error>((free, listener.accept().await?))
            };
            let (free, (tcp, peer)) = tokio::select! {
                () = &mut stop => break,
                accepted = accept => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                },
            };
            while connections.try_join_next().is_some() {}
            let Some(place) = places.take(free, peer.ip()) else {
                tracing::warn!(%peer, "too many connections from this address, closed");
                continue;
            };
            let (site, keys) = (Arc::clone(&site), keys.clone());
            let acceptor = door.current().acceptor.clone();
            let id = uuid::Uuid::new_v4().to_string();
            let span = tracing::info_span!("connection", request = %id, %peer);
            connections.spawn(
                async move {
                    let record = Record::new(jiff::Timestamp::now(), id, peer);
                    connection::serve(Accepted { tcp, record }, &site, &acceptor, &keys).await;
                    drop(place);
                }
                .instrument(span),
            );
        }
        drop(listener);
        site.managers.stop();
        tracing::info!(running = connections.len(), "stopping");
        let finishing = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(site.limits.stop(), finishing).await.is_err() {
            tracing::warn!("requests that did not finish in time are dropped");
        }
        Ok(())
    }
}

/// Bind and run.
pub async fn serve(config: Config, stop: impl Future<Output = ()>) -> io::Result<()> {
    Gatekeeper::bind(config).await?.run(stop).await
}

/// Whose jobs we can run, and who starts their managers.
fn starter(config: &Config, uid: u32) -> Result<(RunsAs, Starter), StartError> {
    let (state, patience) = (config.state.clone(), config.limits.start());
    Ok(match &config.launcher {
        Some(socket) => {
            let launcher = ByLauncher { socket: socket.clone(), owner: 0, state, patience };
            (RunsAs::Site, Starter::ByLauncher(launcher))
        }
        None => {
            let direct = Direct { state, command: config.jobmanager_command.clone(), uid, patience };
            (RunsAs::Personal(account_name(uid)?), Starter::Direct(direct))
        }
    })
}

/// The host credential as an acceptor, read again when one of its files changes.
fn door(config: &Config) -> Result<Reloaded<Door>, StartError> {
    let trust = TrustDirectory::open(&config.trust)
        .map_err(|error| StartError::File { path: config.trust.clone(), reason: error.to_string() })?;
    let (certificate, key) = (config.certificate.clone(), config.key.clone());
    let load = move || {
        let credential =
            Credential::read_pair(&certificate, &key, None).map_err(|error| error.to_string())?;
        let acceptor = Acceptor::new(&credential, &trust).map_err(|error| error.to_string())?;
        let subject = credential.identity().to_string();
        Ok(Made { value: Door { acceptor, subject }, files: vec![certificate.clone(), key.clone()] })
    };
    Reloaded::new(load).map_err(StartError::Setup)
}

/// The gridmap as a look-up, read again when it changes.
fn mapper(config: &Config) -> Result<Box<Map>, StartError> {
    let path = config.gridmap.clone();
    let load = move || {
        let value = Gridmap::read(&path).map_err(|error| error.to_string())?;
        for (line, problem) in value.problems() {
            tracing::warn!(path = %path.display(), line, problem, "gridmap line skipped");
        }
        Ok(Made { value, files: vec![path.clone()] })
    };
    let gridmap =
        Reloaded::new(load).map_err(|reason| StartError::File { path: config.gridmap.clone(), reason })?;
    let pool = config.gridmapdir.clone();
    Ok(Box::new(move |subject, account| gridmap.current().map(subject, account, pool.as_deref())))
}

fn listen(address: &str) -> Result<(TcpListener, u16), StartError> {
    let wrong = |reason: String| StartError::Address { address: address.to_owned(), reason };
    let address = address
        .to_socket_addrs()
        .map_err(|error| wrong(error.to_string()))?
        .next()
        .ok_or_else(|| wrong("no such host".to_owned()))?;
    let failed = |source| StartError::Listen { address, source };
    let listener = endpoint::listen(address).map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    Ok((listener, port))
}

/// A socket that somebody else has made and bound.
fn adopt(socket: std::net::TcpListener) -> Result<(TcpListener, u16), StartError> {
    let adopted = socket.set_nonblocking(true).and_then(|()| {
        let listener = TcpListener::from_std(socket)?;
        let port = listener.local_addr()?.port();
        Ok((listener, port))
    });
    adopted.map_err(|error| StartError::Setup(format!("the socket handed over cannot be used: {error}")))
}

/// The name of our account: `/etc/passwd` first; accounts that live elsewhere are named by LOGNAME.
fn account_name(uid: u32) -> Result<String, StartError> {
    let passwd = std::fs::read_to_string(Path::new("/etc/passwd")).unwrap_or_default();
    name_in(&passwd, uid)
        .map(str::to_owned)
        .or_else(|| std::env::var("LOGNAME").ok().filter(|name| !name.is_empty()))
        .ok_or(StartError::Nameless(uid))
}

fn name_in(passwd: &str, uid: u32) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id: u32 = fields.nth(1)?.parse().ok()?;
        (id == uid && !name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests;
