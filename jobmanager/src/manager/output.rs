//! Output while the job runs: on its way to where it goes, and for its owner to read.

use super::Manager;
use crate::{
    launch::JobKey,
    scheduler::Scheduler,
    stream::{Place, Readable, Stream},
};
use gsi::Subject;
use std::sync::Arc;
use tokio::sync::oneshot;

impl<S: Scheduler> Manager<S> {
    /// Lets the job's output go out while it is written.
    pub(super) fn stream(&self, key: JobKey) {
        if let Some(entry) = self.jobs.get(&key) {
            self.shared.streaming.start(&entry.job, &self.shared.site.job_files(key));
        }
    }

    /// Lets all of it go to the destinations that the job has now.
    pub(super) fn restream(&self, key: JobKey) {
        if let Some(entry) = self.jobs.get(&key) {
            self.shared.streaming.redirect(&entry.job, &self.shared.site.job_files(key));
        }
    }

    /// Tells the job's owner where its output is.
    pub(super) fn tell_output(
        &self,
        key: JobKey,
        identity: &Subject,
        stream: Stream,
        reply: oneshot::Sender<Readable>,
    ) {
        let Some(entry) = self.jobs.get(&key) else { return };
        let job = &entry.job;
        if job.origin.identity != identity.as_str() || entry.fresh {
            return;
        }
        // The reader may have gone.
        let _ = reply.send(Readable {
            place: Place::of(job, &self.shared.site.job_files(key), stream),
            status: job.state.value(),
            failure: job.failure_code(),
            ended: !job.may_write(),
            ending: self.shared.streaming.readers.follow(key),
            readers: Arc::clone(&self.shared.streaming.readers),
        });
    }
}
