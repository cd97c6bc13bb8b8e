//! Job states (gram.md §11).

use std::fmt;

/// A job state, by its bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum JobState {
    /// Queued by the local scheduler.
    Pending = 1,
    /// Running.
    Active = 2,
    /// Ended without doing what was asked; terminal.
    Failed = 4,
    /// Ended; says nothing about the exit status; terminal.
    Done = 8,
    /// Paused by the local scheduler.
    Suspended = 16,
    /// Accepted, not yet submitted (or waiting for a commit).
    Unsubmitted = 32,
    /// Fetching files.
    StageIn = 64,
    /// Sending files.
    StageOut = 128,
}

impl JobState {
    /// All of them, by value.
    pub const ALL: [JobState; 8] = [
        Self::Pending,
        Self::Active,
        Self::Failed,
        Self::Done,
        Self::Suspended,
        Self::Unsubmitted,
        Self::StageIn,
        Self::StageOut,
    ];

    /// The number on the wire.
    pub fn value(self) -> u32 {
        self as u32
    }

    /// The state with this number; None for 0 (unknown job) and anything that is not one bit of the table.
    pub fn from_value(value: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.value() == value)
    }

    /// `PENDING`, `ACTIVE` …, as `globusrun -status` prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Active => "ACTIVE",
            Self::Failed => "FAILED",
            Self::Done => "DONE",
            Self::Suspended => "SUSPENDED",
            Self::Unsubmitted => "UNSUBMITTED",
            Self::StageIn => "STAGE_IN",
            Self::StageOut => "STAGE_OUT",
        }
    }

    /// DONE or FAILED: nothing comes after.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }

    /// Whether the scheduler's word may take a job from here to `next` (an answer that may not is ignored).
    pub fn scheduler_may_change_to(self, next: JobState) -> bool {
        match self {
            Self::Done | Self::Failed => false,
            Self::Active | Self::Suspended => next != Self::Pending && next != self,
            Self::StageOut => next.is_terminal(),
            Self::Pending | Self::Unsubmitted | Self::StageIn => next != self,
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The states a contact wants to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateMask(pub u32);

impl StateMask {
    /// What stock tools send.
    pub const ALL: StateMask = StateMask(0xF_FFFF);
    /// Nothing.
    pub const NONE: StateMask = StateMask(0);

    /// Whether this state is wanted.
    pub fn contains(self, state: JobState) -> bool {
        self.0 & state.value() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_single_bits_and_lead_back() {
        for state in JobState::ALL {
            assert_eq!(state.value().count_ones(), 1);
            assert_eq!(JobState::from_value(state.value()), Some(state));
            assert!(StateMask::ALL.contains(state));
            assert!(!StateMask::NONE.contains(state));
        }
        for value in [0, 3, 256, u32::MAX] {
            assert_eq!(JobState::from_value(value), None);
        }
        assert_eq!(StateMask::ALL.0, 1_048_575);
    }

    #[test]
    fn changes_a_scheduler_may_cause() {
        use JobState::*;
        assert!(Pending.scheduler_may_change_to(Active));
        assert!(Pending.scheduler_may_change_to(Done));
        assert!(!Active.scheduler_may_change_to(Pending));
        assert!(Active.scheduler_may_change_to(Suspended));
        assert!(!Suspended.scheduler_may_change_to(Pending));
        assert!(Suspended.scheduler_may_change_to(Active));
        assert!(!StageOut.scheduler_may_change_to(Active));
        assert!(StageOut.scheduler_may_change_to(Failed));
        for next in JobState::ALL {
            assert!(!Done.scheduler_may_change_to(next));
            assert!(!Failed.scheduler_may_change_to(next));
        }
    }
}
