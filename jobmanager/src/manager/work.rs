//! What takes time, each piece in a task of its own that reports back: transfers, the scheduler, call-backs, files.

use super::{Asker, Manager, Message, Shared, wording::update};
use crate::{
    callback::Letter,
    environment::{Streams, launch},
    job::{Failure, Job, Notice, Output},
    launch::JobKey,
    machine::Event,
    scheduler::{Scheduler, SchedulerError},
    stdio,
    stream::{Readable, Stream},
};
use gram::GramError;
use gsi::{Credential, Subject};
use std::sync::Arc;
use tokio::{sync::oneshot, task::AbortHandle};

/// What a scheduler can do with a running job besides ending it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Control {
    Suspend,
    Resume,
}

impl<S: Scheduler> Manager<S> {
    pub(super) fn notify(&mut self, key: JobKey, url: String, notice: &Notice) {
        let Some(entry) = self.jobs.get(&key) else { return };
        let letter = Letter {
            identity: entry.job.origin.identity.clone(),
            number: notice.number,
            update: update(&entry.job, notice),
        };
        self.outgoing.send(key, url, letter);
    }

    /// Runs `work` on a copy of the job in a task of its own; what it gives is the job's next event.
    fn work<F>(
        &self,
        key: JobKey,
        asker: Option<Asker>,
        work: impl FnOnce(Arc<Shared<S>>, Job) -> F,
    ) -> Option<AbortHandle>
    where
        F: Future<Output = Option<Event>> + Send + 'static,
    {
        let job = self.jobs.get(&key)?.job.clone();
        let inbox = self.shared.inbox.clone();
        let work = work(Arc::clone(&self.shared), job);
        let task = tokio::spawn(async move {
            if let Some(event) = work.await {
                let _ = inbox.send(Message::Happened { key, event, asker }).await;
            }
        });
        Some(task.abort_handle())
    }

    pub(super) fn fetch(&mut self, key: JobKey) {
        let transfers = Arc::clone(&self.transfers);
        let task = self.work(key, None, |shared, job| async move {
            let _place = transfers.acquire().await;
            let files = shared.site.job_files(job.key);
            Some(Event::Fetched(match gass_client(&shared, &job).await {
                Ok(client) => stdio::fetch(&job, &files, &client).await,
                Err(failure) => Err(failure),
            }))
        });
        self.with(key, |entry| entry.fetching = task);
    }

    /// Lets the job's output go out while it is written.
    pub(super) fn stream(&self, key: JobKey) {
        let Some(job) = self.jobs.get(&key).map(|entry| &entry.job) else { return };
        let files = self.shared.site.job_files(key);
        self.shared.streaming.start(job, &Streams::of(job, &files));
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
        let (output, written) = {
            let written = Streams::of(job, &self.shared.site.job_files(key));
            match stream {
                Stream::Stdout => (&job.spec.stdout, written.stdout),
                Stream::Stderr => (&job.spec.stderr, written.stderr),
            }
        };
        let _ = reply.send(Readable {
            path: (!matches!(output, Output::Cache(_))).then_some(written),
            status: job.state.value(),
            failure: job.failure_code(),
            ended: !job.may_write(),
            ending: self.shared.streaming.readers.follow(key),
            readers: Arc::clone(&self.shared.streaming.readers),
        });
    }

    pub(super) fn deliver(&mut self, key: JobKey) {
        let transfers = Arc::clone(&self.transfers);
        self.work(key, None, |shared, job| async move {
            let _place = transfers.acquire().await;
            let files = shared.site.job_files(job.key);
            Some(Event::Delivered(match gass_client(&shared, &job).await {
                Ok(client) => stdio::deliver(&job, &files, &client, &shared.streaming).await,
                Err(failure) => Err(failure),
            }))
        });
    }

    pub(super) fn submit(&mut self, key: JobKey) {
        self.work(key, None, |shared, job| async move {
            let files = shared.site.job_files(job.key);
            let mut streams = Streams::of(&job, &files);
            match stdio::open_cache_entries(&job).await {
                Ok((stdout, stderr)) => {
                    streams.stdout = stdout.unwrap_or(streams.stdout);
                    streams.stderr = stderr.unwrap_or(streams.stderr);
                }
                Err(failure) => return Some(Event::Submitted(Err(failure))),
            }
            let submitted = shared.scheduler.submit(launch(&job, &shared.site, streams)).await;
            Some(Event::Submitted(submitted.map_err(Failure::from)))
        });
    }

    pub(super) fn cancel(&mut self, key: JobKey) {
        self.work(key, None, |shared, job| async move {
            let id = job.scheduler_id?;
            let asked = shared.scheduler.cancel(job.key, &id).await;
            asked.err().map(|error| Event::CancelFailed(error.into()))
        });
    }

    pub(super) fn control(&mut self, key: JobKey, control: Control, asker: Option<Asker>) {
        self.work(key, asker, |shared, job| async move {
            let id = job.scheduler_id?;
            let asked = match control {
                Control::Suspend => shared.scheduler.suspend(job.key, &id).await,
                Control::Resume => shared.scheduler.resume(job.key, &id).await,
            };
            Some(Event::Controlled(asked.map_err(|error| error.code)))
        });
    }

    pub(super) fn release(&self, key: JobKey) {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move { shared.scheduler.forget(key).await });
    }

    /// Removes the job's files; a failure is logged and nothing more, the job is over.
    pub(super) fn clean_up(&self, job: &Job) {
        let files = self.shared.site.job_files(job.key);
        let job = job.clone();
        let streaming = Arc::clone(&self.shared.streaming);
        streaming.stop(job.key);
        tokio::task::spawn_blocking(move || {
            let written = Streams::of(&job, &files);
            streaming
                .readers
                .keep(job.key, &[(Stream::Stdout, written.stdout), (Stream::Stderr, written.stderr)]);
            if let Err(error) = files.remove() {
                tracing::warn!(job = %job.key, %error, "job directory not removed");
            }
            if let Err(error) = stdio::clean_cache(&job) {
                tracing::warn!(job = %job.key, %error, "cache entries not removed");
            }
        });
    }

    pub(super) fn forget(&mut self, key: JobKey) {
        self.remove(key);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            if let Err(error) = shared.store.remove(key).await {
                // It is found again at the next start, with its deadline behind it.
                tracing::warn!(job = %key, %error, "record of a finished job not removed");
            }
        });
    }

    pub(super) fn renew(
        &mut self,
        key: JobKey,
        credential: Credential,
        reply: oneshot::Sender<Result<(), GramError>>,
    ) {
        let Some(entry) = self.jobs.get(&key) else { return };
        if entry.job.origin.identity != credential.identity().as_str() {
            let _ = reply.send(Err(GramError::DELEGATION_FAILED));
            return;
        }
        let files = self.shared.site.job_files(key);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let renewed = match files.write_proxy(credential.to_pem().as_bytes()) {
                Ok(()) => {
                    shared.identities.offer(credential).await.map(drop).map_err(|error| error.to_string())
                }
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = &renewed {
                tracing::warn!(job = %key, error, "renewed credential not in place");
            }
            let _ = reply.send(renewed.map_err(|_| GramError::DELEGATION_FAILED));
        });
    }
}

impl From<SchedulerError> for Failure {
    fn from(error: SchedulerError) -> Self {
        Failure::new(error.code, error.message)
    }
}

async fn gass_client<S>(shared: &Shared<S>, job: &Job) -> Result<gass::Client, Failure> {
    let Some(identity) = shared.identities.get(&job.origin.identity).await else {
        return Err(Failure::new(GramError::USER_PROXY_NOT_FOUND, "the job's delegated credential is gone"));
    };
    identity.current().gass(&shared.site.trust)
}
