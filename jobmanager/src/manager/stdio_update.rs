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

#[cfg(test)]
mod tests {
    use crate::{
        launch::JobKey,
        scheduler::{Outcome, SchedulerEvent},
        testing::World,
    };
    use gram::{JobContact, JobState, Signal, client::Client};
    use std::time::Duration;

    #[tokio::test]
    async fn output_goes_where_the_last_update_says_and_its_size_is_known() {
        let world = World::new();
        let alice = world.person("Alice");
        let client = Client::new(&alice.proxy, &world.trust()).unwrap();
        let running = world.manager(Duration::from_secs(3600)).await;
        let (first, second) = (world.folder.path().join("home/1"), world.folder.path().join("home/2"));
        let rsl = format!("&(executable=/bin/true)(two_phase=60)(stdout=({}))", first.display());
        let contact: JobContact = running.submit(&alice, &rsl, None).await.job_contact.parse().unwrap();
        let key = JobKey { high: contact.high, low: contact.low };
        let files = running.shared.site.job_files(key);
        client.signal(&contact, &Signal::CommitRequest).await.unwrap();
        running.scheduler.called("submit").await;
        std::fs::write(files.stdout(), "said").unwrap();

        let code = async |signal: Signal| match client.signal(&contact, &signal).await {
            Ok(_) => 0,
            Err(error) => error.code.0,
        };
        let update = |text: String| Signal::StdioUpdate(text);
        assert_eq!(code(update("&(stdout".into())).await, 48);
        assert_eq!(code(update("&(count=1)".into())).await, 48, "139 is not told");
        assert_eq!(code(update("&(stdout=$(NOSUCH))".into())).await, 39);
        assert_eq!(code(update(format!("&(stdout={})", second.display()))).await, 0);
        assert_eq!(code(update("&(remote_io_url=https://vm:7)".into())).await, 0);
        assert_eq!(std::fs::read(files.remote_io()).unwrap(), b"https://vm:7\n");
        // A folder in its place stands for whatever may go wrong.
        std::fs::remove_file(files.remote_io()).unwrap();
        std::fs::create_dir(files.remote_io()).unwrap();
        assert_eq!(code(update("&(remote_io_url=https://vm:8)".into())).await, 128);

        let size = |stdout, stderr| Signal::StdioSize { stdout, stderr };
        assert_eq!(code(size(Some(4), None)).await, 161, "it is not sent yet");
        running.scheduler.report(SchedulerEvent::Ended(key, Outcome::Exited { code: 0 }));
        while client.status(&contact).await.unwrap().state != Some(JobState::Done) {}
        assert!(!first.exists());
        assert_eq!(std::fs::read(second).unwrap(), b"said");
        assert_eq!(code(size(Some(4), None)).await, 0);
        assert_eq!(code(size(Some(4), Some(0))).await, 0);
        assert_eq!(code(size(Some(3), None)).await, 129);
        assert_eq!(code(update("&(stdout=/tmp/x)".into())).await, 94);
        running.stop().await;
    }
}
