//! GRAM, the job protocol (gram.md): messages, states, signals, error numbers and contacts as data without I/O; the
//! client and its call-back listener; and the control interface between a front door and a job manager.

pub mod callback;
pub mod client;
pub mod contact;
pub mod control;
pub mod error;
pub mod signal;
pub mod state;
pub mod wire;

pub use contact::{CallbackContact, JobContact, ResourceContact};
pub use error::GramError;
pub use signal::Signal;
pub use state::{JobState, StateMask};
