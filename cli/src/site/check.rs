//! What is wrong with a site although its file can be read: certificates, trust directory, gridmap, services, folders.

use super::{
    Problem, Site,
    create::machine_name,
    launcher::{self, Launcher},
    tables::nearest,
};
use gatekeeper::service::{SCHEDULERS, ServiceTable};
use gsi::{
    BanList, Credential, Expect, Gridmap, GsiError, TrustDirectory,
    banlist::BanListError,
    chain::{self, ChainPolicy},
};
use jiff::{Timestamp, ToSpan};
use std::{
    collections::BTreeMap,
    net::ToSocketAddrs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// A host certificate that ends sooner is worth a warning.
const DAYS_LEFT: i64 = 14;

/// Every problem of a site whose file is at `file`, in the order in which one would put them right.
pub fn problems(site: &Site, file: &Path, now: Timestamp) -> Vec<Problem> {
    let gatekeeper = &site.gatekeeper;
    let mut found = Found { problems: Vec::new() };
    if let Err(error) = gatekeeper.listen.to_socket_addrs() {
        found.add(file, format!("`listen`: {} is not an address with a port: {error}", gatekeeper.listen));
    }
    gatekeeper.problems().into_iter().for_each(|problem| found.add(file, problem));
    for (name, service) in &gatekeeper.services {
        if !SCHEDULERS.contains(&service.scheduler.as_str()) {
            let advice = match nearest(&service.scheduler, SCHEDULERS.into_iter()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("known are {}", SCHEDULERS.join(", ")),
            };
            let message = format!("[service.{name}]: unknown scheduler \"{}\": {advice}", service.scheduler);
            found.add(file, message);
        }
    }
    // The site file's own services have been looked at above, with better advice.
    match ServiceTable::load(&BTreeMap::new(), gatekeeper.grid_services.as_deref()) {
        Err(error) => found.add(file, error),
        Ok(table) => table.value.problems().for_each(|problem| found.add(file, problem.to_owned())),
    }
    found.folder(file, "state", &gatekeeper.state);
    found.folder(file, "audit", gatekeeper.audit.parent().unwrap_or(Path::new("/")));
    // The gatekeeper makes it when it is missing.
    if gatekeeper.register.exists() {
        found.folder(file, "register", &gatekeeper.register);
    }
    if let Some(folder) = &gatekeeper.gridmapdir {
        found.folder(file, "gridmapdir", folder);
    }
    if let Some(launcher) = &site.launcher {
        found.problems.extend(launcher::check::problems(launcher, site, file));
    }
    let trust = trust(&mut found, &gatekeeper.trust, gatekeeper.chain_policy());
    host_certificate(&mut found, site, trust.as_ref(), now);
    gridmap(&mut found, &gatekeeper.gridmap, site.launcher.as_ref());
    bans(&mut found, &gatekeeper.bans_file(), gatekeeper.banned.is_some(), now);
    found.problems
}

struct Found {
    problems: Vec<Problem>,
}

impl Found {
    fn add(&mut self, file: &Path, message: String) {
        self.at(file, None, message);
    }

    fn at(&mut self, file: &Path, line: Option<usize>, message: String) {
        self.problems.push(Problem { file: file.to_owned(), line, message });
    }

    fn folder(&mut self, file: &Path, key: &str, folder: &Path) {
        match std::fs::metadata(folder) {
            Err(error) => self.add(file, format!("`{key}`: folder {}: {error}; make it", folder.display())),
            Ok(metadata) if !metadata.is_dir() => {
                self.add(file, format!("`{key}`: {} is not a folder", folder.display()));
            }
            Ok(metadata) if metadata.permissions().mode() & 0o022 != 0 => {
                let message = "others may write here; try: chmod go-w".to_owned();
                self.add(folder, format!("{message} {}", folder.display()));
            }
            Ok(_) => {}
        }
    }
}

fn trust(found: &mut Found, folder: &Path, policy: ChainPolicy) -> Option<TrustDirectory> {
    match TrustDirectory::open(folder).map(|trust| trust.with_policy(policy)) {
        Err(error) => {
            found.add(folder, format!("no trust directory: {error}"));
            None
        }
        Ok(trust) => {
            for problem in trust.check() {
                found.at(&problem.path, problem.line, problem.message);
            }
            Some(trust)
        }
    }
}

fn host_certificate(found: &mut Found, site: &Site, trust: Option<&TrustDirectory>, now: Timestamp) {
    let (certificate, key) = (&site.gatekeeper.certificate, &site.gatekeeper.key);
    let missing: Vec<&PathBuf> = [certificate, key].into_iter().filter(|path| !path.exists()).collect();
    for path in &missing {
        found.add(path, "missing; make a request with: gridiron cert request --host".to_owned());
    }
    if !missing.is_empty() {
        return;
    }
    let credential = match credential(site) {
        Ok(credential) => credential,
        Err(error) => return found.add(certificate, format!("cannot be used with its key: {error}")),
    };
    let ends = credential.expires();
    if ends <= now {
        return found.add(certificate, format!("expired at {ends}: get a new one from its CA"));
    }
    if now.checked_add((24 * DAYS_LEFT).hours()).is_ok_and(|soon| ends < soon) {
        found.add(certificate, format!("expires soon, at {ends}: get a new one from its CA"));
    }
    let Some(trust) = trust else { return };
    match chain::verify(credential.chain(), trust, now) {
        Err(error) => {
            found.add(certificate, format!("clients with the same trust directory refuse it: {error}"));
        }
        Ok(peer) => {
            let host = site.gatekeeper.host.clone().unwrap_or_else(machine_name);
            if let Err(error) = Expect::Host(host.clone()).accepts(&peer, credential.identity()) {
                let advice =
                    "set `host` to a name in the certificate, or give clients a contact with the subject";
                found.add(certificate, format!("clients that ask for {host} refuse it: {error}; {advice}"));
            }
        }
    }
}

/// The host's credential. At a site for many accounts the key is the gatekeeper's, which others than root cannot read.
fn credential(site: &Site) -> Result<Credential, gsi::GsiError> {
    let (certificate, key) = (&site.gatekeeper.certificate, &site.gatekeeper.key);
    match &site.launcher {
        None => Credential::read_pair(certificate, key, None),
        Some(_) => Credential::from_pem(&[std::fs::read(certificate)?, std::fs::read(key)?].concat()),
    }
}

/// A ban list that is not named need not be there.
fn bans(found: &mut Found, file: &Path, named: bool, now: Timestamp) {
    if !named && !file.exists() {
        return;
    }
    match BanList::read(file) {
        Ok(list) => {
            let ended = list.bans().iter().filter(|ban| ban.until.is_some_and(|until| until <= now));
            for ban in ended {
                found.at(file, Some(ban.line), format!("{ban}, which is over; remove the line"));
            }
        }
        Err(GsiError::BanList(BanListError::Malformed { problems, .. })) => {
            for (line, problem) in problems {
                found.at(file, Some(line), problem);
            }
        }
        Err(error) => found.add(file, error.to_string()),
    }
}

/// Every problem of a grid-mapfile.
pub fn gridmap_problems(file: &Path) -> Vec<Problem> {
    let mut found = Found { problems: Vec::new() };
    gridmap(&mut found, file, None);
    found.problems
}

fn gridmap(found: &mut Found, file: &Path, launcher: Option<&Launcher>) {
    let gridmap = match Gridmap::read(file) {
        Ok(gridmap) => gridmap,
        Err(error) => return found.add(file, error.to_string()),
    };
    for (line, message) in gridmap.problems() {
        found.at(file, Some(*line), message.clone());
    }
    if gridmap.entries().is_empty() {
        found.add(
            file,
            "maps nobody yet; let people in with: gridiron gridmap add SUBJECT ACCOUNT".to_owned(),
        );
    }
    for entry in gridmap.entries() {
        // An account that begins with a dot is a pool; its accounts have files in gridmapdir.
        for account in entry.accounts.iter().filter(|account| !account.starts_with('.')) {
            if let Ok(None) = nix::unistd::User::from_name(account) {
                let message = format!("{} is mapped to {account}, which is no account here", entry.subject);
                found.at(file, Some(entry.line), message);
            } else if let Some(objection) =
                launcher.and_then(|launcher| launcher::check::objection(launcher, account))
            {
                let message =
                    format!("{} is mapped to {account}, which runs no jobs: {objection}", entry.subject);
                found.at(file, Some(entry.line), message);
            }
        }
    }
}
