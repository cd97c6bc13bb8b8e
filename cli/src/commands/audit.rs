//! `gridiron audit`: what the gatekeeper decided.

use crate::{exit::Exit, failure::Failure, runtime::block_on, site, ui::Ui};
use gatekeeper::audit::{
    database::{Database, DatabaseError},
    entry::{Entry, Question},
    reader::{self, Broken},
};
use jiff::{Span, Timestamp, Zoned};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Lines brought into the database in one transaction.
const BATCH: usize = 1000;

/// Ask what the gatekeeper decided: who came, what for, what became of it and why
///
/// Reads the site's audit file and those it was before rotation, or with --database the site's audit database.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  gridiron audit --since 1h --outcome refused\n  \
    gridiron audit --job https://gk.example.org:40001/17/4/ --json | jq .reason")]
pub struct Args {
    /// Site file [default: $GRIDIRON_CONFIG, ./gridiron.toml, /etc/gridiron/gridiron.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read this audit file instead of the site's
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// Ask the site's audit database instead of its files
    #[arg(long, conflicts_with = "file")]
    database: bool,
    /// Bring all lines of the files into the site's audit database; those that are there already stay
    #[arg(long, conflicts_with_all = ["file", "database"])]
    import: bool,
    /// Not before: a time (2026-11-21T19:00:00Z), or how long ago (90m, 2h, 3d)
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    since: Option<Timestamp>,
    /// Before
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    until: Option<Timestamp>,
    /// Only this outcome
    #[arg(long, value_parser = ["granted", "rejected", "refused"])]
    outcome: Option<String>,
    /// Only this reason, by its code (docs/refusals.md)
    #[arg(long)]
    code: Option<String>,
    /// Only identities that contain this text
    #[arg(long, value_name = "TEXT")]
    identity: Option<String>,
    /// Only this local account
    #[arg(long)]
    account: Option<String>,
    /// Only this job, by its contact
    #[arg(long, value_name = "CONTACT")]
    job: Option<String>,
    /// Only this request, by the id in every log line
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// At most so many lines, the last ones
    #[arg(short = 'n', long, default_value_t = 100)]
    limit: u32,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let question = Question {
            since: self.since,
            until: self.until,
            request: self.request,
            outcome: self.outcome,
            code: self.code,
            identity: self.identity,
            account: self.account,
            job: self.job,
        };
        if let Some(file) = self.file {
            return show(ui, &from_files(ui, &file, &question, self.limit)?);
        }
        let site = site::load(&site::find(self.config.as_deref()))?.gatekeeper;
        if !self.database && !self.import {
            return show(ui, &from_files(ui, &site.audit, &question, self.limit)?);
        }
        let url = site.audit_database.ok_or_else(|| {
            Failure::new(Exit::Configuration, "the site file names no audit_database")
                .try_this("set audit_database in [gatekeeper], or leave out --database and --import")
        })?;
        block_on(async {
            let database = Database::open(&url).await?;
            if self.import {
                return import(ui, &site.audit, &database).await;
            }
            show(ui, &database.find(&question, self.limit).await?)
        })
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        let exit = match error {
            DatabaseError::Url(_) => Exit::Configuration,
            _ => Exit::Unreachable,
        };
        Self::new(exit, error.to_string())
    }
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    Failure::local(format!("cannot read {}", path.display()), error)
        .try_this("the audit file is the gatekeeper's: ask as its account or as root")
}

fn from_files(ui: &Ui, path: &Path, question: &Question, limit: u32) -> Result<Vec<Entry>, Failure> {
    let files = reader::files(path);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (found, broken) = reader::find(&files, question, limit).map_err(|error| cannot_read(path, &error))?;
    broken.iter().for_each(|broken| complain(ui, broken));
    Ok(found)
}

fn complain(ui: &Ui, Broken { file, line, reason }: &Broken) {
    ui.note(format!("{}:{line}: not an audit line: {reason}", file.display()));
}

async fn import(ui: &Ui, path: &Path, database: &Database) -> Result<Exit, Failure> {
    let mut count = 0;
    for file in reader::files(path) {
        let mut entries = Vec::new();
        reader::read(&file, |line| match line {
            Ok(entry) => entries.push(entry),
            Err(broken) => complain(ui, &broken),
        })
        .map_err(|error| cannot_read(&file, &error))?;
        count += entries.len();
        for batch in entries.chunks(BATCH) {
            database.add(batch).await?;
        }
    }
    ui.result(&json!({ "lines": count }), format!("{count} lines are in the database"));
    Ok(Exit::Success)
}

fn show(ui: &Ui, entries: &[Entry]) -> Result<Exit, Failure> {
    for entry in entries {
        ui.result(entry, line(entry));
    }
    if entries.is_empty() {
        ui.note("no such decision");
    }
    Ok(Exit::Success)
}

/// One decision for a person: when, what became of it, who, what for, where, why.
fn line(entry: &Entry) -> String {
    let time = entry.time.strftime("%F %T");
    let code = entry.code.as_ref().map_or_else(String::new, |code| format!(" ({code})"));
    let operation = entry.operation.as_deref().unwrap_or("-");
    let who = entry.identity.as_deref().or(entry.peer.as_deref()).unwrap_or("-");
    let account = entry.account.as_ref().map_or_else(String::new, |account| format!(" as {account}"));
    let rest =
        entry.reason.as_ref().or(entry.job.as_ref()).map_or_else(String::new, |rest| format!(": {rest}"));
    format!("{time}  {}{code}  {operation}  {who}{account}{rest}", entry.outcome)
}

/// A time, or how long ago.
fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago: Span = text
        .parse()
        .map_err(|_| "write a time such as 2026-11-21T19:00:00Z, or how long ago: 90m, 2h, 3d".to_owned())?;
    Zoned::now().checked_sub(ago).map(|then| then.timestamp()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        assert_eq!(moment("1970-01-01T00:00:10Z").unwrap().as_second(), 10);
        let ago = |text| Timestamp::now().as_second() - moment(text).unwrap().as_second();
        assert!((5400..5402).contains(&ago("90m")));
        assert!((3 * 86_400 - 3601..3 * 86_400 + 3602).contains(&ago("3d")));
        assert!(moment("yesterday").unwrap_err().contains("2h"));
    }

    #[test]
    fn a_line_says_all_that_matters() {
        let refused = r#"{"time":"2026-11-21T19:00:00Z","request":"r","outcome":"refused","code":"unmapped",
            "operation":"job","identity":"/CN=x","reason":"gridmap: nobody"}"#;
        assert_eq!(
            line(&Entry::parse(refused).unwrap()),
            "2026-11-21 19:00:00  refused (unmapped)  job  /CN=x: gridmap: nobody"
        );
    }
}
