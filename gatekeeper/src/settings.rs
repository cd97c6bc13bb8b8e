//! What a configuration makes, and makes again when its file changes: the site that connections are served by and the
//! door they come through. A configuration that cannot be used changes nothing, and what cannot change while the
//! gatekeeper runs is named in the log.

use crate::Config;
use crate::attendance::Attendance;
use crate::audit::Audit;
use crate::connection::{Door, Site};
use crate::launch::Launcher;
use crate::metrics::Metrics;
use crate::reload::{Made, Reloaded};
use crate::rules::SiteRules;
use crate::server::StartError;
use crate::server::start::{adopt, listen};
use crate::start::{ByLauncher, Direct, Starter};
use gram::endpoint;
use gsi::{Acceptor, Credential, TrustDirectory};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;

type ReadConfig = Box<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// Where the configuration comes from.
pub struct Source {
    files: Vec<PathBuf>,
    read: ReadConfig,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Source {
    /// A configuration that stays as it is.
    #[must_use]
    pub fn fixed(config: Config) -> Self {
        Self { files: Vec::new(), read: Box::new(move || Ok(config.clone())) }
    }

    /// A file, and how to read it.
    pub fn file(path: PathBuf, read: impl Fn() -> Result<Config, String> + Send + Sync + 'static) -> Self {
        Self { files: vec![path], read: Box::new(read) }
    }
}

/// The configuration in force and what was made of it.
pub(crate) struct Settings {
    source: Reloaded<Config>,
    /// What the file said when it was last looked at, whether it could be used or not.
    tried: Arc<Config>,
    /// What is in force.
    config: Arc<Config>,
    site: Arc<Site>,
    door: Arc<Reloaded<Door>>,
}

impl Settings {
    /// Reads everything for the first time, and binds; with a socket that has been made already, that one is used and
    /// `listen` is not looked at.
    pub(crate) fn start(
        source: Source,
        socket: Option<std::net::TcpListener>,
    ) -> Result<(Self, TcpListener), StartError> {
        let Source { files, read } = source;
        let source = Reloaded::new(move || Ok(Made { value: read()?, files: files.clone() }));
        let source = source.map_err(StartError::Setup)?;
        let config = source.current();
        usable(&config)?;
        let uid = rustix::process::geteuid().as_raw();
        if uid == 0 && !config.run_as_root {
            return Err(StartError::Root);
        }
        tell_about_descriptors(&config);
        let rules = SiteRules::ours(&config)?;
        let door = door(&config, rules.trust())?;
        let metrics = Metrics::default();
        let audit = open_audit(&config, &metrics)?;
        let (listener, port) = match socket {
            Some(socket) => adopt(socket)?,
            None => listen(&config.listen)?,
        };
        let launcher = Launcher::new(config.state.clone(), starter(&config, uid), config.limits.answer());
        let managers = Attendance::open(config.register.clone(), launcher)
            .map_err(|error| StartError::File { path: config.register.clone(), reason: error.to_string() })?;
        let site = Site {
            rules,
            managers: Arc::new(managers),
            audit,
            metrics,
            limits: config.limits.clone(),
            rates: Arc::default(),
            host: host(&config),
            port,
        };
        let (tried, site, door) = (Arc::clone(&config), Arc::new(site), Arc::new(door));
        Ok((Self { source, tried, config, site, door }, listener))
    }

    pub(crate) fn site(&self) -> &Arc<Site> {
        &self.site
    }

    /// Where the metrics page shall be.
    pub(crate) fn metrics_address(&self) -> Option<&str> {
        self.config.metrics.as_deref()
    }

    pub(crate) fn door(&self) -> &Arc<Reloaded<Door>> {
        &self.door
    }

    /// Takes a changed configuration into use; true when there was one.
    pub(crate) fn follow_file(&mut self) -> bool {
        let config = self.source.current();
        if Arc::ptr_eq(&config, &self.tried) {
            return false;
        }
        self.tried = Arc::clone(&config);
        let changes = differences(&self.config, &config);
        if changes.is_empty() {
            return false;
        }
        let next = usable(&config).and_then(|()| self.reconfigured(&config));
        match next {
            Ok((site, door)) => {
                let takes_effect = |now| move |change: &&Change| change.takes_effect == now;
                let names = |now| changes.iter().filter(takes_effect(now)).map(|change| change.key);
                let (at_once, at_restart): (Vec<_>, Vec<_>) =
                    (names(TakesEffect::AtOnce).collect(), names(TakesEffect::AtRestart).collect());
                tracing::info!(changed = ?at_once, "configuration taken into use");
                if !at_restart.is_empty() {
                    tracing::warn!(changed = ?at_restart, "these settings take effect when the gatekeeper is restarted");
                }
                (self.site, self.door, self.config) = (Arc::new(site), door, config);
                true
            }
            Err(error) => {
                tracing::error!(%error, "the changed configuration is not usable, the one before stays in force");
                false
            }
        }
    }

    /// Reads every file again, changed or not.
    pub(crate) fn look_again(&mut self) {
        tracing::info!("reading all files again");
        self.source.look_again();
        self.follow_file();
        self.site.rules.look_again();
        self.door.look_again();
    }

    fn reconfigured(&self, config: &Config) -> Result<(Site, Arc<Reloaded<Door>>), StartError> {
        let rules = self.site.rules.reconfigured(config)?;
        // Made anew even when its files are the same: the trust directory and its policy, or a deadline, may not be.
        let door = Arc::new(door(config, rules.trust())?);
        let audit = if *self.site.audit.config() == config.audit_config() {
            Arc::clone(&self.site.audit)
        } else {
            open_audit(config, &self.site.metrics)?
        };
        let site =
            Site { rules, audit, limits: config.limits.clone(), host: host(config), ..(*self.site).clone() };
        Ok((site, door))
    }
}

/// When a changed setting counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TakesEffect {
    AtOnce,
    AtRestart,
}

/// A setting that is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    key: &'static str,
    takes_effect: TakesEffect,
}

fn differences(old: &Config, new: &Config) -> Vec<Change> {
    use TakesEffect::{AtOnce, AtRestart};
    let mut changes = Vec::new();
    let mut look = |key, differs: bool, takes_effect| {
        changes.extend(differs.then_some(Change { key, takes_effect }));
    };
    look("listen", old.listen != new.listen, AtRestart);
    look("register", old.register != new.register, AtRestart);
    look("state", old.state != new.state, AtRestart);
    look("host", old.host != new.host, AtOnce);
    look("certificate", old.certificate != new.certificate, AtOnce);
    look("key", old.key != new.key, AtOnce);
    look("trust", old.trust != new.trust, AtOnce);
    look("gridmap", old.gridmap != new.gridmap, AtOnce);
    look("gridmapdir", old.gridmapdir != new.gridmapdir, AtOnce);
    look("banned", old.banned != new.banned, AtOnce);
    look("crl_out_of_date", old.crl_out_of_date != new.crl_out_of_date, AtOnce);
    look("min_rsa_bits", old.min_rsa_bits != new.min_rsa_bits, AtOnce);
    look("audit", old.audit_config() != new.audit_config(), AtOnce);
    look("metrics", old.metrics != new.metrics, AtRestart);
    look("grid_services", old.grid_services != new.grid_services, AtOnce);
    look("service", old.services != new.services, AtOnce);
    look("run_as_root", old.run_as_root != new.run_as_root, AtRestart);
    look("launcher", old.launcher != new.launcher, AtRestart);
    look("nologin", old.nologin != new.nologin, AtOnce);
    for (old, new) in old.limits.all().iter().zip(new.limits.all()) {
        // The launcher has these two from the start.
        let fixed = matches!(new.name, "answer_seconds" | "start_seconds");
        look(new.name, old.value != new.value, if fixed { AtRestart } else { AtOnce });
    }
    changes
}

/// Who starts job managers.
fn starter(config: &Config, uid: u32) -> Starter {
    let (state, patience) = (config.state.clone(), config.limits.start());
    match &config.launcher {
        Some(socket) => Starter::ByLauncher(ByLauncher { socket: socket.clone(), owner: 0, state, patience }),
        None => Starter::Direct(Direct { state, command: config.jobmanager_command.clone(), uid, patience }),
    }
}

/// A connection needs a descriptor. Without one left, the next client waits until somebody has gone.
fn tell_about_descriptors(config: &Config) {
    /// For files, job managers' sockets and the like.
    const OTHERS: u64 = 64;
    let needed = config.limits.handshakes.saturating_add(config.limits.connections).saturating_add(OTHERS);
    if let Some(allowed) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current
        && allowed < needed
    {
        tracing::warn!(allowed, needed, "too few file descriptors for all connections; raise `ulimit -n`");
    }
}

fn usable(config: &Config) -> Result<(), StartError> {
    match config.problems() {
        problems if problems.is_empty() => Ok(()),
        problems => Err(StartError::Setup(problems.join("; "))),
    }
}

fn host(config: &Config) -> String {
    config.host.clone().unwrap_or_else(endpoint::host_name)
}

fn open_audit(config: &Config, metrics: &Metrics) -> Result<Arc<Audit>, StartError> {
    let failed =
        |error: std::io::Error| StartError::File { path: config.audit.clone(), reason: error.to_string() };
    Audit::open(config.audit_config(), metrics.clone()).map(Arc::new).map_err(failed)
}

/// The host credential as an acceptor, read again when one of its files changes.
fn door(config: &Config, trust: &TrustDirectory) -> Result<Reloaded<Door>, StartError> {
    let (certificate, key, trust) = (config.certificate.clone(), config.key.clone(), trust.clone());
    let idle = config.limits.idle();
    let load = move || {
        let at = |error: &dyn std::fmt::Display| format!("{}: {error}", certificate.display());
        let credential = Credential::read_pair(&certificate, &key, None).map_err(|error| at(&error))?;
        let acceptor = Acceptor::new(&credential, &trust).map_err(|error| at(&error))?.patient_for(idle);
        let subject = credential.identity().to_string();
        Ok(Made { value: Door { acceptor, subject }, files: vec![certificate.clone(), key.clone()] })
    };
    Reloaded::new(load).map_err(StartError::Setup)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_named_with_when_they_count() {
        let text = "listen = 'l'\ncertificate = 'c'\nkey = 'k'\ntrust = 't'\ngridmap = 'g'\naudit = 'a'\nstate = 's'\nregister = 'r'\n";
        let old: Config = toml::from_str(text).unwrap();
        assert_eq!(differences(&old, &old), []);
        let mut new = Config { listen: "other".into(), banned: Some("b".into()), ..old.clone() };
        new.limits.answer_seconds = 1;
        new.limits.connections = 1;
        let named: Vec<_> =
            differences(&old, &new).iter().map(|change| (change.key, change.takes_effect)).collect();
        use TakesEffect::{AtOnce, AtRestart};
        assert_eq!(
            named,
            [
                ("listen", AtRestart),
                ("banned", AtOnce),
                ("answer_seconds", AtRestart),
                ("connections", AtOnce)
            ]
        );
    }
}
