//! What the manager is told, and by whom.

use super::bulk::Ask;
use crate::{
    job::Job,
    launch::JobKey,
    machine::{Answer, Event, Restart},
    store::StoreError,
    stream::{Readable, Stream},
};
use gram::{GramError, control::v1, wire::Query};
use gsi::{Credential, Subject};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

/// Where messages for the manager go.
pub type Inbox = mpsc::Sender<Message>;
/// Where the answer to a query goes; dropped for a job that is not known.
pub type Asker = oneshot::Sender<Answer>;

/// A job that exists and is in the store, as its submitter is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// 0, or 110 when a commit must follow.
    pub code: GramError,
    /// The job contact.
    pub contact: String,
}

/// What the manager is told.
pub enum Message {
    /// A new job; answered when it is in the store, dropped when it cannot be stored.
    Accept {
        /** the job */
        job: Box<Job>,
        /** the front door */
        reply: Asker,
    },
    /// Which job this request has made, if it has been here before.
    Find {
        /** the request's id */
        request: String,
        /** the job */
        reply: oneshot::Sender<Option<Found>>,
    },
    /// A query of an identity about a job.
    Query {
        /** which job */
        key: JobKey,
        /** who asks */
        identity: Subject,
        /** what */
        query: Query,
        /** the client */
        reply: Asker,
    },
    /// Where the output of a job is, for its owner.
    Output {
        /** which job */
        key: JobKey,
        /** who asks */
        identity: Subject,
        /** which of the two */
        stream: Stream,
        /** the reader; dropped when there is no such job */
        reply: oneshot::Sender<Readable>,
    },
    /// What has happened to a job, for its owner.
    Timeline {
        /** which job */
        key: JobKey,
        /** who asks */
        identity: Subject,
        /** the client; dropped when the identity has no such job */
        reply: oneshot::Sender<Box<gram::Timeline>>,
    },
    /// Take a job up again.
    Restart {
        /** which job */
        key: JobKey,
        /** who asks */
        identity: Subject,
        /** the scheduler of the service that was asked */
        scheduler: String,
        /** what comes with it */
        restart: Box<Restart>,
        /** the front door; dropped for a job that the identity has not */
        reply: Asker,
    },
    /// An identity has a credential that ends then.
    Credential {
        /** whose */
        identity: String,
        /** when it ends */
        expires: Timestamp,
    },
    /// A question about many jobs.
    Bulk(Ask),
    /// A renewed credential for a job.
    Renew {
        /** which job */
        key: JobKey,
        /** the new credential */
        credential: Box<Credential>,
        /** Ok when it is in place, else the GRAM number */
        reply: oneshot::Sender<Result<(), GramError>>,
    },
    /// Something a task of ours has finished.
    Happened {
        /** which job */
        key: JobKey,
        /** what */
        event: Event,
        /** the query it answers, if any */
        asker: Option<Asker>,
        /** which of the job's moves of files it is about, None: none; dropped when that has been given up */
        move_number: Option<u32>,
    },
    /// The save under way for a job is over.
    Saved {
        /** which job */
        key: JobKey,
        /** how it went */
        result: Result<(), StoreError>,
    },
    /// A save that failed is due again.
    SaveAgain(JobKey),
    /// A call-back is over.
    Told {
        /** which job */
        key: JobKey,
        /** the contact */
        url: String,
        /** which update */
        number: u32,
        /** false: given up */
        delivered: bool,
    },
    /// All jobs, for people.
    List(oneshot::Sender<Vec<v1::Job>>),
    /// How many.
    Count(oneshot::Sender<usize>),
}
