//! How many connections are served at once: in all, and from one address, so that one peer cannot keep all others out.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of a gatekeeper.
#[derive(Debug, Clone)]
pub struct Places {
    all: Arc<Semaphore>,
    most_per_address: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A free place, not given to anybody yet.
#[derive(Debug)]
pub struct Free(OwnedSemaphorePermit);

/// A place taken by a connection; dropping it frees it.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
    address: IpAddr,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Places {
    /// This many in all, and from one address; at least one.
    pub fn new(all: usize, most_per_address: usize) -> Self {
        let all = Arc::new(Semaphore::new(all.max(1)));
        Self { all, most_per_address: most_per_address.max(1), taken: Arc::default() }
    }

    /// Waits for a free place.
    pub async fn free(&self) -> io::Result<Free> {
        Arc::clone(&self.all).acquire_owned().await.map(Free).map_err(io::Error::other)
    }

    /// Gives the place to a connection from `peer`; None: this address has as many as it may.
    pub fn take(&self, free: Free, peer: IpAddr) -> Option<Place> {
        let address = holder(peer);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(address).or_insert(0);
        if *count >= self.most_per_address {
            return None;
        }
        *count += 1;
        Some(Place { _permit: free.0, address, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

/// Whom an address is counted for: an IPv6 host has a whole /64 network of addresses.
fn holder(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn nobody_takes_all() {
        let places = Places::new(10, 2);
        let mut held = Vec::new();
        for peer in ["10.0.0.1", "::ffff:10.0.0.1"] {
            held.push(places.take(places.free().await.unwrap(), address(peer)).unwrap());
        }
        assert!(places.take(places.free().await.unwrap(), address("10.0.0.1")).is_none());
        assert!(places.take(places.free().await.unwrap(), address("10.0.0.2")).is_some());
        held.pop();
        assert!(places.take(places.free().await.unwrap(), address("10.0.0.1")).is_some());
        held.clear();
        assert!(places.taken.lock().unwrap().is_empty());
        assert_eq!(places.all.available_permits(), 10);
    }

    #[tokio::test]
    async fn all_is_a_bound_too() {
        let places = Places::new(1, 5);
        let held = places.take(places.free().await.unwrap(), address("::1"));
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), places.free()).await.is_err());
        drop(held);
        places.free().await.unwrap();
    }

    #[test]
    fn an_ipv6_network_is_one_holder() {
        assert_eq!(holder(address("2001:db8:1:2:3::4")), holder(address("2001:db8:1:2::9")));
        assert_ne!(holder(address("2001:db8:1:2::9")), holder(address("2001:db8:1:3::9")));
    }
}
