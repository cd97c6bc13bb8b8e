//! Room for files on their way: so many in all, and of these so many with one server. A server that takes connections and then does
//! nothing holds its own share until its deadlines end, and never the rest.

use gass::Url;
use std::{
    collections::HashMap,
    num::NonZeroU16,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One server gets one place in so many.
const SHARE: u16 = 4;

/// The places of all jobs.
#[derive(Debug)]
pub struct Room {
    all: Arc<Semaphore>,
    of_one: usize,
    /// Those of servers that somebody is busy with, or waits for.
    servers: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// A place; given back when it is dropped.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "held for its end")] [Option<OwnedSemaphorePermit>; 2]);

impl Room {
    /// For so many files.
    pub fn new(places: NonZeroU16) -> Self {
        Self {
            all: Arc::new(Semaphore::new(usize::from(places.get()))),
            of_one: usize::from(places.get().div_ceil(SHARE)),
            servers: Mutex::default(),
        }
    }

    /// Waits for a place with this URL's server.
    pub async fn enter(&self, url: &Url) -> Place {
        let server = match url {
            Url::Http { host, port, .. } => self.server(&format!("{host}:{port}")),
            Url::File(_) | Url::Cache(_) => Arc::new(Semaphore::new(1)),
        };
        // In this order: who waits for a server takes no place from anybody else. Neither is ever closed, so both are had.
        let own = server.acquire_owned().await.ok();
        let general = Arc::clone(&self.all).acquire_owned().await.ok();
        Place([own, general])
    }

    fn server(&self, name: &str) -> Arc<Semaphore> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = servers.get(name).and_then(Weak::upgrade) {
            return known;
        }
        servers.retain(|_, server| server.strong_count() > 0);
        let server = Arc::new(Semaphore::new(self.of_one));
        servers.insert(name.to_owned(), Arc::downgrade(&server));
        server
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    fn url(server: &str) -> Url {
        format!("https://{server}/x").parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn one_server_cannot_take_all() {
        let room = Room::new(NonZeroU16::new(8).unwrap());
        let mut held = vec![room.enter(&url("hangs:1")).await, room.enter(&url("hangs:1")).await];
        let third = timeout(Duration::from_secs(1), room.enter(&url("hangs:1"))).await;
        assert!(third.is_err(), "a quarter of the places and no more");
        timeout(Duration::from_secs(1), room.enter(&url("lives:1"))).await.unwrap();
        held.pop();
        timeout(Duration::from_secs(1), room.enter(&url("hangs:1"))).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_only_so_many_in_all() {
        let room = Room::new(NonZeroU16::MIN);
        let held = room.enter(&url("a:1")).await;
        assert!(timeout(Duration::from_secs(1), room.enter(&url("b:1"))).await.is_err());
        drop(held);
        timeout(Duration::from_secs(1), room.enter(&url("b:1"))).await.unwrap();
    }

    #[tokio::test]
    async fn servers_that_nobody_uses_are_forgotten() {
        let room = Room::new(NonZeroU16::new(8).unwrap());
        for number in 0..100 {
            room.enter(&url(&format!("server{number}:1"))).await;
        }
        assert_eq!(room.servers.lock().unwrap().len(), 1);
    }
}
