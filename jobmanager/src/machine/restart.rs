//! Taking up a job again at its owner's request (gram.md §12, `restart`): one more contact, new destinations for its output, and
//! whatever had stopped goes on.

use super::{Action, MAX_CONTACTS, Turn};
use crate::{
    job::{Failure, Phase, Registration, Verdict},
    request::StdioUpdate,
};
use gram::{GramError, JobState};

/// What a restart brings along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// Who wants to hear of the job from now on.
    pub contact: Option<Registration>,
    /// New destinations.
    pub update: StdioUpdate,
}

/// Where a job that has failed can be taken up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// Something could not be fetched.
    StagingIn,
    /// Something could not be sent.
    Output,
}

impl Again {
    fn after(failure: &Failure) -> Option<Self> {
        match failure.code {
            GramError::STAGING_EXECUTABLE | GramError::STAGING_STDIN | GramError::STAGE_IN_FAILED => {
                Some(Self::StagingIn)
            }
            GramError::STAGE_OUT_FAILED | GramError::OPENING_STDOUT | GramError::OPENING_STDERR => {
                Some(Self::Output)
            }
            _ => None,
        }
    }
}

impl Turn {
    /// Answers with what the submitter is told: 0, 110, or the job's own failure; 121 for a job that is over.
    pub(super) fn restart(&mut self, restart: Restart) {
        if matches!(self.job.phase, Phase::Over { .. }) {
            return self.refuse(GramError::NO_STATE_FILE);
        }
        let newcomer = restart.contact.map(|contact| self.welcome(contact));
        let new_output = !restart.update.is_empty();
        let new_remote_io = self.merge(restart.update);
        self.changed = true;
        match self.job.phase {
            Phase::Uncommitted { .. } => {
                self.answer_restart();
                self.await_commit();
            }
            Phase::StagingIn | Phase::Submitting | Phase::Submitted | Phase::Cancelling => {
                self.answer_restart();
                self.greet(newcomer.as_deref());
                self.restream(new_output);
            }
            Phase::Delivering { .. } => {
                self.answer_restart();
                self.greet(newcomer.as_deref());
                // Whoever names other destinations has lost the old ones, and the job may be waiting for those.
                if new_output && !self.job.lapsed {
                    self.act(Action::AbortDelivery);
                    self.act(Action::Deliver);
                }
            }
            Phase::StagingOut => {
                self.answer_restart();
                self.greet(newcomer.as_deref());
                if new_output {
                    self.act(Action::AbortDelivery);
                    self.enter(Phase::Delivering { then: Verdict::Done });
                    self.move_files();
                }
            }
            Phase::Stopped { expires } => self.unstop(expires.is_some()),
            Phase::Uncollected { .. } | Phase::Parked { .. } => self.reopen(),
            Phase::Over { .. } => {}
        }
        if new_remote_io {
            self.act(Action::WriteRemoteIo);
        }
    }

    /// The contact replaces one with the same URL; when there are too many, the oldest makes room: of all of them it is the
    /// one that has least likely still somebody behind it.
    fn welcome(&mut self, contact: Registration) -> String {
        let url = contact.url.clone();
        self.job.contacts.retain(|known| known.url != url);
        if self.job.contacts.len() >= MAX_CONTACTS {
            self.job.contacts.remove(0);
        }
        self.job.contacts.push(contact);
        url
    }

    /// Tells one contact where the job stands, unless it has not begun.
    fn greet(&mut self, url: Option<&str>) {
        if let Some(url) = url.filter(|_| self.job.state != JobState::Unsubmitted) {
            self.tell_those(self.job.state, GramError::SUCCESS, |contact| contact == url);
        }
    }

    fn answer_restart(&mut self) {
        let failed = self.job.state == JobState::Failed;
        let code = if failed { self.job.failure_code() } else { self.job.accepted_with() };
        self.refuse(code);
    }

    /// The scheduler has been left alone meanwhile, or has told of the job's end.
    fn unstop(&mut self, has_ended: bool) {
        self.act(Action::StopTimer);
        match (has_ended, self.job.scheduler_id.is_some()) {
            (false, true) => {
                self.enter(Phase::Submitted);
                self.answer_restart();
                self.report(self.job.state);
                self.act(Action::Adopt);
                self.stream();
            }
            // The scheduler had not answered yet; it knows the job by its key.
            (false, false) => {
                self.enter(Phase::Submitting);
                self.answer_restart();
                self.act(Action::Submit);
            }
            (true, has_run) => {
                self.answer_restart();
                self.report(self.job.state);
                match (self.job.failure.take(), has_run) {
                    (Some(failure), false) => self.fail(failure),
                    (verdict, _) => self.output(verdict),
                }
            }
        }
    }

    /// A job that had come to its end, and that nobody has collected yet.
    fn reopen(&mut self) {
        self.act(Action::StopTimer);
        match self.job.failure.as_ref().and_then(Again::after) {
            // As a new job does, it waits for the commit before it does anything.
            Some(Again::StagingIn) => {
                self.job.failure = None;
                self.job.state = JobState::Unsubmitted;
                self.answer_restart();
                self.await_commit();
            }
            Some(Again::Output) => {
                self.job.failure = None;
                self.job.state = JobState::Active;
                self.answer_restart();
                self.report(JobState::Active);
                self.output(None);
            }
            None => {
                self.answer_restart();
                self.report(self.job.state);
                self.await_end();
            }
        }
    }

    /// The whole time for the first commit begins (again).
    pub(super) fn await_commit(&mut self) {
        let deadline = self.after(self.job.spec.two_phase.unwrap_or_default());
        self.enter(Phase::Uncommitted { deadline });
        self.wait_until_deadline();
    }

    /// The whole time for the second commit begins (again).
    pub(super) fn await_end(&mut self) {
        let deadline = self.after(self.job.spec.two_phase.unwrap_or_default());
        self.enter(Phase::Uncollected { deadline });
        self.wait_until_deadline();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        job::{Destination, Job, Output, tests::sample},
        machine::{Answer, Event, later, step},
        scheduler::{Outcome, SchedulerId},
    };
    use gram::{Signal, wire::Query};
    use jiff::Timestamp;

    const NEW: &str = "https://vm:5/";

    fn now() -> Timestamp {
        Timestamp::from_second(1_000_000).unwrap()
    }

    /// A job whose output is sent, in this phase.
    fn job(phase: Phase, state: JobState) -> Job {
        let mut job = sample();
        (job.phase, job.state) = (phase, state);
        job.spec.two_phase = Some(30);
        job.scheduler_id = Some(SchedulerId("77".into()));
        job
    }

    fn failed(code: GramError) -> Job {
        let mut job = job(Phase::Parked { expires: later(now(), 14_400) }, JobState::Failed);
        job.failure = Some(Failure::new(code, "told to"));
        job
    }

    fn restart_with(job: Job, update: StdioUpdate) -> (Job, Vec<Action>) {
        let contact = Some(Registration { url: NEW.into(), mask: 0xF_FFFF, owed: None });
        step(job, Event::Restart(Box::new(Restart { contact, update })), now())
    }

    fn restart(job: Job) -> (Job, Vec<Action>) {
        restart_with(job, StdioUpdate::default())
    }

    /// What the submitter is told.
    fn code(actions: &[Action]) -> u16 {
        let answers = actions.iter().find_map(|action| match action {
            Action::Answer(Answer { refused, .. }) => Some(refused.0),
            _ => None,
        });
        answers.unwrap_or_else(|| panic!("no answer in {actions:?}"))
    }

    /// State and failure that a contact is told.
    fn told(actions: &[Action], contact: &str) -> Vec<(JobState, u16)> {
        let told = actions.iter().filter_map(|action| match action {
            Action::Notify { url, notice } if url == contact => Some((notice.state, notice.failure.0)),
            _ => None,
        });
        told.collect()
    }

    #[test]
    fn a_running_job_gets_one_contact_more() {
        let (job, actions) = restart(job(Phase::Submitted, JobState::Active));
        assert_eq!((code(&actions), job.phase), (110, Phase::Submitted));
        assert_eq!(job.contacts.len(), 2);
        assert_eq!(told(&actions, NEW), [(JobState::Active, 0)]);
        assert_eq!(told(&actions, "https://vm:2/"), [], "who was there before knows");
        // A front door that lost its answer asks again: nobody hears everything twice.
        let (job, _) = restart(job);
        assert_eq!(job.contacts.len(), 2);
        let mut plain = job;
        plain.spec.two_phase = None;
        assert_eq!(code(&restart(plain).1), 0);
    }

    #[test]
    fn contacts_are_bounded_and_the_oldest_goes_first() {
        let mut job = job(Phase::Submitted, JobState::Active);
        let many = (0..MAX_CONTACTS).map(|number| format!("https://vm:1{number:03}/"));
        job.contacts = many.map(|url| Registration { url, mask: 1, owed: None }).collect();
        let (job, _) = restart(job);
        assert_eq!(job.contacts.len(), MAX_CONTACTS);
        assert_eq!(job.contacts.last().map(|contact| contact.url.as_str()), Some(NEW));
        assert!(job.contacts.iter().all(|contact| contact.url != "https://vm:1000/"));
    }

    #[test]
    fn a_job_that_waits_for_its_commit_gets_the_whole_time_again() {
        let (job, actions) = restart(job(Phase::Uncommitted { deadline: now() }, JobState::Unsubmitted));
        assert_eq!((code(&actions), job.phase), (110, Phase::Uncommitted { deadline: later(now(), 30) }));
        assert_eq!(told(&actions, NEW), []);
    }

    #[test]
    fn a_stopped_job_is_watched_again() {
        let (job, actions) = restart(job(Phase::Stopped { expires: None }, JobState::Active));
        assert_eq!((code(&actions), job.phase), (110, Phase::Submitted));
        assert!(actions.contains(&Action::Adopt));
        assert_eq!(told(&actions, "https://vm:2/"), [(JobState::Active, 0)], "FAILED/130 is no longer so");
    }

    #[test]
    fn a_job_that_ended_while_it_was_stopped_delivers_its_output() {
        let (stopped, _) = step(
            job(Phase::Stopped { expires: None }, JobState::Active),
            Event::Ended(Outcome::Exited { code: 3 }),
            now(),
        );
        let (job, actions) = restart(stopped);
        assert_eq!(job.phase, Phase::Delivering { then: Verdict::Done });
        assert!(actions.contains(&Action::Deliver) && actions.contains(&Action::StopTimer));
        let (job, actions) = step(job, Event::Delivered(Ok(())), now());
        assert_eq!((job.state, job.exit_code), (JobState::Done, Some(3)));
        assert_eq!(told(&actions, NEW), [(JobState::Done, 0)]);
    }

    #[test]
    fn a_parked_job_can_be_collected_in_the_usual_time() {
        let (job, actions) = restart(job(Phase::Parked { expires: later(now(), 9) }, JobState::Done));
        assert_eq!((code(&actions), job.phase), (110, Phase::Uncollected { deadline: later(now(), 30) }));
        assert_eq!(told(&actions, NEW), [(JobState::Done, 0)]);
        let (_, actions) = step(job, Event::Query(Query::Signal(Signal::CommitEnd)), now());
        assert!(actions.contains(&Action::Forget));
    }

    #[test]
    fn what_could_not_be_fetched_is_fetched_again_after_the_commit() {
        for number in [43, 44, 135] {
            let mut job = failed(GramError(number));
            job.spec.stdin = crate::job::Input::Url("https://vm:1/i".into());
            let (job, actions) = restart(job);
            assert_eq!((code(&actions), job.state, &job.failure), (110, JobState::Unsubmitted, &None));
            let (job, actions) = step(job, Event::Query(Query::Signal(Signal::CommitRequest)), now());
            assert_eq!(job.phase, Phase::StagingIn);
            assert!(actions.contains(&Action::Fetch));
        }
    }

    #[test]
    fn what_could_not_be_sent_is_sent_again() {
        for number in [73, 74, 155] {
            let (job, actions) = restart(failed(GramError(number)));
            assert_eq!((code(&actions), job.phase), (110, Phase::Delivering { then: Verdict::Done }));
            assert!(actions.contains(&Action::Deliver) && !actions.contains(&Action::Submit));
        }
    }

    #[test]
    fn any_other_failure_is_told_again() {
        let (job, actions) = restart(failed(GramError::USER_CANCELLED));
        assert_eq!((code(&actions), job.state), (8, JobState::Failed));
        assert_eq!(told(&actions, NEW), [(JobState::Failed, 8)]);
    }

    #[test]
    fn a_job_that_is_over_is_unknown() {
        let (after, actions) = restart(job(Phase::Over { until: later(now(), 300) }, JobState::Done));
        assert_eq!(code(&actions), 121);
        assert_eq!(after.contacts.len(), 1);
    }

    #[test]
    fn a_delivery_that_hangs_starts_over_at_the_new_destination() {
        let there = Output::Deliver(vec![Destination::Url("https://vm:6/e".into())]);
        let update = StdioUpdate { stderr: Some(there.clone()), ..StdioUpdate::default() };
        let hanging = job(Phase::Delivering { then: Verdict::Done }, JobState::Active);
        let (job, actions) = restart_with(hanging.clone(), update);
        let position = |wanted: &Action| actions.iter().position(|action| action == wanted);
        assert!(position(&Action::AbortDelivery) < position(&Action::Deliver), "{actions:?}");
        assert_eq!(job.spec.stderr, there);
        assert!(!restart(hanging).1.contains(&Action::Deliver), "with nothing new it is left alone");
    }

    #[test]
    fn without_a_credential_it_waits_for_the_next_one() {
        let (lapsed, actions) = step(
            job(Phase::Delivering { then: Verdict::Done }, JobState::Active),
            Event::CredentialEnds,
            now(),
        );
        assert_eq!(told(&actions, "https://vm:2/"), [(JobState::Failed, 131)]);
        assert!(actions.contains(&Action::AbortDelivery));
        let (again, actions) = restart_with(lapsed, StdioUpdate::default());
        assert!(!actions.contains(&Action::Deliver));
        let (_, actions) = step(again, Event::CredentialRenewed, now());
        assert!(actions.contains(&Action::Deliver));
        assert_eq!(told(&actions, NEW), [(JobState::Active, 0)]);
    }
}
