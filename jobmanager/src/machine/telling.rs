//! Who is told what: updates for contacts, answers for queries.

use super::{Action, Answer, Turn};
use crate::job::Notice;
use gram::{GramError, JobState};

impl Turn {
    /// Enters a state that clients see, and tells the contacts that want to know.
    pub(super) fn report(&mut self, state: JobState) {
        self.job.state = state;
        let failure = if state == JobState::Failed { self.job.failure_code() } else { GramError::SUCCESS };
        self.tell(state, failure);
    }

    /// Tells the contacts. Masks are tested against the job's real state, whatever the update says.
    pub(super) fn tell(&mut self, state: JobState, failure: GramError) {
        self.tell_those(state, failure, |_| true);
    }

    /// Tells the contacts whose URL is wanted.
    pub(super) fn tell_those(&mut self, state: JobState, failure: GramError, wanted: impl Fn(&str) -> bool) {
        self.changed = true;
        self.job.updates = self.job.updates.saturating_add(1);
        let notice = Notice { state, failure, number: self.job.updates };
        let real = self.job.state.value();
        for contact in &mut self.job.contacts {
            if contact.mask & real != 0 && wanted(&contact.url) {
                contact.owed = Some(notice.clone());
                self.actions.push(Action::Notify { url: contact.url.clone(), notice: notice.clone() });
            }
        }
    }

    pub(super) fn told(&mut self, url: &str, number: u32) {
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

    pub(super) fn answer(&mut self) {
        let answer = self.now_answer();
        self.act(Action::Answer(answer));
    }

    pub(super) fn refuse(&mut self, code: GramError) {
        let answer = Answer { refused: code, ..self.now_answer() };
        self.act(Action::Answer(answer));
    }

    pub(super) fn now_answer(&self) -> Answer {
        Answer::of(&self.job)
    }
}
