//! Operations on many jobs in one connection (docs/protocol-extensions.md), with servers that know them. From others each
//! gives `None`: nothing has been done, and the caller goes on job by job.

use super::{ANSWER, Client, ClientError, Failure, JobStatus, Peer, SLOW_ANSWER};
use crate::exchange;
use crate::wire::bulk::{
    BulkAnswers, BulkJobs, BulkQuery, BulkReply, ItemReply, JobAnswer, MAX_REPLY, Which,
};
use crate::wire::{self, Query, ReplyHead, WireError};
use crate::{GramError, JobContact, JobState, ResourceContact};
use gsi::{DelegationMode, SecureStream};
use std::time::Duration;
use tokio::time::Instant;

/// Jobs named in one query: well within [`wire::bulk::MAX_QUERY`].
const JOBS_PER_QUERY: usize = 10_000;

/// A connection with a gatekeeper over which many jobs are submitted: one handshake, one delegation.
#[derive(Debug)]
pub struct Batches<'a> {
    contact: &'a ResourceContact,
    account: Option<&'a str>,
    stream: SecureStream,
}

impl Client {
    /// Connects and delegates.
    pub async fn batches<'a>(
        &self,
        contact: &'a ResourceContact,
        account: Option<&'a str>,
        mode: DelegationMode,
    ) -> Result<Batches<'a>, ClientError> {
        let stream = self.open(Peer::Gatekeeper(contact), mode).await?;
        Ok(Batches { contact, account, stream })
    }

    /// Asks the job manager at this contact about these jobs, or about all of ours that it knows. The answers come in the
    /// order of the jobs; a cancel is answered when all have ended.
    pub async fn query_many(
        &self,
        at: &JobContact,
        which: Which,
        query: &Query,
    ) -> Result<Option<Vec<JobAnswer>>, ClientError> {
        let peer = Peer::Job(at);
        let patience = if *query == Query::Status { ANSWER } else { SLOW_ANSWER };
        let parts = match which {
            Which::All => vec![Which::All],
            Which::Jobs(jobs) => jobs.chunks(JOBS_PER_QUERY).map(|jobs| Which::Jobs(jobs.to_vec())).collect(),
        };
        let mut stream = self.open(peer, DelegationMode::None).await?;
        let mut answers = Vec::new();
        for which in parts {
            let asked = if let Which::Jobs(jobs) = &which { Some(jobs.len()) } else { None };
            let message = BulkQuery { which, query: query.clone() }.encode(&at.path(), &at.host);
            let body = ask(&mut stream, &message, patience).await.map_err(|failure| peer.explain(failure))?;
            let Some(BulkAnswers(part)) =
                BulkAnswers::decode(&body).map_err(|error| peer.explain(error.into()))?
            else {
                return Ok(None);
            };
            if asked.is_some_and(|asked| asked != part.len()) {
                return Err(peer.explain(WireError::MissingAttribute("results").into()));
            }
            answers.extend(part);
        }
        exchange::close(stream).await;
        Ok(Some(answers))
    }
}

impl Batches<'_> {
    /// Submits these jobs; what became of each comes in their order. Error 10 leaves open what has happened: the same message
    /// may be sent again over another connection.
    pub async fn submit(&mut self, jobs: &BulkJobs) -> Result<Option<Vec<ItemReply>>, ClientError> {
        let peer = Peer::Gatekeeper(self.contact);
        let message = jobs.encode(&self.contact.service, self.account, &self.contact.host);
        if message.len() > wire::MAX_BODY {
            let text = format!("{} bytes of requests, at most {} can be sent", message.len(), wire::MAX_BODY);
            return Err(ClientError::new(GramError::PROTOCOL_FAILED, text));
        }
        let body =
            ask(&mut self.stream, &message, SLOW_ANSWER).await.map_err(|failure| peer.explain(failure))?;
        match BulkReply::decode(&body).map_err(|error| peer.explain(error.into()))? {
            None => refused(&body).map_or(Ok(None), |failure| Err(peer.explain(failure))),
            Some(BulkReply(items)) if items.len() == jobs.count() => Ok(Some(items)),
            Some(_) => Err(peer.explain(WireError::MissingAttribute("results").into())),
        }
    }

    /// Ends the connection.
    pub async fn close(self) {
        exchange::close(self.stream).await;
    }
}

/// A reply to a whole message that is not about the message's kind: the server knows it, or would refuse single jobs too.
fn refused(body: &[u8]) -> Option<Failure> {
    let reply = wire::JobReply::decode(body).ok()?;
    let unknown = matches!(reply.status, GramError::HTTP_UNPACK_FAILED | GramError::INVALID_REQUEST);
    let words = wire::body::extension(&reply.extensions, "gt3-failure-message").map(str::to_owned);
    (!unknown).then_some(Failure::Refused(reply.status, words))
}

impl JobAnswer {
    /// As the answer to a query about this job alone; one that its manager has forgotten has no state.
    pub fn status(&self, at: &JobContact) -> Result<JobStatus, ClientError> {
        let state = match self.failure_code {
            GramError::SUCCESS => JobState::from_value(self.status),
            GramError::JOB_CONTACT_NOT_FOUND => None,
            code => return Err(Peer::Job(at).explain(Failure::Refused(code, None))),
        };
        Ok(JobStatus {
            state,
            failure: self.job_failure_code,
            exit_code: self.exit_code,
            extensions: Vec::new(),
        })
    }
}

async fn ask(stream: &mut SecureStream, message: &[u8], patience: Duration) -> Result<Vec<u8>, Failure> {
    let deadline = Instant::now() + patience;
    exchange::write_message(stream, message, deadline).await?;
    match exchange::read_reply_within(stream, deadline, MAX_REPLY).await? {
        (ReplyHead { status: 200, .. }, body) => Ok(body),
        (ReplyHead { status, .. }, _) => Err(Failure::Http(status)),
    }
}
