//! Many jobs in one message (docs/protocol-extensions.md): an extension that stock programs do not know. A stock server
//! refuses these requests as malformed and starts nothing; its reply has no [`MARK`], which tells the client to go on job
//! by job. Stock clients never send them, so they never see a reply of this kind.
//!
//! | file | subject |
//! |---|---|
//! | [`jobs`] | what a gatekeeper is asked: a number of job requests, or arrays of jobs |
//! | [`indices`] | the numbers of an array |
//! | [`mod@pack`] | any number of jobs as messages of the allowed size |
//! | [`query`] | what a job contact is asked about many jobs |
//! | [`results`] | the table in the replies to both |
//!
//! A connection stays open after a reply of this kind: further requests may follow, one after the other's reply.

pub mod indices;
pub mod jobs;
pub mod pack;
pub mod query;
pub mod results;

pub use indices::{Indices, IndicesError};
pub use jobs::{BulkJobs, BulkReply, ItemReply, Template};
pub use pack::pack;
pub use query::{BulkAnswers, BulkQuery, JobAnswer, Which};

/// The `command` of a request with many jobs.
pub const COMMAND: &str = "submit-many";
/// The attribute that only a reply of this kind has; its value is the version of this extension.
pub const MARK: &str = "gridiron-bulk";
/// The version of this extension.
pub const VERSION: u32 = 1;
/// Most jobs of one request. A manager remembers at least twice as many finished ones, so that a request that is offered
/// again after a lost answer finds its jobs.
pub const MAX_JOBS: usize = 1000;
/// Longest query about many jobs, in bytes: 20,000 jobs named one by one. Only a job's owner may send so much.
pub const MAX_QUERY: usize = 1024 * 1024;
/// Longest reply, in bytes.
pub const MAX_REPLY: usize = 8 * 1024 * 1024;
