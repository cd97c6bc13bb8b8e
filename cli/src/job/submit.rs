//! From a request to its end: listener, GASS server, submission, commit, watching, clean end.

use crate::{
    exit::Exit,
    failure::Failure,
    job::{
        Serving,
        request::{self, Additions},
        watch::{self, Watch},
    },
    session::Session,
};
use gram::{
    GramError, JobContact, JobState, ResourceContact, Signal, StateMask,
    callback::{Listener, Update},
};
use gsi::DelegationMode;
use rsl::Spec;
use std::time::Duration;

/// "The job manager is sending no job": what a successful dry run is answered with.
const DRY_RUN: GramError = GramError(41);
/// Accepted, waiting for the commit signal.
const COMMIT_NEEDED: GramError = GramError(110);
/// How long output already on its way may take after the job has ended.
const DRAIN: Duration = Duration::from_secs(60);

/// One job to run.
#[derive(Debug, Clone)]
pub struct Job {
    /// Where.
    pub contact: ResourceContact,
    /// What, as the person wrote it.
    pub spec: Spec,
    /// The embedded server, if any.
    pub serving: Option<Serving>,
    /// When to leave.
    pub wait: Wait,
    /// What is delegated (limited, unless `-D`).
    pub delegation: DelegationMode,
    /// Add `(dryrun=yes)`; error 41 then is success.
    pub dry_run: bool,
    /// What an interrupt means.
    pub interrupt: Interrupt,
}

/// When [`run`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Right after the reply (`-F`).
    Reply,
    /// Once the job is neither UNSUBMITTED nor in STAGE_IN (`-b`).
    Submitted,
    /// When the job has ended.
    End,
}

/// What SIGINT does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// Cancels the job, then leaves.
    CancelJob,
    /// Leaves; the job goes on (`-n`).
    LeaveJob,
}

/// What happens on the way.
#[derive(Debug)]
pub enum Progress<'a> {
    /// The call-back listener is up.
    Listening(&'a str),
    /// Accepted; the job's contact.
    Accepted(&'a JobContact),
    /// The job's state changed.
    State(&'a Update),
    /// An interrupt arrived and the job is being cancelled.
    Cancelling,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ending {
    /// The job; `None` after a dry run.
    pub contact: Option<JobContact>,
    /// The last state heard of; `None` after a dry run or `Wait::Reply`.
    pub state: Option<JobState>,
    /// Why it failed; `None` when it did not.
    pub failure: Option<GramError>,
    /// The job's exit code, when the site said it.
    pub exit_code: Option<i32>,
    /// The site's own words on a failure (gt3-failure-message).
    pub message: Option<String>,
    /// Which file could not be staged in, in the stock client's words.
    pub staging: Option<String>,
    /// SIGINT ended it.
    pub interrupted: bool,
}

impl Ending {
    /// The failure of a job that ended badly or was cancelled.
    pub fn failed(&self) -> Option<Failure> {
        let error = self.failure?;
        let text = self.staging.as_deref().unwrap_or(error.text());
        let mut what = format!("the job failed: {text} (error {})", error.0);
        if let Some(message) = &self.message {
            what += &format!("\n  the site says: {message}");
        }
        let exit = if self.interrupted { Exit::Interrupted } else { Exit::JobFailed };
        Some(Failure::new(exit, what))
    }
}

/// Why there is no job.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The RSL is malformed; the text underlines the place.
    #[error("{0}")]
    Rsl(String),
    /// The request was refused or did not get through.
    #[error(transparent)]
    Gram(#[from] gram::client::ClientError),
    /// The embedded server cannot start.
    #[error("cannot start the GASS server: {0}")]
    Gass(#[from] gass::GassError),
}

impl JobError {
    /// The number a stock client reports (48 for bad RSL).
    pub fn code(&self) -> GramError {
        match self {
            JobError::Rsl(_) => GramError(48),
            JobError::Gram(error) => error.code,
            JobError::Gass(_) => GramError(76),
        }
    }
}

/// Runs one job: starts what it needs, submits, commits when asked to (110), reports progress, and returns as `wait`
/// says. All output has been written when it returns.
pub async fn run(
    session: &Session,
    job: Job,
    observe: &mut dyn FnMut(Progress<'_>),
) -> Result<Ending, JobError> {
    let batch = job.wait != Wait::End;
    let mut listener = match job.wait {
        Wait::Reply => None,
        Wait::Submitted | Wait::End => Some(Listener::start(&session.credential, &session.trust).await?),
    };
    if let Some(listener) = &listener {
        observe(Progress::Listening(listener.url()));
    }
    let server = match job.serving {
        Some(serving) => {
            let mut access = serving.access(batch);
            // Whoever sends output to a file here has asked for it to be written: `-s` is enough for that, as it is for
            // the stock program. A request that names no such file gets no such right.
            access.write |= !batch && request::writes_our_files(&job.spec);
            Some(gass::Server::start(&session.credential, &session.trust, access).await?)
        }
        None => None,
    };
    let account = request::account(&job.spec);
    let additions =
        Additions { gass_url: server.as_ref().map(gass::Server::url), batch, dry_run: job.dry_run };
    let text = request::text(&request::complete(job.spec, &additions)?)?;

    let callback = listener.as_ref().map(Listener::url);
    let reply = session
        .client
        .submit(&job.contact, account.as_deref(), &text, StateMask::ALL, callback, job.delegation)
        .await;
    let accepted = match reply {
        Err(error) if job.dry_run && error.code == DRY_RUN => return Ok(Ending::default()),
        reply => reply?,
    };
    observe(Progress::Accepted(&accepted.contact));
    let two_phase = accepted.code == COMMIT_NEEDED;
    if two_phase {
        session.client.signal(&accepted.contact, &Signal::CommitRequest).await?;
    }

    let Some(listener) = &mut listener else {
        return Ok(Ending { contact: Some(accepted.contact), ..Ending::default() });
    };
    let watch = Watch { client: &session.client, job: &accepted.contact, interrupt: job.interrupt };
    let ending = watch.until(job.wait, listener, observe).await?;
    if ending.state.is_some_and(watch::is_terminal) {
        if two_phase {
            // The site would drop the job by itself after a while, so a lost "end" costs nothing but time.
            let _ = session.client.signal(&accepted.contact, &Signal::CommitEnd).await;
        }
    } else {
        let _ = session.client.unregister(&accepted.contact, listener.url()).await;
    }
    if let Some(server) = &server {
        server.drain(DRAIN).await;
    }
    Ok(ending)
}
