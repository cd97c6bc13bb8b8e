//! `gridiron ca`: a small certification authority, for sites and people without one.

use super::passphrase;
use crate::{exit::Exit, failure::Failure, site::create, ui::Ui};
use gsi::{
    Certificate,
    authority::{Authority, Holder, NewAuthority},
    request::CertificateRequest,
};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Be a certification authority: sign requests, revoke certificates, tell others whom to trust
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Init(Init),
    Sign(Sign),
    Revoke(Revoke),
    Crl(Crl),
    Install(Install),
}

/// Where the authority is, and how its key is opened.
#[derive(Debug, clap::Args)]
struct Place {
    /// Folder of the authority
    #[arg(long, value_name = "DIR", default_value = "ca")]
    ca: PathBuf,
    /// Read the key's passphrase from standard input
    #[arg(long)]
    passphrase_stdin: bool,
}

/// Make a new authority
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron ca init --ca ~/ca --name '/O=Grid/OU=Our Lab/CN=Our Lab CA'

It signs names that begin like its own, without the last part: here /O=Grid/OU=Our Lab/…")]
struct Init {
    #[command(flatten)]
    place: Place,
    /// Its name
    #[arg(long, value_name = "DN")]
    name: String,
    /// Lifetime
    #[arg(long, value_name = "DAYS", default_value_t = 3650)]
    days: u32,
    /// RSA key size
    #[arg(long, value_name = "BITS", default_value_t = 3072)]
    bits: u32,
    /// Do not encrypt its key
    #[arg(long, conflicts_with = "passphrase_stdin")]
    no_passphrase: bool,
}

/// Sign a request
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron ca sign --ca ~/ca usercert_request.pem --out usercert.pem")]
struct Sign {
    #[command(flatten)]
    place: Place,
    /// The request (PEM)
    #[arg(value_name = "REQUEST")]
    request: PathBuf,
    /// Where to write the certificate [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Lifetime
    #[arg(long, value_name = "DAYS", default_value_t = 395)]
    days: u32,
}

/// Revoke certificates, and write a new revocation list
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: gridiron ca revoke --ca ~/ca alice.pem && gridiron ca install --ca ~/ca /etc/grid-security/certificates"
)]
struct Revoke {
    #[command(flatten)]
    place: Place,
    /// Lifetime of the new list; a new one must be written before it ends
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    crl_days: u32,
    /// Certificates (PEM files)
    #[arg(required = true, value_name = "FILE")]
    certificates: Vec<PathBuf>,
}

/// Write a new revocation list
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron ca crl --ca ~/ca --days 30

Once a list has ended, peers that have it refuse every certificate of the authority: write a new one in time.")]
struct Crl {
    #[command(flatten)]
    place: Place,
    /// Lifetime of the list
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    days: u32,
}

/// Write what others need to trust this authority into a trust directory
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron ca install --ca ~/ca /etc/grid-security/certificates")]
struct Install {
    #[command(flatten)]
    place: Place,
    /// Trust directory [default: $X509_CERT_DIR, ~/.globus/certificates]
    #[arg(value_name = "DIR")]
    trust: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Init(args) => args.run(ui),
            Verb::Sign(args) => args.run(ui),
            Verb::Revoke(args) => args.run(ui),
            Verb::Crl(args) => args.run(ui),
            Verb::Install(args) => args.run(ui),
        }
    }
}

impl Place {
    fn open(&self) -> Result<Authority, Failure> {
        let prompt = format!("Passphrase of the authority in {}: ", self.ca.display());
        passphrase::unlock(self.passphrase_stdin, &prompt, |passphrase| Authority::open(&self.ca, passphrase))
    }
}

impl Init {
    fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let passphrase =
            passphrase::choose(self.no_passphrase, self.place.passphrase_stdin, "the authority's key")?;
        let new = NewAuthority {
            name: &self.name,
            days: self.days,
            bits: self.bits,
            passphrase: passphrase.as_ref().map(|text| text.as_str()),
        };
        let bar = ui.progress("making a key");
        let authority = Authority::create(&self.place.ca, &new)?;
        bar.finish_and_clear();
        let (name, folder) = (authority.certificate().subject().subject(), self.place.ca.display());
        ui.result(
            &json!({ "ca": self.place.ca, "name": name.as_str(), "signs": format!("{}/", authority.namespace()) }),
            format!("{name} in {folder}\nNext: gridiron ca install --ca {folder}; gridiron ca sign --ca {folder} REQUEST"),
        );
        Ok(Exit::Success)
    }
}

impl Sign {
    fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let request = CertificateRequest::from_pem(&read(&self.request)?)
            .map_err(|error| Failure::new(Exit::Input, format!("{}: {error}", self.request.display())))?;
        let holder = match request.dns_names() {
            [] => Holder::User,
            names => Holder::Host { names: names.to_vec() },
        };
        let certificate = self.place.open()?.sign(&request, &holder, self.days)?;
        let pem = certificate.to_pem();
        let subject = certificate.subject().subject();
        match &self.out {
            None => ui.result(&json!({ "subject": subject.as_str(), "certificate": pem }), pem.as_str()),
            Some(path) => {
                create::write_new(path, 0o644, pem.as_bytes())?;
                let value =
                    json!({ "subject": subject.as_str(), "path": path, "expires": certificate.not_after() });
                ui.result(
                    &value,
                    format!("{subject} in {}, until {}", path.display(), certificate.not_after()),
                );
            }
        }
        Ok(Exit::Success)
    }
}

impl Revoke {
    fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let authority = self.place.open()?;
        for path in &self.certificates {
            for certificate in Certificate::from_pem(&read(path)?)? {
                authority.revoke(&certificate)?;
                let subject = certificate.subject().subject();
                ui.result(&json!({ "revoked": subject.as_str() }), format!("{subject} revoked"));
            }
        }
        write_crl(ui, &authority, self.crl_days)
    }
}

impl Crl {
    fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        write_crl(ui, &self.place.open()?, self.days)
    }
}

impl Install {
    fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let authority = self.place.open()?;
        let trust = self.trust.unwrap_or_else(default_trust);
        create::make_folder(&trust, 0o755)?;
        let files = authority.install(&trust)?;
        let lines: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
        ui.result(&json!({ "trust": trust, "files": files }), lines.join("\n"));
        Ok(Exit::Success)
    }
}

fn write_crl(ui: &Ui, authority: &Authority, days: u32) -> Result<Exit, Failure> {
    let path = authority.write_crl(days)?;
    ui.result(
        &json!({ "crl": path, "days": days }),
        format!("{} for {days} days; hand it out with: gridiron ca install", path.display()),
    );
    Ok(Exit::Success)
}

fn default_trust() -> PathBuf {
    let named = std::env::var_os("X509_CERT_DIR").filter(|value| !value.is_empty());
    named
        .map(PathBuf::from)
        .unwrap_or_else(|| std::env::home_dir().unwrap_or_default().join(".globus/certificates"))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::local(format!("cannot read {}", path.display()), &error))
}
