//! Who may do what: yields a permit (account and service) or a refusal. Pure: everything it goes by is handed in.
//!
//! The order is the stock one, after the ban list, which stock gatekeepers do not have: first who it is, then what is
//! wanted, then whether this proxy may.

use crate::refusal::Refusal;
use crate::service::{Service, ServiceTable};
use gram::wire::Target;
use gsi::gridmap::Mapping;
use gsi::{BanList, Gridmap, Peer, Subject};
use jiff::Timestamp;
use std::path::Path;

/// Who asks, as the handshake proved it.
#[derive(Debug, Clone)]
pub struct Asker {
    /// Subject of the certificate shown.
    pub subject: Subject,
    /// Whose it is: proxies stripped.
    pub identity: Subject,
    /// A limited proxy was shown.
    pub limited: bool,
    /// Who is accountable for it: no proxy changes that.
    pub owner: Subject,
    /// Every name in the chain that is no CA's: a ban on any of them counts.
    pub names: Vec<Subject>,
    /// The CAs that vouch for it, from the nearest to the root.
    pub authorities: Vec<Subject>,
}

impl Asker {
    /// Somebody of whom nothing is known but the name; for questions, not for requests.
    #[must_use]
    pub fn named(identity: Subject) -> Self {
        let names = vec![identity.clone()];
        let (subject, owner) = (identity.clone(), identity.clone());
        Self { subject, identity, limited: false, owner, names, authorities: Vec::new() }
    }
}

impl From<&Peer> for Asker {
    fn from(peer: &Peer) -> Self {
        let subjects = peer.chain.iter().map(|certificate| certificate.subject().subject());
        Self {
            subject: peer.subject.clone(),
            identity: peer.identity.clone(),
            limited: peer.limited,
            owner: peer.owner().clone(),
            names: subjects.filter(|name| !peer.authorities.contains(name)).cloned().collect(),
            authorities: peer.authorities.clone(),
        }
    }
}

/// What requests are judged by.
#[derive(Debug)]
pub struct Rules<'a> {
    /// Who may not come in.
    pub bans: &'a BanList,
    /// Its file.
    pub bans_file: &'a Path,
    /// Who may, and as whom.
    pub gridmap: &'a Gridmap,
    /// Its file.
    pub gridmap_file: &'a Path,
    /// Leases of pool accounts.
    pub pool: Option<&'a Path>,
    /// The services.
    pub services: &'a ServiceTable,
    /// Whose jobs can be run here.
    pub runs_as: &'a RunsAs,
}

/// Whose jobs a gatekeeper can have run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunsAs {
    /// A personal gatekeeper: those of the account that everything runs as.
    Personal(String),
    /// A site's gatekeeper: those of any account for which the launcher starts a job manager.
    Site,
}

impl RunsAs {
    /// Whether jobs can be this account's.
    pub fn may_be(&self, account: &str) -> bool {
        self.covers(account).is_ok()
    }

    fn covers(&self, account: &str) -> Result<(), Refusal> {
        match self {
            Self::Personal(own) if own != account => {
                Err(Refusal::OtherAccount { account: account.to_owned(), runs_as: own.clone() })
            }
            Self::Personal(_) | Self::Site => Ok(()),
        }
    }
}

/// Leave to use a service as an account. Only [`decide`] gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Permit {
    account: String,
    line: usize,
    service: Service,
}

impl Permit {
    /// The local account.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The line of the gridmap that decided, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The service.
    pub fn service(&self) -> &Service {
        &self.service
    }
}

/// Decides.
pub fn decide(asker: &Asker, target: &Target, rules: &Rules<'_>, now: Timestamp) -> Result<Permit, Refusal> {
    if let Some(ban) = rules.bans.find(&asker.names, &asker.authorities, now) {
        return Err(Refusal::Banned { ban: ban.clone(), file: rules.bans_file.to_owned() });
    }
    let mapped = rules.gridmap.map(&asker.identity, target.account.as_deref(), rules.pool);
    let Mapping { account, line } =
        mapped.map_err(|error| Refusal::Unmapped { error, file: rules.gridmap_file.to_owned() })?;
    rules.runs_as.covers(&account)?;
    let service = match rules.services.find(&target.service) {
        None => return Err(Refusal::NoSuchService(target.service.clone())),
        Some(Err(reason)) => return Err(Refusal::ServiceUnusable(reason.clone())),
        Some(Ok(service)) => service.clone(),
    };
    if asker.limited && !service.accept_limited {
        return Err(Refusal::LimitedProxy(service.name));
    }
    Ok(Permit { account, line, service })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServiceConfig;
    use gsi::gridmap::MapError;

    fn table() -> ServiceTable {
        let service =
            |scheduler: &str, accept_limited| ServiceConfig { scheduler: scheduler.into(), accept_limited };
        let services = [
            ("jobmanager".to_owned(), service("fork", false)),
            ("limited".to_owned(), service("fork", true)),
            ("broken".to_owned(), service("none", true)),
        ];
        ServiceTable::load(&services.into(), None).unwrap().value
    }

    /// Alice maps to her account, bob to another one; nobody else is known. Carl and a CA are banned.
    fn judge(asker: &Asker, uri: &str, runs_as: &RunsAs) -> Result<Permit, Refusal> {
        let bans = b"subject \"/CN=carl\" until 2030-01-01\n\nissuer \"/CN=Bad CA\"\n";
        let rules = Rules {
            bans: &BanList::parse(bans).unwrap(),
            bans_file: Path::new("/banned"),
            gridmap: &Gridmap::parse(b"\"/CN=alice\" alice\n\"/CN=bob\" bob\n\"/CN=carl\" alice\n"),
            gridmap_file: Path::new("/gridmap"),
            pool: None,
            services: &table(),
            runs_as,
        };
        decide(asker, &Target::parse(uri).unwrap(), &rules, "2029-06-01T00:00:00Z".parse().unwrap())
    }

    fn ask(identity: &str, limited: bool, uri: &str) -> Result<Permit, Refusal> {
        judge(&Asker { limited, ..Asker::named(Subject::new(identity)) }, uri, &personal())
    }

    fn personal() -> RunsAs {
        RunsAs::Personal("alice".into())
    }

    #[test]
    fn permits() {
        let permit = ask("/CN=alice", false, "/jobmanager").unwrap();
        assert_eq!(
            (permit.account(), permit.line(), permit.service().scheduler.as_str()),
            ("alice", 1, "fork")
        );
        assert!(ask("/CN=alice", false, "ping/jobmanager@alice").is_ok());
        assert!(ask("/CN=alice", true, "/limited").is_ok());
    }

    #[test]
    fn a_site_runs_jobs_of_every_account_it_maps_to() {
        let ask = |identity: &str, uri| judge(&Asker::named(Subject::new(identity)), uri, &RunsAs::Site);
        for (identity, account) in [("/CN=alice", "alice"), ("/CN=bob", "bob")] {
            assert_eq!(ask(identity, "/jobmanager").unwrap().account(), account);
        }
        assert!(ask("/CN=eve", "/jobmanager").is_err());
        assert!(ask("/CN=alice", "/jobmanager@bob").is_err());
    }

    #[test]
    fn refusals_in_the_stock_order() {
        let unmapped = ask("/CN=eve", true, "/none").unwrap_err();
        assert!(matches!(unmapped, Refusal::Unmapped { error: MapError::Unmapped(_), .. }));
        let refusal = ask("/CN=alice", true, "/none@bob").unwrap_err();
        assert_eq!(refusal.place(), Some((Path::new("/gridmap"), Some(1))));
        assert!(matches!(ask("/CN=bob", true, "/none"), Err(Refusal::OtherAccount { .. })));
        assert!(matches!(ask("/CN=alice", true, "/none"), Err(Refusal::NoSuchService(_))));
        assert!(matches!(ask("/CN=alice", true, "/broken"), Err(Refusal::ServiceUnusable(_))));
        assert!(matches!(ask("/CN=alice", true, "/jobmanager"), Err(Refusal::LimitedProxy(_))));
    }

    #[test]
    fn bans_come_first() {
        let refusal = ask("/CN=carl", false, "/jobmanager").unwrap_err();
        assert!(matches!(refusal, Refusal::Banned { .. }));
        assert_eq!(refusal.place(), Some((Path::new("/banned"), Some(1))));
        let alice = Asker::named(Subject::new("/CN=alice"));
        let vouched = |authority| Asker { authorities: vec![Subject::new(authority)], ..alice.clone() };
        assert!(judge(&vouched("/CN=Good CA"), "/jobmanager", &personal()).is_ok());
        let refusal = judge(&vouched("/cn=bad ca"), "/jobmanager", &personal()).unwrap_err();
        assert_eq!(refusal.place(), Some((Path::new("/banned"), Some(3))));
        // Whoever hides behind an independent proxy is still himself.
        let names = vec![Subject::new("/CN=alice"), Subject::new("/CN=carl")];
        assert!(judge(&Asker { names, ..alice }, "/jobmanager", &personal()).is_err());
    }
}
