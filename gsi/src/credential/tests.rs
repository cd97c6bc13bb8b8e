//! Credential files: order, permissions, search.

use super::search::Environment;
use super::*;
use crate::authority::{Authority, Holder, NewAuthority};
use crate::forge::known_rsa_key;
use crate::proxy::{self, ProxyRequest};
use crate::{Name, ProxyFormat};
use jiff::SignedDuration;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::LazyLock;
use tempfile::TempDir;

/// A user's credential and a proxy of it; made once, as keys are slow to make.
static MADE: LazyLock<(Certificate, Credential, Credential)> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let new = NewAuthority { name: "/O=Grid/CN=Test CA", days: 30, bits: 2048, passphrase: None };
    let folder = directory.path().join("ca");
    let authority = Authority::create_with_key(&folder, &new, known_rsa_key(0)).unwrap();
    let key = known_rsa_key(1);
    let subject = Name::parse_one_line("/O=Grid/CN=Grid User").unwrap();
    let certificate = authority.issue(&subject, &key.public_key_info(), &Holder::User, 10).unwrap();
    let user = Credential::new(vec![certificate], key).unwrap();
    let request = ProxyRequest {
        format: Some(ProxyFormat::Rfc),
        kind: ProxyKind::Limited,
        lifetime: Some(3600),
        path_length: None,
    };
    let proxy = proxy::create(&user, 2048, &request, Timestamp::now()).unwrap();
    (authority.certificate().clone(), user, proxy)
});

fn user() -> &'static Credential {
    &MADE.1
}

fn proxy() -> &'static Credential {
    &MADE.2
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn labels(pem: &str) -> Vec<&str> {
    pem.lines().filter_map(|line| line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")).collect()
}

#[test]
fn a_proxy_file_has_the_order_of_the_stock_tools_and_reads_back() {
    let pem = proxy().to_pem();
    assert_eq!(labels(&pem), ["CERTIFICATE", "PRIVATE KEY", "CERTIFICATE"]);
    let again = Credential::from_pem(pem.as_bytes()).unwrap();
    assert_eq!(again.chain(), proxy().chain());
    assert_eq!(again.identity(), user().subject());
    assert!(again.is_limited());
    assert_eq!(again.expires(), proxy().leaf().not_after());
}

#[test]
fn certificates_may_stand_in_any_order_with_strangers_among_them() {
    let (authority, user, proxy) = &*MADE;
    let shuffled = vec![authority.clone(), user.leaf().clone(), user.leaf().clone(), proxy.leaf().clone()];
    let sorted = Credential::new(shuffled, proxy.key().clone()).unwrap();
    assert_eq!(sorted.chain(), [proxy.leaf().clone(), user.leaf().clone(), authority.clone()]);
}

#[test]
fn a_proxy_alone_still_has_the_identity_of_its_maker() {
    let alone = Credential::new(vec![proxy().leaf().clone()], proxy().key().clone()).unwrap();
    assert_eq!(alone.identity(), user().subject());
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let mismatch = Credential::new(vec![user().leaf().clone()], proxy().key().clone()).unwrap_err();
    assert!(matches!(mismatch, GsiError::Credential(CredentialError::KeyMismatch(_))), "{mismatch}");

    let many = vec![user().leaf().clone(); MAX_CHAIN_LENGTH + 1];
    let many = Credential::new(many, user().key().clone()).unwrap_err();
    assert!(matches!(many, GsiError::Credential(CredentialError::TooManyCertificates(101))), "{many}");

    let refusal = |pem: &str| Credential::from_pem(pem.as_bytes()).unwrap_err().to_string();
    let pem = user().to_pem();
    assert_eq!(refusal(""), KeyError::Missing.to_string());
    assert!(refusal(&format!("{}{}", *pem, *user().key().to_pem())).contains("more than one private key"));
    let foreign = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
    assert!(refusal(&format!("{}{foreign}", *pem)).contains("X509 CRL"));
    assert_eq!(refusal(&user().key().to_pem()), CredentialError::NoCertificate.to_string());
}

#[test]
fn debug_output_shows_nothing_secret() {
    let text = format!("{:?}", user());
    assert!(text.starts_with("Credential { subject: Subject(\"/O=Grid/CN=Grid User\")"), "{text}");
}

#[test]
fn a_written_proxy_is_private_and_replaces_a_link_instead_of_following_it() {
    let directory = TempDir::new().unwrap();
    let (path, victim) = (directory.path().join("proxy"), directory.path().join("victim"));
    std::fs::write(&victim, "precious").unwrap();
    symlink(&victim, &path).unwrap();
    proxy().write(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    let metadata = std::fs::symlink_metadata(&path).unwrap();
    assert!(metadata.is_file());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "no temporary file is left");
    assert_eq!(Credential::read(&path).unwrap().subject(), proxy().subject());
}

#[test]
fn a_proxy_that_cannot_be_written_leaves_nothing_behind() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("taken");
    std::fs::create_dir(&path).unwrap();
    let error = proxy().write(&path).unwrap_err();
    assert!(error.to_string().contains("taken"), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn files_that_let_others_in_are_refused_with_the_command_that_helps() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("proxy");
    proxy().write(&path).unwrap();
    for mode in [0o640, 0o604, 0o700, 0o601] {
        chmod(&path, mode);
        let error = Credential::read(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("{mode:04o}")), "{error}");
        assert!(error.contains(&format!("chmod 600 {}", path.display())), "{error}");
    }
    chmod(&path, 0o400);
    Credential::read(&path).unwrap();
}

#[test]
fn a_certificate_file_may_be_read_by_all_but_written_by_none() {
    let directory = TempDir::new().unwrap();
    let (certificate, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    std::fs::write(&certificate, user().leaf().to_pem()).unwrap();
    write_private(&key, user().key().to_pem().as_bytes()).unwrap();
    chmod(&certificate, 0o644);
    Credential::read_pair(&certificate, &key, None).unwrap();
    for mode in [0o664, 0o646, 0o755] {
        chmod(&certificate, mode);
        let error = Credential::read_pair(&certificate, &key, None).unwrap_err().to_string();
        assert!(error.contains("chmod 644"), "{error}");
    }
}

#[test]
fn odd_files_are_refused_for_what_they_are() {
    let directory = TempDir::new().unwrap();
    let refusal = |name: &str| Credential::read(&directory.path().join(name)).unwrap_err().to_string();
    std::fs::write(directory.path().join("empty"), "").unwrap();
    chmod(&directory.path().join("empty"), 0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, directory.path().join("fifo"), rustix::fs::Mode::RUSR).unwrap();
    assert!(refusal("absent").ends_with("no such file"));
    assert!(refusal("empty").ends_with("the file is empty"));
    assert!(refusal("fifo").ends_with("not a regular file"));
    let large = directory.path().join("large");
    std::fs::File::create(&large).unwrap().set_len(MAX_PEM_BYTES as u64 + 1).unwrap();
    chmod(&large, 0o600);
    assert!(refusal("large").contains("at most"));
}

/// A home, a /etc/grid-security and variables of our own.
struct Place {
    directory: TempDir,
    environment: Environment,
}

impl Place {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        for folder in ["home/.globus", "grid-security"] {
            std::fs::create_dir_all(directory.path().join(folder)).unwrap();
        }
        let mut environment = Environment {
            home: Some(directory.path().join("home")),
            uid: u32::MAX,
            grid_security: directory.path().join("grid-security"),
            ..Environment::default()
        };
        // Or /tmp/x509up_u4294967295 would be a candidate.
        environment.variables.insert("X509_USER_PROXY", directory.path().join("proxy").into());
        Self { directory, environment }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn pair(&self, prefix: &str, credential: &Credential) {
        let certificate = self.path(&format!("{prefix}cert.pem"));
        std::fs::write(&certificate, credential.leaf().to_pem()).unwrap();
        chmod(&certificate, 0o644);
        write_private(&self.path(&format!("{prefix}key.pem")), credential.key().to_pem().as_bytes()).unwrap();
    }

    fn find(&self, purpose: Purpose) -> Result<Credential, GsiError> {
        self.environment.find(purpose, Timestamp::now())
    }
}

#[test]
fn a_person_uses_the_proxy_first_and_then_the_key() {
    let place = Place::new();
    place.pair("home/.globus/user", user());
    assert_eq!(place.find(Purpose::User).unwrap().subject(), user().subject());
    proxy().write(&place.path("proxy")).unwrap();
    assert_eq!(place.find(Purpose::User).unwrap().subject(), proxy().subject());
    assert_eq!(place.environment.proxy_path(), place.path("proxy"));
}

#[test]
fn a_service_uses_the_host_certificate_first() {
    let place = Place::new();
    proxy().write(&place.path("proxy")).unwrap();
    assert_eq!(place.find(Purpose::Host).unwrap().subject(), proxy().subject());
    place.pair("grid-security/host", user());
    assert_eq!(place.find(Purpose::Host).unwrap().subject(), user().subject());
}

#[test]
fn a_proxy_that_lets_others_in_is_passed_over_and_named_in_the_end() {
    let place = Place::new();
    proxy().write(&place.path("proxy")).unwrap();
    chmod(&place.path("proxy"), 0o640);
    let error = place.find(Purpose::User).unwrap_err().to_string();
    for expected in ["chmod 600", "home/.globus/usercert.pem: not there", "gridiron proxy init"] {
        assert!(error.contains(expected), "{expected:?} is missing in {error}");
    }
    place.pair("home/.globus/user", user());
    assert_eq!(place.find(Purpose::User).unwrap().subject(), user().subject());
}

#[test]
fn an_encrypted_key_is_passed_over() {
    let place = Place::new();
    place.pair("home/.globus/user", user());
    let encrypted = user().key().to_encrypted_pem("secret").unwrap();
    write_private(&place.path("home/.globus/userkey.pem"), encrypted.as_bytes()).unwrap();
    let error = place.find(Purpose::User).unwrap_err().to_string();
    assert!(error.contains("passphrase is needed"), "{error}");
}

#[test]
fn a_damaged_or_expired_credential_ends_the_search() {
    let place = Place::new();
    place.pair("home/.globus/user", user());
    write_private(&place.path("proxy"), b"-----BEGIN NONSENSE-----\nAAAA\n-----END NONSENSE-----\n").unwrap();
    let error = place.find(Purpose::User).unwrap_err().to_string();
    assert!(error.contains("proxy: unexpected PEM block NONSENSE"), "{error}");

    proxy().write(&place.path("proxy")).unwrap();
    let later = Timestamp::now() + SignedDuration::from_hours(2);
    let error = place.environment.find(Purpose::User, later).unwrap_err();
    assert!(matches!(error, GsiError::Credential(CredentialError::Expired { .. })), "{error}");
}
