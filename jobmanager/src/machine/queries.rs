//! What the job's owner asks for at the job contact (gram.md §7, §8).

use super::{Action, Answer, MAX_CONTACT_LENGTH, MAX_CONTACTS, Turn, later, user_cancelled};
use crate::job::{Failure, Phase, Registration};
use gram::{GramError, JobState, Signal, StateMask, wire::Query};

impl Turn {
    pub(super) fn query(&mut self, query: Query) {
        // A finished job has been forgotten as far as its client knows; only the truth about its end is still told. A
        // cancel gets it too: stock globus-job-cancel and -clean send one to whatever is not DONE, and give up if it fails.
        if matches!(self.job.phase, Phase::Over { .. })
            && !matches!(query, Query::Status | Query::Cancel | Query::Renew)
        {
            return self.refuse(GramError::JOB_CONTACT_NOT_FOUND);
        }
        match query {
            // Parts of the output are read past the machine, and time lines are told so.
            Query::Status | Query::Renew | Query::Output(_) | Query::Timeline => self.answer(),
            Query::Cancel => self.cancel(),
            Query::Register { mask, url } => self.register(mask, url),
            Query::Unregister { url } => self.unregister(&url),
            Query::Signal(signal) => self.signal(&signal),
        }
    }

    pub(super) fn cancel(&mut self) {
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
            | Phase::StagingOut
            | Phase::Uncollected { .. }
            | Phase::Parked { .. }
            | Phase::Stopped { .. } => self.refuse(GramError::JOB_QUERY_DENIAL),
            Phase::Over { .. } => self.answer(),
        }
    }

    pub(super) fn cancel_failed(&mut self, failure: &Failure) {
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
        self.job.contacts.push(Registration { url, mask: mask.0, owed: None });
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
            // Its text needs to be read first, and comes as an event of its own then.
            Signal::StdioUpdate(_) => self.refuse(GramError::BAD_RSL),
            Signal::StdioSize { stdout, stderr } => self.compare_stdio(*stdout, *stderr),
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
            | Phase::StagingOut
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
            | Phase::StagingOut
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
            | Phase::StagingOut
            | Phase::Stopped { .. }
            | Phase::Over { .. } => self.refuse(GramError::JOB_QUERY_DENIAL),
        }
    }

    fn stop(&mut self) {
        match self.job.phase {
            Phase::Submitting | Phase::Submitted => {
                self.tell(JobState::Failed, GramError::JM_STOPPED);
                self.enter(Phase::Stopped { expires: None });
                self.stop_stream();
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
            | Phase::StagingOut
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
            | Phase::StagingOut
            | Phase::Uncollected { .. }
            | Phase::Parked { .. }
            | Phase::Stopped { .. }
            | Phase::Over { .. } => self.refuse(GramError::JOB_QUERY_DENIAL),
        }
    }
}
