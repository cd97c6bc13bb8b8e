//! The CA's own rules; what the rest of the world thinks of its work is in `tests/peers/proxies.rs`.

use super::*;
use crate::credential::FileProblem;
use crate::forge::known_rsa_key;
use crate::key::KeyError;
use crate::request::CertificateRequest;
use crate::signing_policy::SigningPolicy;
use std::os::unix::fs::PermissionsExt;
use std::sync::LazyLock;
use tempfile::TempDir;

static KEY: LazyLock<PrivateKey> = LazyLock::new(|| known_rsa_key(1));

fn named<'a>(name: &'a str, passphrase: Option<&'a str>) -> NewAuthority<'a> {
    NewAuthority { name, days: 30, bits: 2048, passphrase }
}

fn site() -> (TempDir, Authority) {
    let directory = TempDir::new().unwrap();
    let (folder, new) = (directory.path().join("ca"), named("/O=Grid/CN=Test CA", None));
    let authority = Authority::create_with_key(&folder, &new, known_rsa_key(0)).unwrap();
    (directory, authority)
}

fn wanted(subject: &str, holder: &Holder) -> CertificateRequest {
    CertificateRequest::from_pem(request(subject, holder, &KEY).unwrap().as_bytes()).unwrap()
}

#[test]
fn an_authority_is_opened_as_it_was_made_and_never_made_twice() {
    let (_directory, authority) = site();
    let again = Authority::open(authority.directory(), None).unwrap();
    assert_eq!(again.certificate(), authority.certificate());
    assert_eq!(again.certificate().kind(), CertificateType::Authority);
    let mode = std::fs::metadata(authority.directory().join("cakey.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let twice = Authority::create(authority.directory(), &named("/CN=Another", None)).unwrap_err();
    assert!(matches!(twice, GsiError::Authority(AuthorityError::Exists(_))), "{twice}");
}

#[test]
fn an_encrypted_key_needs_its_passphrase() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("ca");
    Authority::create(&path, &named("/O=Grid/CN=Test CA", Some("secret"))).unwrap();
    Authority::open(&path, Some("secret")).unwrap();
    let refusal = |passphrase| Authority::open(&path, passphrase).unwrap_err();
    assert!(matches!(refusal(None), GsiError::Key(KeyError::PassphraseNeeded)));
    assert!(matches!(refusal(Some("guess")), GsiError::Key(KeyError::WrongPassphrase)));
}

#[test]
fn a_key_others_may_read_is_not_used() {
    let (_directory, authority) = site();
    let key = authority.directory().join("cakey.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = Authority::open(authority.directory(), None).unwrap_err();
    let too_open = |error: &GsiError| {
        matches!(
            error,
            GsiError::Credential(CredentialError::File { problem: FileProblem::TooOpen { .. }, .. })
        )
    };
    assert!(too_open(&error), "{error}");
}

#[test]
fn a_certificate_gets_the_name_and_hosts_asked_for_and_is_in_the_index() {
    let (_directory, authority) = site();
    let holder = Holder::Host { names: vec!["gk.example.org".to_owned(), "*.example.org".to_owned()] };
    let certificate = authority.sign(&wanted("/O=Grid/CN=gk.example.org", &holder), &holder, 10).unwrap();
    assert_eq!(certificate.subject().subject().as_str(), "/O=Grid/CN=gk.example.org");
    assert_eq!(certificate.dns_names(), ["gk.example.org", "*.example.org"]);
    assert_eq!(certificate.kind(), CertificateType::EndEntity);
    let index = authority.index().unwrap();
    let [entry] = &index.entries[..] else { panic!("{index:?}") };
    assert_eq!((entry.subject.as_str(), entry.state), ("/O=Grid/CN=gk.example.org", State::Good));
    assert_eq!(entry.serial.len(), 32);
}

#[test]
fn no_certificate_outlives_the_authority() {
    let (_directory, authority) = site();
    let certificate = authority.sign(&wanted("/O=Grid/CN=x", &Holder::User), &Holder::User, 3650).unwrap();
    assert_eq!(certificate.not_after(), authority.certificate().not_after());
}

#[test]
fn a_name_its_own_policy_would_refuse_is_not_signed() {
    let (_directory, authority) = site();
    for outside in ["/O=Other/CN=x", "/O=Grid2/CN=x", "/CN=x"] {
        let error = authority.sign(&wanted(outside, &Holder::User), &Holder::User, 1).unwrap_err();
        assert!(matches!(error, GsiError::Authority(AuthorityError::OutsideNamespace { .. })), "{error}");
    }
}

#[test]
fn host_names_are_checked() {
    for bad in ["", "a b", "-a.example", "a..example", "ex*mple", "a.example\n"] {
        let holder = Holder::Host { names: vec![bad.to_owned()] };
        let error = request("/O=Grid/CN=x", &holder, &KEY).unwrap_err();
        assert!(matches!(error, GsiError::Authority(AuthorityError::BadHostName(_))), "{bad:?}: {error}");
    }
}

/// Names with everything that means something in a signing policy.
#[test]
fn the_policy_grants_what_the_authority_signs() {
    for name in
        ["/O=Grid/CN=Test CA", "/CN=Top", "/O=It's \"one\" *star*/CN=CA", "/DC=org/DC=x/O=a\\/b/CN=c\\/d"]
    {
        let directory = TempDir::new().unwrap();
        let authority = {
            let folder = directory.path().join("ca");
            Authority::create_with_key(&folder, &named(name, None), known_rsa_key(0)).unwrap()
        };
        let subject = format!("{}/CN=Grid User", authority.namespace());
        let certificate = authority.sign(&wanted(&subject, &Holder::User), &Holder::User, 1).unwrap();
        let policy = SigningPolicy::parse(authority.signing_policy().as_bytes()).unwrap();
        let decision =
            policy.permits(authority.certificate().subject().subject(), certificate.subject().subject());
        assert!(decision.is_ok(), "{name}: {decision:?}\n{}", authority.signing_policy());
    }
}

#[test]
fn revoking_is_done_once_and_only_for_what_was_issued() {
    let (_directory, authority) = site();
    let certificate = authority.sign(&wanted("/O=Grid/CN=x", &Holder::User), &Holder::User, 1).unwrap();
    authority.revoke(&certificate).unwrap();
    assert!(matches!(authority.index().unwrap().entries[0].state, State::Revoked(_)));
    let again = authority.revoke(&certificate).unwrap_err();
    assert!(matches!(again, GsiError::Authority(AuthorityError::AlreadyRevoked(_))), "{again}");
    let unknown = authority.revoke_serial("ABCD").unwrap_err();
    assert!(matches!(unknown, GsiError::Authority(AuthorityError::UnknownSerial(_))), "{unknown}");
}

#[test]
fn a_damaged_index_is_reported_with_its_line() {
    let (_directory, authority) = site();
    authority.sign(&wanted("/O=Grid/CN=x", &Holder::User), &Holder::User, 1).unwrap();
    let path = authority.directory().join("index");
    let good = std::fs::read_to_string(&path).unwrap();
    for bad in [
        "nonsense",
        "XY 2030-01-01T00:00:00Z good /CN=x",
        "0A tomorrow good /CN=x",
        "0A 2030-01-01T00:00:00Z lost /CN=x",
    ] {
        std::fs::write(&path, format!("{good}{bad}\n")).unwrap();
        let error = authority.index().unwrap_err();
        assert!(
            matches!(error, GsiError::Authority(AuthorityError::Damaged { line: 2, .. })),
            "{bad}: {error}"
        );
    }
}
