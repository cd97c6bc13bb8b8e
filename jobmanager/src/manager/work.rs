//! What takes time, each piece in a task of its own that reports back: transfers, the scheduler, call-backs, files.

use super::{Asker, Manager, Message, Shared, wording::update};
use crate::{
    callback::Letter,
    environment::launch,
    job::{Failure, Job, Notice},
    launch::JobKey,
    machine::Event,
    scheduler::{Scheduler, SchedulerError},
    stdio,
};
use gram::GramError;
use gsi::Credential;
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
    pub(super) fn work<F>(
        &self,
        key: JobKey,
        asker: Option<Asker>,
        work: impl FnOnce(Arc<Shared<S>>, Job) -> F,
    ) -> Option<AbortHandle>
    where
        F: Future<Output = Option<Event>> + Send + 'static,
    {
        self.work_on(key, asker, None, work)
    }

    /// As [`Manager::work`]; what comes of a delivery with another number than the job's last is dropped.
    fn work_on<F>(
        &self,
        key: JobKey,
        asker: Option<Asker>,
        delivery: Option<u32>,
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
                let _ = inbox.send(Message::Happened { key, event, asker, delivery }).await;
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

    pub(super) fn deliver(&mut self, key: JobKey) {
        let transfers = Arc::clone(&self.transfers);
        let number = self.jobs.get(&key).map(|entry| entry.delivery);
        let task = self.work_on(key, None, number, |shared, job| async move {
            let _place = transfers.acquire().await;
            let files = shared.site.job_files(job.key);
            Some(Event::Delivered(match gass_client(&shared, &job).await {
                Ok(client) => stdio::deliver(&job, &files, &client).await,
                Err(failure) => Err(failure),
            }))
        });
        self.with(key, |entry| entry.delivering = task);
    }

    pub(super) fn submit(&mut self, key: JobKey) {
        self.work(key, None, |shared, job| async move {
            let files = shared.site.job_files(job.key);
            let streams = match stdio::streams(&job, &files).await {
                Ok(streams) => streams,
                Err(failure) => return Some(Event::Submitted(Err(failure))),
            };
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

    /// Asks for the present state of one job; it comes as an event.
    pub(super) fn adopt(&self, key: JobKey) {
        let Some(id) = self.jobs.get(&key).map(|entry| entry.job.scheduler_id.clone()) else { return };
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            if let Err(error) = shared.scheduler.adopt(vec![(key, id)]).await {
                tracing::error!(job = %key, %error, "a job that was taken up again is not watched");
            }
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
        tokio::task::spawn_blocking(move || {
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
                Ok(()) => shared.identities.offer(credential).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Some(news) = renewed.as_ref().ok().and_then(|identity| identity.news()) {
                // The manager is gone when nobody listens.
                let _ = shared.inbox.send(news).await;
            }
            if let Err(error) = &renewed {
                tracing::warn!(job = %key, error, "renewed credential not in place");
            }
            let _ = reply.send(renewed.map(drop).map_err(|_| GramError::DELEGATION_FAILED));
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
