//! Making, reading and removing the user's proxy; used by `proxy …` and by the classic `grid-proxy-*`.

use crate::{exit::Exit, failure::Failure};
use gsi::{
    Credential, ProxyFormat, ProxyKind,
    credential::default_proxy_path,
    key::KeyError,
    proxy::{self, ProxyRequest},
};
use jiff::Timestamp;
use rustix::fs::{Mode, OFlags};
use std::{
    fs::File,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// What to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProxy {
    /// User certificate and key; `None`: `X509_USER_CERT`/`KEY`, then `~/.globus/user{cert,key}.pem`.
    pub issuer: Option<(PathBuf, PathBuf)>,
    /// Where to write; `None`: the default proxy path.
    pub out: Option<PathBuf>,
    /// Format; `None`: RFC.
    pub format: Option<ProxyFormat>,
    /// Full, limited, …
    pub kind: ProxyKind,
    /// Lifetime in seconds.
    pub lifetime: u64,
    /// RSA key size.
    pub bits: u32,
    /// Path length constraint.
    pub path_length: Option<u32>,
}

/// Lifetime of a proxy when nothing else is asked for: 12 hours, in seconds.
pub const DEFAULT_LIFETIME: u64 = 12 * 3600;

impl Default for NewProxy {
    fn default() -> Self {
        Self {
            issuer: None,
            out: None,
            format: None,
            kind: ProxyKind::Full,
            lifetime: DEFAULT_LIFETIME,
            bits: 2048,
            path_length: None,
        }
    }
}

/// Where the issuer's certificate and key are (existence is not checked).
pub fn issuer_paths(proxy: &NewProxy) -> (PathBuf, PathBuf) {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    proxy
        .issuer
        .clone()
        .or_else(|| Some((variable("X509_USER_CERT")?, variable("X509_USER_KEY")?)))
        .unwrap_or_else(|| {
            let folder = std::env::home_dir().unwrap_or_default().join(".globus");
            (folder.join("usercert.pem"), folder.join("userkey.pem"))
        })
}

/// Reads the issuer (asking `passphrase` only when the key is encrypted), signs the proxy, writes it; gives it and its path.
pub fn create(
    proxy: &NewProxy,
    passphrase: &mut dyn FnMut() -> Result<Zeroizing<String>, Failure>,
    now: Timestamp,
) -> Result<(Credential, PathBuf), Failure> {
    let (certificate, key) = issuer_paths(proxy);
    let issuer = read_issuer(&certificate, &key, passphrase)?;
    let request = ProxyRequest {
        format: proxy.format,
        kind: proxy.kind,
        lifetime: Some(proxy.lifetime),
        path_length: proxy.path_length,
    };
    let credential = proxy::create(&issuer, proxy.bits, &request, now)
        .map_err(|error| Failure::new(Exit::Credential, format!("cannot make the proxy: {error}")))?;
    let path = proxy.out.clone().unwrap_or_else(default_proxy_path);
    credential
        .write(&path)
        .map_err(|error| Failure::local(format!("cannot write the proxy to {}", path.display()), &error))?;
    Ok((credential, path))
}

/// Reads a user's key pair; `passphrase` is asked for once, and only when the key is encrypted.
pub fn read_issuer(
    certificate: &Path,
    key: &Path,
    passphrase: &mut dyn FnMut() -> Result<Zeroizing<String>, Failure>,
) -> Result<Credential, Failure> {
    let read = |passphrase: Option<&str>| Credential::read_pair(certificate, key, passphrase);
    let result = match read(None) {
        Err(error) if matches!(error.key_error(), Some(KeyError::PassphraseNeeded)) => {
            read(Some(&passphrase()?))
        }
        result => result,
    };
    result.map_err(|error| match error.key_error() {
        Some(KeyError::WrongPassphrase) => {
            Failure::new(Exit::Credential, format!("wrong passphrase for {}", key.display()))
        }
        _ => {
            let pair = format!("{} and {}", certificate.display(), key.display());
            Failure::new(Exit::Credential, format!("cannot use the certificate and key {pair}: {error}"))
                .try_this(
                    "--cert FILE --key FILE, or X509_USER_CERT and X509_USER_KEY, or ~/.globus/usercert.pem",
                )
        }
    })
}

/// Asks for a passphrase on the terminal, without showing it.
pub fn ask_passphrase(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| {
        Failure::new(Exit::Credential, format!("cannot ask for the passphrase: {error}"))
            .try_this("run on a terminal, or give the passphrase on standard input with --passphrase-stdin")
    })
}

/// Overwrites with zeros and removes. `Ok(false)`: there was none.
pub fn destroy(path: &Path) -> Result<bool, Failure> {
    match erase(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::local(format!("cannot remove {}", path.display()), &error)),
    }
}

fn erase(path: &Path) -> std::io::Result<()> {
    // Never through a link: somebody else's file must not be emptied.
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let mut file = File::from(file);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(std::io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
    }
    let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX).min(MAX_PROXY);
    file.write_all(&vec![0; length])?;
    file.sync_data()?;
    std::fs::remove_file(path)
}

/// No proxy file is longer; what is longer is not overwritten as a whole, only removed.
const MAX_PROXY: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destroying_removes_the_file_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proxy");
        std::fs::write(&path, "secret").unwrap();
        assert!(destroy(&path).unwrap());
        assert!(!path.exists());
        assert!(!destroy(&path).unwrap());
    }

    #[test]
    fn destroying_overwrites_what_other_names_still_show() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("proxy"), folder.path().join("other"));
        std::fs::write(&path, "secret").unwrap();
        std::fs::hard_link(&path, &other).unwrap();
        destroy(&path).unwrap();
        assert_eq!(std::fs::read(&other).unwrap(), [0; 6]);
    }

    #[test]
    fn destroying_does_not_follow_links() {
        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("proxy"), folder.path().join("target"));
        std::fs::write(&target, "mine").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(destroy(&path).is_err());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "mine");
    }

    #[test]
    fn an_issuer_that_was_named_is_used() {
        let issuer = Some((PathBuf::from("/c"), PathBuf::from("/k")));
        let proxy = NewProxy { issuer, ..NewProxy::default() };
        assert_eq!(issuer_paths(&proxy), (PathBuf::from("/c"), PathBuf::from("/k")));
    }
}
