//! The state machine of a job (gram.md §7, §8, §11, §12): an event and the time go in, the changed job and a list of things
//! to do come out. No I/O, no clock.
//!
//! One rule holds everywhere: what has changed is saved before anybody is told, so [`Action::Save`] always comes first.
//!
//! ```text
//! Uncommitted ─commit─► StagingIn ─► Submitting ─► Submitted ─► Delivering ─► Uncollected ─► Parked
//!      │ timeout             │            │          │    ▲cancel                 │ commit      │
//!      ▼                     ▼            ▼          ▼    ▼                       ▼             ▼
//!     Over ◄─── a failure, or no two-phase commit ── Cancelling               (forgotten)   (forgotten)
//! ```

use crate::{
    job::{Failure, Job, Notice, Phase, Verdict},
    scheduler::{Outcome, SchedulerId},
};
use gram::{GramError, JobState, Signal, StateMask, wire::Query};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

#[cfg(test)]
mod tests;

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
    /// A client's query on the job contact (`renew` is over when it comes here).
    Query(Query),
    /// Executable and stdin are there, or not.
    Fetched(Result<(), Failure>),
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
    /// The scheduler's answer to a suspend or resume of the client whose question this is.
    Controlled(Result<(), GramError>),
    /// All output is out, or the first that was not.
    Delivered(Result<(), Failure>),
    /// A contact has confirmed this update (or is given up).
    Told {
        /** the contact */
        url: String,
        /** [`Notice::number`] */
        number: u32,
    },
    /// The timer that was set last has run out.
    Deadline,
    /// The job manager has just started and found this job in its store.
    Resumed,
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
    /// Fetch executable and stdin.
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
    /// The end of the job is durable: the scheduler may forget it.
    Release,
    /// Send the output.
    Deliver,
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

/// Takes one event.
pub fn step(job: Job, event: Event, now: Timestamp) -> (Job, Vec<Action>) {
    let mut turn = Turn { job, now, changed: false, actions: Vec::new() };
    turn.take(event);
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
            Event::Told { url, number } => self.told(&url, number),
            Event::Deadline => self.deadline(),
            Event::Resumed => self.resumed(),
        }
    }

    // --- progress ---------------------------------------------------------------------------------------------------

    fn accepted(&mut self) {
        match self.job.phase {
            Phase::Uncommitted { .. } => {
                self.changed = true;
                self.answer();
                self.wait_until_deadline();
            }
            _ => {
                self.answer();
                self.start();
            }
        }
    }

    /// The job may run: fetch what it needs, or hand it over at once.
    fn start(&mut self) {
        if self.job.spec.needs_fetching() {
            self.enter(Phase::StagingIn);
            self.report(JobState::StageIn);
            self.act(Action::Fetch);
        } else {
            self.enter(Phase::Submitting);
            self.act(Action::Submit);
        }
    }

    fn fetched(&mut self, result: Result<(), Failure>) {
        if self.job.phase != Phase::StagingIn {
            return;
        }
        match result {
            Ok(()) => {
                self.enter(Phase::Submitting);
                self.act(Action::Submit);
            }
            Err(failure) => self.fail(failure),
        }
    }

    fn submitted(&mut self, result: Result<SchedulerId, Failure>) {
        match (self.job.phase, result) {
            (Phase::Submitting, Ok(id)) => {
                self.job.scheduler_id = Some(id);
                self.enter(Phase::Submitted);
            }
            (Phase::Submitting, Err(failure)) => self.fail(failure),
            // The cancel came while the scheduler was thinking.
            (Phase::Cancelling, Ok(id)) => {
                self.job.scheduler_id = Some(id);
                self.changed = true;
                self.act(Action::Cancel);
            }
            (Phase::Cancelling, Err(_)) => self.fail(user_cancelled()),
            (Phase::Stopped { .. }, Ok(id)) => {
                self.job.scheduler_id = Some(id);
                self.changed = true;
            }
            (Phase::Stopped { .. }, Err(failure)) => {
                self.job.failure = Some(failure);
                self.keep_stopped();
            }
            // The end overtook the answer; the scheduler forgets the job by its key.
            (
                Phase::Uncommitted { .. }
                | Phase::StagingIn
                | Phase::Submitted
                | Phase::Delivering { .. }
                | Phase::Uncollected { .. }
                | Phase::Parked { .. }
                | Phase::Over { .. },
                _,
            ) => {}
        }
    }

    /// Queued, running or stopped, says the scheduler. A job never goes back to PENDING (gram.md §11).
    fn scheduler_state(&mut self, state: JobState) {
        let has_it = matches!(self.job.phase, Phase::Submitting | Phase::Submitted);
        if has_it && self.job.state.scheduler_may_change_to(state) {
            self.report(state);
        }
    }

    fn ended(&mut self, outcome: Outcome) {
        let verdict = match outcome {
            Outcome::Exited { .. } => None,
            Outcome::TimeLimit => Some(Failure::new(
                GramError::SYSTEM_CANCELLED,
                format!(
                    "the job reached its max_wall_time of {} minutes",
                    self.job.spec.max_wall_time.unwrap_or_default()
                ),
            )),
            Outcome::Lost => Some(Failure::new(
                GramError::JOB_EXECUTION_FAILED,
                "the job ended while nobody could see how, because the machine was restarted",
            )),
        };
        let first_heard = matches!(
            self.job.phase,
            Phase::Submitting | Phase::Submitted | Phase::Cancelling | Phase::Stopped { expires: None }
        );
        if let (true, Outcome::Exited { code }) = (first_heard, outcome) {
            self.job.exit_code = Some(code);
        }
        match self.job.phase {
            Phase::Submitting | Phase::Submitted => {
                self.act(Action::Release);
                self.output(verdict);
            }
            Phase::Cancelling => {
                self.act(Action::Release);
                self.fail(user_cancelled());
            }
            Phase::Stopped { expires: None } => {
                self.act(Action::Release);
                self.job.failure = verdict;
                self.keep_stopped();
            }
            // Heard before: the scheduler asks again because it was not told to forget.
            Phase::Uncommitted { .. }
            | Phase::StagingIn
            | Phase::Delivering { .. }
            | Phase::Uncollected { .. }
            | Phase::Parked { .. }
            | Phase::Stopped { expires: Some(_) }
            | Phase::Over { .. } => self.act(Action::Release),
        }
    }

    /// The job has run: send its output if there is any to send, then finish.
    fn output(&mut self, failure: Option<Failure>) {
        if self.job.spec.needs_delivery() {
            let then = if failure.is_some() { Verdict::Failed } else { Verdict::Done };
            self.job.failure = failure;
            self.enter(Phase::Delivering { then });
            self.act(Action::Deliver);
            return;
        }
        match failure {
            Some(failure) => self.fail(failure),
            None => self.finish(JobState::Done),
        }
    }

    fn delivered(&mut self, result: Result<(), Failure>) {
        let Phase::Delivering { then } = self.job.phase else { return };
        match (then, result) {
            (Verdict::Done, Ok(())) => self.finish(JobState::Done),
            // What went wrong first is what the client should hear.
            (Verdict::Failed, _) => self.finish(JobState::Failed),
            (Verdict::Done, Err(failure)) => self.fail(failure),
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.job.failure = Some(failure);
        self.finish(JobState::Failed);
    }

    /// The job reaches its last state; what remains is telling, and keeping it as long as somebody may ask.
    fn finish(&mut self, state: JobState) {
        self.report(state);
        let answer = self.now_answer();
        self.act(Action::AnswerHeld(answer));
        match self.job.spec.two_phase {
            Some(seconds) => {
                self.enter(Phase::Uncollected { deadline: self.after(seconds) });
                self.wait_until_deadline();
            }
            None => self.retire(LINGER.as_secs() as u32),
        }
    }

    /// Cleans up and keeps only the record.
    fn retire(&mut self, seconds: u32) {
        self.enter(Phase::Over { until: self.after(seconds) });
        self.act(Action::CleanUp);
        self.wait_until_deadline();
    }

    /// The client has everything: clean up and forget.
    fn collected(&mut self) {
        self.enter(Phase::Over { until: self.now });
        self.act(Action::CleanUp);
        self.act(Action::Forget);
    }

    fn keep_stopped(&mut self) {
        let expires = self.after(self.job.spec.expiration);
        self.enter(Phase::Stopped { expires: Some(expires) });
        self.wait_until_deadline();
    }

    fn deadline(&mut self) {
        match self.job.phase {
            Phase::Uncommitted { .. } => {
                self.job.failure =
                    Some(Failure::new(GramError::COMMIT_TIMED_OUT, "the commit signal did not come in time"));
                self.report(JobState::Failed);
                // The failure is final; the contact answers for as long again.
                self.retire(self.job.spec.two_phase.unwrap_or_default());
            }
            Phase::Uncollected { .. } if self.job.contacts.is_empty() => self.collected(),
            Phase::Uncollected { .. } => {
                self.tell(JobState::Failed, GramError::COMMIT_TIMED_OUT);
                self.park();
            }
            Phase::Parked { .. } | Phase::Stopped { expires: Some(_) } => self.collected(),
            Phase::Over { .. } => self.act(Action::Forget),
            Phase::StagingIn
            | Phase::Submitting
            | Phase::Submitted
            | Phase::Cancelling
            | Phase::Delivering { .. }
            | Phase::Stopped { expires: None } => {}
        }
    }

    fn park(&mut self) {
        self.enter(Phase::Parked { expires: self.after(self.job.spec.expiration) });
        self.wait_until_deadline();
    }

    /// Takes up, after a restart of the manager, what was under way. What the scheduler has is adopted by the manager in one go.
    fn resumed(&mut self) {
        for contact in &self.job.contacts {
            if let Some(notice) = &contact.owed {
                self.actions.push(Action::Notify { url: contact.url.clone(), notice: notice.clone() });
            }
        }
        match self.job.phase {
            Phase::Uncommitted { .. } | Phase::Uncollected { .. } | Phase::Parked { .. } => {
                self.wait_until_deadline();
            }
            Phase::StagingIn => self.act(Action::Fetch),
            Phase::Submitting => self.act(Action::Submit),
            Phase::Cancelling if self.job.scheduler_id.is_none() => self.act(Action::Submit),
            Phase::Cancelling => self.act(Action::Cancel),
            Phase::Delivering { .. } => {
                self.act(Action::Release);
                self.act(Action::Deliver);
            }
            Phase::Over { .. } => {
                self.act(Action::Release);
                self.act(Action::CleanUp);
                self.wait_until_deadline();
            }
            Phase::Stopped { expires: Some(_) } => {
                self.act(Action::Release);
                self.wait_until_deadline();
            }
            Phase::Submitted | Phase::Stopped { expires: None } => {}
        }
    }

    // --- queries ----------------------------------------------------------------------------------------------------

    fn query(&mut self, query: Query) {
        // A finished job has been forgotten as far as its client knows; only the truth about its end is still told.
        if matches!(self.job.phase, Phase::Over { .. }) && query != Query::Status {
            return self.refuse(GramError::JOB_CONTACT_NOT_FOUND);
        }
        match query {
            Query::Status | Query::Renew => self.answer(),
            Query::Cancel => self.cancel(),
            Query::Register { mask, url } => self.register(mask, url),
            Query::Unregister { url } => self.unregister(&url),
            Query::Signal(signal) => self.signal(&signal),
        }
    }

    fn cancel(&mut self) {
        match self.job.phase {
            Phase::Uncommitted { .. } => {
                self.act(Action::StopTimer);
                self.fail(user_cancelled());
                self.answer();
            }
            Phase::StagingIn => {
                self.act(Action::AbortFetch);
                self.fail(user_cancelled());
                self.answer();
            }
            Phase::Submitting => {
                self.enter(Phase::Cancelling);
                self.act(Action::Hold);
            }
            Phase::Submitted => {
                self.enter(Phase::Cancelling);
                self.act(Action::Hold);
                self.act(Action::Cancel);
            }
            Phase::Cancelling => self.act(Action::Hold),
            Phase::Delivering { .. }
            | Phase::Uncollected { .. }
            | Phase::Parked { .. }
            | Phase::Stopped { .. }
            | Phase::Over { .. } => self.refuse(GramError::JOB_QUERY_DENIAL),
        }
    }

    fn cancel_failed(&mut self, failure: &Failure) {
        if self.job.phase == Phase::Cancelling {
            self.enter(Phase::Submitted);
            let refused = Answer { refused: failure.code, ..self.now_answer() };
            self.act(Action::AnswerHeld(refused));
        }
    }

    fn register(&mut self, mask: StateMask, url: String) {
        if self.job.contacts.len() >= MAX_CONTACTS || url.len() > MAX_CONTACT_LENGTH {
            return self.refuse(GramError::INSERTING_CLIENT_CONTACT);
        }
        self.job.contacts.push(crate::job::Registration { url, mask: mask.0, owed: None });
        self.changed = true;
        self.answer();
    }

    fn unregister(&mut self, url: &str) {
        let before = self.job.contacts.len();
        self.job.contacts.retain(|contact| contact.url != url);
        if self.job.contacts.len() == before {
            return self.refuse(GramError::CLIENT_CONTACT_NOT_FOUND);
        }
        self.changed = true;
        self.answer();
        // Nobody is left who could send the second commit on hearing of the end.
        if matches!(self.job.phase, Phase::Uncollected { .. }) && self.job.contacts.is_empty() {
            self.collected();
        }
    }

    fn signal(&mut self, signal: &Signal) {
        match signal {
            Signal::CommitRequest => self.commit(),
            Signal::CommitExtend(seconds) => self.extend(*seconds),
            Signal::CommitEnd => self.commit_end(),
            Signal::StopManager => self.stop(),
            Signal::Suspend(_) => self.control(Some(Action::Suspend)),
            Signal::Resume(_) => self.control(Some(Action::Resume)),
            Signal::Cancel(_) | Signal::Priority(_) => self.control(None),
            Signal::StdioUpdate(_) | Signal::StdioSize { .. } => self.refuse(GramError::UNIMPLEMENTED),
            _ => self.refuse(GramError::UNKNOWN_SIGNAL_TYPE),
        }
    }

    fn commit(&mut self) {
        match self.job.phase {
            _ if self.job.spec.two_phase.is_none() => self.refuse(GramError::INVALID_COMMIT),
            Phase::Uncommitted { .. } => {
                // Answered with the state before anything starts: UNSUBMITTED, as stock does.
                self.answer();
                self.act(Action::StopTimer);
                self.start();
            }
            Phase::Stopped { .. } | Phase::Parked { .. } => self.refuse(GramError::JOB_QUERY_DENIAL),
            Phase::StagingIn
            | Phase::Submitting
            | Phase::Submitted
            | Phase::Cancelling
            | Phase::Delivering { .. }
            | Phase::Uncollected { .. }
            | Phase::Over { .. } => self.answer(),
        }
    }

    fn extend(&mut self, seconds: u32) {
        if self.job.spec.two_phase.is_none() {
            return self.refuse(GramError::INVALID_COMMIT);
        }
        match self.job.phase {
            Phase::Uncommitted { deadline } => {
                self.enter(Phase::Uncommitted { deadline: later(deadline, seconds) });
                self.answer();
                self.wait_until_deadline();
            }
            Phase::Uncollected { deadline } => {
                self.enter(Phase::Uncollected { deadline: later(deadline, seconds) });
                self.answer();
                self.wait_until_deadline();
            }
            Phase::StagingIn
            | Phase::Submitting
            | Phase::Submitted
            | Phase::Cancelling
            | Phase::Delivering { .. }
            | Phase::Parked { .. }
            | Phase::Stopped { .. }
            | Phase::Over { .. } => self.answer(),
        }
    }

    fn commit_end(&mut self) {
        match self.job.phase {
            _ if self.job.spec.two_phase.is_none() => self.refuse(GramError::INVALID_COMMIT),
            Phase::Uncollected { .. } | Phase::Parked { .. } => {
                self.answer();
                self.collected();
            }
            Phase::Uncommitted { .. }
            | Phase::StagingIn
            | Phase::Submitting
            | Phase::Submitted
            | Phase::Cancelling
            | Phase::Delivering { .. }
            | Phase::Stopped { .. }
            | Phase::Over { .. } => self.refuse(GramError::JOB_QUERY_DENIAL),
        }
    }

    fn stop(&mut self) {
        match self.job.phase {
            Phase::Submitting | Phase::Submitted => {
                self.tell(JobState::Failed, GramError::JM_STOPPED);
                self.enter(Phase::Stopped { expires: None });
                self.answer();
            }
            Phase::Uncollected { .. } => {
                self.tell(JobState::Failed, GramError::JM_STOPPED);
                self.answer();
                self.park();
            }
            // Stopped already.
            Phase::Stopped { .. } | Phase::Parked { .. } => self.answer(),
            Phase::Uncommitted { .. }
            | Phase::StagingIn
            | Phase::Cancelling
            | Phase::Delivering { .. }
            | Phase::Over { .. } => self.refuse(GramError::JOB_QUERY_DENIAL),
        }
    }

    /// Signals 1-4 go to the scheduler while it has the job; None: no scheduler we have serves this one.
    fn control(&mut self, action: Option<Action>) {
        match self.job.phase {
            Phase::Submitted => match action {
                Some(action) => self.act(action),
                None => self.refuse(GramError::UNIMPLEMENTED),
            },
            Phase::Uncommitted { .. } | Phase::StagingIn | Phase::Submitting => {
                self.refuse(GramError::JOB_UNSUBMITTED);
            }
            Phase::Cancelling
            | Phase::Delivering { .. }
            | Phase::Uncollected { .. }
            | Phase::Parked { .. }
            | Phase::Stopped { .. }
            | Phase::Over { .. } => self.refuse(GramError::JOB_QUERY_DENIAL),
        }
    }

    // --- telling ----------------------------------------------------------------------------------------------------

    /// Enters a state that clients see, and tells the contacts that want to know.
    fn report(&mut self, state: JobState) {
        self.job.state = state;
        let failure = if state == JobState::Failed { self.job.failure_code() } else { GramError::SUCCESS };
        self.tell(state, failure);
    }

    /// Tells the contacts. Masks are tested against the job's real state, whatever the update says.
    fn tell(&mut self, state: JobState, failure: GramError) {
        self.changed = true;
        self.job.updates = self.job.updates.saturating_add(1);
        let notice = Notice { state, failure, number: self.job.updates };
        let real = self.job.state.value();
        for contact in &mut self.job.contacts {
            if contact.mask & real != 0 {
                contact.owed = Some(notice.clone());
                self.actions.push(Action::Notify { url: contact.url.clone(), notice: notice.clone() });
            }
        }
    }

    fn told(&mut self, url: &str, number: u32) {
        let mut known = false;
        for contact in self.job.contacts.iter_mut().filter(|contact| contact.url == url) {
            if contact.owed.as_ref().is_some_and(|owed| owed.number == number) {
                contact.owed = None;
                known = true;
            }
        }
        // Only the last word matters enough to be written down at once: earlier ones ride along with the next change.
        self.changed |= known && self.job.is_terminal();
    }

    fn answer(&mut self) {
        let answer = self.now_answer();
        self.act(Action::Answer(answer));
    }

    fn refuse(&mut self, code: GramError) {
        let answer = Answer { refused: code, ..self.now_answer() };
        self.act(Action::Answer(answer));
    }

    fn now_answer(&self) -> Answer {
        Answer {
            state: self.job.state,
            refused: GramError::SUCCESS,
            failure: self.job.failure_code(),
            exit_code: self.job.exit_code,
        }
    }

    // --- small things -----------------------------------------------------------------------------------------------

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
