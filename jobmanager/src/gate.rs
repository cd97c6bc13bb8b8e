//! The gate between new submissions and the manager's end: once it is closed nobody comes in, and it closes only when nobody
//! is inside, or when the manager is told to stop. So a manager that ends for idleness has stored no job that it would leave
//! behind. The gate also lets each request in once: one that is offered again while it is being worked on has to wait.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

/// Shared by the front door and the manager.
#[derive(Debug, Default)]
pub struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    closed: bool,
    inside: usize,
    /// Ids of the requests inside; those without one are only counted.
    at_work: HashSet<String>,
}

/// A submission being worked on; leaves the gate when dropped.
#[derive(Debug)]
pub struct Inside {
    gate: Arc<Gate>,
    request: String,
}

/// Why a submission does not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The manager is ending.
    #[error("this job manager is ending: start another")]
    Closed,
    /// The same request is inside already.
    #[error("this request is being worked on: ask again")]
    AtWork,
}

impl Gate {
    /// Comes in with the request of this id (may be empty).
    pub fn enter(self: &Arc<Self>, request: &str) -> Result<Inside, Refused> {
        let mut state = self.state();
        if state.closed {
            return Err(Refused::Closed);
        }
        if !request.is_empty() && !state.at_work.insert(request.to_owned()) {
            return Err(Refused::AtWork);
        }
        state.inside += 1;
        drop(state);
        Ok(Inside { gate: Arc::clone(self), request: request.to_owned() })
    }

    /// Somebody is inside.
    pub fn is_occupied(&self) -> bool {
        self.state().inside > 0
    }

    /// Closes unless somebody is inside; says whether it is closed now.
    pub fn close_if_empty(&self) -> bool {
        let mut state = self.state();
        state.closed |= state.inside == 0;
        state.closed
    }

    /// Closes whoever is inside: the manager has been told to stop.
    pub fn close(&self) {
        self.state().closed = true;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is plain values: whole also after a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.inside = state.inside.saturating_sub(1);
        state.at_work.remove(&self.request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closes_only_when_empty_and_for_good() {
        let gate = Arc::new(Gate::default());
        let inside = gate.enter("").unwrap();
        assert!(!gate.close_if_empty());
        drop(inside);
        assert!(gate.close_if_empty());
        assert_eq!(gate.enter("").unwrap_err(), Refused::Closed);
    }

    #[test]
    fn a_request_is_inside_once() {
        let gate = Arc::new(Gate::default());
        let (first, _unnamed, _another) =
            (gate.enter("a").unwrap(), gate.enter("").unwrap(), gate.enter("").unwrap());
        assert_eq!(gate.enter("a").unwrap_err(), Refused::AtWork);
        drop(first);
        drop(gate.enter("a").unwrap());
    }

    #[test]
    fn a_manager_told_to_stop_lets_nobody_in() {
        let gate = Arc::new(Gate::default());
        let _inside = gate.enter("a").unwrap();
        gate.close();
        assert_eq!(gate.enter("b").unwrap_err(), Refused::Closed);
    }
}
