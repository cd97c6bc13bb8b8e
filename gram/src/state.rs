//! Job states (gram.md §11).

/// A job state, by its bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum JobState {
    /** queued */
    Pending = 1,
    /** running */
    Active = 2,
    /** terminal */
    Failed = 4,
    /** terminal */
    Done = 8,
    /** paused */
    Suspended = 16,
    /** before submission */
    Unsubmitted = 32,
    /** fetching */
    StageIn = 64,
    /** sending */
    StageOut = 128,
}

/// The states a contact wants to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateMask(pub u32);
impl StateMask {
    /** What stock tools send. */
    pub const ALL: StateMask = StateMask(0xF_FFFF);
}
