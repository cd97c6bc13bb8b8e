//! Submitting, watching and ending jobs: what `gridiron run/submit/…` and the classic tools share. Nothing here prints:
//! callers get [`Progress`] values and a result.

pub mod advice;
pub mod bulk;
pub mod command;
pub mod explain;
pub mod follow;
pub mod many;
pub mod output;
pub mod record;
pub mod request;
pub mod submit;
pub mod timeline;
pub mod watch;

pub use output::Serving;
pub use submit::{Ending, Interrupt, Job, JobError, Progress, Wait, run};
