//! `gridiron cp`: files between this machine and servers, and from server to server.

mod plan;

use crate::{
    copying::{list, place, progress::Progress},
    exit::Exit,
    failure::Failure,
    runtime::block_on,
    session::Session,
    ui::Ui,
};
use gass::{
    Client, GassError,
    copy::{
        Options, Place,
        many::{Many, Outcome, PARALLEL},
        retry,
    },
};
use gsi::{Expect, Subject};
use indicatif::ProgressBar;
use plan::Plan;
use serde_json::json;
use std::{path::PathBuf, sync::Arc, time::Duration};

/// Copy files: https: and http: URLs of GASS servers, file: URLs, paths, and - for standard input or output
///
/// Under its name there is the old file or all of the new one, never a part; what breaks off is taken up again where the
/// server can do that. By default a server must be your own (run with your credential): say --subject or --host otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gridiron cp data.txt https://grid.example.org:40001/home/me/data.txt
  gridiron cp -r https://grid.example.org:40001/results/ results/
  gridiron cp --checksum a b c https://grid.example.org:40001/incoming/
  gridiron cp --subject '/O=Grid/CN=host/grid.example.org' https://grid.example.org/f .
  gridiron cp -f pairs.txt

A directory ends with a slash. From a server it takes one of Gridiron's to list it.")]
pub struct Args {
    /// Copy directories, with all that is in them
    #[arg(short, long)]
    recursive: bool,
    /// Copy the pairs in this file: on each line source and destination, in double quotes if need be
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["places", "recursive"])]
    file: Option<PathBuf>,
    /// How many files at once
    #[arg(short, long, value_name = "N", default_value_t = PARALLEL)]
    parallel: usize,
    /// Compare checksums; fail where there is none to compare with
    #[arg(short, long)]
    checksum: bool,
    /// Go on with the other files after a failure
    #[arg(short, long)]
    keep_going: bool,
    /// Make the directories that the copies need
    #[arg(short, long)]
    mkdir: bool,
    /// How often to try again what may pass, such as a broken connection
    #[arg(long, value_name = "N", default_value_t = retry::RETRIES)]
    retries: u32,
    /// Whom the servers must be
    #[arg(short, long, value_name = "DN", conflicts_with = "host")]
    subject: Option<String>,
    /// Whom the server of the source must be
    #[arg(long, value_name = "DN", conflicts_with = "host")]
    source_subject: Option<String>,
    /// Whom the server of the destination must be
    #[arg(long, value_name = "DN", conflicts_with = "host")]
    dest_subject: Option<String>,
    /// Servers show the certificate of their host
    #[arg(long)]
    host: bool,
    /// Allow http:, which keeps nothing secret, and where nobody knows who answers
    #[arg(long)]
    insecure: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// Sources, then the destination
    #[arg(value_name = "SRC... DST")]
    places: Vec<String>,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let plan = self.plan()?;
        let client = client(&plan)?;
        let options = Options {
            checksum: self.checksum,
            retries: self.retries,
            pause: None,
            make_directories: self.mkdir,
        };
        block_on(async {
            let copying = self.copy(ui, &client, plan, options);
            tokio::select! {
                done = copying => done,
                // What is begun is dropped, and its temporary files with it.
                _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, "interrupted")),
            }
        })
    }

    /// What the command line asks for.
    fn plan(&self) -> Result<Plan, Failure> {
        let place = |text: &str, subject: &Option<String>| {
            let place = place::parse(text, &self.expect(text, subject))?;
            match &place {
                Place::Remote(url, _) if !self.insecure && url.is_plain_http() => {
                    let what =
                        format!("{text}: with http nobody knows who answers, and everybody can read along");
                    Err(Failure::new(Exit::Usage, what)
                        .try_this("https:, or --insecure if that is all right"))
                }
                _ => Ok(place),
            }
        };
        let source = |text: &str| place(text, &self.source_subject);
        let destination = |text: &str| place(text, &self.dest_subject);
        if let Some(file) = &self.file {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::local(format!("cannot read {}", file.display()), &error))?;
            let pairs = list::parse(&text).map_err(|list::BadLine(line)| {
                Failure::new(Exit::Input, format!("{}:{line}: not a pair", file.display()))
                    .try_this("SOURCE DESTINATION, each in double quotes if it contains blanks")
            })?;
            let pairs = pairs.iter().map(|pair| {
                Ok(plan::Pair {
                    from: source(&pair.from)?,
                    to: destination(&pair.to)?,
                    offset: pair.offset.unwrap_or(0),
                    length: pair.length,
                })
            });
            return Ok(Plan::Pairs(pairs.collect::<Result<_, Failure>>()?));
        }
        let [sources @ .., last] = self.places.as_slice() else {
            return Err(missing());
        };
        if sources.is_empty() {
            return Err(missing());
        }
        let from = sources.iter().map(|text| source(text)).collect::<Result<_, _>>()?;
        Ok(Plan::Into { from, to: destination(last)?, recursive: self.recursive })
    }

    /// Whom the server of this URL must be.
    fn expect(&self, text: &str, subject: &Option<String>) -> Expect {
        match subject.as_ref().or(self.subject.as_ref()) {
            Some(subject) => Expect::Identity(Subject::new(subject)),
            None if self.host => match text.parse() {
                Ok(gass::Url::Http { host, .. }) => Expect::Host(host),
                _ => Expect::Myself,
            },
            None => Expect::Myself,
        }
    }

    async fn copy(&self, ui: &Ui, client: &Client, plan: Plan, options: Options) -> Result<Exit, Failure> {
        let transfers = plan.transfers(client).await?;
        let all = transfers.len();
        let tell: fn(&ProgressBar, &GassError, Duration) = if ui.json { |_, _, _| () } else { tell };
        let progress = Arc::new(Progress::new(all, !ui.json && !self.quiet, tell));
        let mut failures = Vec::new();
        let seen = Arc::clone(&progress);
        let each = |outcome: Outcome| {
            progress.ended();
            failures.extend(show(ui, &progress, outcome, self.keep_going));
        };
        let many = Many { parallel: self.parallel, keep_going: self.keep_going };
        client.copy_all(transfers, many, options, seen, each).await;
        progress.clear();
        let failed = failures.len();
        match failures.into_iter().next() {
            None => Ok(Exit::Success),
            Some(first) if !self.keep_going => Err(first),
            Some(first) => Err(Failure::new(first.exit, format!("{failed} of {all} copies failed"))),
        }
    }
}

/// Tells what became of a copy; the failure, if it is one.
fn show(ui: &Ui, progress: &Progress, outcome: Outcome, keep_going: bool) -> Option<Failure> {
    let (from, to) = (outcome.transfer.from.to_string(), outcome.transfer.to.to_string());
    match outcome.result {
        Ok(copied) => {
            let checksum = copied.checksum.map(|checksum| checksum.to_string());
            let value = json!({
                "source": from, "destination": to, "bytes": copied.bytes, "checksum": checksum,
                "retries": copied.retries,
            });
            if ui.json {
                ui.result(&value, "");
            }
            None
        }
        Err(error) => {
            let failure = Failure::from(error);
            if keep_going {
                progress.beside(|| ui.failure(&failure));
            }
            Some(failure)
        }
    }
}

/// A failure that is followed by another attempt.
fn tell(bar: &ProgressBar, error: &GassError, pause: Duration) {
    bar.suspend(|| {
        Ui { json: false }.note(format_args!("{error}\n  trying again in {} s", pause.as_secs_f32()));
    });
}

fn missing() -> Failure {
    Failure::new(Exit::Usage, "a source and a destination are needed")
        .try_this("gridiron cp SOURCE… DESTINATION, or -f FILE; see --help")
}

/// A client with the user's credential, if anything in the plan needs one.
fn client(plan: &Plan) -> Result<Client, Failure> {
    if !plan.needs_credential() {
        return Ok(Client::insecure());
    }
    let session = Session::open()?;
    Ok(Client::new(&session.credential, &session.trust)?)
}
