//! Restarts: whose job it is, and whether it is this service's, before the state machine decides the rest.

use super::{Asker, Manager};
use crate::{
    launch::JobKey,
    machine::{Answer, Event, Restart},
    scheduler::Scheduler,
};
use gram::GramError;
use gsi::Subject;

impl<S: Scheduler> Manager<S> {
    /// The asker is dropped when the identity has no such job; so nobody learns of other people's.
    pub(super) fn restart(
        &mut self,
        key: JobKey,
        identity: &Subject,
        scheduler: &str,
        restart: Box<Restart>,
        reply: Asker,
    ) {
        let Some(entry) = self.jobs.get(&key).filter(|entry| !entry.fresh) else { return };
        let job = &entry.job;
        if job.origin.identity != identity.as_str() {
            return;
        }
        if job.origin.scheduler != scheduler {
            let _ = reply.send(Answer {
                state: job.state,
                refused: GramError::OLD_JM_ALIVE,
                failure: job.failure_code(),
                exit_code: None,
            });
            return;
        }
        self.take(key, Event::Restart(restart), Some(reply));
    }
}
