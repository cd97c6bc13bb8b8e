//! Many copies at once, over connections that are kept.

use super::{Copied, Options, Transfer, Watch};
use crate::{Client, GassError};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How many at once, unless told otherwise.
pub const PARALLEL: usize = 8;
/// How many at once at most.
pub const MAX_PARALLEL: usize = 256;

/// How many copies are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Many {
    /// At once.
    pub parallel: usize,
    /// Go on with the others after a failure; otherwise those that run are given up.
    pub keep_going: bool,
}

/// What became of one of them.
#[derive(Debug)]
pub struct Outcome {
    /// Which.
    pub transfer: Transfer,
    /// What.
    pub result: Result<Copied, GassError>,
}

impl Client {
    /// Copies all of these, and tells what became of each in the order they end.
    pub async fn copy_all(
        &self,
        transfers: impl IntoIterator<Item = Transfer>,
        many: Many,
        options: Options,
        watch: Arc<dyn Watch>,
        mut each: impl FnMut(Outcome),
    ) {
        let waiting: VecDeque<Transfer> = transfers.into_iter().collect();
        let workers = many.parallel.clamp(1, MAX_PARALLEL).min(waiting.len());
        let waiting = Arc::new(Mutex::new(waiting));
        let (tell, mut told) = mpsc::channel(workers.max(1));
        // Dropped at the end, which ends those that still run.
        let mut running = JoinSet::new();
        for _ in 0..workers {
            let (client, waiting, tell) = (self.clone(), Arc::clone(&waiting), tell.clone());
            let watch = Arc::clone(&watch);
            running.spawn(async move {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(transfer) = next else { return };
                    let result = Box::pin(client.copy(&transfer, &options, &*watch)).await;
                    if result.is_err() && !many.keep_going {
                        waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    }
                    if tell.send(Outcome { transfer, result }).await.is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        while let Some(outcome) = told.recv().await {
            let failed = outcome.result.is_err();
            each(outcome);
            if failed && !many.keep_going {
                return;
            }
        }
    }
}
