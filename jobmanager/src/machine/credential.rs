//! What the end of the owner's credential means for a job (gram.md §13). It runs on and is watched as before, for this manager
//! outlives the credential; but whoever is told so leaves, so nothing is fetched or sent until there is a new one.

use super::{Action, Turn};
use crate::job::Phase;
use gram::{GramError, JobState};

impl Turn {
    /// The credential ends within ten minutes, or has ended.
    pub(super) fn lapse(&mut self) {
        if self.job.lapsed || matches!(self.job.phase, Phase::Over { .. }) {
            return;
        }
        self.job.lapsed = true;
        self.changed = true;
        match self.job.phase {
            // Their contacts have been told already that nobody looks after the job.
            Phase::Stopped { .. } | Phase::Parked { .. } => {}
            Phase::StagingIn => {
                self.tell(JobState::Failed, GramError::USER_PROXY_EXPIRED);
                self.act(Action::AbortFetch);
            }
            Phase::Delivering { .. } | Phase::StagingOut => {
                self.tell(JobState::Failed, GramError::USER_PROXY_EXPIRED);
                self.act(Action::AbortDelivery);
            }
            Phase::Submitted | Phase::Cancelling => {
                self.tell(JobState::Failed, GramError::USER_PROXY_EXPIRED);
                self.stop_stream();
            }
            Phase::Uncommitted { .. } | Phase::Submitting | Phase::Uncollected { .. } => {
                self.tell(JobState::Failed, GramError::USER_PROXY_EXPIRED);
            }
            Phase::Over { .. } => {}
        }
    }

    /// There is a credential again that lasts.
    pub(super) fn revive(&mut self) {
        if !self.job.lapsed {
            return;
        }
        self.job.lapsed = false;
        self.changed = true;
        if !matches!(self.job.phase, Phase::Stopped { .. } | Phase::Parked { .. }) {
            // They heard FAILED last, which was not the job's own.
            self.report(self.job.state);
        }
        self.move_files();
    }

    /// Begins the transfers that the job's phase is about, unless there is no credential for them.
    pub(super) fn move_files(&mut self) {
        match self.job.phase {
            _ if self.job.lapsed => {}
            Phase::StagingIn => self.act(Action::Fetch),
            Phase::Delivering { .. } => self.act(Action::Deliver),
            Phase::StagingOut => self.act(Action::StageOut),
            Phase::Submitted => self.stream(),
            Phase::Uncommitted { .. }
            | Phase::Submitting
            | Phase::Cancelling
            | Phase::Uncollected { .. }
            | Phase::Parked { .. }
            | Phase::Stopped { .. }
            | Phase::Over { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        job::{Input, Job, Output, Verdict, tests::sample},
        machine::{Event, step},
        scheduler::Outcome,
    };
    use jiff::Timestamp;

    fn job(phase: Phase) -> Job {
        let mut job = sample();
        (job.phase, job.state) = (phase, JobState::Active);
        job
    }

    fn on(job: Job, event: Event) -> (Job, Vec<Action>) {
        step(job, event, Timestamp::UNIX_EPOCH)
    }

    fn told(actions: &[Action]) -> Vec<(JobState, u16)> {
        let told = actions.iter().filter_map(|action| match action {
            Action::Notify { notice, .. } => Some((notice.state, notice.failure.0)),
            _ => None,
        });
        told.collect()
    }

    #[test]
    fn a_job_runs_on_and_its_output_waits_for_the_next_credential() {
        let (job, actions) = on(job(Phase::Submitted), Event::CredentialEnds);
        assert_eq!(told(&actions), [(JobState::Failed, 131)]);
        assert_eq!((job.state, job.phase), (JobState::Active, Phase::Submitted));
        assert!(on(job.clone(), Event::CredentialEnds).1.is_empty(), "once");

        let (job, actions) = on(job, Event::Ended(Outcome::Exited { code: 0 }));
        assert_eq!(job.phase, Phase::Delivering { then: Verdict::Done });
        assert!(!actions.contains(&Action::Deliver));
        // Not even a restart of the manager changes that.
        assert!(!on(job.clone(), Event::Resumed).1.contains(&Action::Deliver));

        let (job, actions) = on(job, Event::CredentialRenewed);
        assert!(actions.contains(&Action::Deliver));
        assert_eq!(told(&actions), [(JobState::Active, 0)]);
        assert_eq!(on(job, Event::Delivered(Ok(()))).0.state, JobState::Done);
    }

    #[test]
    fn what_is_being_fetched_begins_anew() {
        let mut fetching = job(Phase::StagingIn);
        fetching.spec.stdin = Input::Url("https://vm:1/i".into());
        let (job, actions) = on(fetching, Event::CredentialEnds);
        assert!(actions.contains(&Action::AbortFetch));
        // The last word of a transfer that was given up is no failure of the job.
        let failure = crate::job::Failure::new(GramError::STAGING_STDIN, "handshake");
        let (job, actions) = on(job, Event::Fetched(Err(failure)));
        assert_eq!((job.phase, actions), (Phase::StagingIn, vec![]));
        assert!(on(job, Event::CredentialRenewed).1.contains(&Action::Fetch));
    }

    #[test]
    fn a_job_without_files_to_move_just_ends() {
        let mut plain = job(Phase::Submitted);
        plain.spec.stderr = Output::File("/dev/null".into());
        let (job, _) = on(plain, Event::CredentialEnds);
        assert_eq!(on(job, Event::Ended(Outcome::Exited { code: 0 })).0.state, JobState::Done);
    }

    #[test]
    fn who_was_let_go_before_hears_nothing_more() {
        let (job, actions) = on(job(Phase::Stopped { expires: None }), Event::CredentialEnds);
        assert_eq!(told(&actions), []);
        assert_eq!(told(&on(job, Event::CredentialRenewed).1), []);
    }

    #[test]
    fn a_renewal_in_time_is_no_news() {
        assert!(on(job(Phase::Submitted), Event::CredentialRenewed).1.is_empty());
    }
}
