//! What the signals 7 and 8 need besides the state machine: their text read, and files looked at or written.

use super::{Asker, Manager};
use crate::{
    job::Job,
    launch::JobKey,
    machine::Event,
    request::{Surroundings, read_update},
    scheduler::Scheduler,
    site::Site,
    staging,
};
use gram::GramError;
use std::path::Path;

impl<S: Scheduler> Manager<S> {
    /// The event that the text of a STDIO_UPDATE makes.
    pub(super) fn stdio_update(&self, key: JobKey, text: &str) -> Option<Event> {
        let job = &self.jobs.get(&key)?.job;
        let update = read_update(text.as_bytes(), &surroundings(job, &self.shared.site));
        let update = update.map_err(|failure| {
            tracing::info!(job = %key, code = failure.code.0, reason = failure.message, "STDIO_UPDATE refused");
            failure.code
        });
        Some(Event::StdioUpdate(update.map(Box::new)))
    }

    /// Compares what the job has written so far with what the client has received.
    pub(super) fn compare_stdio(
        &mut self,
        key: JobKey,
        stdout: Option<u64>,
        stderr: Option<u64>,
        asker: Option<Asker>,
    ) {
        self.work(key, asker, |shared, job| async move {
            let same = match staging::places(&job, &shared.site.job_files(job.key)).await {
                Ok(places) => is_size(&places.stdout, stdout).await && is_size(&places.stderr, stderr).await,
                Err(_) => false,
            };
            Some(Event::Controlled(if same { Ok(()) } else { Err(GramError::STDIO_SIZE) }))
        });
    }

    pub(super) fn write_remote_io(&mut self, key: JobKey, asker: Option<Asker>) {
        self.work(key, asker, |shared, job| async move {
            let url = job.spec.remote_io_url?;
            let written = shared.site.job_files(key).write_remote_io(&url);
            Some(Event::Controlled(written.map_err(|error| {
                tracing::warn!(job = %key, %error, "remote I/O file not written");
                GramError::WRITING_REMOTE_IO_URL
            })))
        });
    }
}

/// A file that is not there has no bytes.
async fn is_size(path: &Path, expected: Option<u64>) -> bool {
    let Some(expected) = expected else { return true };
    tokio::fs::metadata(path).await.map_or(0, |metadata| metadata.len()) == expected
}

/// What an update is read against. The gatekeeper's own symbols are not defined: no request came through it.
fn surroundings(job: &Job, site: &Site) -> Surroundings {
    Surroundings {
        home: site.account.home.clone(),
        logname: site.account.name.clone(),
        identity: job.origin.identity.clone(),
        globus_location: site.globus_location.clone(),
        gatekeeper: (String::new(), 0, String::new()),
        machine: site.machine.clone(),
        scheduler: job.origin.scheduler.clone(),
        key: job.key,
        contact: job.contact.clone(),
        job_directory: site.job_files(job.key).directory().to_owned(),
        scratch_name: staging::scratch::name(job.key),
    }
}
