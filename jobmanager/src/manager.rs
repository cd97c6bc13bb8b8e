//! The manager: one task that owns all jobs. It feeds events to the state machine and carries out the actions; whatever takes
//! time happens in tasks of its own that report back. Idle jobs cost a record in memory and nothing else.
//!
//! | File | Subject |
//! |---|---|
//! | `message.rs` | what the manager is told |
//! | `bulk.rs` | questions about many jobs |
//! | `batch.rs` | saving before telling: actions wait for the save that covers them |
//! | `output.rs` | output while the job runs |
//! | `expiry.rs` | credentials that end |
//! | `restart.rs`, `stdio_update.rs` | what restarts and the signals 7 and 8 need besides the state machine |
//! | `work.rs` | what takes time, in tasks of its own |
//! | `wording.rs` | a job as updates and lists show it |

mod batch;
pub(crate) mod bulk;
mod expiry;
mod message;
mod output;
mod restart;
mod stdio_update;
#[cfg(test)]
mod tests;
mod wording;
mod work;

pub use message::{Asker, Found, Inbox, Message};

use crate::{
    callback::Outgoing,
    clock::Clock,
    gate::Gate,
    identity::{self, Identities},
    job::{Job, Phase},
    launch::JobKey,
    machine::{Action, Event, step},
    scheduler::{Outcome, Scheduler, SchedulerEvent},
    site::Site,
    staging::Room,
    store::{Store, Stored},
    stream::Streaming,
    timeline,
};
use batch::{Batch, Entry};
use expiry::Expiry;
use gram::{Signal, wire::Query};
use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};

/// Messages that may wait for the manager; senders wait beyond.
pub(crate) const INBOX: usize = 4096;
/// Jobs being handed to the scheduler at once: what one is started with takes more memory than the job, and thousands may come
/// together.
const MAX_SUBMISSIONS: usize = 128;
/// Finished jobs kept for late questions; beyond that the oldest are forgotten before their time. A large array is remembered
/// whole, and a request for many jobs that is offered again finds all of them.
const MAX_FINISHED: usize = 10_000;
/// How long saves that are under way may take when the manager is told to stop.
const LAST_SAVES: Duration = Duration::from_secs(10);

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
    /// Output on its way.
    pub streaming: Arc<Streaming>,
    /// Where tasks report.
    pub inbox: Inbox,
}

/// The task's state.
pub struct Manager<S> {
    shared: Arc<Shared<S>>,
    /// In boxes: the table's free places, and its moves when it grows, would cost more than the jobs.
    jobs: HashMap<JobKey, Box<Entry>>,
    timers: BTreeSet<(Instant, JobKey)>,
    /// What deadlines are reckoned by.
    clock: Clock,
    expiry: Expiry,
    /// When to look at the credentials again.
    look_at: Option<Instant>,
    outgoing: Outgoing,
    room: Arc<Room>,
    submissions: Arc<Semaphore>,
    gate: Arc<Gate>,
    /// Jobs by the request that made them: one that is offered again makes no second.
    requests: HashMap<String, JobKey>,
    /// Jobs that keep the manager running.
    unsettled: usize,
    /// Batches of all jobs that wait for a save.
    waiting: usize,
    /// Finished jobs, oldest first; some may be forgotten already.
    finished: VecDeque<JobKey>,
}

/// Why the manager ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing to do for long enough.
    Idle,
    /// Told to.
    Stopped {
        /** jobs that need another manager */
        unfinished: usize,
    },
}

impl<S: Scheduler> Manager<S> {
    /// With the jobs of the store; each takes up what was under way.
    pub async fn resume(shared: Arc<Shared<S>>, gate: Arc<Gate>, stored: Vec<Stored>) -> Self {
        let room = Arc::new(Room::new(shared.site.limits.transfers));
        let outgoing = Outgoing::new(Arc::clone(&shared.identities), shared.inbox.clone());
        let clock = Clock::open(&shared.site.directory.join("clock"));
        let mut manager = Self {
            shared,
            clock,
            expiry: Expiry::default(),
            look_at: None,
            jobs: HashMap::with_capacity(stored.len()),
            timers: BTreeSet::new(),
            outgoing,
            room,
            submissions: Arc::new(Semaphore::new(MAX_SUBMISSIONS)),
            gate,
            requests: HashMap::with_capacity(stored.len()),
            unsettled: 0,
            waiting: 0,
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
                job.move_to(identity::contact(&manager.shared.site.host, identity.port(), key));
            }
            if !this_boot && let Some(progress) = &mut job.progress {
                progress.forget_files();
            }
            // Nobody can tell whether the scheduler had it when the machine went down, and it must not run twice.
            let lost = job.phase == Phase::Submitting && !this_boot;
            if matches!(job.phase, Phase::Submitted | Phase::Cancelling | Phase::Stopped { expires: None }) {
                with_scheduler.push((key, job.scheduler_id.clone()));
            }
            manager.insert(Entry::new(job, false));
            let event = match (lost, this_boot) {
                (true, _) => Event::Ended(Outcome::Lost),
                (false, true) => Event::Resumed,
                (false, false) => Event::Rebooted,
            };
            manager.take(key, event, None);
        }
        manager.learn_credentials().await;
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
            let timer = self.timers.first().map(|(at, _)| *at);
            let wake = [timer, self.look_at].into_iter().flatten().fold(idle_at, Instant::min);
            tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => {
                        idle_since = Instant::now();
                        self.hear(message);
                    }
                    None => return self.stopped(),
                },
                Some(event) = events.recv() => self.hear_scheduler(&event),
                () = tokio::time::sleep_until(wake) => {
                    self.run_timers();
                    if self.look_at.is_some_and(|at| at <= Instant::now()) {
                        self.look_at_credentials();
                    }
                    if Instant::now() >= idle_at && !self.is_busy() && self.gate.close_if_empty() {
                        return End::Idle;
                    }
                }
                () = &mut stop => {
                    self.gate.close();
                    self.finish_saves(&mut messages).await;
                    return self.stopped();
                }
            }
        }
    }

    fn is_busy(&self) -> bool {
        self.unsettled > 0 || !self.outgoing.is_idle() || self.gate.is_occupied() || self.waiting > 0
    }

    fn stopped(&self) -> End {
        // A job may be over here and not yet in the store.
        End::Stopped { unfinished: self.unsettled + self.waiting }
    }

    /// Waits for the saves under way, so that everything told so far is known to the next manager. What is not saved yet has
    /// not been told to anyone.
    async fn finish_saves(&mut self, messages: &mut mpsc::Receiver<Message>) {
        let until = Instant::now() + LAST_SAVES;
        let is_saving = |entry: &Entry| entry.saving.is_some();
        let keys = self.jobs.iter().filter(|(_, entry)| is_saving(entry)).map(|(key, _)| *key);
        let mut saving: HashSet<JobKey> = keys.collect();
        while !saving.is_empty() {
            match tokio::time::timeout_at(until, messages.recv()).await {
                Ok(Some(Message::Saved { key, result })) => {
                    self.saved(key, result);
                    if !self.jobs.get(&key).is_some_and(|entry| is_saving(entry)) {
                        saving.remove(&key);
                    }
                }
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
            Message::Find { request, reply } => {
                let _ = reply.send(self.find(&request));
            }
            Message::Query { key, identity, query, reply } => {
                let owned = self
                    .jobs
                    .get(&key)
                    .is_some_and(|entry| entry.job.origin.identity == identity.as_str() && !entry.fresh);
                let event = match query {
                    _ if !owned => None,
                    Query::Signal(Signal::StdioUpdate(text)) => self.stdio_update(key, &text),
                    query => Some(Event::Query(query)),
                };
                if let Some(event) = event {
                    self.take(key, event, Some(reply));
                }
            }
            Message::Output { key, identity, stream, reply } => {
                self.tell_output(key, &identity, stream, reply);
            }
            Message::Timeline { key, identity, reply } => {
                let asked = self.jobs.get(&key).filter(|entry| !entry.fresh).map(|entry| &entry.job);
                if let Some(job) = asked.filter(|job| job.origin.identity == identity.as_str()) {
                    // The asker may have gone.
                    let _ = reply.send(Box::new(timeline::report(job, self.clock.now())));
                }
            }
            Message::Restart { key, identity, scheduler, restart, reply } => {
                self.restart(key, &identity, &scheduler, restart, reply);
            }
            Message::Credential { identity, expires } => {
                self.expiry.watch(&identity, Some(expires));
                self.look_at_credentials();
            }
            Message::Bulk(ask) => self.hear_bulk(ask),
            Message::Renew { key, credential, reply } => self.renew(key, *credential, reply),
            Message::Happened { key, event, asker, move_number } => {
                let is_current = |entry: &Entry| move_number.is_none_or(|number| number == entry.move_number);
                if self.jobs.get(&key).is_some_and(|entry| is_current(entry)) {
                    self.take(key, event, asker);
                }
            }
            Message::Saved { key, result } => self.saved(key, result),
            Message::SaveAgain(key) => {
                if let Some(entry) = self.jobs.get_mut(&key) {
                    entry.saving = None;
                }
                self.pump(key);
            }
            Message::Told { key, url, number, delivered } => {
                self.outgoing.sent(key, url.clone(), delivered);
                let event =
                    if delivered { Event::Told { url, number } } else { Event::GivenUp { url, number } };
                self.take(key, event, None);
            }
            Message::List(reply) => {
                // The asker may have gone.
                let _ = reply.send(self.jobs.values().map(|entry| wording::describe(&entry.job)).collect());
            }
            Message::Count(reply) => {
                let _ = reply.send(self.jobs.len());
            }
        }
    }

    /// The job that this request has made; a job not in the store yet has not been told to anyone.
    fn find(&self, request: &str) -> Option<Found> {
        let entry = self.requests.get(request).and_then(|key| self.jobs.get(key))?;
        (!entry.fresh).then(|| Found { code: entry.job.accepted_with(), contact: entry.job.contact.clone() })
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
        let (key, request) = (entry.job.key, &entry.job.origin.request_id);
        if !request.is_empty() {
            // An id that somebody else has used stays theirs.
            self.requests.entry(request.clone()).or_insert(key);
        }
        self.unsettled += usize::from(!entry.job.is_settled());
        self.jobs.insert(key, Box::new(entry));
    }

    fn take(&mut self, key: JobKey, event: Event, asker: Option<Asker>) {
        let Some(entry) = self.jobs.get_mut(&key) else { return };
        let before = (entry.job.phase, entry.job.state, entry.job.is_settled());
        let might_write = entry.job.may_write();
        let (job, mut actions) = step(entry.job.clone(), event, self.clock.now());
        entry.job = job;
        let after = (entry.job.phase, entry.job.state, entry.job.is_settled());
        if before != after {
            tracing::info!(
                job = %key, request = entry.job.origin.request_id, phase = ?after.0, state = %after.1.name(),
                failure = entry.job.failure_code().0, "job"
            );
        }
        if might_write && !entry.job.may_write() {
            self.shared.streaming.readers.ended(key);
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
            self.waiting += 1;
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
        if self.jobs.get(&oldest).is_some_and(|entry| is_over(entry)) {
            self.take(oldest, Event::Deadline, None);
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

    fn remove(&mut self, key: JobKey) -> Option<Job> {
        self.set_timer(key, None);
        let entry = self.jobs.remove(&key)?;
        self.waiting = self.waiting.saturating_sub(entry.batches.len());
        let request = &entry.job.origin.request_id;
        if self.requests.get(request) == Some(&key) {
            self.requests.remove(request);
        }
        if !entry.job.is_settled() {
            self.unsettled = self.unsettled.saturating_sub(1);
        }
        Some(entry.job)
    }
}
