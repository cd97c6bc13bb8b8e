//! Saving before telling: what a job's change makes known waits until the change is in the store. Each event's actions become
//! a batch, and batches of a job are carried out in order, each after the save that covers it. One save covers all batches
//! that wait when it starts.

use super::{Asker, Manager, Message, Shared, work::Control};
use crate::{
    job::Job,
    launch::JobKey,
    machine::Action,
    scheduler::Scheduler,
    store::{Record, StoreError},
};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{task::JoinHandle, time::Instant};

/// Pause before a save that failed is tried again.
const SAVE_AGAIN: Duration = Duration::from_secs(1);

/// One job in memory.
pub(super) struct Entry {
    pub(super) job: Job,
    /// Not in the store yet: refused when the first save fails.
    pub(super) fresh: bool,
    /// Cancels to be answered when the job has ended.
    pub(super) held: Vec<Asker>,
    /// Actions not carried out yet, oldest first.
    pub(super) batches: VecDeque<Batch>,
    /// How many batches the save under way covers; None: no save is under way.
    pub(super) saving: Option<usize>,
    pub(super) deadline: Option<Instant>,
    /// The task that moves its files.
    pub(super) moving: Option<JoinHandle<()>>,
    /// Counts those tasks, so that the end of one that was aborted is told from that of the next.
    pub(super) move_number: u32,
}

/// The actions of one event.
pub(super) struct Batch {
    pub(super) needs_save: bool,
    pub(super) actions: Vec<Action>,
    pub(super) asker: Option<Asker>,
}

impl Entry {
    pub(super) fn new(job: Job, fresh: bool) -> Self {
        Self {
            job,
            fresh,
            held: Vec::new(),
            batches: VecDeque::new(),
            saving: None,
            deadline: None,
            moving: None,
            move_number: 0,
        }
    }
}

impl<S: Scheduler> Manager<S> {
    /// Carries out the batches that wait for no save, then starts the save the next one waits for.
    pub(super) fn pump(&mut self, key: JobKey) {
        loop {
            let Some(entry) = self.jobs.get_mut(&key) else { return };
            if entry.saving.is_some() {
                return;
            }
            match entry.batches.front() {
                None => {
                    // Most jobs do nothing most of the time.
                    entry.batches.shrink_to_fit();
                    return;
                }
                Some(batch) if batch.needs_save => {
                    entry.saving = Some(entry.batches.len());
                    let save = save(Arc::clone(&self.shared), &entry.job);
                    tokio::spawn(save);
                    return;
                }
                Some(_) => {
                    self.carry_out_next(key);
                }
            }
        }
    }

    /// Carries out the job's oldest batch; false when there is none.
    fn carry_out_next(&mut self, key: JobKey) -> bool {
        let Some(batch) = self.jobs.get_mut(&key).and_then(|entry| entry.batches.pop_front()) else {
            return false;
        };
        self.waiting = self.waiting.saturating_sub(1);
        self.carry_out(key, batch);
        true
    }

    pub(super) fn saved(&mut self, key: JobKey, result: Result<(), StoreError>) {
        let Some(entry) = self.jobs.get_mut(&key) else { return };
        if let Err(error) = result {
            if entry.fresh {
                tracing::error!(job = %key, %error, "job refused, it cannot be stored");
                // Should some of it have reached the disk after all, it must not come back as a job.
                self.forget(key);
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
            if !self.carry_out_next(key) {
                return;
            }
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
                Action::AbortFetch => self.abort_move(key),
                Action::Submit => self.submit(key),
                Action::Cancel => self.cancel(key),
                Action::Suspend => self.control(key, Control::Suspend, asker.take()),
                Action::Resume => self.control(key, Control::Resume, asker.take()),
                Action::Adopt => self.adopt(key),
                Action::Release => self.release(key),
                Action::Stream => self.stream(key),
                Action::StopStream => self.shared.streaming.stop(key),
                Action::Restream => self.restream(key),
                Action::Deliver => self.deliver(key),
                Action::StageOut => self.stage_out(key),
                Action::AbortDelivery => self.abort_move(key),
                Action::CompareStdio { stdout, stderr } => {
                    self.compare_stdio(key, stdout, stderr, asker.take());
                }
                Action::WriteRemoteIo => self.write_remote_io(key, asker.take()),
                Action::SetTimer(after) => self.set_timer(key, Some(after)),
                Action::StopTimer => self.set_timer(key, None),
                Action::CleanUp => self.clean_up(key),
                Action::Forget => self.forget(key),
            }
        }
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
