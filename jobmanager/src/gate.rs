//! The gate between new submissions and the manager's end: once it is closed nobody comes in, and it closes only when nobody
//! is inside. So a manager that ends for idleness has stored no job that it would leave behind.

use std::sync::{Arc, Mutex, PoisonError};

/// Shared by the front door and the manager.
#[derive(Debug, Default)]
pub struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    closed: bool,
    inside: usize,
}

/// A submission being worked on; leaves the gate when dropped.
#[derive(Debug)]
pub struct Inside(Arc<Gate>);

impl Gate {
    /// Comes in; None: the manager is ending.
    pub fn enter(self: &Arc<Self>) -> Option<Inside> {
        let mut state = self.state();
        if state.closed {
            return None;
        }
        state.inside += 1;
        drop(state);
        Some(Inside(Arc::clone(self)))
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

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is two plain values: whole also after a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.inside = state.inside.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closes_only_when_empty_and_for_good() {
        let gate = Arc::new(Gate::default());
        let inside = gate.enter().unwrap();
        assert!(!gate.close_if_empty());
        drop(inside);
        assert!(gate.close_if_empty());
        assert!(gate.enter().is_none());
    }
}
