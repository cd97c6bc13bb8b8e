//! `gridiron proxy`: the short-lived credential that jobs and transfers use in the user's name.

use super::{cert, passphrase};
use crate::{
    exit::Exit,
    failure::Failure,
    proxy::{self, NewProxy},
    ui::Ui,
};
use gsi::{Credential, ProxyFormat, ProxyKind, credential::default_proxy_path};
use jiff::Timestamp;
use serde_json::json;
use std::path::PathBuf;

/// Make, show and remove your proxy (the short-lived credential that acts for you)
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Init(Init),
    Info(Info),
    Destroy(Destroy),
}

/// Make a proxy from your certificate and key
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron proxy init --hours 24")]
struct Init {
    /// Lifetime
    #[arg(long, value_name = "HOURS", default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=24 * 365))]
    hours: u64,
    /// A proxy that may move files but not submit jobs
    #[arg(long, conflicts_with = "independent")]
    limited: bool,
    /// A proxy with an identity of its own
    #[arg(long)]
    independent: bool,
    /// How the proxy is marked
    #[arg(long, value_enum, default_value = "rfc")]
    format: Format,
    /// How many further proxies may be made from this one
    #[arg(long, value_name = "N")]
    path_length: Option<u32>,
    /// RSA key size
    #[arg(long, value_name = "BITS", default_value_t = 2048)]
    bits: u32,
    /// Your certificate [default: $X509_USER_CERT, ~/.globus/usercert.pem]
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Your private key [default: $X509_USER_KEY, ~/.globus/userkey.pem]
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Where to write it [default: $X509_USER_PROXY, /tmp/x509up_u<uid>]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Read the key's passphrase from standard input
    #[arg(long)]
    passphrase_stdin: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// RFC 3820, what everybody understands today
    Rfc,
    /// The drafts before it (GSI 3)
    Draft,
    /// Globus Toolkit 2 (GSI 2)
    Legacy,
}

/// Show the proxy
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron proxy info --valid-hours 1 || gridiron proxy init

Ends with 1 when the proxy has expired or is not valid long enough.")]
struct Info {
    /// Proxy file [default: $X509_USER_PROXY, /tmp/x509up_u<uid>]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Must be valid for so many hours yet
    #[arg(long, value_name = "HOURS", default_value_t = 0)]
    valid_hours: u32,
}

/// Remove the proxy
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gridiron proxy destroy")]
struct Destroy {
    /// Proxy file [default: $X509_USER_PROXY, /tmp/x509up_u<uid>]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Init(args) => args.run(ui),
            Verb::Info(args) => args.run(ui),
            Verb::Destroy(args) => args.run(ui),
        }
    }
}

impl Init {
    fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let kind = match (self.limited, self.independent) {
            (true, _) => ProxyKind::Limited,
            (false, true) => ProxyKind::Independent,
            (false, false) => ProxyKind::Full,
        };
        let format = match self.format {
            Format::Rfc => ProxyFormat::Rfc,
            Format::Draft => ProxyFormat::Draft,
            Format::Legacy => ProxyFormat::Legacy,
        };
        let new = NewProxy {
            issuer: self.cert.zip(self.key),
            out: self.out,
            format: Some(format),
            kind,
            lifetime: self.hours * 3600,
            bits: self.bits,
            path_length: self.path_length,
        };
        let from_stdin = self.passphrase_stdin;
        let (_, key) = proxy::issuer_paths(&new);
        let prompt = format!("Passphrase of {}: ", key.display());
        let mut passphrase = || passphrase::get(from_stdin, &prompt);
        let bar = ui.progress("making a key");
        let (credential, path) = proxy::create(&new, &mut passphrase, Timestamp::now())?;
        bar.finish_and_clear();
        let text = format!(
            "proxy for {}\nvalid until {}\nin {}",
            credential.identity(),
            local_time(credential.expires()),
            path.display()
        );
        ui.result(&describe(&credential, &path), text);
        Ok(Exit::Success)
    }
}

impl Info {
    fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let path = self.file.unwrap_or_else(default_proxy_path);
        let credential = Credential::read(&path).map_err(|error| {
            Failure::new(Exit::Credential, format!("cannot use the proxy {}: {error}", path.display()))
                .try_this("gridiron proxy init")
        })?;
        let seconds = seconds_left(&credential);
        let text = format!(
            "subject  {}\nidentity {}\ntype     {}\npath     {}\nexpires  {} ({})",
            credential.subject(),
            credential.identity(),
            kind(&credential),
            path.display(),
            local_time(credential.expires()),
            if seconds > 0 { format!("{} left", clock(seconds)) } else { "expired".to_owned() },
        );
        ui.result(&describe(&credential, &path), text);
        let enough = seconds > i64::from(self.valid_hours) * 3600;
        Ok(if enough { Exit::Success } else { Exit::Negative })
    }
}

impl Destroy {
    fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let path = self.file.unwrap_or_else(default_proxy_path);
        let existed = proxy::destroy(&path)?;
        let text = if existed { "removed" } else { "there was no proxy" };
        ui.result(&json!({ "path": path, "removed": existed }), format!("{}: {text}", path.display()));
        Ok(Exit::Success)
    }
}

fn describe(credential: &Credential, path: &std::path::Path) -> serde_json::Value {
    json!({
        "path": path,
        "subject": credential.subject().as_str(),
        "identity": credential.identity().as_str(),
        "type": kind(credential),
        "limited": credential.is_limited(),
        "expires": credential.expires(),
        "seconds_left": seconds_left(credential).max(0),
    })
}

fn kind(credential: &Credential) -> String {
    credential.chain().first().map(cert::kind).unwrap_or_default()
}

fn seconds_left(credential: &Credential) -> i64 {
    credential.expires().as_second() - Timestamp::now().as_second()
}

/// `11:59:58`.
fn clock(seconds: i64) -> String {
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn local_time(instant: Timestamp) -> String {
    instant.to_zoned(jiff::tz::TimeZone::system()).strftime("%F %T %Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_counts_past_a_day() {
        assert_eq!(clock(59), "0:00:59");
        assert_eq!(clock(100 * 3600 + 61), "100:01:01");
    }
}
