//! `gridiron explain`: why is a job where it is (`job.rs`)? Would the site let them in, as whom, and by which line of which
//! file? That is asked of the code that the gatekeeper asks.

mod job;

use crate::{
    exit::Exit,
    failure::Failure,
    site::{
        self,
        launcher::{Launcher, check::objection},
    },
    ui::Ui,
};
use gatekeeper::{
    SiteRules,
    launch::LaunchError,
    policy::{Asker, Permit},
    refusal::Refusal,
    start::NotStarted,
};
use gram::wire::Target;
use gsi::{Certificate, Credential, Subject, certificate::CertificateType, chain::Examination};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// Say in words why a job is where it is; or whether a site would let somebody in, as whom, by which line of which file
///
/// With `subject`, `cert` or `proxy` it ends with 0 when they are let in, and with 1 when they are refused; then the code, the reason, and the file and line that
/// decided are told as the audit file would have them (docs/refusals.md).
#[derive(Debug, clap::Args)]
#[command(
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  gridiron explain https://grid.example.org:40001/16213/5981/\n  \
        gridiron explain cert ~/.globus/usercert.pem"
)]
pub struct Args {
    /// Job contact: say why this job is where it is, and what you can do
    #[arg(required = true, value_name = "JOB")]
    job: Option<String>,
    /// Site file [default: $GRIDIRON_CONFIG, ./gridiron.toml, /etc/gridiron/gridiron.toml]
    #[arg(short, long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The service they ask for
    #[arg(long, value_name = "NAME", default_value = "jobmanager", global = true)]
    service: String,
    /// The account they ask for [default: the first one of their gridmap line]
    #[arg(long, value_name = "NAME", global = true)]
    account: Option<String>,
    #[command(subcommand)]
    who: Option<Who>,
}

#[derive(Debug, clap::Subcommand)]
enum Who {
    /// Somebody of whom only the name is known; certificates are not looked at
    #[command(after_help = "Example: gridiron explain subject '/O=Grid/CN=Alice'")]
    Subject {
        /// Subject of the certificate, as `gridiron cert info` shows it
        name: String,
    },
    /// Somebody who shows this certificate
    #[command(after_help = "Example: gridiron explain cert ~/.globus/usercert.pem")]
    Cert {
        /// PEM file: the certificate, then the rest of its chain if there is more
        file: PathBuf,
    },
    /// Somebody who shows this proxy
    #[command(after_help = "Example: gridiron explain proxy /tmp/x509up_u1000 --service jobmanager-fork")]
    Proxy {
        /// Proxy file [default: $X509_USER_PROXY, /tmp/x509up_u<uid>]
        file: Option<PathBuf>,
    },
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        match (&self.job, &self.who) {
            (Some(contact), None) => job::run(ui, contact),
            (None, Some(who)) => self.judge(ui, who),
            (Some(_), Some(_)) => Err(Failure::new(Exit::Usage, "one question at a time, please")
                .try_this("a job contact, or one of: subject, cert, proxy")),
            (None, None) => Err(Failure::new(Exit::Usage, "explain what?")
                .try_this("gridiron explain JOB; or see gridiron explain --help")),
        }
    }

    fn judge(&self, ui: &Ui, who: &Who) -> Result<Exit, Failure> {
        let site = site::load(&site::find(self.config.as_deref()))?;
        let rules = SiteRules::ours(&site.gatekeeper).map_err(|error| {
            Failure::new(Exit::Configuration, error.to_string()).try_this("gridiron check")
        })?;
        let target = Target { service: self.service.clone(), account: self.account.clone(), ping: false };
        let now = Timestamp::now();
        let mut verdict = match who {
            Who::Subject { name } => {
                let asker = Asker::named(Subject::new(name.as_str()));
                Verdict::of(Vec::new(), Ok(asker), &rules, &target, now)
            }
            Who::Cert { file } => Verdict::of_chain(&certificates(file)?, &rules, &target, now),
            Who::Proxy { file } => {
                let file = file.clone().unwrap_or_else(gsi::credential::default_proxy_path);
                let credential = Credential::read(&file)?;
                let chain = credential.chain();
                let leaf = chain.first().map(Certificate::kind);
                if !leaf.is_some_and(CertificateType::is_proxy) {
                    let what = format!("{} holds no proxy", file.display());
                    let advice = format!("gridiron explain cert {}", file.display());
                    return Err(Failure::new(Exit::Input, what).try_this(advice));
                }
                Verdict::of_chain(chain, &rules, &target, now)
            }
        };
        if let Some(launcher) = &site.launcher {
            verdict.outcome = verdict.outcome.and_then(|permit| accepted(launcher, permit));
        }
        ui.result(&verdict.json(&target), verdict.text(&target));
        Ok(if verdict.outcome.is_ok() { Exit::Success } else { Exit::Negative })
    }
}

/// The permit, unless the launcher would start no job manager for its account.
fn accepted(launcher: &Launcher, permit: Permit) -> Result<Permit, Refusal> {
    match objection(launcher, permit.account()) {
        None => Ok(permit),
        Some(refusal) => {
            let account = permit.account().to_owned();
            Err(LaunchError::from(NotStarted::Refused { account, refusal }).into())
        }
    }
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, Failure> {
    let text = std::fs::read(file)
        .map_err(|error| Failure::local(format!("cannot read {}", file.display()), &error))?;
    match Certificate::from_pem(&text) {
        Ok(found) if found.is_empty() => {
            Err(Failure::new(Exit::Input, format!("{}: no certificate in it", file.display())))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(Failure::new(Exit::Input, format!("{}: {error}", file.display()))),
    }
}

/// Something that was gone by, and the file and line that say so.
struct Ground {
    says: String,
    file: Option<PathBuf>,
    line: Option<usize>,
}

impl Ground {
    fn new(says: String, place: Option<(&Path, Option<usize>)>) -> Self {
        let (file, line) = place.unzip();
        Self { says, file: file.map(Path::to_owned), line: line.flatten() }
    }

    fn place(&self) -> String {
        let file = self.file.as_deref().map(|file| file.display().to_string());
        match (file, self.line) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            (file, _) => file.unwrap_or_default(),
        }
    }

    fn json(&self) -> Value {
        json!({ "says": self.says, "file": self.file, "line": self.line })
    }
}

/// The answer.
struct Verdict {
    asker: Option<Asker>,
    /// What spoke for them.
    grounds: Vec<Ground>,
    outcome: Result<Permit, Refusal>,
}

impl Verdict {
    fn of_chain(chain: &[Certificate], rules: &SiteRules, target: &Target, now: Timestamp) -> Self {
        let Examination { evidence, outcome } = rules.examine(chain, now);
        let grounds = evidence.iter().map(|found| Ground::new(found.to_string(), found.place())).collect();
        let asker = outcome.map(|peer| Asker::from(&peer)).map_err(Refusal::Chain);
        Self::of(grounds, asker, rules, target, now)
    }

    /// As a connection would fare: first whether anybody is let in, then the chain, then the request.
    fn of(
        mut grounds: Vec<Ground>,
        asker: Result<Asker, Refusal>,
        rules: &SiteRules,
        target: &Target,
        now: Timestamp,
    ) -> Self {
        if let Err(closed) = rules.is_open() {
            return Self { asker: asker.ok(), grounds, outcome: Err(closed) };
        }
        let asker = match asker {
            Ok(asker) => asker,
            Err(refusal) => return Self { asker: None, grounds, outcome: Err(refusal) },
        };
        let outcome = rules.decide(&asker, target, now);
        if let Ok(permit) = &outcome {
            let place = (rules.gridmap_file(), Some(permit.line()));
            grounds.push(Ground::new(format!("mapped to {}", permit.account()), Some(place)));
        }
        Self { asker: Some(asker), grounds, outcome }
    }

    fn text(&self, target: &Target) -> String {
        let who = self.asker.as_ref().map_or("", |asker| asker.identity.as_str());
        let mut text = match &self.outcome {
            Ok(permit) => format!("{who} is let in to {} as {}", target.service, permit.account()),
            Err(refusal) => {
                let place = Ground::new(String::new(), refusal.place()).place();
                let by = if place.is_empty() { place } else { format!("\n  by {place}") };
                format!("refused ({}): {refusal}{by}", refusal.code())
            }
        };
        let width = self.grounds.iter().map(|ground| ground.says.chars().count()).max().unwrap_or_default();
        for ground in &self.grounds {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  {:<width$}  {}", ground.says, ground.place());
        }
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }

    fn json(&self, target: &Target) -> Value {
        let (permit, refusal) = (self.outcome.as_ref().ok(), self.outcome.as_ref().err());
        let decided = match (permit, refusal.and_then(Refusal::place)) {
            (Some(_), _) => self.grounds.last().map(Ground::json),
            (None, place) => Some(Ground::new(String::new(), place).json()),
        };
        let part = |name: &str| decided.as_ref().and_then(|decided| decided.get(name)).cloned();
        json!({
            "let_in": permit.is_some(),
            "identity": self.asker.as_ref().map(|asker| asker.identity.as_str()),
            "limited": self.asker.as_ref().map(|asker| asker.limited),
            "service": target.service,
            "account": permit.map(Permit::account),
            "code": refusal.map(Refusal::code),
            "reason": refusal.map(Refusal::to_string),
            "file": part("file"),
            "line": part("line"),
            "grounds": self.grounds.iter().map(Ground::json).collect::<Vec<_>>(),
        })
    }
}
