//! Signals to a job manager (gram.md §8).

/// A signal with its argument.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /** 5 */
    CommitRequest,
    /** 6, seconds */
    CommitExtend(u32),
    /** 9 */
    StopManager,
    /** 10 */
    CommitEnd,
    /** any other, as number and text */
    Other(u32, Option<String>),
}
