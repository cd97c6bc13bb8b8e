//! The manager: one task that owns all jobs. It feeds events to the state machine and carries out the actions; whatever takes
//! time happens in tasks of its own that report back. Idle jobs cost a record in memory and nothing else.
//!
//! What a job's change makes known waits until the change is in the store: each event's actions become a batch, and batches
//! of a job are carried out in order, each after the save that covers it. One save covers all batches that wait when it starts.

use crate::{
    callback::{Letter, Outgoing},
    environment::{Streams, launch},
    gate::Gate,
    identity::{self, Identities},
    job::{Failure, Job, Notice, Phase},
    launch::JobKey,
    machine::{Action, Answer, Event, step},
    scheduler::{Outcome, Scheduler, SchedulerError, SchedulerEvent},
    site::Site,
    stdio,
    store::{Record, Store, StoreError, Stored},
};
use gram::{
    GramError, JobState,
    control::v1,
    wire::{self, Query},
};
use gsi::{Credential, Subject};
use jiff::Timestamp;
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::AbortHandle,
    time::Instant,
};

/// Messages that may wait for the manager; senders wait beyond.
pub(crate) const INBOX: usize = 4096;
/// Jobs whose files are being moved at once.
const MAX_TRANSFERS: usize = 64;
/// Finished jobs kept for late questions; beyond that the oldest are forgotten before their time.
const MAX_FINISHED: usize = 2000;
/// Pause before a save that failed is tried again.
const SAVE_AGAIN: Duration = Duration::from_secs(1);
/// How long saves that are under way may take when the manager is told to stop.
const LAST_SAVES: Duration = Duration::from_secs(10);

/// Where messages for the manager go.
pub type Inbox = mpsc::Sender<Message>;
/// Where the answer to a query goes; dropped for a job that is not known.
pub type Asker = oneshot::Sender<Answer>;

/// What the manager is told.
pub enum Message {
    /// A new job; answered when it is in the store, dropped when it cannot be stored.
    Accept {
        /** the job */
        job: Box<Job>,
        /** the front door */
        reply: Asker,
    },
    /// A query of an identity about a job.
    Query {
        /** which job */
        key: JobKey,
        /** who asks */
        identity: Subject,
        /** what */
        query: Query,
        /** the client */
        reply: Asker,
    },
    /// A renewed credential for a job.
    Renew {
        /** which job */
        key: JobKey,
        /** the new credential */
        credential: Box<Credential>,
        /** Ok when it is in place, else the GRAM number */
        reply: oneshot::Sender<Result<(), GramError>>,
    },
    /// Something a task of ours has finished.
    Happened {
        /** which job */
        key: JobKey,
        /** what */
        event: Event,
        /** the query it answers, if any */
        asker: Option<Asker>,
    },
    /// The save under way for a job is over.
    Saved {
        /** which job */
        key: JobKey,
        /** how it went */
        result: Result<(), StoreError>,
    },
    /// A save that failed is due again.
    SaveAgain(JobKey),
    /// A call-back is over.
    Told {
        /** which job */
        key: JobKey,
        /** the contact */
        url: String,
        /** which update */
        number: u32,
        /** false: given up */
        delivered: bool,
    },
    /// All jobs, for people.
    List(oneshot::Sender<Vec<v1::Job>>),
    /// How many.
    Count(oneshot::Sender<usize>),
}

/// What the manager's tasks share.
pub struct Shared<S> {
    /// The site.
    pub site: Arc<Site>,
    /// The store.
    pub store: Store,
    /// The scheduler.
    pub scheduler: S,
    /// Credentials and listeners.
    pub identities: Arc<Identities>,
    /// Where tasks report.
    pub inbox: Inbox,
}

/// One job in memory.
struct Entry {
    job: Job,
    /// Not in the store yet: refused when the first save fails.
    fresh: bool,
    /// Cancels to be answered when the job has ended.
    held: Vec<Asker>,
    /// Actions not carried out yet, oldest first.
    batches: VecDeque<Batch>,
    /// How many batches the save under way covers; None: no save is under way.
    saving: Option<usize>,
    deadline: Option<Instant>,
    fetching: Option<AbortHandle>,
}

/// The actions of one event.
struct Batch {
    needs_save: bool,
    actions: Vec<Action>,
    asker: Option<Asker>,
}

/// The task's state.
pub struct Manager<S> {
    shared: Arc<Shared<S>>,
    jobs: HashMap<JobKey, Entry>,
    timers: BTreeSet<(Instant, JobKey)>,
    outgoing: Outgoing,
    transfers: Arc<Semaphore>,
    gate: Arc<Gate>,
    /// Jobs that keep the manager running.
    unsettled: usize,
    /// Finished jobs, oldest first; some may be forgotten already.
    finished: VecDeque<JobKey>,
}

/// Why the manager ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing to do for long enough.
    Idle,
    /// Told to.
    Stopped,
}

impl<S: Scheduler> Manager<S> {
    /// With the jobs of the store; each takes up what was under way.
    pub async fn resume(shared: Arc<Shared<S>>, gate: Arc<Gate>, stored: Vec<Stored>) -> Self {
        let outgoing = Outgoing::new(Arc::clone(&shared.identities), shared.inbox.clone());
        let mut manager = Self {
            shared,
            jobs: HashMap::with_capacity(stored.len()),
            timers: BTreeSet::new(),
            outgoing,
            transfers: Arc::new(Semaphore::new(MAX_TRANSFERS)),
            gate,
            unsettled: 0,
            finished: VecDeque::new(),
        };
        let mut with_scheduler = Vec::new();
        for Stored { record, this_boot } in stored {
            let mut job: Job = match serde_json::from_slice(&record.body) {
                Ok(job) => job,
                Err(error) => {
                    tracing::error!(job = %record.key, %error, "job record not understood, left in the store");
                    continue;
                }
            };
            let key = job.key;
            if let Some(identity) = manager.shared.identities.get(&job.origin.identity).await {
                job.contact = identity::contact(&manager.shared.site.host, identity.port, key);
            }
            // Nobody can tell whether the scheduler had it when the machine went down, and it must not run twice.
            let lost = job.phase == Phase::Submitting && !this_boot;
            if matches!(job.phase, Phase::Submitted | Phase::Cancelling | Phase::Stopped { expires: None }) {
                with_scheduler.push((key, job.scheduler_id.clone()));
            }
            manager.insert(Entry::new(job, false));
            let event = if lost { Event::Ended(Outcome::Lost) } else { Event::Resumed };
            manager.take(key, event, None);
        }
        if !with_scheduler.is_empty() {
            let shared = Arc::clone(&manager.shared);
            tokio::spawn(async move {
                if let Err(error) = shared.scheduler.adopt(with_scheduler).await {
                    tracing::error!(%error, "jobs of an earlier manager are not watched");
                }
            });
        }
        manager
    }

    /// Runs until nothing has been to do for `idle`, or `stop` completes.
    pub async fn run(
        mut self,
        mut messages: mpsc::Receiver<Message>,
        mut events: mpsc::UnboundedReceiver<SchedulerEvent>,
        idle: Duration,
        stop: impl Future<Output = ()>,
    ) -> End {
        let mut stop = std::pin::pin!(stop);
        let mut idle_since = Instant::now();
        loop {
            if self.is_busy() {
                idle_since = Instant::now();
            }
            let idle_at = idle_since + idle;
            let wake = self.timers.first().map_or(idle_at, |(at, _)| idle_at.min(*at));
            tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => {
                        idle_since = Instant::now();
                        self.hear(message);
                    }
                    None => return End::Stopped,
                },
                Some(event) = events.recv() => self.hear_scheduler(&event),
                () = tokio::time::sleep_until(wake) => {
                    self.run_timers();
                    if Instant::now() >= idle_at && !self.is_busy() && self.gate.close_if_empty() {
                        return End::Idle;
                    }
                }
                () = &mut stop => {
                    self.finish_saves(&mut messages).await;
                    return End::Stopped;
                }
            }
        }
    }

    fn is_busy(&self) -> bool {
        self.unsettled > 0
            || !self.outgoing.is_idle()
            || self.gate.is_occupied()
            || self.jobs.values().any(|entry| !entry.batches.is_empty())
    }

    /// Waits for the saves under way, so that everything told so far is known to the next manager. What is not saved yet has
    /// not been told to anyone.
    async fn finish_saves(&mut self, messages: &mut mpsc::Receiver<Message>) {
        let until = Instant::now() + LAST_SAVES;
        while self.jobs.values().any(|entry| entry.saving.is_some()) {
            match tokio::time::timeout_at(until, messages.recv()).await {
                Ok(Some(Message::Saved { key, result })) => self.saved(key, result),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    // --- messages -----------------------------------------------------------------------------------------------------

    fn hear(&mut self, message: Message) {
        match message {
            Message::Accept { job, reply } => {
                let key = job.key;
                self.insert(Entry::new(*job, true));
                self.take(key, Event::Accepted, Some(reply));
            }
            Message::Query { key, identity, query, reply } => {
                let owned = self
                    .jobs
                    .get(&key)
                    .is_some_and(|entry| entry.job.origin.identity == identity.as_str() && !entry.fresh);
                if owned {
                    self.take(key, Event::Query(query), Some(reply));
                }
            }
            Message::Renew { key, credential, reply } => self.renew(key, *credential, reply),
            Message::Happened { key, event, asker } => self.take(key, event, asker),
            Message::Saved { key, result } => self.saved(key, result),
            Message::SaveAgain(key) => {
                if let Some(entry) = self.jobs.get_mut(&key) {
                    entry.saving = None;
                }
                self.pump(key);
            }
            Message::Told { key, url, number, delivered } => {
                self.outgoing.sent(key, url.clone(), delivered);
                self.take(key, Event::Told { url, number }, None);
            }
            Message::List(reply) => {
                // The asker may have gone.
                let _ = reply.send(self.jobs.values().map(|entry| describe(&entry.job)).collect());
            }
            Message::Count(reply) => {
                let _ = reply.send(self.jobs.len());
            }
        }
    }

    fn hear_scheduler(&mut self, event: &SchedulerEvent) {
        let (key, event) = match *event {
            SchedulerEvent::Pending(key) => (key, Event::Pending),
            SchedulerEvent::Active(key) => (key, Event::Active),
            SchedulerEvent::Suspended(key) => (key, Event::Suspended),
            SchedulerEvent::Ended(key, outcome) => (key, Event::Ended(outcome)),
        };
        if self.jobs.contains_key(&key) {
            self.take(key, event, None);
        } else if matches!(event, Event::Ended(_)) {
            // A job that was forgotten before its scheduler was told so.
            self.release(key);
        }
    }

    fn run_timers(&mut self) {
        let now = Instant::now();
        while let Some((at, key)) = self.timers.first().copied() {
            if at > now {
                return;
            }
            self.timers.remove(&(at, key));
            if let Some(entry) = self.jobs.get_mut(&key) {
                entry.deadline = None;
                self.take(key, Event::Deadline, None);
            }
        }
    }

    // --- events and their actions ---------------------------------------------------------------------------------------

    fn insert(&mut self, entry: Entry) {
        self.unsettled += usize::from(!entry.job.is_settled());
        self.jobs.insert(entry.job.key, entry);
    }

    fn take(&mut self, key: JobKey, event: Event, asker: Option<Asker>) {
        let Some(entry) = self.jobs.get_mut(&key) else { return };
        let before = (entry.job.phase, entry.job.state, entry.job.is_settled());
        let (job, mut actions) = step(entry.job.clone(), event, Timestamp::now());
        entry.job = job;
        let after = (entry.job.phase, entry.job.state, entry.job.is_settled());
        if before != after {
            tracing::info!(
                job = %key, request = entry.job.origin.request_id, phase = ?after.0, state = %after.1.name(),
                failure = entry.job.failure_code().0, "job"
            );
        }
        match (before.2, after.2) {
            (false, true) => self.unsettled = self.unsettled.saturating_sub(1),
            (true, false) => self.unsettled += 1,
            _ => {}
        }
        let has_finished = !before.2 && matches!(after.0, Phase::Over { .. });
        let needs_save = actions.first() == Some(&Action::Save);
        actions.retain(|action| *action != Action::Save);
        if needs_save || asker.is_some() || !actions.is_empty() {
            entry.batches.push_back(Batch { needs_save, actions, asker });
            self.pump(key);
        }
        if has_finished {
            self.finished.push_back(key);
            if self.finished.len() > MAX_FINISHED {
                self.forget_oldest();
            }
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.finished.pop_front() else { return };
        let is_over = |entry: &Entry| matches!(entry.job.phase, Phase::Over { .. });
        if self.jobs.get(&oldest).is_some_and(is_over) {
            self.take(oldest, Event::Deadline, None);
        }
    }

    /// Carries out the batches that wait for no save, then starts the save the next one waits for.
    fn pump(&mut self, key: JobKey) {
        loop {
            let Some(entry) = self.jobs.get_mut(&key) else { return };
            if entry.saving.is_some() {
                return;
            }
            match entry.batches.front() {
                None => return,
                Some(batch) if batch.needs_save => {
                    entry.saving = Some(entry.batches.len());
                    let save = save(Arc::clone(&self.shared), &entry.job);
                    tokio::spawn(save);
                    return;
                }
                Some(_) => {
                    if let Some(batch) = entry.batches.pop_front() {
                        self.carry_out(key, batch);
                    }
                }
            }
        }
    }

    fn saved(&mut self, key: JobKey, result: Result<(), StoreError>) {
        let Some(entry) = self.jobs.get_mut(&key) else { return };
        if let Err(error) = result {
            if entry.fresh {
                tracing::error!(job = %key, %error, "job refused, it cannot be stored");
                let job = self.remove(key);
                if let Some(job) = job {
                    self.clean_up(&job);
                }
                return;
            }
            // Nothing that depends on it has been told; the machine may go on when the disk has room again.
            tracing::error!(job = %key, %error, "job not saved, trying again");
            let inbox = self.shared.inbox.clone();
            tokio::spawn(async move {
                tokio::time::sleep(SAVE_AGAIN).await;
                let _ = inbox.send(Message::SaveAgain(key)).await;
            });
            return;
        }
        entry.fresh = false;
        for _ in 0..entry.saving.take().unwrap_or_default() {
            let Some(batch) = self.jobs.get_mut(&key).and_then(|entry| entry.batches.pop_front()) else {
                return;
            };
            self.carry_out(key, batch);
        }
        self.pump(key);
    }

    fn carry_out(&mut self, key: JobKey, batch: Batch) {
        let mut asker = batch.asker;
        for action in batch.actions {
            match action {
                Action::Save => {}
                Action::Answer(answer) => {
                    if let Some(asker) = asker.take() {
                        // The client may have gone.
                        let _ = asker.send(answer);
                    }
                }
                Action::Hold => self.with(key, |entry| entry.held.extend(asker.take())),
                Action::AnswerHeld(answer) => self.with(key, |entry| {
                    for asker in entry.held.drain(..) {
                        let _ = asker.send(answer);
                    }
                }),
                Action::Notify { url, notice } => self.notify(key, url, &notice),
                Action::Fetch => self.fetch(key),
                Action::AbortFetch => self.with(key, |entry| {
                    if let Some(fetching) = entry.fetching.take() {
                        fetching.abort();
                    }
                }),
                Action::Submit => self.submit(key),
                Action::Cancel => self.cancel(key),
                Action::Suspend => self.control(key, Control::Suspend, asker.take()),
                Action::Resume => self.control(key, Control::Resume, asker.take()),
                Action::Release => self.release(key),
                Action::Deliver => self.deliver(key),
                Action::SetTimer(after) => self.set_timer(key, Some(after)),
                Action::StopTimer => self.set_timer(key, None),
                Action::CleanUp => {
                    if let Some(job) = self.jobs.get(&key).map(|entry| entry.job.clone()) {
                        self.clean_up(&job);
                    }
                }
                Action::Forget => self.forget(key),
            }
        }
    }

    fn with(&mut self, key: JobKey, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.jobs.get_mut(&key) {
            change(entry);
        }
    }

    fn set_timer(&mut self, key: JobKey, after: Option<Duration>) {
        let Some(entry) = self.jobs.get_mut(&key) else { return };
        if let Some(old) = entry.deadline.take() {
            self.timers.remove(&(old, key));
        }
        if let Some(after) = after {
            let at = Instant::now() + after;
            entry.deadline = Some(at);
            self.timers.insert((at, key));
        }
    }

    fn notify(&mut self, key: JobKey, url: String, notice: &Notice) {
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

    fn fetch(&mut self, key: JobKey) {
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

    fn deliver(&mut self, key: JobKey) {
        let transfers = Arc::clone(&self.transfers);
        self.work(key, None, |shared, job| async move {
            let _place = transfers.acquire().await;
            let files = shared.site.job_files(job.key);
            Some(Event::Delivered(match gass_client(&shared, &job).await {
                Ok(client) => stdio::deliver(&job, &files, &client).await,
                Err(failure) => Err(failure),
            }))
        });
    }

    fn submit(&mut self, key: JobKey) {
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

    fn cancel(&mut self, key: JobKey) {
        self.work(key, None, |shared, job| async move {
            let id = job.scheduler_id?;
            let asked = shared.scheduler.cancel(job.key, &id).await;
            asked.err().map(|error| Event::CancelFailed(error.into()))
        });
    }

    fn control(&mut self, key: JobKey, control: Control, asker: Option<Asker>) {
        self.work(key, asker, |shared, job| async move {
            let id = job.scheduler_id?;
            let asked = match control {
                Control::Suspend => shared.scheduler.suspend(job.key, &id).await,
                Control::Resume => shared.scheduler.resume(job.key, &id).await,
            };
            Some(Event::Controlled(asked.map_err(|error| error.code)))
        });
    }

    fn release(&self, key: JobKey) {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move { shared.scheduler.forget(key).await });
    }

    /// Removes the job's files; a failure is logged and nothing more, the job is over.
    fn clean_up(&self, job: &Job) {
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

    fn forget(&mut self, key: JobKey) {
        self.remove(key);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            if let Err(error) = shared.store.remove(key).await {
                // It is found again at the next start, with its deadline behind it.
                tracing::warn!(job = %key, %error, "record of a finished job not removed");
            }
        });
    }

    fn remove(&mut self, key: JobKey) -> Option<Job> {
        self.set_timer(key, None);
        let entry = self.jobs.remove(&key)?;
        if !entry.job.is_settled() {
            self.unsettled = self.unsettled.saturating_sub(1);
        }
        Some(entry.job)
    }

    fn renew(&mut self, key: JobKey, credential: Credential, reply: oneshot::Sender<Result<(), GramError>>) {
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

/// What a scheduler can do with a running job besides ending it.
#[derive(Debug, Clone, Copy)]
enum Control {
    Suspend,
    Resume,
}

impl Entry {
    fn new(job: Job, fresh: bool) -> Self {
        Self {
            job,
            fresh,
            held: Vec::new(),
            batches: VecDeque::new(),
            saving: None,
            deadline: None,
            fetching: None,
        }
    }
}

impl From<SchedulerError> for Failure {
    fn from(error: SchedulerError) -> Self {
        Failure::new(error.code, error.message)
    }
}

/// The save of a job as it is now.
fn save<S: Scheduler>(shared: Arc<Shared<S>>, job: &Job) -> impl Future<Output = ()> + Send + use<S> {
    let key = job.key;
    let state = i64::from(job.state.value());
    let body = serde_json::to_vec(job);
    async move {
        let result = match body {
            Ok(body) => shared.store.save(Record { key, state, body }).await,
            Err(error) => Err(StoreError::Malformed(error.to_string())),
        };
        // The manager is gone when nobody listens.
        let _ = shared.inbox.send(Message::Saved { key, result }).await;
    }
}

async fn gass_client<S>(shared: &Shared<S>, job: &Job) -> Result<gass::Client, Failure> {
    let Some(identity) = shared.identities.get(&job.origin.identity).await else {
        return Err(Failure::new(GramError::USER_PROXY_NOT_FOUND, "the job's delegated credential is gone"));
    };
    identity.current().gass(&shared.site.trust)
}

/// What a contact is told (gram.md §9, §10).
fn update(job: &Job, notice: &Notice) -> wire::Update {
    let mut extensions = wire::reply::version_extensions();
    let mut add = |name: &str, value: String| extensions.push((name.to_owned(), value));
    if let (JobState::Done, Some(code)) = (notice.state, job.exit_code) {
        add("exit-code", code.to_string());
    }
    if let Some(failure) = job.failure.as_ref().filter(|failure| failure.code == notice.failure) {
        add("gt3-failure-message", failure.message.clone());
        if let Some(kind) = failure.kind {
            add("gt3-failure-type", kind.as_str().to_owned());
        }
        if let Some(url) = &failure.source_url {
            add("gt3-failure-source", url.clone());
        }
        if let Some(url) = &failure.destination {
            add("gt3-failure-destination", url.clone());
        }
    }
    wire::Update {
        contact: job.contact.clone(),
        status: notice.state.value(),
        failure_code: notice.failure,
        extensions,
    }
}

/// A job for `list`.
fn describe(job: &Job) -> v1::Job {
    v1::Job {
        contact: job.contact.clone(),
        state: job.state.value(),
        failure: u32::from(job.failure_code().0),
        exit_code: job.exit_code,
        identity: job.origin.identity.clone(),
        rsl: job.origin.rsl.lossy().into_owned(),
        created: job.origin.created.as_second(),
        scheduler_id: job.scheduler_id.as_ref().map(|id| id.0.clone()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
