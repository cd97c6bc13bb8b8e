//! Submitting a job and seeing it through: states as they come, its output, the end.

use super::{
    action::{Batch, Interrupt, Submission},
    client,
    control::{exit_code, parse, reason},
    rewrite::{self, Output},
};
use gram::{
    GramError, JobContact, JobState, Signal, StateMask,
    callback::{Listener, Update},
    client::Client,
};
use std::time::Duration;

/// How long running transfers may take after the job has ended.
const DRAIN: Duration = Duration::from_secs(60);

/// Without news for this long the state is asked for: a call-back can be lost, a job must not be.
const SILENCE: Duration = Duration::from_secs(30);

/// Submits; gives the exit code.
pub(super) async fn submit(submission: Submission) -> u8 {
    match attempt(submission).await {
        Ok(()) => 0,
        Err(code) => code,
    }
}

async fn attempt(submission: Submission) -> Result<(), u8> {
    let (credential, trust, client) = client().await?;
    let say = Progress { quiet: submission.quiet };
    let account = rewrite::account(&submission.spec);
    let mut spec = submission.spec;
    if submission.dry_run {
        spec = rewrite::with_dry_run(spec);
    }
    let server = match submission.gass {
        Some(access) => {
            let server = gass::Server::start(&credential, &trust, access).await.map_err(|error| {
                eprintln!("globusrun: cannot serve files to the job: {error}");
                1
            })?;
            let output = if submission.batch == Batch::Attached { Output::Returned } else { Output::Elsewhere };
            spec = rewrite::with_gass(spec, server.url(), output);
            Some(server)
        }
        None => None,
    };
    let rsl = rsl::print::print(&spec).map_err(|error| {
        eprintln!("globusrun Error: Bad RSL: {error}");
        48
    })?;
    let mut listener = Listener::start(&credential, &trust).await.map_err(|error| {
        eprintln!("globusrun: cannot listen for call-backs: {}", reason(&error));
        exit_code(error.code)
    })?;
    say.line("globus_gram_client_callback_allow successful");

    let url = listener.url().to_owned();
    let reply = match parse(&submission.contact) {
        Ok(contact) => {
            client
                .submit(&contact, account.as_deref(), &rsl, StateMask::ALL, Some(&url), submission.delegation)
                .await
        }
        Err(error) => Err(error),
    };
    let submitted = match reply {
        Ok(submitted) => submitted,
        Err(error) if submission.dry_run && error.code == GramError(41) => {
            eprintln!("Dryrun successful");
            return Ok(());
        }
        Err(error) => {
            eprintln!("GRAM Job submission failed because {} (error code {})", reason(&error), error.code.0);
            return Err(exit_code(error.code));
        }
    };
    say.line("GRAM Job submission successful");
    let mut job = Watched {
        client: &client,
        contact: submitted.contact,
        two_phase: submitted.code == GramError(110),
        say,
    };
    if job.two_phase {
        job.signal(&Signal::CommitRequest).await?;
    }
    if submission.batch != Batch::Attached {
        println!("{}", job.contact);
    }
    let end = match submission.batch {
        Batch::Fast => None,
        Batch::Submitted => job.until(&mut listener, submission.interrupt, is_submitted).await?,
        Batch::Attached => job.until(&mut listener, submission.interrupt, is_over).await?,
    };
    if let Some(server) = server {
        server.drain(DRAIN).await;
    }
    match end {
        Some(update) if is_over(update.state) => job.conclude(&update).await,
        _ => {
            // Nobody listens from here on; a job that has ended meanwhile no longer minds.
            let _ = client.unregister(&job.contact, &url).await;
            Ok(())
        }
    }
}

/// Progress text, unless quiet.
#[derive(Clone, Copy)]
struct Progress {
    quiet: bool,
}

impl Progress {
    fn line(self, text: &str) {
        if !self.quiet {
            println!("{text}");
        }
    }
}

struct Watched<'a> {
    client: &'a Client,
    contact: JobContact,
    two_phase: bool,
    say: Progress,
}

impl Watched<'_> {
    /// Reports states until one satisfies `enough`.
    async fn until(
        &mut self,
        listener: &mut Listener,
        interrupt: Interrupt,
        enough: fn(JobState) -> bool,
    ) -> Result<Option<Update>, u8> {
        let mut cancelled = false;
        loop {
            let interrupted = async {
                match interrupt {
                    // The default disposition ends this program and nothing else.
                    Interrupt::LeavesJob => std::future::pending().await,
                    Interrupt::CancelsJob => tokio::signal::ctrl_c().await.is_ok(),
                }
            };
            let update = tokio::select! {
                update = listener.next() => update,
                true = interrupted, if !cancelled => {
                    cancelled = true;
                    self.say.line("Cancelling job...");
                    self.cancel().await?
                }
                () = tokio::time::sleep(SILENCE) => self.ask().await,
            };
            let Some(update) = update else { continue };
            if !update.job.is_same_job(&self.contact) {
                continue;
            }
            self.say.line(&format!("GLOBUS_GRAM_PROTOCOL_JOB_STATE_{}", state_name(update.state)));
            if let Some(code) = update.exit_code {
                self.say.line(&format!("exit code: {code}"));
            }
            if enough(update.state) || is_over(update.state) {
                return Ok(Some(update));
            }
        }
    }

    /// Cancels; the reply says as much as the call-back that may or may not still come.
    async fn cancel(&self) -> Result<Option<Update>, u8> {
        match self.client.cancel(&self.contact).await {
            Ok(status) => Ok(self.update(status)),
            Err(error) => {
                eprintln!("Error canceling job: {}", reason(&error));
                Err(exit_code(error.code))
            }
        }
    }

    /// The present state, when it is an end that nobody told us of.
    async fn ask(&self) -> Option<Update> {
        let status = self.client.status(&self.contact).await.ok()?;
        self.update(status).filter(|update| is_over(update.state))
    }

    /// A job that is not known any more has ended.
    fn update(&self, status: gram::client::JobStatus) -> Option<Update> {
        Some(Update {
            job: self.contact.clone(),
            state: status.state.unwrap_or(JobState::Done),
            failure: status.failure,
            exit_code: status.exit_code,
            extensions: status.extensions,
        })
    }

    /// Reports how it ended and lets the service forget it.
    async fn conclude(&self, update: &Update) -> Result<(), u8> {
        if self.two_phase {
            self.signal(&Signal::CommitEnd).await?;
        }
        if update.state != JobState::Failed {
            return Ok(());
        }
        eprintln!("GRAM Job failed because {} (error code {})", update.failure.text(), update.failure.0);
        let details = update.extensions.iter().find(|(name, _)| name == "gt3-failure-message");
        if let Some((_, details)) = details.filter(|(_, text)| !text.is_empty()) {
            eprintln!("Details: {details}");
        }
        Err(exit_code(update.failure))
    }

    async fn signal(&self, signal: &Signal) -> Result<(), u8> {
        self.client.signal(&self.contact, signal).await.map(drop).map_err(|error| {
            eprintln!("GRAM Job failed because {} (error code {})", reason(&error), error.code.0);
            exit_code(error.code)
        })
    }
}

fn is_over(state: JobState) -> bool {
    matches!(state, JobState::Done | JobState::Failed)
}

/// The scheduler has it.
fn is_submitted(state: JobState) -> bool {
    !matches!(state, JobState::Unsubmitted | JobState::StageIn)
}

/// The name of a state as `-status` prints it.
pub(super) fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Pending => "PENDING",
        JobState::Active => "ACTIVE",
        JobState::Failed => "FAILED",
        JobState::Done => "DONE",
        JobState::Suspended => "SUSPENDED",
        JobState::Unsubmitted => "UNSUBMITTED",
        JobState::StageIn => "STAGE_IN",
        JobState::StageOut => "STAGE_OUT",
    }
}
