//! Who may have a connection: carriers of jobs that run, and carriers of jobs that are over, separately. So destinations
//! that stall while their jobs run never keep another job from ending.

use super::carrier::is_over;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Most connections with output of jobs that run.
pub(super) const WHILE_RUNNING: usize = 256;
/// Most connections with the last output of jobs that are over.
pub(super) const AT_THE_END: usize = 64;

/// The places for them.
#[derive(Debug)]
pub(super) struct Connections {
    running: Arc<Semaphore>,
    ending: Arc<Semaphore>,
}

impl Connections {
    pub(super) fn new() -> Self {
        Self {
            running: Arc::new(Semaphore::new(WHILE_RUNNING)),
            ending: Arc::new(Semaphore::new(AT_THE_END)),
        }
    }

    /// Waits for a place; a job that ends meanwhile goes over to the other queue. None: the places were closed.
    pub(super) async fn enter(&self, over: &mut watch::Receiver<bool>) -> Option<OwnedSemaphorePermit> {
        if !*over.borrow() {
            tokio::select! {
                place = Arc::clone(&self.running).acquire_owned() => return place.ok(),
                () = is_over(over) => {}
            }
        }
        Arc::clone(&self.ending).acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn jobs_that_stall_do_not_keep_others_from_ending() {
        let places = Connections::new();
        let (end, mut over) = watch::channel(false);
        let mut taken = Vec::new();
        for _ in 0..WHILE_RUNNING {
            taken.push(places.enter(&mut over).await.unwrap());
        }
        let mut waiting = over.clone();
        let entering = places.enter(&mut waiting);
        let ending = async {
            tokio::task::yield_now().await;
            end.send_replace(true);
        };
        let (entered, ()) = tokio::join!(entering, ending);
        assert!(entered.is_some());
        assert_eq!(places.ending.available_permits(), AT_THE_END - 1);
    }
}
