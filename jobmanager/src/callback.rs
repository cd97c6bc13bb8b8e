//! State updates to the contacts of jobs (gram.md §9): in order per job and contact, a bounded number at a time, tried again
//! for a bounded time. A job never waits for them.

use crate::{
    identity::Identities,
    launch::JobKey,
    manager::{Inbox, Message},
};
use gram::{CallbackContact, callback, wire};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};

/// Updates under way at once.
const MAX_SENDING: usize = 64;
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(20);
/// Pauses before the attempts, in seconds: after the last one the contact is given up.
const PAUSES: [u64; 7] = [0, 1, 2, 4, 8, 16, 30];
/// Updates one contact may be behind; the oldest is dropped beyond, and the last one always stays.
const MAX_BEHIND: usize = 16;

/// One update for one contact.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Owner of the job: whose credential is shown.
    pub identity: String,
    /// The job's count of updates, for the confirmation.
    pub number: u32,
    /// What is said.
    pub update: wire::Update,
}

/// What is still to be sent. Owned by the manager; only sending itself is done in tasks, one at most per job and contact.
pub struct Outgoing {
    identities: Arc<Identities>,
    inbox: Inbox,
    permits: Arc<Semaphore>,
    /// An entry exists while a task carries its first letter.
    queues: HashMap<(JobKey, String), VecDeque<Letter>>,
}

impl Outgoing {
    /// Nothing to send yet.
    pub fn new(identities: Arc<Identities>, inbox: Inbox) -> Self {
        Self { identities, inbox, permits: Arc::new(Semaphore::new(MAX_SENDING)), queues: HashMap::new() }
    }

    /// Sends a letter when those before it for the same job and contact have gone.
    pub fn send(&mut self, key: JobKey, url: String, letter: Letter) {
        match self.queues.get_mut(&(key, url.clone())) {
            Some(queue) => {
                if queue.len() >= MAX_BEHIND {
                    // The first is under way.
                    queue.remove(1);
                }
                queue.push_back(letter);
            }
            None => {
                self.queues.insert((key, url.clone()), VecDeque::from([letter.clone()]));
                self.carry(key, url, letter);
            }
        }
    }

    /// The first letter has been delivered, or given up (then all but the last of the others are dropped: the contact is
    /// slow or gone, and the last one says where the job stands).
    pub fn sent(&mut self, key: JobKey, url: String, delivered: bool) {
        let queue_key = (key, url);
        let Some(queue) = self.queues.get_mut(&queue_key) else { return };
        queue.pop_front();
        if !delivered {
            queue.drain(..queue.len().saturating_sub(1));
        }
        match queue.front().cloned() {
            Some(next) => self.carry(key, queue_key.1, next),
            None => {
                self.queues.remove(&queue_key);
            }
        }
    }

    /// Nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.queues.is_empty()
    }

    fn carry(&self, key: JobKey, url: String, letter: Letter) {
        let (identities, inbox, permits) =
            (Arc::clone(&self.identities), self.inbox.clone(), Arc::clone(&self.permits));
        tokio::spawn(async move {
            let number = letter.number;
            let delivered = deliver(&identities, &permits, key, &url, letter).await;
            // The manager is gone when nobody listens.
            let _ = inbox.send(Message::Told { key, url, number, delivered }).await;
        });
    }
}

/// Tries until it works or the pauses are used up.
async fn deliver(
    identities: &Identities,
    permits: &Semaphore,
    key: JobKey,
    url: &str,
    letter: Letter,
) -> bool {
    let contact: CallbackContact = match url.parse() {
        Ok(contact) => contact,
        Err(error) => {
            tracing::info!(job = %key, url, %error, "call-back contact not understood");
            return false;
        }
    };
    for pause in PAUSES {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        let Ok(_permit) = permits.acquire().await else { return false };
        let Some(identity) = identities.get(&letter.identity).await else {
            tracing::info!(job = %key, url, identity = letter.identity, "no credential for call-backs");
            return false;
        };
        let connector = identity.current().connector.clone();
        match callback::deliver(&connector, &contact, &letter.update, Instant::now() + ATTEMPT).await {
            Ok(()) => return true,
            // It has arrived, and asking again will not change the answer.
            Err(callback::DeliveryError::Refused(status)) => {
                tracing::info!(job = %key, url, status, "call-back refused");
                return true;
            }
            Err(error) => tracing::debug!(job = %key, url, %error, "call-back not delivered yet"),
        }
    }
    tracing::info!(job = %key, url, state = letter.update.status, "call-back given up");
    false
}
