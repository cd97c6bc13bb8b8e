//! The GRAM client: every operation on a gatekeeper or a job contact, one connection each.

use crate::{GramError, JobContact, JobState, ResourceContact, Signal, StateMask};
use gsi::{Credential, DelegationMode, TrustDirectory};

/// A client failure: the GRAM number a stock client would report, and what really happened.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ClientError {
    /** number */
    pub code: GramError,
    /** text for people: names the peer and what to try */
    pub message: String,
}

/// Submits and controls jobs with one credential.
#[derive(Clone)]
pub struct Client {/* gsi::Connector */}

/// Reply to a job request.
#[derive(Debug, Clone)]
pub struct Submitted {
    /** 0 or 110 (commit needed) */
    pub code: GramError,
    /** the job */
    pub contact: JobContact,
    /** reply extensions */
    pub extensions: Vec<(String, String)>,
}

/// Reply to a query on a job contact.
#[derive(Debug, Clone)]
pub struct JobStatus {
    /** None: the job is unknown */
    pub state: Option<JobState>,
    /** error of the job */
    pub failure: GramError,
    /** when known */
    pub exit_code: Option<i32>,
    /** all extensions */
    pub extensions: Vec<(String, String)>,
}

/// Reply to a version request.
#[derive(Debug, Clone)]
pub struct Version {
    /** "15.8 (…)" */
    pub version: Option<String>,
    /** "6.2" */
    pub toolkit: Option<String>,
}

impl Client {
    /// With this credential and trust.
    pub fn new(_credential: &Credential, _trust: &TrustDirectory) -> Result<Self, ClientError> {
        todo!()
    }
    /// `globusrun -a`.
    pub async fn ping(&self, _contact: &ResourceContact) -> Result<(), ClientError> {
        todo!()
    }
    /// `globusrun -j`.
    pub async fn version(&self, _contact: &ResourceContact) -> Result<Version, ClientError> {
        todo!()
    }
    /// Job request; `account` is the RSL's `username`. A refusal with gt3-failure-message carries it in the error.
    pub async fn submit(
        &self,
        _contact: &ResourceContact,
        _account: Option<&str>,
        _rsl: &[u8],
        _mask: StateMask,
        _callback: Option<&str>,
        _mode: DelegationMode,
    ) -> Result<Submitted, ClientError> {
        todo!()
    }
    /// Status query.
    pub async fn status(&self, _job: &JobContact) -> Result<JobStatus, ClientError> {
        todo!()
    }
    /// Cancel; answered after the job has ended.
    pub async fn cancel(&self, _job: &JobContact) -> Result<JobStatus, ClientError> {
        todo!()
    }
    /// Registers a call-back contact.
    pub async fn register(
        &self,
        _job: &JobContact,
        _mask: StateMask,
        _callback: &str,
    ) -> Result<JobStatus, ClientError> {
        todo!()
    }
    /// Removes one.
    pub async fn unregister(&self, _job: &JobContact, _callback: &str) -> Result<JobStatus, ClientError> {
        todo!()
    }
    /// Sends a signal.
    pub async fn signal(&self, _job: &JobContact, _signal: &Signal) -> Result<JobStatus, ClientError> {
        todo!()
    }
    /// Renews the job's credential by in-band delegation.
    pub async fn renew(&self, _job: &JobContact, _mode: DelegationMode) -> Result<JobStatus, ClientError> {
        todo!()
    }
}
