//! The files of one CA: `<hash>.0`, `<hash>.signing_policy`, `<hash>.r0` (gsi.md §8, §9).

use crate::certificate::Certificate;
use crate::crl::{MAX_CRL_BYTES, RevocationList};
use crate::signing_policy::{MAX_POLICY_BYTES, SigningPolicy};
use jiff::Timestamp;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most certificates, and most CRLs, that share one hash.
pub(super) const MAX_SAME_HASH: usize = 16;
/// Longest CA certificate file, in bytes.
pub(super) const MAX_CERTIFICATE_FILE_BYTES: usize = 1024 * 1024;

/// One file and what it holds, or what is wrong with it.
#[derive(Debug, Clone)]
pub(crate) struct TrustFile<T> {
    pub(crate) path: PathBuf,
    pub(crate) content: Result<Arc<T>, FileProblem>,
}

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileProblem {
    /// 1-based, when known.
    pub(crate) line: Option<usize>,
    pub(crate) message: String,
}

/// Everything the directory holds under one hash.
#[derive(Debug, Default)]
pub(crate) struct AuthorityFiles {
    pub(crate) certificates: Vec<TrustFile<Vec<Certificate>>>,
    pub(crate) policy: Option<TrustFile<SigningPolicy>>,
    pub(crate) lists: Vec<TrustFile<RevocationList>>,
}

impl AuthorityFiles {
    /// Reads what `stamps` found. What cannot be read falls back to `previous`, with a warning.
    pub(super) fn read(stamps: &Stamps, previous: Option<&Self>) -> Self {
        let mut files = Self::default();
        for (path, _) in &stamps.certificates {
            let old = previous.and_then(|previous| find(&previous.certificates, path));
            files.certificates.push(load(path, MAX_CERTIFICATE_FILE_BYTES, parse_certificates, old));
        }
        if let Some((path, _)) = &stamps.policy {
            let old = previous
                .and_then(|previous| previous.policy.as_ref())
                .and_then(|old| old.content.as_ref().ok());
            files.policy = Some(load(path, MAX_POLICY_BYTES, parse_policy, old));
        }
        for (path, _) in &stamps.lists {
            let old = previous.and_then(|previous| find(&previous.lists, path));
            let mut file = load(path, MAX_CRL_BYTES, parse_list, old);
            if let (Ok(new), Some(old)) = (&file.content, old)
                && files.signed(old)
                && !files.signed(new)
            {
                tracing::warn!(path = %path.display(), "a CRL is not signed by its CA; the old one stays in use");
                file.content = Ok(Arc::clone(old));
            }
            files.lists.push(file);
        }
        files
    }

    /// Whether one of the CA's certificates here signed the list.
    fn signed(&self, list: &RevocationList) -> bool {
        self.authorities().any(|(_, authority)| list.verify_signature(authority).is_ok())
    }

    /// The usable CA certificates, with their files.
    pub(crate) fn authorities(&self) -> impl Iterator<Item = (&Path, &Certificate)> {
        self.certificates.iter().flat_map(|file| {
            let certificates = file.content.iter().flat_map(|certificates| certificates.iter());
            certificates.map(|certificate| (file.path.as_path(), certificate))
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.certificates.is_empty() && self.policy.is_none() && self.lists.is_empty()
    }

    pub(super) fn has_expired_list(&self, now: Timestamp) -> bool {
        let lists = self.lists.iter().filter_map(|list| list.content.as_ref().ok());
        lists.filter_map(|list| list.next_update()).any(|next| next < now)
    }
}

fn find<'a, T>(files: &'a [TrustFile<T>], path: &Path) -> Option<&'a Arc<T>> {
    files.iter().find(|file| file.path == path).and_then(|file| file.content.as_ref().ok())
}

/// Reads one file; `old` stays when the new content is broken.
fn load<T>(
    path: &Path,
    limit: usize,
    parse: fn(&[u8]) -> Result<T, FileProblem>,
    old: Option<&Arc<T>>,
) -> TrustFile<T> {
    let content = read_limited(path, limit).and_then(|bytes| parse(&bytes)).map(Arc::new);
    let content = match (content, old) {
        (Err(problem), Some(old)) => {
            let FileProblem { line, message } = problem;
            tracing::warn!(path = %path.display(), line, problem = message, "a trust file is broken; the old one stays in use");
            Ok(Arc::clone(old))
        }
        (content, _) => content,
    };
    TrustFile { path: path.to_owned(), content }
}

pub(super) fn read_limited(path: &Path, limit: usize) -> Result<Vec<u8>, FileProblem> {
    let problem = |message: String| FileProblem { line: None, message };
    let file = std::fs::File::open(path).map_err(|error| problem(format!("cannot be opened: {error}")))?;
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(|error| problem(format!("cannot be read: {error}")))?;
    if bytes.len() > limit {
        return Err(problem(format!("is longer than {limit} bytes")));
    }
    Ok(bytes)
}

pub(super) fn parse_certificates(bytes: &[u8]) -> Result<Vec<Certificate>, FileProblem> {
    let problem = |message: String| FileProblem { line: None, message };
    let found = Certificate::from_pem(bytes).map_err(|error| problem(error.to_string()))?;
    if found.is_empty() { Err(problem("holds no CERTIFICATE section in PEM".to_owned())) } else { Ok(found) }
}

pub(super) fn parse_policy(bytes: &[u8]) -> Result<SigningPolicy, FileProblem> {
    let problem = |error: crate::signing_policy::SigningPolicyError| FileProblem {
        line: Some(error.line),
        message: error.message,
    };
    SigningPolicy::parse(bytes).map_err(problem)
}

pub(super) fn parse_list(bytes: &[u8]) -> Result<RevocationList, FileProblem> {
    RevocationList::parse(bytes).map_err(|error| FileProblem { line: None, message: error.to_string() })
}

/// Which files exist under a hash, and what tells one state of a file from another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamps {
    certificates: Vec<(PathBuf, Stamp)>,
    policy: Option<(PathBuf, Stamp)>,
    lists: Vec<(PathBuf, Stamp)>,
}

impl Stamps {
    pub(super) fn is_empty(&self) -> bool {
        self.certificates.is_empty() && self.policy.is_none() && self.lists.is_empty()
    }

    pub(super) fn take(directory: &Path, hash: &str) -> Self {
        let numbered = |prefix: &str| {
            // Looked up from 0 upwards; a gap ends the search (§8).
            let paths = (0..MAX_SAME_HASH).map(|number| directory.join(format!("{hash}.{prefix}{number}")));
            paths.map_while(|path| Stamp::of(&path).map(|stamp| (path, stamp))).collect()
        };
        let policy = directory.join(format!("{hash}.signing_policy"));
        let policy = Stamp::of(&policy).map(|stamp| (policy, stamp));
        Self { certificates: numbered(""), policy, lists: numbered("r") }
    }
}

/// State of a file that changes whenever its content may have.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    changed: (i64, i64),
    modified: (i64, i64),
}

impl Stamp {
    /// None when there is no such file. One that exists but cannot be looked at counts as existing.
    fn of(path: &Path) -> Option<Self> {
        match std::fs::metadata(path) {
            Ok(file) => Some(Self {
                inode: (file.dev(), file.ino()),
                size: file.size(),
                changed: (file.ctime(), file.ctime_nsec()),
                modified: (file.mtime(), file.mtime_nsec()),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => Some(Self { inode: (0, 0), size: 0, changed: (0, 0), modified: (0, 0) }),
        }
    }
}
