//! The output of jobs while they run: to the URLs they name (`carrier.rs`) and to whoever asks at the job contact
//! (`reader.rs`). A job always writes to a local file and never notices any of this: nothing here can hold it up, and no
//! destination can hold up another's.
//!
//! | File | Subject |
//! |---|---|
//! | `position.rs` | how far a destination has got, and what follows from that; pure |
//! | `source.rs` | the local file, and the record of the position |
//! | `carrier.rs` | one stream on its way to one URL |
//! | `connections.rs` | how many connections there may be |
//! | `watcher.rs` | hearing when files grow |
//! | `reader.rs` | a part of a job's output for its owner |
//!
//! What a client of the stock kind sees is the same as without: the same files in the end, the same states, and the same
//! error numbers when a destination cannot be reached at the end. What survives what: docs/durability.md.

mod carrier;
mod connections;
pub mod position;
pub mod reader;
mod source;
pub mod watcher;

pub use carrier::CarryError;
pub use gram::wire::output::Stream;
pub use reader::{Place, Readable, Readers};

use crate::{
    identity::Identities,
    job::{Destination, Failure, Job, Output},
    launch::JobKey,
    site::{JobFiles, Site},
};
use carrier::{Carrier, Clients, Common};
use connections::Connections;
use gass::Url;
use gram::GramError;
use position::Kind;
use source::Source;
use std::{
    collections::HashMap,
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::watch, task::JoinHandle};
use watcher::Watcher;

/// The output of all jobs of this manager.
pub struct Streaming {
    common: Arc<Common>,
    watcher: Arc<Watcher>,
    live: Mutex<HashMap<JobKey, Live>>,
    /// Those who read at the job contact.
    pub readers: Arc<Readers>,
}

/// The carriers of one job.
struct Live {
    over: watch::Sender<bool>,
    carriers: Vec<(Way, Task)>,
}

/// A carrier's task; it ends when this is dropped.
struct Task(JoinHandle<Result<u64, CarryError>>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One destination of a job's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Of which stream.
    pub stream: Stream,
    /// Which in the list, from 0.
    pub number: u16,
}

impl Streaming {
    /// Nothing yet; output travels with the credentials of these identities. Must be called inside a tokio runtime.
    pub fn new(site: Arc<Site>, identities: Arc<Identities>) -> Self {
        let trust = site.trust.clone();
        let client = move |identity: String| -> Pin<Box<dyn Future<Output = _> + Send>> {
            let (identities, trust) = (Arc::clone(&identities), trust.clone());
            Box::pin(async move {
                let gone = || {
                    let what = "the job's delegated credential is gone";
                    Failure::new(GramError::USER_PROXY_NOT_FOUND, what)
                };
                identities.get(&identity).await.ok_or_else(gone)?.current().gass(&trust)
            })
        };
        Self::with(site, Box::new(client))
    }

    /// The same with clients from elsewhere.
    pub(crate) fn with(site: Arc<Site>, clients: Clients) -> Self {
        let watcher = Arc::new(Watcher::start());
        Self {
            common: Arc::new(Common { site, clients, connections: Connections::new() }),
            readers: Arc::new(Readers::new(Arc::clone(&watcher))),
            watcher,
            live: Mutex::default(),
        }
    }

    /// The job has been started: its output is carried from now on, from where it had got to before a restart. Does nothing for
    /// a job whose output is carried already.
    pub fn start(&self, job: &Job, files: &JobFiles) {
        let ways = ways(job);
        let mut live = self.live();
        if ways.is_empty() || live.contains_key(&job.key) {
            return;
        }
        let over = watch::Sender::new(false);
        let carriers = ways.into_iter().filter_map(|(way, url)| {
            // An entry of the cache that cannot be found now is asked for again when the job has ended.
            let output = Place::of(job, files, way.stream).locate().ok()?;
            let carrier = self.carrier(job, &output, way, url, over.subscribe());
            Some((way, Task(tokio::spawn(carrier.run()))))
        });
        let carriers = carriers.collect();
        live.insert(job.key, Live { over, carriers });
    }

    /// The job has ended: waits until its output is at this destination, and tells how many bytes that are. `None`: this is not
    /// a destination that output streams to. May be repeated after a failure: nothing is sent twice that should not be.
    ///
    /// # Errors
    /// Why the destination does not have all of it.
    pub async fn finish(&self, job: &Job, output: &Path, way: Way) -> Option<Result<u64, CarryError>> {
        let url = ways(job).into_iter().find(|(known, _)| *known == way)?.1;
        let mut task = {
            let mut live = self.live();
            let live = live
                .entry(job.key)
                .or_insert_with(|| Live { over: watch::Sender::new(true), carriers: Vec::new() });
            live.over.send_replace(true);
            match live.carriers.iter().position(|(known, _)| *known == way) {
                Some(place) => live.carriers.swap_remove(place).1,
                None => {
                    let carrier = self.carrier(job, output, way, url, live.over.subscribe());
                    Task(tokio::spawn(carrier.run()))
                }
            }
        };
        Some((&mut task.0).await.unwrap_or_else(|error| Err(error.into())))
    }

    /// Whether [`Streaming::finish`] is for this destination.
    pub fn carries(&self, job: &Job, way: Way) -> bool {
        ways(job).iter().any(|(known, _)| *known == way)
    }

    /// Nothing more of this job is carried; connections are broken off. What was recorded stays.
    pub fn stop(&self, key: JobKey) {
        self.live().remove(&key);
    }

    /// The job has got new destinations (STDIO_UPDATE): all of its output goes there, from the first byte on.
    pub fn redirect(&self, job: &Job, files: &JobFiles) {
        self.stop(job.key);
        if let Err(error) = files.forget_positions() {
            tracing::warn!(job = %job.key, %error, "positions of earlier destinations not removed");
        }
        self.start(job, files);
    }

    fn carrier(&self, job: &Job, output: &Path, way: Way, url: Url, over: watch::Receiver<bool>) -> Carrier {
        let record = self.common.site.job_files(job.key).position(way.stream.name(), way.number);
        Carrier {
            job: job.key,
            identity: job.origin.identity.clone(),
            kind: Kind::of(&url),
            source: Source { output: output.to_owned(), record, url: url.to_string() },
            url,
            watcher: Arc::clone(&self.watcher),
            growing: None,
            over,
            common: Arc::clone(&self.common),
        }
    }

    fn live(&self) -> MutexGuard<'_, HashMap<JobKey, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Streaming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streaming").field("jobs", &self.live().len()).finish_non_exhaustive()
    }
}

/// The destinations that output streams to: https and http URLs. One file that several of them name is not among them: there
/// the last to be delivered wins, as it does in stock.
fn ways(job: &Job) -> Vec<(Way, Url)> {
    let outputs = [(Stream::Stdout, &job.spec.stdout), (Stream::Stderr, &job.spec.stderr)];
    let mut ways = Vec::new();
    for (stream, output) in outputs {
        let Output::Deliver(destinations) = output else { continue };
        for (number, destination) in (0_u16..).zip(destinations) {
            if let Destination::Url(text) = destination
                && let Ok(url @ Url::Http { .. }) = text.parse::<Url>()
            {
                ways.push((Way { stream, number }, url));
            }
        }
    }
    let is_shared = |url: &Url| ways.iter().filter(|(_, other)| other == url).count() > 1;
    let shared: Vec<Url> = ways
        .iter()
        .map(|(_, url)| url)
        .filter(|url| Kind::of(url) == Kind::File && is_shared(url))
        .cloned()
        .collect();
    ways.retain(|(_, url)| !shared.contains(url));
    ways
}

#[cfg(test)]
mod tests;
