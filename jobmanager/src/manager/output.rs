//! Output while the job runs: on its way to where it goes, and for its owner to read.

use super::Manager;
use crate::{
    environment::Places,
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
        let Some(job) = self.jobs.get(&key).map(|entry| &entry.job) else { return };
        let places = Places::of(job, &self.shared.site.job_files(key));
        self.shared.streaming.start(job, &places);
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
