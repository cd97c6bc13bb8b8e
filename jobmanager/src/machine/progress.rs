//! What moves a job along: fetching, the scheduler, delivery, deadlines, a restart of the manager.

use super::{Action, LINGER, Turn, user_cancelled};
use crate::{
    job::{Failure, FileProgress, FileStage, Phase, Verdict},
    scheduler::{Outcome, SchedulerId},
};
use gram::{GramError, JobState};

impl Turn {
    pub(super) fn accepted(&mut self) {
        match self.job.phase {
            Phase::Uncommitted { .. } => {
                self.answer();
                self.await_commit();
            }
            _ => {
                self.answer();
                self.start();
            }
        }
    }

    /// The job may run: make ready what it needs, or hand it over at once.
    pub(super) fn start(&mut self) {
        if self.job.spec.needs_preparing() {
            self.enter(Phase::StagingIn);
            if self.job.spec.needs_fetching() {
                self.report(JobState::StageIn);
            }
            self.move_files();
        } else {
            self.enter(Phase::Submitting);
            self.act(Action::Submit);
        }
    }

    pub(super) fn fetched(&mut self, result: Result<(), Failure>) {
        if self.job.phase != Phase::StagingIn {
            return;
        }
        match result {
            Ok(()) => {
                self.enter(Phase::Submitting);
                self.act(Action::Submit);
            }
            // It was given up, and begins anew with the next credential.
            Err(_) if self.job.lapsed => {}
            Err(failure) => self.fail(failure),
        }
    }

    /// Written down at once when the file need not be moved again; anything else rides along with the next change.
    pub(super) fn file_moved(&mut self, file: FileProgress) {
        let moving = match self.job.phase {
            Phase::StagingIn => file.role.is_input(),
            Phase::Delivering { .. } | Phase::StagingOut => !file.role.is_input(),
            Phase::Uncommitted { .. }
            | Phase::Submitting
            | Phase::Submitted
            | Phase::Cancelling
            | Phase::Uncollected { .. }
            | Phase::Parked { .. }
            | Phase::Stopped { .. }
            | Phase::Over { .. } => false,
        };
        if moving {
            self.changed |= matches!(file.stage, FileStage::Done { .. });
            self.job.progress.get_or_insert_default().note(file);
        }
    }

    pub(super) fn submitted(&mut self, result: Result<SchedulerId, Failure>) {
        match (self.job.phase, result) {
            (Phase::Submitting, Ok(id)) => {
                self.job.scheduler_id = Some(id);
                self.enter(Phase::Submitted);
                self.stream();
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
            // The end overtook the answer; the scheduler forgets the job by its key. Its owner may want to know the id.
            (
                Phase::Uncommitted { .. }
                | Phase::StagingIn
                | Phase::Submitted
                | Phase::Delivering { .. }
                | Phase::StagingOut
                | Phase::Uncollected { .. }
                | Phase::Parked { .. }
                | Phase::Over { .. },
                result,
            ) => {
                if let (None, Ok(id)) = (&self.job.scheduler_id, result) {
                    self.job.scheduler_id = Some(id);
                }
            }
        }
    }

    /// Queued, running or stopped, says the scheduler. A job never goes back to PENDING (gram.md §11).
    pub(super) fn scheduler_state(&mut self, state: JobState) {
        let has_it = matches!(self.job.phase, Phase::Submitting | Phase::Submitted);
        if has_it && self.job.state.scheduler_may_change_to(state) {
            self.report(state);
        }
    }

    pub(super) fn ended(&mut self, outcome: Outcome) {
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
                self.has_been_active(outcome);
                self.output(verdict);
            }
            Phase::Cancelling => {
                self.act(Action::Release);
                self.stop_stream();
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
            | Phase::StagingOut
            | Phase::Uncollected { .. }
            | Phase::Parked { .. }
            | Phase::Stopped { expires: Some(_) }
            | Phase::Over { .. } => self.act(Action::Release),
        }
    }

    /// A job that ran was ACTIVE, also when nobody was there to see it: the manager was killed meanwhile, say.
    fn has_been_active(&mut self, outcome: Outcome) {
        let unseen = matches!(self.job.state, JobState::Unsubmitted | JobState::StageIn | JobState::Pending);
        if unseen && matches!(outcome, Outcome::Exited { .. } | Outcome::TimeLimit) {
            self.report(JobState::Active);
        }
    }

    /// Its output may go out from now on.
    pub(super) fn stream(&mut self) {
        if self.job.spec.streams() && !self.job.lapsed {
            self.act(Action::Stream);
        }
    }

    pub(super) fn stop_stream(&mut self) {
        if self.job.spec.streams() {
            self.act(Action::StopStream);
        }
    }

    /// The job has run: send its output if there is any to send, then its files, then finish.
    pub(super) fn output(&mut self, failure: Option<Failure>) {
        let then = if failure.is_some() { Verdict::Failed } else { Verdict::Done };
        self.job.failure = failure;
        // Stock says so before it sends the streams.
        if then == Verdict::Done && self.job.spec.stages_out() {
            self.report(JobState::StageOut);
        }
        if self.job.spec.needs_delivery() {
            self.enter(Phase::Delivering { then });
            self.move_files();
            return;
        }
        self.output_is_out(then);
    }

    pub(super) fn delivered(&mut self, result: Result<(), Failure>) {
        let Phase::Delivering { then } = self.job.phase else { return };
        match (then, result) {
            (Verdict::Done, Ok(())) => self.output_is_out(Verdict::Done),
            // As in `fetched`.
            (_, Err(_)) if self.job.lapsed => {}
            // What went wrong first is what the client should hear.
            (Verdict::Failed, _) => self.output_is_out(Verdict::Failed),
            (Verdict::Done, Err(failure)) => self.fail(failure),
        }
    }

    /// The streams are where they should be. A job that failed stages nothing out.
    fn output_is_out(&mut self, then: Verdict) {
        match then {
            Verdict::Done if self.job.spec.stages_out() => {
                self.enter(Phase::StagingOut);
                self.move_files();
            }
            Verdict::Done => self.finish(JobState::Done),
            Verdict::Failed => self.finish(JobState::Failed),
        }
    }

    pub(super) fn staged_out(&mut self, result: Result<(), Failure>) {
        if self.job.phase != Phase::StagingOut {
            return;
        }
        match result {
            Ok(()) => self.finish(JobState::Done),
            // As in `fetched`.
            Err(_) if self.job.lapsed => {}
            Err(failure) => self.fail(failure),
        }
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.job.failure = Some(failure);
        self.finish(JobState::Failed);
    }

    /// The job reaches its last state; what remains is telling, and keeping it as long as somebody may ask.
    pub(super) fn finish(&mut self, state: JobState) {
        self.report(state);
        let answer = self.now_answer();
        self.act(Action::AnswerHeld(answer));
        match self.job.spec.two_phase {
            Some(_) => self.await_end(),
            None => self.retire(LINGER.as_secs() as u32),
        }
    }

    /// Cleans up and keeps only the record.
    fn retire(&mut self, seconds: u32) {
        self.enter(Phase::Over { until: self.after(seconds) });
        self.act(Action::CleanUp);
        self.wait_until_deadline();
    }

    pub(super) fn cleaned(&mut self) {
        if matches!(self.job.phase, Phase::Over { .. }) {
            self.job.progress.get_or_insert_default().cleaned = true;
            self.changed = true;
        }
    }

    /// The client has everything: clean up and forget.
    pub(super) fn collected(&mut self) {
        self.enter(Phase::Over { until: self.now });
        self.act(Action::CleanUp);
        self.act(Action::Forget);
    }

    fn keep_stopped(&mut self) {
        let expires = self.after(self.job.spec.expiration);
        self.enter(Phase::Stopped { expires: Some(expires) });
        self.wait_until_deadline();
    }

    pub(super) fn deadline(&mut self) {
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
            | Phase::StagingOut
            | Phase::Stopped { expires: None } => {}
        }
    }

    pub(super) fn park(&mut self) {
        self.enter(Phase::Parked { expires: self.after(self.job.spec.expiration) });
        self.wait_until_deadline();
    }

    /// Takes up, after a restart of the manager, what was under way. What the scheduler has is adopted by the manager in one go.
    pub(super) fn resumed(&mut self) {
        for contact in &self.job.contacts {
            if let Some(notice) = &contact.owed {
                self.actions.push(Action::Notify { url: contact.url.clone(), notice: notice.clone() });
            }
        }
        self.move_files();
        match self.job.phase {
            Phase::Uncommitted { .. } | Phase::Uncollected { .. } | Phase::Parked { .. } => {
                self.wait_until_deadline();
            }
            Phase::Submitting => self.act(Action::Submit),
            Phase::Cancelling if self.job.scheduler_id.is_none() => self.act(Action::Submit),
            Phase::Cancelling => self.act(Action::Cancel),
            Phase::Delivering { .. } | Phase::StagingOut => self.act(Action::Release),
            Phase::Over { .. } => {
                self.act(Action::Release);
                self.act(Action::CleanUp);
                self.wait_until_deadline();
            }
            Phase::Stopped { expires: Some(_) } => {
                self.act(Action::Release);
                self.wait_until_deadline();
            }
            Phase::Submitted => self.stream(),
            Phase::StagingIn | Phase::Stopped { expires: None } => {}
        }
    }

    /// Takes up what was under way when the machine went down. Nobody could be reached meanwhile, and nobody knows how long that
    /// was, for the clock may have been set: whoever waits for something gets the whole time again.
    pub(super) fn rebooted(&mut self) {
        match self.job.phase {
            Phase::Uncommitted { .. } => self.await_commit(),
            Phase::Uncollected { .. } => self.await_end(),
            Phase::Parked { .. } => self.park(),
            Phase::Stopped { expires: Some(_) } => self.keep_stopped(),
            Phase::Over { .. } => self.enter(Phase::Over { until: self.after(LINGER.as_secs() as u32) }),
            Phase::StagingIn
            | Phase::Submitting
            | Phase::Submitted
            | Phase::Cancelling
            | Phase::Delivering { .. }
            | Phase::StagingOut
            | Phase::Stopped { expires: None } => {}
        }
        self.resumed();
    }
}
