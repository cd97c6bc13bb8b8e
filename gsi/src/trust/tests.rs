//! Re-reading, and what `check` says.

use super::check::check;
use super::{RECHECK_INTERVAL, TrustDirectory};
use crate::chain::{ChainError, ChainPolicy, verify};
use crate::forge::{Holder, Plan, Site, after, now};
use crate::{Certificate, GsiError};
use std::time::Instant;

fn outcome(trust: &TrustDirectory, holder: &Holder) -> Result<(), ChainError> {
    match verify(std::slice::from_ref(&holder.certificate), trust, now()) {
        Ok(_) => Ok(()),
        Err(GsiError::Chain(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

/// Makes the directory believe that it last looked long ago, so that no test has to wait.
fn interval_passes(trust: &TrustDirectory) {
    let past = Instant::now().checked_sub(RECHECK_INTERVAL).unwrap();
    for cached in trust.lock().values_mut() {
        cached.looked_at = Some(past);
    }
}

fn site() -> (Site, Holder, Holder) {
    let ca = Plan::authority("/O=Grid/CN=CA", None).self_signed();
    let user = ca.issue(Plan::new("/O=Grid/CN=x"));
    (Site::trusting(&[&ca]), ca, user)
}

#[test]
fn changes_are_seen_after_the_interval() {
    let (site, ca, user) = site();
    let trust = site.trust();
    assert_eq!(outcome(&trust, &user), Ok(()));
    site.policy(&ca, r#""/O=Other/*""#);
    assert_eq!(outcome(&trust, &user), Ok(()), "not looked at again yet");
    interval_passes(&trust);
    assert!(matches!(outcome(&trust, &user), Err(ChainError::OutsidePolicy { .. })));
    site.policy(&ca, "*");
    site.write(&ca, "r0", ca.crl(&[&[17]], -60, 60));
    interval_passes(&trust);
    assert!(matches!(outcome(&trust, &user), Err(ChainError::Revoked { .. })));
    std::fs::remove_file(site.path(&ca, "r0")).unwrap();
    std::fs::remove_file(site.path(&ca, "0")).unwrap();
    interval_passes(&trust);
    assert!(matches!(outcome(&trust, &user), Err(ChainError::UnknownAuthority { .. })));
}

#[test]
fn broken_files_do_not_replace_good_ones() {
    let (site, ca, user) = site();
    site.write(&ca, "r0", ca.crl(&[], -60, 60));
    let trust = site.trust();
    assert_eq!(outcome(&trust, &user), Ok(()));
    for suffix in ["0", "r0", "signing_policy"] {
        site.write(&ca, suffix, "broken");
        interval_passes(&trust);
        assert_eq!(outcome(&trust, &user), Ok(()), "{suffix}");
        // And again, now that the broken file is the known one.
        interval_passes(&trust);
        assert_eq!(outcome(&trust, &user), Ok(()), "{suffix}");
    }
    assert!(outcome(&site.trust(), &user).is_err(), "a fresh start has nothing to fall back on");
}

#[test]
fn a_list_that_somebody_else_signed_does_not_replace_a_good_one() {
    let (site, ca, user) = site();
    site.write(&ca, "r0", ca.crl(&[], -60, 60));
    let trust = site.trust();
    assert_eq!(outcome(&trust, &user), Ok(()));
    let impostor = Plan::authority("/O=Grid/CN=CA", None).self_signed();
    site.write(&ca, "r0", impostor.crl(&[&[17]], -60, 60));
    interval_passes(&trust);
    assert_eq!(outcome(&trust, &user), Ok(()));
    site.write(&ca, "r0", ca.crl(&[&[17]], -60, 60));
    trust.look_again();
    assert!(matches!(outcome(&trust, &user), Err(ChainError::Revoked { .. })));
}

#[test]
fn a_directory_that_has_gone_takes_nobodys_trust_away() {
    let (site, _, user) = site();
    let trust = site.trust();
    assert_eq!(outcome(&trust, &user), Ok(()));
    let moved = site.directory.path().with_extension("moved");
    std::fs::rename(site.directory.path(), &moved).unwrap();
    interval_passes(&trust);
    let meanwhile = outcome(&trust, &user);
    std::fs::rename(&moved, site.directory.path()).unwrap();
    assert_eq!(meanwhile, Ok(()));
}

#[test]
fn an_expired_list_is_looked_at_without_waiting() {
    let (site, ca, user) = site();
    site.write(&ca, "r0", ca.crl(&[], -120, -60));
    let trust = site.trust();
    assert!(matches!(outcome(&trust, &user), Err(ChainError::CrlExpired { .. })));
    site.write(&ca, "r0", ca.crl(&[], -60, 60));
    assert_eq!(outcome(&trust, &user), Ok(()));
}

#[test]
fn strangers_leave_nothing_behind() {
    let (site, _, user) = site();
    let trust = site.trust();
    for number in 0..20 {
        let stranger = Plan::authority(&format!("/O=Stranger {number}"), None).self_signed();
        assert!(outcome(&trust, &stranger.issue(Plan::new("/O=x"))).is_err());
    }
    assert_eq!(outcome(&trust, &user), Ok(()));
    assert_eq!(trust.lock().len(), 1);
}

#[test]
fn a_directory_must_exist() {
    let error = TrustDirectory::open("/nonexistent/certificates").unwrap_err().to_string();
    assert!(error.contains("/nonexistent/certificates"), "{error}");
}

#[test]
fn check_is_silent_about_a_good_directory() {
    let (site, ca, _) = site();
    site.write(&ca, "r0", ca.crl(&[], -60, 60));
    site.write(&ca, "namespaces", "whatever");
    std::fs::write(site.directory.path().join("README.conf"), "whatever").unwrap();
    let old = format!("{}.0", ca.certificate.subject().old_hash());
    std::os::unix::fs::symlink(site.path(&ca, "0"), site.directory.path().join(old)).unwrap();
    assert_eq!(check(site.directory.path(), ChainPolicy::default(), now()), []);
}

#[test]
fn check_names_file_line_and_remedy() {
    let (site, ca, user) = site();
    let other = Plan::authority("/O=Other/CN=CA", None).valid(-7200, -3600).self_signed();
    let hash = other.certificate.subject().hash();
    site.write(&other, "3", other.certificate.to_pem());
    site.write(&ca, "1", user.certificate.to_pem());
    site.write(&ca, "signing_policy", "access_id_CA X509 'x'\n\nrubbish");
    site.write(&ca, "r0", ca.crl(&[], -120, -60));
    site.write(&ca, "r1", Plan::authority("/O=Grid/CN=CA", None).self_signed().crl(&[], 60, 120));
    site.write(&ca, "r2", "rubbish");
    let problems = check(site.directory.path(), ChainPolicy::default(), now());
    let said = |suffix: &str, holder: &Holder, text: &str| {
        let path = site.path(holder, suffix);
        assert!(
            problems.iter().any(|problem| problem.path == path && problem.message.contains(text)),
            "{suffix} {text}: {problems:#?}"
        );
    };
    said("3", &other, "number 0 is missing");
    said("3", &other, "expired");
    said("signing_policy", &other, "is missing");
    said("1", &ca, "is never looked for here");
    said("1", &ca, "says nothing of being a CA");
    said("signing_policy", &ca, "rubbish");
    said("r0", &ca, "out of date");
    said("r1", &ca, "not signed by");
    said("r1", &ca, "not valid before");
    said("r2", &ca, "X509 CRL");
    assert!(problems.iter().any(|problem| problem.line == Some(3)), "{problems:#?}");
    assert!(problems.iter().all(|problem| problem.path.starts_with(site.directory.path())), "{hash}");
}

#[test]
fn check_finds_old_names_and_empty_directories() {
    let (site, ca, _) = site();
    let bare = Site::trusting(&[]);
    assert!(
        check(bare.directory.path(), ChainPolicy::default(), now())[0].message.contains("no CA certificate")
    );
    let old = bare.directory.path().join(format!("{}.0", ca.certificate.subject().old_hash()));
    std::fs::copy(site.path(&ca, "0"), &old).unwrap();
    let problems = check(bare.directory.path(), ChainPolicy::default(), after(10));
    assert!(
        problems.iter().any(|problem| problem.path == old && problem.message.contains("link it as")),
        "{problems:#?}"
    );
    site.write(&ca, "signing_policy", "access_id_CA X509 '/O=Other'\npos_rights globus CA:sign\n");
    assert!(
        check(site.directory.path(), ChainPolicy::default(), now())[0]
            .message
            .contains("no entry for /O=Grid/CN=CA")
    );
}

#[test]
fn signatures_are_remembered_per_signer() {
    let (site, ca, user) = site();
    let trust = site.trust();
    assert_eq!(outcome(&trust, &user), Ok(()));
    let impostor: Certificate = Plan::authority("/O=Grid/CN=CA", None).self_signed().certificate;
    assert!(trust.verify_signature(&user.certificate, &impostor).is_err());
    assert!(trust.verify_signature(&user.certificate, &ca.certificate).is_ok());
}
