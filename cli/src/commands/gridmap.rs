//! `gridiron gridmap`: who may use a site, and as whom.

use crate::{exit::Exit, failure::Failure, site::Problem, ui::Ui};
use gsi::{
    Gridmap, Subject,
    gridmap::{
        self,
        edit::{Added, GridmapText},
    },
};
use serde_json::json;
use std::path::PathBuf;

/// Say who may use this site, and as which local account
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The grid-mapfile [default: $GRIDMAP, /etc/grid-security/grid-mapfile, for non-root ~/.gridmap]
    #[arg(short, long, value_name = "FILE", global = true)]
    file: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Map a certificate's subject to local accounts
    #[command(after_help = "Example: gridiron gridmap add '/O=Grid/CN=Alice' alice

The first account is the default; .NAME stands for the pool of accounts that begin with NAME.")]
    Add {
        /// Subject of the certificate, as `gridiron cert info` shows it
        subject: String,
        /// Local accounts
        #[arg(required = true, value_name = "ACCOUNT")]
        accounts: Vec<String>,
    },
    /// Take a subject's accounts away
    #[command(after_help = "Example: gridiron gridmap remove '/O=Grid/CN=Alice'")]
    Remove {
        /// Subject of the certificate
        subject: String,
        /// Only these accounts [default: all]
        #[arg(value_name = "ACCOUNT")]
        accounts: Vec<String>,
    },
    /// Show all subjects and their accounts
    #[command(after_help = "Example: gridiron gridmap list --json")]
    List,
    /// Find malformed lines, and accounts this machine does not have
    #[command(after_help = "Example: gridiron gridmap check --file ~/site/grid-mapfile")]
    Check,
    /// Show which account a subject gets
    #[command(after_help = "Example: gridiron gridmap map '/O=Grid/CN=Alice'

Ends with 1 when there is none.")]
    Map {
        /// Subject of the certificate
        subject: String,
        /// An account asked for instead of the default
        account: Option<String>,
        /// Folder of the leases of pool accounts [default: $GRIDMAPDIR]
        #[arg(long, value_name = "DIR")]
        gridmapdir: Option<PathBuf>,
    },
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let Some(file) = self.file.or_else(gridmap::default_path) else {
            return Err(Failure::new(Exit::Usage, "no grid-mapfile: give --file FILE or set GRIDMAP"));
        };
        match self.verb {
            Verb::Add { subject, accounts } => {
                let mut text = GridmapText::read(&file)?;
                let subject = subject_of(subject)?;
                let added = text.add(&subject, &accounts).map_err(gsi::GsiError::from)?;
                let (changed, what) = match &added {
                    Added::Unchanged { .. } => (false, "was mapped so already"),
                    _ => (true, "mapped"),
                };
                if changed {
                    text.write(&file, false)?;
                }
                let value = json!({ "subject": subject.as_str(), "accounts": accounts, "changed": changed });
                ui.result(&value, format!("{subject} {what} to {}", accounts.join(", ")));
                Ok(Exit::Success)
            }
            Verb::Remove { subject, accounts } => {
                let mut text = GridmapText::read(&file)?;
                let subject = subject_of(subject)?;
                let removed = text.remove(&subject, &accounts);
                let changed = !removed.lines.is_empty() || !removed.changed.is_empty();
                if changed {
                    text.write(&file, false)?;
                }
                let what = if changed { "removed" } else { "has no such entry" };
                ui.result(
                    &json!({ "subject": subject.as_str(), "changed": changed }),
                    format!("{subject} {what}"),
                );
                Ok(if changed { Exit::Success } else { Exit::Negative })
            }
            Verb::List => {
                for entry in Gridmap::read(&file)?.entries() {
                    let value = json!({
                        "line": entry.line, "subject": entry.subject.as_str(), "accounts": entry.accounts,
                    });
                    ui.result(&value, format!("{}  {}", entry.accounts.join(","), entry.subject));
                }
                Ok(Exit::Success)
            }
            Verb::Check => {
                let problems = crate::site::check::gridmap_problems(&file);
                let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
                let ok = problems.is_empty();
                let text = if ok { format!("{}: ok", file.display()) } else { lines.join("\n") };
                ui.result(&json!({ "ok": ok, "file": file, "problems": problems }), text);
                Ok(if ok { Exit::Success } else { Exit::Negative })
            }
            Verb::Map { subject, account, gridmapdir } => {
                let pool = gridmapdir.or_else(|| std::env::var_os("GRIDMAPDIR").map(PathBuf::from));
                let subject = Subject::new(subject);
                match Gridmap::read(&file)?.map(&subject, account.as_deref(), pool.as_deref()) {
                    Ok(mapping) => {
                        let value = json!({
                            "subject": subject.as_str(), "account": mapping.account, "line": mapping.line,
                        });
                        ui.result(&value, &mapping.account);
                        Ok(Exit::Success)
                    }
                    Err(error) => {
                        let value = json!({ "subject": subject.as_str(), "account": null, "line": null });
                        ui.result(&value, format!("{}: {error}", file.display()));
                        Ok(Exit::Negative)
                    }
                }
            }
        }
    }
}

/// A subject worth writing into the file.
fn subject_of(text: String) -> Result<Subject, Failure> {
    if !text.starts_with('/') || !text.contains('=') {
        return Err(Failure::new(Exit::Input, format!("{text} is not a certificate's subject"))
            .try_this("one like /O=Grid/CN=Alice, as shown by: gridiron cert info FILE"));
    }
    Ok(Subject::new(text))
}
