//! Questions about many jobs: one message instead of thousands. What can be told of a job at once is; a job of which something
//! is still being saved, or whose answer takes time, is asked like a single one.

use super::{Found, Manager};
use crate::{
    launch::JobKey,
    machine::{Answer, Event},
    scheduler::Scheduler,
};
use gram::wire::{Query, bulk::Which};
use gsi::Subject;
use tokio::sync::oneshot;

/// A question about many jobs.
pub enum Ask {
    /// Which jobs these requests have made, if they have been here before.
    Find {
        /** the requests' ids */
        requests: Vec<String>,
        /** whose */
        identity: String,
        /** the jobs, in the same order */
        reply: oneshot::Sender<Vec<Option<Found>>>,
    },
    /// A query of an identity about its jobs.
    Query {
        /** which */
        which: Which,
        /** who asks */
        identity: Subject,
        /** what */
        query: Query,
        /** the answers, in the order asked for */
        reply: oneshot::Sender<Vec<(JobKey, Answering)>>,
    },
}

/// The answer of one job.
pub enum Answering {
    /// It is known.
    Now(Answer),
    /// It comes, or is dropped when the job is forgotten first.
    Soon(oneshot::Receiver<Answer>),
    /// There is no such job.
    Unknown,
}

impl<S: Scheduler> Manager<S> {
    pub(super) fn hear_bulk(&mut self, ask: Ask) {
        // Whoever asked may have gone.
        match ask {
            Ask::Find { requests, identity, reply } => {
                let found = requests.iter().map(|request| self.find_of(request, &identity)).collect();
                let _ = reply.send(found);
            }
            Ask::Query { which, identity, query, reply } => {
                let keys = match which {
                    Which::All => self.all_of(&identity, &query),
                    Which::Jobs(jobs) => jobs.into_iter().map(|(high, low)| JobKey { high, low }).collect(),
                };
                let answers = keys.into_iter().map(|key| (key, self.answering(key, &identity, &query)));
                let _ = reply.send(answers.collect());
            }
        }
    }

    /// As for a single request, of jobs of this identity only: the ids of these requests are the clients'.
    fn find_of(&self, request: &str, identity: &str) -> Option<Found> {
        let entry = self.requests.get(request).and_then(|key| self.jobs.get(key))?;
        if entry.job.origin.identity == identity { self.find(request) } else { None }
    }

    /// The keys of the identity's jobs, in order; for anything but a status, of those that have not ended.
    fn all_of(&self, identity: &Subject, query: &Query) -> Vec<JobKey> {
        let wanted = |entry: &super::Entry| {
            let concerned = *query == Query::Status || !entry.job.is_terminal();
            concerned && !entry.fresh && entry.job.origin.identity == identity.as_str()
        };
        let jobs = self.jobs.iter().filter(|(_, entry)| wanted(entry));
        let mut keys: Vec<_> = jobs.map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys
    }

    fn answering(&mut self, key: JobKey, identity: &Subject, query: &Query) -> Answering {
        match self.jobs.get(&key) {
            Some(entry) if !entry.fresh && entry.job.origin.identity == identity.as_str() => {
                let all_saved = entry.saving.is_none() && entry.batches.is_empty();
                if all_saved && *query == Query::Status {
                    return Answering::Now(Answer::of(&entry.job));
                }
            }
            _ => return Answering::Unknown,
        }
        let (reply, answer) = oneshot::channel();
        self.take(key, Event::Query(query.clone()), Some(reply));
        Answering::Soon(answer)
    }
}
