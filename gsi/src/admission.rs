//! How many connections a listener serves at once, and who must go when there is no room: so that nobody, however many
//! connections he opens and leaves idle, keeps others out.
//!
//! Peers are *strangers* until they are authenticated, then *guests*; each kind has places of its own. A newcomer always
//! gets in as a stranger: when the places are taken, the stranger who has waited longest must go, of the address that
//! holds most of them. So whoever floods the door pushes out himself first, and somebody who has something to say and
//! says it at once is done before it is his turn. A guest is never pushed out; when all the places for guests are taken,
//! or one identity or address has its share, the next one is refused.
//!
//! Pure bookkeeping behind a lock that is never held for long; the sockets are the caller's.

#[cfg(test)]
mod tests;

use crate::Subject;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// How many of each at once; each at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Peers not authenticated yet.
    pub strangers: usize,
    /// Authenticated peers.
    pub guests: usize,
    /// Of both, from one address (an IPv6 /64 network counts as one).
    pub per_address: usize,
    /// Guests of one identity.
    pub per_identity: usize,
}

/// Why a peer gets no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Crowded {
    /// Newer connections have taken its place before it was authenticated.
    #[error("not authenticated yet when others came and the places were taken")]
    PushedOut,
    /// Its address has as many guests as connections are allowed.
    #[error("its address has all the {0} connections that one may have")]
    Address(usize),
    /// Its identity has its share.
    #[error("its identity has all the {0} connections that one may have")]
    Identity(usize),
    /// All places are taken.
    #[error("all {0} places are taken")]
    Full(usize),
}

/// The places of one listener; cheap to clone.
#[derive(Debug, Clone)]
pub struct Admission(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    bounds: Bounds,
    next: u64,
    /// By age.
    strangers: BTreeMap<u64, Waiting>,
    guests: usize,
    addresses: HashMap<IpAddr, Count>,
    identities: HashMap<String, usize>,
}

#[derive(Debug)]
struct Waiting {
    address: IpAddr,
    /// Dropping it tells the stranger to go.
    _stay: oneshot::Sender<()>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    strangers: usize,
    guests: usize,
}

/// A place before authentication; dropping it frees it.
#[derive(Debug)]
pub struct Stranger {
    number: u64,
    address: IpAddr,
    stay: oneshot::Receiver<()>,
    admission: Admission,
}

/// A place after authentication; dropping it frees it.
#[derive(Debug)]
pub struct Guest {
    address: IpAddr,
    identity: String,
    admission: Admission,
}

impl Admission {
    /// Nobody there yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self(Arc::new(Mutex::new(State {
            bounds,
            next: 0,
            strangers: BTreeMap::new(),
            guests: 0,
            addresses: HashMap::new(),
            identities: HashMap::new(),
        })))
    }

    /// Changes the bounds; whoever is in stays.
    pub fn set_bounds(&self, bounds: Bounds) {
        self.lock().bounds = bounds;
    }

    /// A connection that has just come in. Never waits.
    ///
    /// # Errors
    /// [`Crowded::Address`] when all that its address may have are guests.
    pub fn enter(&self, peer: IpAddr) -> Result<Stranger, Crowded> {
        let address = holder(peer);
        let mut state = self.lock();
        let here = state.addresses.get(&address).copied().unwrap_or_default();
        let per_address = state.bounds.per_address.max(1);
        if here.strangers + here.guests >= per_address {
            if here.strangers == 0 {
                return Err(Crowded::Address(per_address));
            }
            state.push_out(address);
        }
        while state.strangers.len() >= state.bounds.strangers.max(1) && state.push_out_of_the_crowd() {}
        let (sender, stay) = oneshot::channel();
        let number = state.next;
        state.next += 1;
        state.strangers.insert(number, Waiting { address, _stay: sender });
        state.addresses.entry(address).or_default().strangers += 1;
        drop(state);
        Ok(Stranger { number, address, stay, admission: self.clone() })
    }

    /// Makes room by sending the stranger away whose turn it is; false when there is none. For listeners that have run out
    /// of something else, such as file descriptors.
    pub fn make_room(&self) -> bool {
        self.lock().push_out_of_the_crowd()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave the counts half changed in a way that matters: places are given back on drop.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The stranger who has waited longest, of the address that holds most.
    fn push_out_of_the_crowd(&mut self) -> bool {
        let heaviest = self.addresses.iter().filter(|(_, count)| count.strangers > 0);
        let heaviest = heaviest.max_by_key(|(_, count)| count.strangers).map(|(address, _)| *address);
        heaviest.is_some_and(|address| self.push_out(address))
    }

    /// The stranger of this address who has waited longest.
    fn push_out(&mut self, address: IpAddr) -> bool {
        let oldest = self.strangers.iter().find(|(_, waiting)| waiting.address == address);
        oldest.map(|(number, _)| *number).is_some_and(|number| self.forget_stranger(number))
    }

    /// False when it has gone already.
    fn forget_stranger(&mut self, number: u64) -> bool {
        let Some(waiting) = self.strangers.remove(&number) else { return false };
        self.change_address(waiting.address, |count| count.strangers -= 1);
        true
    }

    fn change_address(&mut self, address: IpAddr, change: impl FnOnce(&mut Count)) {
        if let Some(count) = self.addresses.get_mut(&address) {
            change(count);
            if count.strangers + count.guests == 0 {
                self.addresses.remove(&address);
            }
        }
    }

    fn forget_guest(&mut self, address: IpAddr, identity: &str) {
        self.guests -= 1;
        self.change_address(address, |count| count.guests -= 1);
        if let Some(count) = self.identities.get_mut(identity) {
            *count -= 1;
            if *count == 0 {
                self.identities.remove(identity);
            }
        }
    }
}

impl Stranger {
    /// Completes when it has to go because others need the place.
    pub async fn pushed_out(&mut self) {
        // Nothing is ever sent: the other end is dropped.
        let _ = (&mut self.stay).await;
    }

    /// It is authenticated.
    ///
    /// # Errors
    /// When there is no place for it.
    pub fn welcome(self, identity: &Subject) -> Result<Guest, Crowded> {
        let identity = identity.normalized();
        let mut state = self.admission.lock();
        if !state.forget_stranger(self.number) {
            return Err(Crowded::PushedOut);
        }
        let Bounds { guests, per_identity, .. } = state.bounds;
        if state.guests >= guests.max(1) {
            return Err(Crowded::Full(guests));
        }
        if state.identities.get(&identity).is_some_and(|count| *count >= per_identity.max(1)) {
            return Err(Crowded::Identity(per_identity));
        }
        state.guests += 1;
        state.addresses.entry(self.address).or_default().guests += 1;
        *state.identities.entry(identity.clone()).or_default() += 1;
        drop(state);
        Ok(Guest { address: self.address, identity, admission: self.admission.clone() })
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.admission.lock().forget_stranger(self.number);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.admission.lock().forget_guest(self.address, &self.identity);
    }
}

/// Whom an address is counted for: an IPv6 host has a whole /64 network of addresses.
fn holder(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}
