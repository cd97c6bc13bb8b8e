//! Everything that is wrong in a trust directory, for `gridiron check`.

use super::TrustProblem;
use super::files::{self, FileProblem, MAX_CERTIFICATE_FILE_BYTES, MAX_SAME_HASH};
use crate::certificate::{Certificate, CertificateType};
use crate::chain::{ChainPolicy, CrlOutOfDate};
use crate::crl::{MAX_CRL_BYTES, RevocationList};
use crate::signature::MIN_RSA_BITS;
use crate::signing_policy::{MAX_POLICY_BYTES, PolicyRefusal, SigningPolicy};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Looks at every file whose name the search of §8 and §9 could ask for.
pub(super) fn check(directory: &Path, policy: ChainPolicy, now: Timestamp) -> Vec<TrustProblem> {
    let mut report = Report { policy, now, problems: Vec::new() };
    let names = match file_names(directory) {
        Ok(names) => names,
        Err(error) => {
            report.add(directory, format!("cannot be read: {error}"));
            return report.problems;
        }
    };
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for name in names {
        if let Some((hash, kind)) = recognise(&name) {
            let files = groups.entry(hash.to_owned()).or_default();
            files.add(&kind, directory.join(&name));
        }
    }
    for (hash, group) in &groups {
        report.group(directory, hash, group, &groups);
    }
    if groups.values().all(|group| group.certificates.is_empty()) {
        let advice = "holds no CA certificate, so nobody is trusted; add <hash>.0 and <hash>.signing_policy";
        report.add(directory, advice.to_owned());
    }
    report.problems.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    report.problems
}

fn file_names(directory: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        names.extend(entry?.file_name().into_string().ok());
    }
    Ok(names)
}

/// The files of one hash, numbered ones by number.
#[derive(Default)]
struct Group {
    certificates: BTreeMap<usize, PathBuf>,
    lists: BTreeMap<usize, PathBuf>,
    policy: Option<PathBuf>,
}

enum Kind {
    Certificate(usize),
    List(usize),
    Policy,
}

impl Group {
    fn add(&mut self, kind: &Kind, path: PathBuf) {
        match kind {
            Kind::Certificate(number) => drop(self.certificates.insert(*number, path)),
            Kind::List(number) => drop(self.lists.insert(*number, path)),
            Kind::Policy => self.policy = Some(path),
        }
    }
}

fn recognise(name: &str) -> Option<(&str, Kind)> {
    let (hash, suffix) = name.split_once('.')?;
    if hash.len() != 8 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let kind = match suffix.strip_prefix('r') {
        _ if suffix == "signing_policy" => Kind::Policy,
        Some(number) => Kind::List(number.parse().ok()?),
        None => Kind::Certificate(suffix.parse().ok()?),
    };
    Some((hash, kind))
}

struct Report {
    policy: ChainPolicy,
    now: Timestamp,
    problems: Vec<TrustProblem>,
}

impl Report {
    fn add(&mut self, path: &Path, message: String) {
        self.problems.push(TrustProblem { path: path.to_owned(), line: None, message });
    }

    fn load<T>(
        &mut self,
        path: &Path,
        limit: usize,
        parse: fn(&[u8]) -> Result<T, FileProblem>,
    ) -> Option<T> {
        match files::read_limited(path, limit).and_then(|bytes| parse(&bytes)) {
            Ok(content) => Some(content),
            Err(FileProblem { line, message }) => {
                self.problems.push(TrustProblem { path: path.to_owned(), line, message });
                None
            }
        }
    }

    fn group(&mut self, directory: &Path, hash: &str, group: &Group, all: &BTreeMap<String, Group>) {
        self.gaps(&group.certificates);
        self.gaps(&group.lists);
        let mut authorities: Vec<Certificate> = Vec::new();
        for path in group.certificates.values() {
            let found =
                self.load(path, MAX_CERTIFICATE_FILE_BYTES, files::parse_certificates).unwrap_or_default();
            for certificate in &found {
                self.certificate(path, hash, certificate, all);
            }
            authorities.extend(found);
        }
        let current: Vec<_> = authorities.iter().filter(|known| known.subject().hash() == hash).collect();
        let policy = group.policy.as_deref().and_then(|path| {
            self.load(path, MAX_POLICY_BYTES, files::parse_policy).map(|policy| (path, policy))
        });
        if group.policy.is_none() && !current.is_empty() {
            let path = directory.join(format!("{hash}.signing_policy"));
            self.add(
                &path,
                "is missing, so nothing that this CA signed is accepted; get it from the CA".to_owned(),
            );
        }
        for authority in &current {
            if let Some((path, policy)) = &policy {
                self.policy(path, policy, authority);
            }
        }
        for path in group.lists.values() {
            if let Some(list) = self.load(path, MAX_CRL_BYTES, files::parse_list) {
                self.list(path, hash, &list, &current);
            }
        }
    }

    /// Files are looked up from 0 upwards, and a gap ends the search.
    fn gaps(&mut self, numbered: &BTreeMap<usize, PathBuf>) {
        for (expected, (number, path)) in numbered.iter().enumerate() {
            if *number != expected {
                self.add(path, format!("is never looked at, as number {expected} is missing; renumber it"));
                return;
            }
            if *number >= MAX_SAME_HASH {
                self.add(
                    path,
                    format!("is never looked at, as at most {MAX_SAME_HASH} files may share a hash"),
                );
                return;
            }
        }
    }

    fn certificate(
        &mut self,
        path: &Path,
        hash: &str,
        certificate: &Certificate,
        all: &BTreeMap<String, Group>,
    ) {
        let name = certificate.subject();
        let right = name.hash();
        if hash == name.old_hash() && hash != right {
            // Sites ship both names; the old one alone does not work.
            if all.get(&right).is_none_or(|group| group.certificates.is_empty()) {
                self.add(
                    path,
                    format!("has the old kind of name, which is not looked at; link it as {right}.0"),
                );
            }
            return;
        }
        if hash != right {
            self.add(
                path,
                format!("is of {}, whose file is never looked for here but as {right}.0", name.subject()),
            );
        }
        if certificate.kind() != CertificateType::Authority {
            self.add(path, format!("{} says nothing of being a CA", name.subject()));
        }
        if let Some(bits) =
            certificate.rsa_bits().filter(|bits| *bits < self.policy.min_rsa_bits.max(MIN_RSA_BITS))
        {
            self.add(
                path,
                format!("{}: an RSA key of {bits} bits is too weak to be accepted", name.subject()),
            );
        }
        if certificate.not_after() < self.now {
            let message = format!(
                "{}: expired at {}; get the new one or remove it",
                name.subject(),
                certificate.not_after()
            );
            self.add(path, message);
        } else if certificate.not_before() > self.now {
            self.add(path, format!("{}: not valid before {}", name.subject(), certificate.not_before()));
        }
    }

    fn policy(&mut self, path: &Path, policy: &SigningPolicy, authority: &Certificate) {
        let name = authority.subject().subject();
        if policy.permits(name, name) == Err(PolicyRefusal::NoEntry) {
            self.add(path, format!("has no entry for {name}, so nothing that this CA signed is accepted"));
        }
    }

    fn list(&mut self, path: &Path, hash: &str, list: &RevocationList, authorities: &[&Certificate]) {
        let issuer = list.issuer().subject();
        if list.issuer().hash() != hash {
            if list.issuer().old_hash() != hash {
                self.add(
                    path,
                    format!("is of {issuer}, whose file must be called {}.r0", list.issuer().hash()),
                );
            }
            return;
        }
        if !authorities.is_empty()
            && !authorities.iter().any(|authority| list.verify_signature(authority).is_ok())
        {
            self.add(
                path,
                format!("is not signed by {issuer} as installed here; everything of this CA is refused"),
            );
        }
        match list.next_update() {
            Some(next) if next < self.now => {
                let result = match self.policy.crl_out_of_date {
                    CrlOutOfDate::Refuse => "so everything of this CA is refused",
                    CrlOutOfDate::Warn => "and what has been revoked since is let in",
                };
                self.add(path, format!("is out of date since {next}, {result}; run fetch-crl"));
            }
            _ if list.this_update() > self.now => {
                self.add(path, format!("is not valid before {}", list.this_update()));
            }
            _ => {}
        }
    }
}
