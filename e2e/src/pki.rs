//! A certificate authority, a host and users, made with `openssl` so that our own code has no part in it.

use crate::command;
use std::{
    env,
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

/// Where everybody's subject begins.
const ORGANISATION: &str = "/O=Gridiron/OU=e2e";

/// Days the certificates are good for.
const DAYS: &str = "3";

/// After this time all of it is made again.
const RENEW: Duration = Duration::from_secs(24 * 3600);

/// A person, or a host, with a certificate and a key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The subject, as a grid-mapfile writes it.
    pub subject: String,
    /// Certificate, PEM.
    pub certificate: PathBuf,
    /// Unencrypted key, PEM, mode 0600.
    pub key: PathBuf,
}

/// The authority and everybody it has certified.
#[derive(Debug, Clone)]
pub struct Pki {
    /// The authority itself; no host and no user.
    pub authority: Identity,
    /// Trust directory: the CA under its hash, and its signing policy.
    pub trust: PathBuf,
    /// The site: named after this machine, also good for `localhost`.
    pub host: Identity,
    /// A user the site knows; her certificate has a keyUsage, as most have.
    pub alice: Identity,
    /// A user the site knows, without keyUsage: only such a certificate may sign legacy proxies (gsi.md §5.4 rule 3).
    pub carol: Identity,
    /// A user of the same authority that the site does not know.
    pub mallory: Identity,
}

impl Pki {
    /// The authority of this build folder, made when there is none or it is old. RSA keys take long to make, so all
    /// tests share them; a lock keeps them from making it twice.
    pub fn shared() -> Self {
        let program = env::current_exe().expect("this program has a path");
        // target/<profile>/deps/<test> → target/e2e
        let target = program.ancestors().nth(3).expect("test programs lie below the target folder");
        let folder = target.join("e2e");
        fs::create_dir_all(&folder).expect("the target folder is writable");
        let lock = File::create(folder.join("lock")).expect("the target folder is writable");
        lock.lock().expect("file locks work here");
        let folder = folder.join("pki");
        let fresh = fs::metadata(folder.join("complete"))
            .and_then(|stamp| stamp.modified())
            .is_ok_and(|made| SystemTime::now().duration_since(made).is_ok_and(|age| age < RENEW));
        if !fresh {
            fs::remove_dir_all(&folder).ok();
            make(&folder);
        }
        let identity = |name: &str, common_name: &str| Identity {
            subject: format!("{ORGANISATION}/CN={common_name}"),
            certificate: folder.join(name).with_extension("pem"),
            key: folder.join(name).with_extension("key"),
        };
        Self {
            authority: Identity {
                subject: format!("{ORGANISATION}/CN=Test Authority"),
                certificate: folder.join("ca.pem"),
                key: folder.join("ca.key"),
            },
            trust: folder.join("certificates"),
            host: identity("host", &host_name()),
            alice: identity("alice", "Alice Adams"),
            carol: identity("carol", "Carol Clark"),
            mallory: identity("mallory", "Mallory Moss"),
        }
    }
}

/// The name by which programs on this machine reach each other: its own if that resolves, else `localhost`.
pub fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let resolves =
        std::net::ToSocketAddrs::to_socket_addrs(&(&*name, 0)).is_ok_and(|mut found| found.next().is_some());
    if resolves { name } else { "localhost".to_owned() }
}

/// Makes a proxy file of this person that ended yesterday, which no tool for proxies would make.
pub fn expired_proxy(identity: &Identity, file: &Path) {
    let part = |extension| file.with_extension(extension);
    let subject = format!("{}/CN=12345", identity.subject);
    let mut command = openssl(&["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", &subject]);
    run(command.arg("-keyout").arg(part("key")).arg("-out").arg(part("csr")));
    // A full RFC 3820 proxy (gsi.md §5.2).
    let extension = "1.3.6.1.5.5.7.1.14=critical,DER:300C300A06082B06010505071501\n";
    fs::write(part("ext"), extension).expect("writable");
    let mut command = openssl(&["x509", "-req", "-days", "-1", "-set_serial", "12345"]);
    command.arg("-CA").arg(&identity.certificate).arg("-CAkey").arg(&identity.key);
    run(command.arg("-in").arg(part("csr")).arg("-extfile").arg(part("ext")).arg("-out").arg(part("pem")));
    let parts =
        [&part("pem"), &part("key"), &identity.certificate].map(|part| fs::read(part).expect("just made"));
    fs::write(file, parts.concat()).expect("writable");
    fs::set_permissions(file, Permissions::from_mode(0o600)).expect("ours");
}

/// Answers a PKCS#10 request (DER) with a full proxy of this person (DER).
pub fn certify_request(identity: &Identity, request: &[u8], folder: &Path) -> Vec<u8> {
    let part = |extension| folder.join("delegated").with_extension(extension);
    fs::write(part("csr"), request).expect("writable");
    let extensions = "keyUsage=critical,digitalSignature,keyEncipherment\n\
                      1.3.6.1.5.5.7.1.14=critical,DER:300C300A06082B06010505071501\n";
    fs::write(part("ext"), extensions).expect("writable");
    let subject = format!("{}/CN=54321", identity.subject);
    let mut command =
        openssl(&["x509", "-req", "-inform", "DER", "-days", "1", "-set_serial", "54321", "-subj", &subject]);
    command.arg("-CA").arg(&identity.certificate).arg("-CAkey").arg(&identity.key);
    command.arg("-in").arg(part("csr")).arg("-extfile").arg(part("ext"));
    run(command.args(["-outform", "DER", "-out"]).arg(part("der")));
    fs::read(part("der")).expect("just made")
}

fn make(folder: &Path) {
    let trust = folder.join("certificates");
    fs::create_dir_all(&trust).expect("the target folder is writable");
    let authority = format!("{ORGANISATION}/CN=Test Authority");
    let (ca_key, ca) = (folder.join("ca.key"), folder.join("ca.pem"));
    let mut command =
        openssl(&["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", DAYS, "-subj", &authority]);
    command.args([
        "-addext",
        "basicConstraints=critical,CA:TRUE",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
    ]);
    run(command.arg("-keyout").arg(&ca_key).arg("-out").arg(&ca));

    // Under both hashes: the one of today's OpenSSL and the one from before version 1.0, which old tools look for.
    for hash in ["-subject_hash", "-subject_hash_old"] {
        let hash = run(openssl(&["x509", "-noout", hash]).arg("-in").arg(&ca));
        let hash = hash.trim();
        fs::copy(&ca, trust.join(format!("{hash}.0"))).expect("writable");
        let policy = format!(
            "access_id_CA X509 '{authority}'\npos_rights globus CA:sign\ncond_subjects globus '\"{ORGANISATION}/*\"'\n"
        );
        fs::write(trust.join(format!("{hash}.signing_policy")), policy).expect("writable");
    }

    let usage = "keyUsage=critical,digitalSignature,keyEncipherment\n";
    let host = host_name();
    certify(folder, "host", &host, &format!("{usage}subjectAltName=DNS:{host},DNS:localhost\n"));
    certify(folder, "alice", "Alice Adams", usage);
    certify(folder, "carol", "Carol Clark", "basicConstraints=CA:FALSE\n");
    certify(folder, "mallory", "Mallory Moss", usage);
    fs::write(folder.join("complete"), "").expect("writable");
}

/// Makes `<name>.key` and `<name>.pem`, with these extensions in openssl's notation.
fn certify(folder: &Path, name: &str, common_name: &str, extensions: &str) {
    let file = |extension| folder.join(name).with_extension(extension);
    let subject = format!("{ORGANISATION}/CN={common_name}");
    let mut command = openssl(&["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", &subject]);
    run(command.arg("-keyout").arg(file("key")).arg("-out").arg(file("csr")));
    fs::write(file("ext"), extensions).expect("writable");
    let mut command = openssl(&["x509", "-req", "-days", DAYS, "-CAcreateserial"]);
    command.arg("-CA").arg(folder.join("ca.pem")).arg("-CAkey").arg(folder.join("ca.key"));
    run(command.arg("-in").arg(file("csr")).arg("-extfile").arg(file("ext")).arg("-out").arg(file("pem")));
    fs::set_permissions(file("key"), Permissions::from_mode(0o600)).expect("ours");
    fs::set_permissions(file("pem"), Permissions::from_mode(0o644)).expect("ours");
}

pub(crate) fn openssl(arguments: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments);
    command
}

pub(crate) fn run(command: &mut Command) -> String {
    let mut owned = Command::new(command.get_program());
    owned.args(command.get_args());
    let finished = command::run(owned);
    assert_eq!(finished.code, 0, "{finished:#?}");
    finished.stdout
}
