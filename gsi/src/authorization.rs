//! Whom the initiator accepts (gsi.md §7.4).

use crate::chain::identity;
use crate::settings;
use crate::{GsiError, Name, Peer, Subject};

/// What the other end must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Host authorization, STRICT_RFC2818 unless gsi.conf / environment says otherwise.
    Host(String),
    /// Exactly this identity.
    Identity(Subject),
    /// The same identity as our own credential.
    Myself,
    /// The caller checks.
    Anyone,
}

/// Which names of a host certificate count (`NAME_COMPATIBILITY`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameCompatibility {
    /// dNSNames alone when there are any, else the first CN.
    #[default]
    StrictRfc2818,
    /// dNSNames or the first CN.
    Hybrid,
    /// The first CN alone, with the old wildcard in the contacted name.
    StrictGt2,
}

/// Why the other end was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorizationError {
    /// The certificate is not that host's.
    #[error("contacted host {host}, but the certificate is for {}: {identity}", names.join(", "))]
    Host {
        /// The name contacted.
        host: String,
        /// The names the certificate has that count.
        names: Vec<String>,
        /// The identity found.
        identity: Subject,
    },
    /// Another identity than the one asked for.
    #[error("expected {expected}, but the other end is {identity}")]
    Identity {
        /// The identity asked for.
        expected: Subject,
        /// The identity found.
        identity: Subject,
    },
    /// Another identity than our own.
    #[error("expected our own identity {expected}, but the other end is {identity}")]
    NotMyself {
        /// Our own.
        expected: Subject,
        /// The identity found.
        identity: Subject,
    },
    /// `NAME_COMPATIBILITY` has an unknown value.
    #[error("NAME_COMPATIBILITY={0} is unknown; use STRICT_RFC2818, HYBRID or STRICT_GT2")]
    UnknownCompatibility(String),
    /// gsi.conf is broken.
    #[error(transparent)]
    Settings(#[from] settings::SettingsError),
}

impl Expect {
    /// Decides; `own` is our own identity.
    pub fn accepts(&self, peer: &Peer, own: &Subject) -> Result<(), GsiError> {
        let identity = peer.identity.clone();
        match self {
            Self::Host(host) => Ok(host_matches(host, peer, NameCompatibility::from_environment()?)?),
            Self::Identity(expected) if is_identity(expected, &identity) => Ok(()),
            Self::Identity(expected) => {
                Err(AuthorizationError::Identity { expected: expected.clone(), identity }.into())
            }
            Self::Myself if *own == identity => Ok(()),
            Self::Myself => Err(AuthorizationError::NotMyself { expected: own.clone(), identity }.into()),
            Self::Anyone => Ok(()),
        }
    }
}

impl NameCompatibility {
    /// `GLOBUS_GSSAPI_NAME_COMPATIBILITY`, else gsi.conf, else the default.
    ///
    /// # Errors
    /// When the value is unknown or gsi.conf broken.
    pub fn from_environment() -> Result<Self, AuthorizationError> {
        match settings::value("NAME_COMPATIBILITY")?.as_deref() {
            None | Some("" | "STRICT_RFC2818") => Ok(Self::StrictRfc2818),
            Some("HYBRID") => Ok(Self::Hybrid),
            Some("STRICT_GT2") => Ok(Self::StrictGt2),
            Some(other) => Err(AuthorizationError::UnknownCompatibility(other.to_owned())),
        }
    }
}

/// Exact comparison. A person may have written a slash of a value without the backslash that certificates' names are
/// rendered with, so the expected name is read and rendered again.
fn is_identity(expected: &Subject, identity: &Subject) -> bool {
    let rendered = || Name::parse_one_line(expected.as_str()).is_ok_and(|name| name.subject() == identity);
    expected == identity || rendered()
}

/// The table of §7.4.
fn host_matches(host: &str, peer: &Peer, mode: NameCompatibility) -> Result<(), AuthorizationError> {
    let host = host.trim_end_matches('.');
    let certificate = identity(&peer.chain);
    let dns_names = certificate.map(|certificate| certificate.dns_names()).unwrap_or_default();
    // The service in front of the host, as in `ldap/h`, is ignored.
    let common_name = certificate.and_then(|certificate| certificate.subject().common_name());
    let common_name = common_name.map(|cn| cn.split_once('/').map_or(cn, |(_, host)| host));
    let by_dns = || dns_names.iter().any(|pattern| dns_name_covers(pattern, host));
    let by_name = || common_name.is_some_and(|cn| cn.eq_ignore_ascii_case(host));
    let by_old_name = || common_name.is_some_and(|cn| cn.eq_ignore_ascii_case(&without_interface(host)));
    let accepted = match mode {
        NameCompatibility::StrictRfc2818 if dns_names.is_empty() => by_name(),
        NameCompatibility::StrictRfc2818 => by_dns(),
        NameCompatibility::Hybrid => by_dns() || by_name() || by_old_name(),
        NameCompatibility::StrictGt2 => by_name() || by_old_name(),
    };
    if accepted {
        return Ok(());
    }
    let names = dns_names.iter().cloned().chain(common_name.map(str::to_owned)).collect();
    Err(AuthorizationError::Host { host: host.to_owned(), names, identity: peer.identity.clone() })
}

/// A dNSName, in which one `*` may end one label, against a host name.
fn dns_name_covers(pattern: &str, host: &str) -> bool {
    let pattern = pattern.trim_end_matches('.');
    if !pattern.contains('*') {
        return pattern.eq_ignore_ascii_case(host);
    }
    let single = pattern.matches('*').count() == 1;
    let (patterns, labels) = (pattern.split('.').collect::<Vec<_>>(), host.split('.').collect::<Vec<_>>());
    let covers = |(pattern, label): (&&str, &&str)| match pattern.strip_suffix('*') {
        Some(start) => label.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start)),
        None => pattern.eq_ignore_ascii_case(label),
    };
    // A wildcard alone would cover every top-level name.
    single && patterns.len() > 1 && patterns.len() == labels.len() && patterns.iter().zip(&labels).all(covers)
}

/// The old wildcard: `host-interface.site` stands for `host.site`.
fn without_interface(host: &str) -> String {
    let (first, rest) = host.split_once('.').map_or((host, None), |(first, rest)| (first, Some(rest)));
    let first = first.split_once('-').map_or(first, |(machine, _)| machine);
    rest.map_or_else(|| first.to_owned(), |rest| format!("{first}.{rest}"))
}

#[cfg(test)]
mod tests {
    use super::NameCompatibility::{Hybrid, StrictGt2, StrictRfc2818};
    use super::*;
    use crate::forge::{Holder, Plan, now};

    fn peer(holder: &Holder) -> Peer {
        let subject = holder.certificate.subject().subject().clone();
        let chain = vec![holder.certificate.clone()];
        let (authorities, tolerated) = (Vec::new(), Vec::new());
        let identity = subject.clone();
        Peer { identity, subject, limited: false, expires: now(), chain, authorities, tolerated }
    }

    /// The table of §7.4, with `h.example.org` contacted.
    #[test]
    fn hosts_match_as_in_the_stock_library() {
        for (subject, dns, strict, hybrid, old) in [
            ("/O=Grid/CN=h.example.org", &[][..], true, true, true),
            ("/O=Grid/CN=H.Example.ORG", &[], true, true, true),
            ("/O=Grid/CN=host/h.example.org", &[], true, true, true),
            ("/O=Grid/CN=ldap/h.example.org", &[], true, true, true),
            ("/O=Grid/CN=other", &["h.example.org"], true, true, false),
            ("/O=Grid/CN=other", &["x", "*.example.org"], true, true, false),
            ("/O=Grid/CN=other", &["h*.example.org"], true, true, false),
            ("/O=Grid/CN=h.example.org", &["other"], false, true, true),
            ("/O=Grid/CN=h.example.org/CN=second", &[], true, true, true),
            ("/O=Grid/CN=first/CN=h.example.org", &[], false, false, false),
            ("/O=Grid/CN=other", &["*"], false, false, false),
            ("/O=Grid/CN=other", &["*.org"], false, false, false),
            ("/O=Grid/CN=other", &["*.*.org"], false, false, false),
            ("/O=Grid/CN=other", &["*h.example.org"], false, false, false),
            ("/O=Grid", &[], false, false, false),
        ] {
            let plan = Plan::new(subject);
            let peer = peer(&if dns.is_empty() { plan } else { plan.dns(dns) }.self_signed());
            for (mode, expected) in [(StrictRfc2818, strict), (Hybrid, hybrid), (StrictGt2, old)] {
                let result = host_matches("h.example.org", &peer, mode);
                assert_eq!(result.is_ok(), expected, "{subject} {dns:?} {mode:?}");
            }
        }
    }

    #[test]
    fn the_old_wildcard_is_in_the_contacted_name() {
        let peer = peer(&Plan::new("/CN=host/h.example.org").self_signed());
        for (mode, expected) in [(StrictRfc2818, false), (Hybrid, true), (StrictGt2, true)] {
            assert_eq!(host_matches("h-eth1.example.org", &peer, mode).is_ok(), expected, "{mode:?}");
        }
    }

    #[test]
    fn a_proxy_shows_the_names_of_its_owner() {
        let host = Plan::new("/O=Grid/CN=other").dns(&["h"]).self_signed();
        let proxy = host.full_proxy(crate::ProxyFormat::Rfc);
        let chain = vec![proxy.certificate, host.certificate.clone()];
        let peer = Peer { chain, ..peer(&host) };
        assert!(host_matches("h", &peer, StrictRfc2818).is_ok());
        let error = host_matches("x", &peer, StrictRfc2818).unwrap_err().to_string();
        assert!(error.contains("contacted host x") && error.contains("for h, other"), "{error}");
    }

    #[test]
    fn identities_are_compared_exactly() {
        let peer = peer(&Plan::new("/O=Grid/CN=host/h").self_signed());
        let own = Subject::new("/O=Grid/CN=x");
        let accepts = |subject: &str| Expect::Identity(Subject::new(subject)).accepts(&peer, &own).is_ok();
        assert!(accepts(r"/O=Grid/CN=host\/h") && accepts("/O=Grid/CN=host/h"));
        assert!(!accepts("/O=grid/CN=host/h") && !accepts("/O=Grid/CN=host"));
        assert!(Expect::Myself.accepts(&peer, &own).is_err());
        assert!(Expect::Myself.accepts(&peer, &peer.identity).is_ok());
        assert!(Expect::Anyone.accepts(&peer, &own).is_ok());
    }
}
