//! `gridiron submit` of many jobs: an array, or several request files. One job's failure is no other's.

use super::Args;
use crate::{
    commands::{arguments, status},
    exit::Exit,
    failure::Failure,
    job::{
        Serving,
        bulk::{self, Accepted, Batch, Part, Place, Submitted},
        many::{self, Question},
        output,
        record::{self, Record},
        request::{self, Additions},
    },
    runtime::block_on,
    session::Session,
    ui::Ui,
};
use gram::{GramError, JobContact, JobState};
use serde_json::{Value, json};
use std::{
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

/// "The job manager is sending no job": what a successful dry run is answered with.
const DRY_RUN: GramError = GramError(41);
/// How often is asked whether the jobs have fetched their files from here.
const STAGING_PAUSE: Duration = Duration::from_secs(1);

/// One request as the person gave it.
struct Given {
    /// The file it stands in, if it stands in one.
    file: Option<PathBuf>,
    spec: Result<rsl::Spec, Failure>,
}

pub(super) fn run(args: &Args, ui: &Ui) -> Result<Exit, Failure> {
    let contact = args.request.resource.contact()?;
    let given = given(args)?;
    let session = Session::open()?;
    block_on(async {
        let staging = args.request.reads_local_files();
        let access = Serving::Read.access(true);
        let server = match staging {
            true => {
                let started = gass::Server::start(&session.credential, &session.trust, access).await;
                Some(started.map_err(|error| Failure::local("cannot start the GASS server", &error))?)
            }
            false => None,
        };
        let additions = Additions {
            gass_url: server.as_ref().map(gass::Server::url),
            batch: true,
            dry_run: args.request.dry_run,
        };
        let mut report = Report { ui, dry_run: args.request.dry_run, exit: Exit::Success };
        let mut batch = Batch { contact, parts: Vec::new(), delegation: args.request.delegation() };
        let mut files = Vec::new();
        for Given { file, spec } in given {
            let id = uuid::Uuid::new_v4().to_string();
            let spec = spec.map(|spec| output::kept_there(spec, &id, args.array.is_some()));
            match spec.and_then(|spec| Ok(request::complete(spec, &additions)?)) {
                Ok(spec) => {
                    batch.parts.push(Part { spec, indices: args.array.clone() });
                    files.push(file);
                }
                Err(failure) => report.failed(file.as_deref(), None, &failure, None),
            }
        }
        if batch.parts.is_empty() {
            return Ok(report.exit);
        }
        let places = batch.places();
        let bar = ui.progress("submitting");
        let mut progress = |done| bar.set_message(format!("submitted {done} of {}", places.len()));
        let results = bulk::submit(&session, &batch, &mut progress).await?;
        bar.finish_and_clear();
        record(ui, &batch, &places, &results);
        for (place, result) in places.iter().zip(&results) {
            let file = files.get(place.part).and_then(Option::as_deref);
            report.tell(file, place.index, result);
        }
        let accepted: Vec<&Accepted> = results.iter().flatten().collect();
        commit(&session, &accepted, &mut report).await;
        if let Some(server) = server {
            wait_for_staging(&session, &accepted).await;
            drop(server);
        }
        Ok(report.exit)
    })
}

/// The requests, each read or not; an array has one.
fn given(args: &Args) -> Result<Vec<Given>, Failure> {
    let files = match &args.list {
        Some(list) => listed(list)?,
        None => args.request.file.clone(),
    };
    if files.is_empty() {
        return Ok(vec![Given { file: None, spec: Ok(args.request.spec()?) }]);
    }
    let read = |file: PathBuf| Given { spec: arguments::read(&file), file: Some(file) };
    Ok(files.into_iter().map(read).collect())
}

/// The file names in a list.
fn listed(list: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut text = String::new();
    let read = if list == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(list).map(|read| text = read)
    };
    read.map_err(|error| Failure::local(format!("cannot read {}", list.display()), &error))?;
    let files: Vec<_> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(PathBuf::from).collect();
    if files.is_empty() {
        return Err(Failure::new(Exit::Input, format!("{} names no file", list.display())));
    }
    Ok(files)
}

/// Prints what became of each; the first failure decides how the program ends.
struct Report<'a> {
    ui: &'a Ui,
    dry_run: bool,
    exit: Exit,
}

impl Report<'_> {
    fn tell(&mut self, file: Option<&Path>, index: Option<u32>, result: &Submitted) {
        let value = |job: Option<&JobContact>| {
            json!({
                "job": job.map(ToString::to_string), "index": index, "file": file, "dry_run": self.dry_run,
                "error": Value::Null,
            })
        };
        match result {
            Ok(accepted) => self.ui.result(&value(Some(&accepted.contact)), &accepted.contact),
            Err(error) if self.dry_run && error.code == DRY_RUN => {
                self.ui.result(&value(None), "the site would take this job");
            }
            Err(error) => {
                self.failed(file, index, &error.clone().into(), Some(&status::explain(error.code)));
            }
        }
    }

    fn failed(&mut self, file: Option<&Path>, index: Option<u32>, failure: &Failure, number: Option<&Value>) {
        if self.exit == Exit::Success {
            self.exit = failure.exit;
        }
        let value = json!({
            "job": Value::Null, "index": index, "file": file, "dry_run": self.dry_run,
            "error": { "what": failure.what, "number": number },
        });
        if self.ui.json {
            self.ui.result(&value, "");
            return;
        }
        let file = file.map(|file| format!("{}: ", file.display())).unwrap_or_default();
        let index = index.map(|index| format!("{index}: ")).unwrap_or_default();
        self.ui.note(format!("not accepted: {file}{index}{}", failure.what));
    }
}

/// Keeps for later commands what has been accepted.
fn record(ui: &Ui, batch: &Batch, places: &[Place], results: &[Submitted]) {
    let submitted = jiff::Timestamp::now();
    let records: Vec<Record> = places
        .iter()
        .zip(results)
        .filter_map(|(place, result)| {
            let text = request::text(&batch.spec(*place)?).ok()?;
            Some(Record {
                job: result.as_ref().ok()?.contact.to_string(),
                resource: batch.contact.to_string(),
                submitted,
                rsl: String::from_utf8_lossy(&text).into_owned(),
            })
        })
        .collect();
    if let Err(failure) = record::append_all(&records) {
        // The jobs run: their contacts must reach the person whatever else goes wrong.
        ui.note(format!("warning: {failure}"));
    }
}

/// Sends the commit that two-phase jobs wait for.
async fn commit(session: &Session, accepted: &[&Accepted], report: &mut Report<'_>) {
    let waiting = accepted.iter().filter(|job| job.code == GramError::WAITING_FOR_COMMIT);
    let waiting: Vec<JobContact> = waiting.map(|job| job.contact.clone()).collect();
    for (job, answer) in waiting.iter().zip(many::ask(&session.client, &waiting, Question::Commit).await) {
        if let Err(error) = answer {
            report.ui.note(format!("not committed: {job}: {error}"));
            report.exit = if report.exit == Exit::Success { Failure::from(error).exit } else { report.exit };
        }
    }
}

/// Files of this machine are read before a job starts, so it is enough to stay until then.
async fn wait_for_staging(session: &Session, accepted: &[&Accepted]) {
    let jobs: Vec<JobContact> = accepted.iter().map(|job| job.contact.clone()).collect();
    loop {
        let answers = many::ask(&session.client, &jobs, Question::Status).await;
        let waits = |answer: &many::Answer| {
            let state = answer.as_ref().ok().and_then(|status| status.state);
            matches!(state, Some(JobState::Unsubmitted | JobState::StageIn))
        };
        if !answers.iter().any(waits) {
            return;
        }
        tokio::time::sleep(STAGING_PAUSE).await;
    }
}
