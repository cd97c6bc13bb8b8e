//! What takes time, each piece in a task of its own that reports back: transfers, the scheduler, call-backs, files.

use super::{Asker, Manager, Message, Shared, wording::update};
use crate::{
    callback::Letter,
    description,
    environment::launch,
    job::{Failure, Job, Notice},
    launch::JobKey,
    machine::Event,
    scheduler::{Scheduler, SchedulerError},
    staging::{self, Desk},
};
use gram::GramError;
use gsi::Credential;
use std::sync::Arc;
use tokio::{sync::oneshot, task::JoinHandle};

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
    ) -> Option<JoinHandle<()>>
    where
        F: Future<Output = Option<Event>> + Send + 'static,
    {
        self.work_on(key, asker, None, work)
    }

    /// As [`Manager::work`]; what comes of a move with another number than the job's latest is dropped.
    fn work_on<F>(
        &self,
        key: JobKey,
        asker: Option<Asker>,
        move_number: Option<u32>,
        work: impl FnOnce(Arc<Shared<S>>, Job) -> F,
    ) -> Option<JoinHandle<()>>
    where
        F: Future<Output = Option<Event>> + Send + 'static,
    {
        let job = self.jobs.get(&key)?.job.clone();
        let inbox = self.shared.inbox.clone();
        let work = work(Arc::clone(&self.shared), job);
        Some(tokio::spawn(async move {
            if let Some(event) = work.await {
                let _ = inbox.send(Message::Happened { key, event, asker, move_number }).await;
            }
        }))
    }

    pub(super) fn fetch(&mut self, key: JobKey) {
        self.move_files(key, |desk| async move { Event::Fetched(staging::fetch(desk).await) });
    }

    pub(super) fn deliver(&mut self, key: JobKey) {
        self.move_files(key, |desk| async move { Event::Delivered(staging::deliver(desk).await) });
    }

    pub(super) fn stage_out(&mut self, key: JobKey) {
        self.move_files(key, |desk| async move { Event::StagedOut(staging::stage_out(desk).await) });
    }

    /// Breaks off what is being moved; what still comes of it is dropped. The task is kept, so that whoever goes on with the same
    /// files can wait for its end.
    pub(super) fn abort_move(&mut self, key: JobKey) {
        self.with(key, |entry| {
            entry.move_number = entry.move_number.wrapping_add(1);
            entry.moving.iter().for_each(JoinHandle::abort);
        });
        self.shared.streaming.stop(key);
    }

    fn move_files<F>(&mut self, key: JobKey, work: impl FnOnce(Desk) -> F + Send + 'static)
    where
        F: Future<Output = Event> + Send + 'static,
    {
        let room = Arc::clone(&self.room);
        let Some(entry) = self.jobs.get_mut(&key) else { return };
        let (previous, number) = (entry.moving.take(), entry.move_number);
        let task = self.work_on(key, None, Some(number), |shared, job| async move {
            if let Some(previous) = previous {
                let _ = previous.await;
            }
            let identity = shared.identities.get(&job.origin.identity).await;
            let trust = shared.site.trust.clone();
            let desk = Desk {
                files: shared.site.job_files(job.key),
                job,
                credentials: Box::new(move || match &identity {
                    Some(identity) => identity.current().gass(&trust),
                    None => Err(Failure::new(
                        GramError::USER_PROXY_NOT_FOUND,
                        "the job's delegated credential is gone",
                    )),
                }),
                limits: shared.site.limits,
                room,
                reports: shared.inbox.clone(),
                streaming: Arc::clone(&shared.streaming),
                number,
            };
            Some(work(desk).await)
        });
        self.with(key, |entry| entry.moving = task);
    }

    pub(super) fn submit(&mut self, key: JobKey) {
        let submissions = Arc::clone(&self.submissions);
        self.work(key, None, |shared, job| async move {
            let _place = submissions.acquire().await;
            let files = shared.site.job_files(job.key);
            let places = match staging::places(&job, &files).await {
                Ok(places) => places,
                Err(failure) => return Some(Event::Submitted(Err(failure))),
            };
            let launch = launch(&job, &shared.site, places);
            if job.spec.save_description {
                description::save(&job, &launch, &shared.site);
            }
            let submitted = shared.scheduler.submit(launch).await;
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

    /// Removes the job's files, once nothing moves them any more; the job's record goes after them (see [`Self::forget`]).
    pub(super) fn clean_up(&mut self, key: JobKey) {
        let Some(entry) = self.jobs.get_mut(&key) else { return };
        let moving = entry.moving.take();
        let job = entry.job.clone();
        let files = self.shared.site.job_files(key);
        let inbox = self.shared.inbox.clone();
        let streaming = Arc::clone(&self.shared.streaming);
        streaming.stop(key);
        entry.moving = Some(tokio::spawn(async move {
            if let Some(moving) = moving {
                // It is over, or has been broken off.
                let _ = moving.await;
            }
            let is_known = job.spec.cleans_up();
            let cleaning = tokio::task::spawn_blocking(move || {
                streaming.readers.keep(&job, &files);
                staging::clean_up(&job, &files);
            });
            if cleaning.await.is_ok() && is_known {
                let event = Event::Cleaned;
                let _ = inbox.send(Message::Happened { key, event, asker: None, move_number: None }).await;
            }
        }));
    }

    /// Forgets the job at once, and removes its record when its files are removed: should we be killed in between, the next manager
    /// finds it and removes them.
    pub(super) fn forget(&mut self, key: JobKey) {
        let cleaning = self.jobs.get_mut(&key).and_then(|entry| entry.moving.take());
        self.remove(key);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            if let Some(cleaning) = cleaning {
                let _ = cleaning.await;
            }
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
