//! Certificates that are wrong in one way each, made with `openssl`: other authorities, dates, revocation lists, proxies
//! against the rules. All use the keys of the shared authority and of its users, since keys take long to make.

use crate::pki::{Identity, Pki, openssl, run};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// A time, in days from now.
pub type Days = i64;

/// proxyCertInfo of a full proxy, and of one that allows no further proxy (gsi.md §5.2), in hex.
pub const FULL: &str = "300C300A06082B06010505071501";
/// A full proxy below which no other is allowed.
pub const FULL_AND_LAST: &str = "300F020100300A06082B06010505071501";

/// A proxy.
pub struct Proxy {
    /// As issuer of another one; `certificate` is its own and then its chain's.
    pub issuer: Identity,
    /// Certificate, key and chain, as clients want it.
    pub file: PathBuf,
}

/// Where the files of a test's certificates go.
pub struct Workshop<'a> {
    /// Whose keys are used.
    pub pki: &'a Pki,
    /// The folder.
    pub folder: &'a Path,
}

impl Workshop<'_> {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// An authority of this name, with the shared authority's key. Editions of one name differ in their dates only.
    pub fn authority(&self, name: &str, edition: &str, from: Days, until: Days) -> Identity {
        let subject = format!("/O=Gridiron/OU=e2e/CN={name}");
        let stem = format!("{}-{edition}", name.replace(' ', "-"));
        let request = self.file(&format!("{stem}.csr"));
        let key = self.pki.authority.key.clone();
        run(openssl(&["req", "-new", "-subj", &subject, "-key"]).arg(&key).arg("-out").arg(&request));
        let certificate = self.file(&format!("{stem}.pem"));
        let extensions = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";
        let mut command = self.ca(&stem, extensions);
        command.args(["-selfsign", "-keyfile"]).arg(&key).arg("-in").arg(&request);
        dates(&mut command, "-startdate", "-enddate", from, until);
        run(command.arg("-out").arg(&certificate));
        Identity { subject, certificate, key }
    }

    /// A user of an authority, with Alice's key unless another one is given.
    pub fn user(&self, authority: &Identity, name: &str, from: Days, until: Days, key: &Path) -> Identity {
        let subject = format!("/O=Gridiron/OU=e2e/CN={name}");
        let stem = name.replace(' ', "-");
        let request = self.file(&format!("{stem}.csr"));
        run(openssl(&["req", "-new", "-subj", &subject, "-key"]).arg(key).arg("-out").arg(&request));
        let certificate = self.file(&format!("{stem}.pem"));
        let mut command = self.ca(&stem, "keyUsage=critical,digitalSignature,keyEncipherment\n");
        command.arg("-cert").arg(&authority.certificate).arg("-keyfile").arg(&authority.key);
        command.arg("-in").arg(&request);
        dates(&mut command, "-startdate", "-enddate", from, until);
        run(command.arg("-out").arg(&certificate));
        Identity { subject, certificate, key: key.to_owned() }
    }

    /// A key nobody should use.
    pub fn short_key(&self) -> PathBuf {
        let key = self.file("short.key");
        run(openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out"]).arg(&key));
        key
    }

    /// `openssl ca`, the one command that takes dates, with a data base of its own.
    fn ca(&self, stem: &str, extensions: &str) -> Command {
        let folder = self.file(&format!("{stem}.ca"));
        fs::create_dir(&folder).expect("writable");
        fs::write(folder.join("index.txt"), "").expect("writable");
        for number in ["serial", "crlnumber"] {
            // Below 0x80, and of a length of its own for each name: no two certificates share a number.
            fs::write(folder.join(number), format!("10{:06X}\n", checksum(stem))).expect("writable");
        }
        let settings = format!(
            "[ca]\ndefault_ca = here\n[here]\ndatabase = {0}/index.txt\nserial = {0}/serial\ncrlnumber = {0}/crlnumber\n\
             new_certs_dir = {0}\ndefault_md = sha256\ndefault_crl_days = 1\nunique_subject = no\npolicy = any\nx509_extensions = x\n\
             [any]\nO = supplied\nOU = supplied\nCN = supplied\n[x]\n{extensions}",
            folder.display()
        );
        fs::write(folder.join("settings"), settings).expect("writable");
        let mut command = openssl(&["ca", "-batch", "-notext", "-preserveDN", "-config"]);
        command.arg(folder.join("settings"));
        command
    }

    /// A revocation list of the authority, installed in a trust directory.
    pub fn revoke(&self, authority: &Identity, users: &[&Identity], from: Days, until: Days, trust: &Path) {
        let stem = format!("list-{}-{from}-{until}", checksum(&authority.subject));
        let signer = |command: &mut Command| {
            command.arg("-cert").arg(&authority.certificate).arg("-keyfile").arg(&authority.key);
        };
        fs::remove_dir_all(self.file(&format!("{stem}.ca"))).ok();
        let mut list = self.ca(&stem, "");
        for user in users {
            let mut command = openssl(&["ca", "-config"]);
            command.arg(self.file(&format!("{stem}.ca/settings")));
            signer(&mut command);
            run(command.arg("-revoke").arg(&user.certificate));
        }
        signer(&mut list);
        list.arg("-gencrl");
        dates(&mut list, "-crl_lastupdate", "-crl_nextupdate", from, until);
        let made = self.file(&format!("{stem}.pem"));
        run(list.arg("-out").arg(&made));
        replace(&made, &trust.join(format!("{}.r0", hash(authority))));
    }

    /// A proxy of this issuer.
    pub fn proxy(&self, issuer: &Identity, name: &str, info: &str) -> Proxy {
        let part = |extension: &str| self.file(name).with_extension(extension);
        let number = checksum(name);
        let subject = format!("{}/CN={number}", issuer.subject);
        let key = &self.pki.carol.key;
        run(openssl(&["req", "-new", "-subj", &subject, "-key"]).arg(key).arg("-out").arg(part("csr")));
        let extensions = format!(
            "keyUsage=critical,digitalSignature,keyEncipherment\n1.3.6.1.5.5.7.1.14=critical,DER:{info}\n"
        );
        fs::write(part("ext"), extensions).expect("writable");
        let mut command = openssl(&["x509", "-req", "-days", "1", "-set_serial", &number.to_string()]);
        command.arg("-CA").arg(&issuer.certificate).arg("-CAkey").arg(&issuer.key);
        command.arg("-in").arg(part("csr")).arg("-extfile").arg(part("ext"));
        run(command.arg("-out").arg(part("own")));
        let [own, key_text, rest] =
            [&part("own"), key, &issuer.certificate].map(|part| fs::read(part).expect("just made"));
        let (file, certificate) = (part("proxy"), part("chain"));
        fs::write(&certificate, [&*own, &*rest].concat()).expect("writable");
        fs::write(&file, [own, key_text, rest].concat()).expect("writable");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("ours");
        Proxy { issuer: Identity { subject, certificate, key: key.clone() }, file }
    }
}

/// Puts the authority into a trust directory, with leave to sign what the pattern says; None: without a policy.
pub fn install(authority: &Identity, trust: &Path, pattern: Option<&str>) {
    let hash = hash(authority);
    replace(&authority.certificate, &trust.join(format!("{hash}.0")));
    let Some(pattern) = pattern else { return };
    let policy = format!(
        "access_id_CA X509 '{}'\npos_rights globus CA:sign\ncond_subjects globus '\"{pattern}\"'\n",
        authority.subject
    );
    fs::write(trust.join(format!("{hash}.signing_policy")), policy).expect("writable");
}

/// A trust directory that begins as a copy of another.
pub fn copy_trust(from: &Path, to: &Path) {
    fs::create_dir(to).expect("writable");
    for entry in fs::read_dir(from).expect("it is there").flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).expect("writable");
    }
}

/// The hash of the authority's name, by which its files are found.
pub fn hash(authority: &Identity) -> String {
    run(openssl(&["x509", "-noout", "-subject_hash"]).arg("-in").arg(&authority.certificate))
        .trim()
        .to_owned()
}

/// In one step, as careful administrators do.
fn replace(from: &Path, to: &Path) {
    let new = to.with_extension("new");
    fs::copy(from, &new).and_then(|_| fs::rename(&new, to)).expect("writable");
}

fn dates(command: &mut Command, start: &str, end: &str, from: Days, until: Days) {
    for (option, days) in [(start, from), (end, until)] {
        let mut date = Command::new("date");
        let date = run(date.args(["-u", "-d", &format!("{days} days"), "+%Y%m%d%H%M%SZ"]));
        command.args([option, date.trim()]);
    }
}

/// A small number that is the same for the same text.
fn checksum(text: &str) -> u32 {
    text.bytes().fold(7, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % 0x00FF_FFFF
}
