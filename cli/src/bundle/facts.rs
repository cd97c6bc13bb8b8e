//! Facts about the machine and the site that stand in no file as they are.

use crate::commands::cert;
use gsi::{Certificate, crl::RevocationList};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Files of the trust directory that are looked at.
const MAX_TRUST_FILES: usize = 2000;
/// Longest file of certificates, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// This program, the kernel, the distribution.
pub(super) fn versions(now: Timestamp) -> Value {
    let machine = rustix::system::uname();
    let part = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let distribution = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    json!({
        "gridiron": env!("CARGO_PKG_VERSION"),
        "speaks": { "version": gram::version::VERSION, "toolkit_version": gram::version::TOOLKIT_VERSION },
        "program": std::env::current_exe().ok(),
        "host": part(machine.nodename()),
        "kernel": format!("{} {} {}", part(machine.sysname()), part(machine.release()), part(machine.machine())),
        "distribution": distribution.map(|name| name.trim_matches('"')),
        "gathered": now,
        "gathered_by_uid": nix::unistd::geteuid().as_raw(),
    })
}

/// The host's certificate, the trusted authorities and their revocation lists. No key is opened.
pub(super) fn certificates(gatekeeper: &gatekeeper::Config) -> Value {
    let mut files: Vec<PathBuf> = fs::read_dir(&gatekeeper.trust)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| is_trust_file(&end.to_string_lossy())))
        .take(MAX_TRUST_FILES)
        .collect();
    files.sort();
    files.insert(0, gatekeeper.certificate.clone());
    files.iter().map(|path| facts(path)).collect()
}

/// `HASH.0` is an authority, `HASH.r0` a revocation list.
fn is_trust_file(end: &str) -> bool {
    let digits = end.strip_prefix('r').unwrap_or(end);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn facts(path: &Path) -> Value {
    let failed = |error: &dyn std::fmt::Display| json!({ "path": path, "error": error.to_string() });
    let bytes = match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => return failed(&"it is no plain file"),
        Ok(metadata) if metadata.len() > MAX_BYTES => return failed(&"it is too long"),
        Ok(_) => fs::read(path),
        Err(error) => Err(error),
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => return failed(&error),
    };
    if path.extension().is_some_and(|end| end.to_string_lossy().starts_with('r')) {
        return match RevocationList::parse(&bytes) {
            Ok(list) => json!({
                "path": path, "type": "revocation list", "issuer": list.issuer().subject().as_str(),
                "this_update": list.this_update(), "next_update": list.next_update(), "revoked": list.len(),
            }),
            Err(error) => failed(&error),
        };
    }
    match Certificate::from_pem(&bytes) {
        Ok(found) if found.is_empty() => failed(&"no certificate in it"),
        Ok(found) => found.iter().map(|certificate| cert::as_json(path, certificate)).collect(),
        Err(error) => failed(&error),
    }
}

/// Room in the file system that a folder is in.
pub(super) fn disk(folder: &Path) -> Value {
    match rustix::fs::statvfs(folder) {
        Ok(found) => json!({
            "folder": folder,
            "bytes": found.f_blocks.saturating_mul(found.f_frsize),
            "bytes_free": found.f_bavail.saturating_mul(found.f_frsize),
            "files": found.f_files,
            "files_free": found.f_favail,
        }),
        Err(error) => json!({ "folder": folder, "error": error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_trust_directory() {
        assert!(["0", "12", "r0"].into_iter().all(is_trust_file));
        assert!(!["signing_policy", "pem", "r", "", "key", "0x"].into_iter().any(is_trust_file));
    }
}
