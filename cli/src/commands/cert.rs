//! `gridiron cert`: requests for certificates, and what certificates say.

use super::passphrase;
use crate::{exit::Exit, failure::Failure, site::create, ui::Ui};
use gsi::{
    Certificate, TrustDirectory,
    authority::{self, Holder},
    certificate::CertificateType,
    chain,
    key::PrivateKey,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Ask for certificates, look into them, check them
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Request(Request),
    Info(Info),
    Verify(Verify),
}

/// Make a key and a request for a certificate, to be signed by an authority
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gridiron cert request --name '/O=Grid/OU=Our Lab/CN=Alice Smith'
  gridiron cert request --host grid.example.org --no-passphrase --out /etc/gridiron")]
struct Request {
    /// The name asked for [default for hosts: /O=Grid/CN=HOST]
    #[arg(long, value_name = "DN", required_unless_present = "host")]
    name: Option<String>,
    /// For a host of this name; may be repeated for more names of the same host
    #[arg(long, value_name = "HOST", num_args = 0..=1, default_missing_value = "")]
    host: Vec<String>,
    /// Folder for key and request [default: ~/.globus, for hosts the current folder]
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// RSA key size
    #[arg(long, value_name = "BITS", default_value_t = 2048)]
    bits: u32,
    /// Do not encrypt the key (hosts' keys never are)
    #[arg(long)]
    no_passphrase: bool,
    /// Read the new key's passphrase from standard input
    #[arg(long, conflicts_with = "no_passphrase")]
    passphrase_stdin: bool,
}

/// Show what certificates say
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron cert info ~/.globus/usercert.pem")]
struct Info {
    /// PEM files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Check a certificate chain as a peer would: signatures, validity, signing policy, revocation
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: gridiron cert verify --trust /etc/grid-security/certificates /tmp/x509up_u1000

Ends with 1 when it is not valid."
)]
struct Verify {
    /// Trust directory [default: $X509_CERT_DIR, ~/.globus/certificates, /etc/grid-security/certificates]
    #[arg(long, value_name = "DIR")]
    trust: Option<PathBuf>,
    /// PEM file with the chain, leaf first; a proxy file will do
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Request(args) => args.run(ui),
            Verb::Info(args) => args.run(ui),
            Verb::Verify(args) => args.run(ui),
        }
    }
}

impl Request {
    fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let hosts: Vec<String> = self
            .host
            .iter()
            .map(|name| if name.is_empty() { create::machine_name() } else { name.clone() })
            .collect();
        let (stem, folder, holder) = if hosts.is_empty() {
            ("user", std::env::home_dir().unwrap_or_default().join(".globus"), Holder::User)
        } else {
            ("host", PathBuf::from("."), Holder::Host { names: hosts.clone() })
        };
        let subject = match (self.name, hosts.first()) {
            (Some(name), _) => name,
            (None, Some(host)) => format!("/O=Grid/CN={host}"),
            (None, None) => return Err(Failure::new(Exit::Usage, "no name: give --name or --host")),
        };
        let folder = self.out.unwrap_or(folder);
        let key_path = folder.join(format!("{stem}key.pem"));
        let request_path = folder.join(format!("{stem}cert_request.pem"));

        let unencrypted = self.no_passphrase || !hosts.is_empty();
        let passphrase = passphrase::choose(unencrypted, self.passphrase_stdin, "the key")?;
        let bar = ui.progress("making a key");
        let key = PrivateKey::generate_rsa(self.bits)?;
        bar.finish_and_clear();
        let request = authority::request(&subject, &holder, &key)?;
        let key_text = match &passphrase {
            Some(passphrase) => key.to_encrypted_pem(passphrase)?,
            None => key.to_pem(),
        };
        create::make_folder(&folder, 0o755)?;
        create::write_new(&key_path, 0o600, key_text.as_bytes())?;
        create::write_new(&request_path, 0o644, request.as_bytes())?;
        let (key_path, request_path) = (key_path.display(), request_path.display());
        ui.result(
            &json!({ "subject": subject, "key": key_path.to_string(), "request": request_path.to_string() }),
            format!(
                "key      {key_path}\nrequest  {request_path}\nNext: have the request signed (gridiron ca sign), \
                 and put the certificate into {}/{stem}cert.pem",
                folder.display()
            ),
        );
        Ok(Exit::Success)
    }
}

impl Info {
    fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        for path in &self.files {
            for certificate in read(path)? {
                ui.result(&as_json(path, &certificate), describe(&certificate));
            }
        }
        Ok(Exit::Success)
    }
}

impl Verify {
    fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let trust = match &self.trust {
            Some(folder) => TrustDirectory::open(folder),
            None => TrustDirectory::open_default(),
        };
        let trust = trust.map_err(|error| Failure::new(Exit::Credential, error.to_string()))?;
        let path = self.file.display();
        match chain::verify(&read(&self.file)?, &trust, Timestamp::now()) {
            Ok(peer) => {
                let value = json!({
                    "ok": true, "identity": peer.identity.as_str(), "limited": peer.limited,
                    "expires": peer.expires, "problem": null,
                });
                ui.result(&value, format!("{path}: ok, {} until {}", peer.identity, peer.expires));
                Ok(Exit::Success)
            }
            Err(error) => {
                let value = json!({
                    "ok": false, "identity": null, "limited": null, "expires": null, "problem": error.to_string(),
                });
                ui.result(&value, format!("{path}: {error}"));
                Ok(Exit::Negative)
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let text = std::fs::read(path)
        .map_err(|error| Failure::local(format!("cannot read {}", path.display()), &error))?;
    match Certificate::from_pem(&text) {
        Ok(certificates) if certificates.is_empty() => {
            Err(Failure::new(Exit::Input, format!("{}: no certificate in it", path.display())))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(Failure::new(Exit::Input, format!("{}: {error}", path.display()))),
    }
}

fn describe(certificate: &Certificate) -> String {
    let mut text = format!(
        "subject  {}\nissuer   {}\ntype     {}\nvalid    {} to {}\nserial   {}\nhash     {} (old {})",
        certificate.subject().subject(),
        certificate.issuer().subject(),
        kind(certificate),
        certificate.not_before(),
        certificate.not_after(),
        serial(certificate),
        certificate.subject().hash(),
        certificate.subject().old_hash(),
    );
    if !certificate.dns_names().is_empty() {
        text += &format!("\nhosts    {}", certificate.dns_names().join(", "));
    }
    text
}

/// The facts of a certificate; none is secret.
pub(crate) fn as_json(path: &Path, certificate: &Certificate) -> Value {
    json!({
        "path": path,
        "subject": certificate.subject().subject().as_str(),
        "issuer": certificate.issuer().subject().as_str(),
        "type": kind(certificate),
        "not_before": certificate.not_before(),
        "not_after": certificate.not_after(),
        "serial": serial(certificate),
        "hash": certificate.subject().hash(),
        "old_hash": certificate.subject().old_hash(),
        "dns_names": certificate.dns_names(),
    })
}

fn serial(certificate: &Certificate) -> String {
    certificate.serial().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// For people and `--json`: `full RFC 3820 proxy`, `end-entity certificate` …
pub(super) fn kind(certificate: &Certificate) -> String {
    use gsi::{ProxyFormat, ProxyKind};
    match certificate.kind() {
        CertificateType::Authority => "certification authority".to_owned(),
        CertificateType::EndEntity => "end-entity certificate".to_owned(),
        CertificateType::Proxy(format, kind) => {
            let format = match format {
                ProxyFormat::Rfc => "RFC 3820",
                ProxyFormat::Draft => "draft",
                ProxyFormat::Legacy => "legacy",
            };
            let kind = match kind {
                ProxyKind::Full => "full",
                ProxyKind::Limited => "limited",
                ProxyKind::Independent => "independent",
                ProxyKind::Restricted => "restricted",
            };
            format!("{kind} {format} proxy")
        }
    }
}
