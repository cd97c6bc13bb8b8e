//! GRAM, the job protocol (gram.md): messages, states, signals, error numbers and contacts as data without I/O; the
//! client and its call-back listener; and the control interface between a front door and a job manager.
//!
//! | module | subject |
//! |---|---|
//! | [`contact`] | where a gatekeeper, a job, a call-back listener is reached |
//! | [`error`] | the 168 error numbers, their symbols and texts |
//! | [`state`], [`signal`] | job states and masks; the ten signals |
//! | [`timeline`] | a job's life as its manager tells it, an extension of ours |
//! | [`version`] | the version strings of replies |
//! | [`wire`] | messages as bytes, no I/O |
//! | [`endpoint`] | dialling and listening |
//! | [`exchange`] | one message from or to a stream, under a deadline |
//! | [`client`] | every operation on a gatekeeper or a job contact |
//! | [`callback`] | the listener that hears state updates |
//! | [`control`] | gRPC between a front door and a job manager, over a Unix socket |
//!
//! RSL is carried unread: this crate does not know the request language.

pub mod callback;
pub mod client;
pub mod contact;
pub mod control;
pub mod error;
pub mod exchange;
pub mod signal;
pub mod state;
pub mod timeline;
pub mod version;
pub mod wire;

pub use contact::{CallbackContact, JobContact, ResourceContact};
pub use error::GramError;
pub use gsi::endpoint;
pub use signal::Signal;
pub use state::{JobState, StateMask};
pub use timeline::Timeline;
