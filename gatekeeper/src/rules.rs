//! What a site's files say about who may come in: the trust directory, the ban list, the gridmap, the services and the
//! nologin files, each read again when it changes. The gatekeeper decides with it, and `gridiron explain` tells with
//! it what the gatekeeper would decide: there is no other judge.

use crate::Config;
use crate::policy::{self, Asker, Permit, Rules, RunsAs};
use crate::refusal::Refusal;
use crate::reload::{Made, Reloaded};
use crate::server::StartError;
use crate::server::start::account_name;
use crate::service::ServiceTable;
use gram::wire::Target;
use gsi::chain::{self, Examination};
use gsi::{BanList, Certificate, Gridmap, TrustDirectory};
use jiff::Timestamp;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A site's files, and whose jobs can be run.
#[derive(Debug, Clone)]
pub struct SiteRules {
    config: Arc<Config>,
    runs_as: RunsAs,
    trust: TrustDirectory,
    bans: Arc<Reloaded<BanList>>,
    gridmap: Arc<Reloaded<Gridmap>>,
    services: Arc<Reloaded<ServiceTable>>,
}

impl SiteRules {
    /// Reads all files.
    ///
    /// # Errors
    /// With the first that cannot be used.
    pub fn load(config: &Config, runs_as: RunsAs) -> Result<Self, StartError> {
        Ok(Self {
            trust: open_trust(config)?,
            bans: Arc::new(bans(config)?),
            gridmap: Arc::new(gridmap(config)?),
            services: Arc::new(services(config)?),
            config: Arc::new(config.clone()),
            runs_as,
        })
    }

    /// For the site of this configuration, as the present account would serve it.
    ///
    /// # Errors
    /// As [`SiteRules::load`], and when our account has no name.
    pub fn ours(config: &Config) -> Result<Self, StartError> {
        let runs_as = match config.launcher {
            Some(_) => RunsAs::Site,
            None => RunsAs::Personal(account_name(rustix::process::geteuid().as_raw())?),
        };
        Self::load(config, runs_as)
    }

    /// The same with a new configuration. What is read from where it was before is kept, with all that stays in force
    /// because what is there now is broken.
    ///
    /// # Errors
    /// With the first new file that cannot be used.
    pub fn reconfigured(&self, config: &Config) -> Result<Self, StartError> {
        let old = &self.config;
        let kept = |same: bool| same.then_some(());
        Ok(Self {
            trust: match kept(old.trust == config.trust) {
                Some(()) => self.trust.clone().with_policy(config.chain_policy()),
                None => open_trust(config)?,
            },
            bans: match kept((&old.banned, &old.gridmap) == (&config.banned, &config.gridmap)) {
                Some(()) => Arc::clone(&self.bans),
                None => Arc::new(bans(config)?),
            },
            gridmap: match kept(old.gridmap == config.gridmap) {
                Some(()) => Arc::clone(&self.gridmap),
                None => Arc::new(gridmap(config)?),
            },
            services: match kept(
                (&old.services, &old.grid_services) == (&config.services, &config.grid_services),
            ) {
                Some(()) => Arc::clone(&self.services),
                None => Arc::new(services(config)?),
            },
            config: Arc::new(config.clone()),
            runs_as: self.runs_as.clone(),
        })
    }

    /// Reads everything again, changed or not.
    pub fn look_again(&self) {
        self.trust.look_again();
        self.bans.look_again();
        self.gridmap.look_again();
        self.services.look_again();
    }

    /// Where certificates are trusted from, with the site's policy.
    #[must_use]
    pub fn trust(&self) -> &TrustDirectory {
        &self.trust
    }

    /// Whose jobs can be run.
    #[must_use]
    pub fn runs_as(&self) -> &RunsAs {
        &self.runs_as
    }

    /// Where the gridmap is.
    #[must_use]
    pub fn gridmap_file(&self) -> &Path {
        &self.config.gridmap
    }

    /// Whether anybody is let in at present.
    ///
    /// # Errors
    /// [`Refusal::NoLogin`].
    pub fn is_open(&self) -> Result<(), Refusal> {
        match self.config.nologin.iter().find(|file| file.exists()) {
            Some(file) => Err(Refusal::NoLogin(file.clone())),
            None => Ok(()),
        }
    }

    /// Judges a chain as the handshake does.
    #[must_use]
    pub fn examine(&self, presented: &[Certificate], now: Timestamp) -> Examination {
        chain::examine(presented, &self.trust, now)
    }

    /// Judges a request of somebody whose chain has been judged.
    ///
    /// # Errors
    /// The first thing that speaks against it.
    pub fn decide(&self, asker: &Asker, target: &Target, now: Timestamp) -> Result<Permit, Refusal> {
        let rules = Rules {
            bans: &self.bans.current(),
            bans_file: &self.config.bans_file(),
            gridmap: &self.gridmap.current(),
            gridmap_file: &self.config.gridmap,
            pool: self.config.gridmapdir.as_deref(),
            services: &self.services.current(),
            runs_as: &self.runs_as,
        };
        policy::decide(asker, target, &rules, now)
    }
}

fn open_trust(config: &Config) -> Result<TrustDirectory, StartError> {
    let trust = TrustDirectory::open(&config.trust)
        .map_err(|error| StartError::File { path: config.trust.clone(), reason: error.to_string() })?;
    Ok(trust.with_policy(config.chain_policy()))
}

/// The ban list. When none is named, there may be one beside the gridmap; once there was one, its disappearance lifts no
/// ban: an empty file does.
fn bans(config: &Config) -> Result<Reloaded<BanList>, StartError> {
    let path = config.bans_file();
    let needed = AtomicBool::new(config.banned.is_some());
    let load = {
        let path = path.clone();
        move || {
            let files = vec![path.clone()];
            if !needed.load(Ordering::Relaxed) && !path.exists() {
                return Ok(Made { value: BanList::default(), files });
            }
            let value = BanList::read(&path).map_err(|error| error.to_string())?;
            needed.store(true, Ordering::Relaxed);
            Ok(Made { value, files })
        }
    };
    Reloaded::new(load).map_err(|reason| StartError::File { path, reason })
}

/// The gridmap. At the start malformed lines are skipped, as the stock programs do; a changed file with such lines has been
/// damaged, or is just being written, and does not replace what was read before.
fn gridmap(config: &Config) -> Result<Reloaded<Gridmap>, StartError> {
    let path = config.gridmap.clone();
    let started = AtomicBool::new(false);
    let load = move || read_gridmap(&path, started.swap(true, Ordering::Relaxed));
    Reloaded::new(load).map_err(|reason| StartError::File { path: config.gridmap.clone(), reason })
}

fn read_gridmap(path: &Path, strictly: bool) -> Result<Made<Gridmap>, String> {
    let value = Gridmap::read(path).map_err(|error| error.to_string())?;
    if strictly && let Some((line, problem)) = value.malformed() {
        return Err(format!("{}:{line}: {problem}", path.display()));
    }
    for (line, problem) in value.problems() {
        tracing::warn!(path = %path.display(), line, problem, "gridmap line skipped");
    }
    Ok(Made { value, files: vec![path.to_owned()] })
}

/// The services. One whose file has become useless stays as it was.
fn services(config: &Config) -> Result<Reloaded<ServiceTable>, StartError> {
    let (own, classic) = (config.services.clone(), config.grid_services.clone());
    let known = Mutex::new(ServiceTable::default());
    let load = move || {
        let mut made = ServiceTable::load(&own, classic.as_deref())?;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        made.value.fall_back_on(&known);
        known.clone_from(&made.value);
        Ok(made)
    };
    Reloaded::new(load).map_err(StartError::Setup)
}
