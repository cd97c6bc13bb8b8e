//! The state machine of a job (gram.md §7, §8, §11, §12): an event and the time go in, the changed job and a list of things
//! to do come out. No I/O, no clock.
//!
//! One rule holds everywhere: what has changed is saved before anybody is told, so [`Action::Save`] always comes first.
//!
//! `progress.rs` has what moves a job along, `queries.rs` what its owner asks for, `stdio_update.rs` and `restart.rs` the two ways
//! to change a job's output and to take it up again, `credential.rs` the end of the owner's credential, `telling.rs` who hears of
//! it all.
//!
//! Times are those of [`crate::clock::Clock`], which no setting of the machine's clock changes.
//!
//! ```text
//! Uncommitted ─commit─► StagingIn ─► Submitting ─► Submitted ─► Delivering ─► StagingOut ─► Uncollected ─► Parked
//!      │ timeout             │            │          │    ▲cancel                                │ commit      │
//!      ▼                     ▼            ▼          ▼    ▼                                      ▼             ▼
//!     Over ◄─── a failure, or no two-phase commit ── Cancelling                              (forgotten)   (forgotten)
//! ```

mod credential;
mod progress;
mod queries;
mod restart;
mod stdio_update;
mod telling;
#[cfg(test)]
mod tests;

pub use restart::Restart;

use crate::{
    job::{Failure, FileProgress, Job, Notice, Phase},
    request::StdioUpdate,
    scheduler::{Outcome, SchedulerId},
    timeline,
};
use gram::{GramError, JobState, wire::Query};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// How long a finished job stays known, so that a late `status` gets its true end instead of "no such job", which stock
/// clients print as DONE.
pub const LINGER: Duration = Duration::from_secs(300);
/// Call-back contacts one job may have.
pub const MAX_CONTACTS: usize = 64;
/// Longest call-back URL.
pub const MAX_CONTACT_LENGTH: usize = 2048;
/// No deadline lies further ahead, whatever a client asks for (about three years).
const MAX_WAIT: u32 = 100_000_000;

/// What happens to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The job exists; the first event of every job.
    Accepted,
    /// A client's query on the job contact (`renew` is over when it comes here; a STDIO_UPDATE comes as the next).
    Query(Query),
    /// The signal STDIO_UPDATE, read; or the number of what is wrong with it.
    StdioUpdate(Result<Box<StdioUpdate>, GramError>),
    /// The owner takes the job up again with a request of its own.
    Restart(Box<Restart>),
    /// Everything the job needs is there, or the first that is not.
    Fetched(Result<(), Failure>),
    /// One of the job's files has come further.
    FileMoved(FileProgress),
    /// The scheduler has taken the job, or refused it.
    Submitted(Result<SchedulerId, Failure>),
    /// Scheduler: queued.
    Pending,
    /// Scheduler: running.
    Active,
    /// Scheduler: stopped.
    Suspended,
    /// Scheduler: over.
    Ended(Outcome),
    /// The scheduler could not be asked to end the job.
    CancelFailed(Failure),
    /// The answer to the client whose question this is: the scheduler's to a suspend or resume, or that of [`Action::CompareStdio`]
    /// or [`Action::WriteRemoteIo`].
    Controlled(Result<(), GramError>),
    /// All output is out, or the first that was not.
    Delivered(Result<(), Failure>),
    /// All of `file_stage_out` is out, or the first that was not.
    StagedOut(Result<(), Failure>),
    /// What was to be removed is removed, as far as that can be done.
    Cleaned,
    /// A contact has confirmed this update.
    Told {
        /** the contact */
        url: String,
        /** [`Notice::number`] */
        number: u32,
    },
    /// A contact is given up, which was to have this update.
    GivenUp {
        /** the contact */
        url: String,
        /** [`Notice::number`] */
        number: u32,
    },
    /// The timer that was set last has run out.
    Deadline,
    /// The owner's credential has less than ten minutes left, or none.
    CredentialEnds,
    /// There is one again that lasts.
    CredentialRenewed,
    /// The job manager has just started and found this job in its store.
    Resumed,
    /// As `Resumed`, for a job that was stored before the machine was last started.
    Rebooted,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make the job as it now is durable; everything after this waits for it.
    Save,
    /// Answer the query that this event brought.
    Answer(Answer),
    /// The query that this event brought is answered later, by [`Action::AnswerHeld`].
    Hold,
    /// Answer all held queries.
    AnswerHeld(Answer),
    /// Send a state update.
    Notify {
        /** to this contact */
        url: String,
        /** saying this */
        notice: Notice,
    },
    /// Make the scratch directory and fetch what the job needs, unless that is there.
    Fetch,
    /// Stop fetching.
    AbortFetch,
    /// Hand the job to the scheduler (again, after a restart: submission is idempotent).
    Submit,
    /// Ask the scheduler to end the job.
    Cancel,
    /// Ask the scheduler to stop the job; its answer comes as [`Event::Controlled`] with the same query.
    Suspend,
    /// Ask the scheduler to let the job go on; answered like `Suspend`.
    Resume,
    /// Ask the scheduler for the job's present state.
    Adopt,
    /// The end of the job is durable: the scheduler may forget it.
    Release,
    /// Carry the job's output to where it goes, while the job runs.
    Stream,
    /// Stop that.
    StopStream,
    /// Begin anew, with the destinations that the job has now.
    Restream,
    /// Send the output.
    Deliver,
    /// Send the files of `file_stage_out`, unless they are there.
    StageOut,
    /// Stop sending output or files; what comes of it does not count any more.
    AbortDelivery,
    /// Compare what the job has written with the sizes that the client has; answered like `Suspend`, with 129 when they differ.
    CompareStdio {
        /** bytes of standard output; None: any */
        stdout: Option<u64>,
        /** bytes of standard error; None: any */
        stderr: Option<u64>,
    },
    /// Write the job's remote I/O file anew; answered like `Suspend`, with 128 when it cannot be written.
    WriteRemoteIo,
    /// Set the job's one timer, replacing what was set.
    SetTimer(Duration),
    /// Clear it.
    StopTimer,
    /// Remove the job's files.
    CleanUp,
    /// Forget the job.
    Forget,
}

/// The answer to a query: the job as it is (or was when the query was refused).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// State of the job.
    pub state: JobState,
    /// Error of the query, 0 when it was carried out.
    pub refused: GramError,
    /// Error of the job.
    pub failure: GramError,
    /// Exit code, when known.
    pub exit_code: Option<i32>,
}

impl Answer {
    /// The job as it is, to a query that was carried out.
    pub fn of(job: &Job) -> Self {
        Self {
            state: job.state,
            refused: GramError::SUCCESS,
            failure: job.failure_code(),
            exit_code: job.exit_code,
        }
    }
}

/// Takes one event.
pub fn step(job: Job, event: Event, now: Timestamp) -> (Job, Vec<Action>) {
    let before = timeline::Before::of(&job, &event);
    let mut turn = Turn { job, now, changed: false, actions: Vec::new() };
    turn.take(event);
    turn.changed |= before.note(&mut turn.job, &turn.actions, now);
    if turn.changed {
        turn.actions.insert(0, Action::Save);
    }
    (turn.job, turn.actions)
}

/// One event being worked in.
struct Turn {
    job: Job,
    now: Timestamp,
    changed: bool,
    actions: Vec<Action>,
}

impl Turn {
    fn take(&mut self, event: Event) {
        match event {
            Event::Accepted => self.accepted(),
            Event::Query(query) => self.query(query),
            Event::StdioUpdate(update) => self.update_stdio(update),
            Event::Restart(restart) => self.restart(*restart),
            Event::Fetched(result) => self.fetched(result),
            Event::Submitted(result) => self.submitted(result),
            Event::Pending => self.scheduler_state(JobState::Pending),
            Event::Active => self.scheduler_state(JobState::Active),
            Event::Suspended => self.scheduler_state(JobState::Suspended),
            Event::Ended(outcome) => self.ended(outcome),
            Event::CancelFailed(failure) => self.cancel_failed(&failure),
            Event::Controlled(Ok(())) => self.answer(),
            Event::Controlled(Err(code)) => self.refuse(code),
            Event::Delivered(result) => self.delivered(result),
            Event::FileMoved(file) => self.file_moved(file),
            Event::StagedOut(result) => self.staged_out(result),
            Event::Cleaned => self.cleaned(),
            Event::Told { url, number } | Event::GivenUp { url, number } => self.told(&url, number),
            Event::Deadline => self.deadline(),
            Event::CredentialEnds => self.lapse(),
            Event::CredentialRenewed => self.revive(),
            Event::Resumed => self.resumed(),
            Event::Rebooted => self.rebooted(),
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.job.phase = phase;
        self.changed = true;
    }

    fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn after(&self, seconds: u32) -> Timestamp {
        later(self.now, seconds)
    }

    /// Sets the timer to what the phase waits for; a deadline in the past runs out at once.
    fn wait_until_deadline(&mut self) {
        let (Phase::Uncommitted { deadline: at }
        | Phase::Uncollected { deadline: at }
        | Phase::Parked { expires: at }
        | Phase::Stopped { expires: Some(at) }
        | Phase::Over { until: at }) = self.job.phase
        else {
            return;
        };
        let left = Duration::try_from(at.duration_since(self.now)).unwrap_or_default();
        self.act(Action::SetTimer(left));
    }
}

/// `seconds` after `from`, never further than [`MAX_WAIT`].
pub fn later(from: Timestamp, seconds: u32) -> Timestamp {
    let ahead = SignedDuration::from_secs(i64::from(seconds.min(MAX_WAIT)));
    from.checked_add(ahead).unwrap_or(Timestamp::MAX)
}

fn user_cancelled() -> Failure {
    Failure::new(GramError::USER_CANCELLED, "the user cancelled the job")
}
