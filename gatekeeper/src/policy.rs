//! Who may do what: yields a permit (account and service) or a refusal. Pure: the look-ups are handed in.
//!
//! The order is the stock one: first who it is, then what is wanted, then whether this proxy may.

use crate::refusal::Refusal;
use crate::service::{Service, ServiceTable};
use gram::wire::Target;
use gsi::Subject;
use gsi::gridmap::{MapError, Mapping};

/// Who asks, as the handshake proved it.
#[derive(Debug, Clone)]
pub struct Asker {
    /// Subject of the certificate shown.
    pub subject: Subject,
    /// Whose it is: proxies stripped.
    pub identity: Subject,
    /// A limited proxy was shown.
    pub limited: bool,
}

/// The gridmap, whatever it is made of: identity and requested account to an account.
pub type Map = dyn Fn(&Subject, Option<&str>) -> Result<Mapping, MapError> + Send + Sync;

/// What requests are judged by.
pub struct Rules<'a> {
    /// The gridmap.
    pub map: &'a Map,
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
pub fn decide(asker: &Asker, target: &Target, rules: &Rules<'_>) -> Result<Permit, Refusal> {
    let Mapping { account, line } = (rules.map)(&asker.identity, target.account.as_deref())?;
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

    /// alice maps to her account, bob to another one; nobody else is known.
    fn map(subject: &Subject, requested: Option<&str>) -> Result<Mapping, MapError> {
        let (account, line) = match subject.as_str() {
            "/CN=alice" => ("alice", 1),
            "/CN=bob" => ("bob", 2),
            _ => return Err(MapError::Unmapped(subject.clone())),
        };
        match requested {
            Some(requested) if requested != account => {
                Err(MapError::AccountNotListed { subject: subject.clone(), account: requested.into(), line })
            }
            _ => Ok(Mapping { account: account.into(), line }),
        }
    }

    fn ask(identity: &str, limited: bool, uri: &str) -> Result<Permit, Refusal> {
        judge(identity, limited, uri, &RunsAs::Personal("alice".into()))
    }

    fn judge(identity: &str, limited: bool, uri: &str, runs_as: &RunsAs) -> Result<Permit, Refusal> {
        let identity = Subject::new(identity);
        let asker = Asker { subject: identity.clone(), identity, limited };
        let rules = Rules { map: &map, services: &table(), runs_as };
        decide(&asker, &Target::parse(uri).unwrap(), &rules)
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
        for (identity, account) in [("/CN=alice", "alice"), ("/CN=bob", "bob")] {
            assert_eq!(judge(identity, false, "/jobmanager", &RunsAs::Site).unwrap().account(), account);
        }
        assert!(judge("/CN=eve", false, "/jobmanager", &RunsAs::Site).is_err());
        assert!(judge("/CN=alice", false, "/jobmanager@bob", &RunsAs::Site).is_err());
    }

    #[test]
    fn refusals_in_the_stock_order() {
        assert!(matches!(ask("/CN=eve", true, "/none"), Err(Refusal::Unmapped(MapError::Unmapped(_)))));
        let refusal = ask("/CN=alice", true, "/none@bob").unwrap_err();
        assert_eq!(refusal.line(), Some(1));
        assert!(matches!(ask("/CN=bob", true, "/none"), Err(Refusal::OtherAccount { .. })));
        assert!(matches!(ask("/CN=alice", true, "/none"), Err(Refusal::NoSuchService(_))));
        assert!(matches!(ask("/CN=alice", true, "/broken"), Err(Refusal::ServiceUnusable(_))));
        assert!(matches!(ask("/CN=alice", true, "/jobmanager"), Err(Refusal::LimitedProxy(_))));
    }
}
