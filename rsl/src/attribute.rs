//! The attributes of a job (rsl.md §8, §10): names, types, when valid, and the GRAM error number of each mistake.
use crate::Spec;

/// The kind of request an attribute may stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /** a new job */
    Submit,
    /** taking over a job */
    Restart,
    /** signal 7 */
    StdioUpdate,
}

/// A request that breaks a rule, with the number the GRAM peer gets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Violation {
    /** GRAM error number */
    pub code: u16,
    /** canonical attribute name */
    pub attribute: String,
    /** names the thing, says what would be right */
    pub message: String,
}

/// Checks a canonicalised, evaluated specification against the table (rsl.md §7 steps 1-6): shape, unknown attributes
/// (with "did you mean"), validity for this request, enumerations, required ones. `scheduler` adds the extensions of §10.
pub fn check(_spec: &Spec, _request: Request, _scheduler: &str) -> Result<(), Violation> {
    todo!()
}
