//! The demonstration: a throw-away site with its own CA, one user and a running gatekeeper, and one job on it.

mod gatekeeper;
mod layout;

pub use layout::Layout;

use crate::{
    failure::Failure,
    job::{self, Interrupt, Job, Progress, Serving, Wait, request, watch},
    session::Session,
    ui::Ui,
};
use gsi::{Credential, DelegationMode, TrustDirectory};
use serde::Serialize;
use std::{path::PathBuf, time::Instant};

/// What happened, as `--json` prints it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Folder of the site.
    pub dir: PathBuf,
    /// GRAM contact of the gatekeeper.
    pub contact: String,
    /// The request.
    pub rsl: String,
    /// Job contact.
    pub job: String,
    /// States in order, with the seconds since submission.
    pub states: Vec<Step>,
    /// What the job printed.
    pub output: String,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// Seconds from start to a ready gatekeeper.
    pub setup_seconds: f64,
    /// Seconds from submission to the end, output included.
    pub job_seconds: f64,
}

/// One state of the job.
#[derive(Debug, Serialize)]
pub struct Step {
    /// Stock name of the state.
    pub state: &'static str,
    /// Seconds since submission.
    pub seconds: f64,
}

/// Makes the site, starts its gatekeeper and runs the job.
pub async fn show(ui: &Ui, layout: &Layout) -> Result<Report, Failure> {
    let started = Instant::now();
    ui.step(format!("A site of its own in {}", layout.folder().display()));
    let bar = ui.progress("making keys and certificates");
    let user = layout.make()?;
    bar.finish_and_clear();
    ui.step(format!("  you are       {} (local account {})", user.identity, user.account));
    let resource = gatekeeper::start(layout).await?;
    let contact = resource.to_string();
    let setup_seconds = started.elapsed().as_secs_f64();
    ui.step(format!("  gatekeeper    {contact}, ready after {setup_seconds:.2} s"));

    let output_file = layout.folder().join("job-output");
    let rsl = request_text(&layout.folder().display().to_string(), &output_file.display().to_string());
    ui.step(format!("A job for it\n  {rsl}"));
    let job = Job {
        contact: resource,
        spec: request::parse(rsl.as_bytes())?,
        serving: Some(Serving::Write),
        wait: Wait::End,
        delegation: DelegationMode::Limited,
        dry_run: false,
        interrupt: Interrupt::CancelJob,
    };
    let session = session(layout)?;
    let submitted = Instant::now();
    let mut states = Vec::new();
    let mut observe = |progress: Progress<'_>| {
        let seconds = submitted.elapsed().as_secs_f64();
        match progress {
            Progress::Accepted(job) => ui.step(format!("  {seconds:6.3} s  accepted as {job}")),
            Progress::State(update) => {
                let state = watch::state_name(update.state);
                ui.step(format!("  {seconds:6.3} s  {state}"));
                states.push(Step { state, seconds });
            }
            Progress::Listening(_) | Progress::Cancelling => {}
        }
    };
    let ending = job::run(&session, job, &mut observe).await?;
    if let Some(failure) = ending.failed() {
        return Err(failure.try_this(format!("see the logs in {}", layout.folder().join("log").display())));
    }
    let output = std::fs::read_to_string(&output_file)
        .map_err(|error| Failure::local("the job's output did not come home", &error))?;
    let job_seconds = submitted.elapsed().as_secs_f64();
    ui.step(format!("Its output, brought home by GASS\n  {}", output.trim_end().replace('\n', "\n  ")));
    Ok(Report {
        dir: layout.folder().to_owned(),
        contact,
        rsl,
        job: ending.contact.map(|job| job.to_string()).unwrap_or_default(),
        states,
        output,
        exit_code: ending.exit_code,
        setup_seconds,
        job_seconds,
    })
}

/// A request that shows who runs it and where; its output goes through the embedded server into `output`. It names its
/// directory because the account's home, which is the default, need not exist.
fn request_text(directory: &str, output: &str) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    format!(
        "&(executable=/bin/sh)(directory={})(environment=(GREETING Hello))\
         (arguments=-c \"echo $GREETING from $(uname -n), running as $LOGNAME; echo My job contact is $GLOBUS_GRAM_JOB_CONTACT\")\
         (stdout=$(GLOBUSRUN_GASS_URL)#{})",
        quoted(directory),
        quoted(output),
    )
}

/// The demo's own user, whatever the environment says.
fn session(layout: &Layout) -> Result<Session, Failure> {
    let proxy = layout.proxy();
    let credential = Credential::read(&proxy)
        .map_err(|error| Failure::local(format!("cannot read {}", proxy.display()), &error))?;
    let trust = TrustDirectory::open(layout.trust())
        .map_err(|error| Failure::local(format!("cannot open {}", layout.trust().display()), &error))?;
    Session::new(credential, trust)
}
