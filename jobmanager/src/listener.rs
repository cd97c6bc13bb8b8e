//! The job contact of one identity (gram.md §7): one TLS connection, one query, one reply. Only the identity itself is served.

use crate::{
    bulk,
    identity::Identity,
    launch::JobKey,
    machine::Answer,
    manager::{Inbox, Message},
    stream::reader,
};
use gram::{
    GramError, JobState,
    exchange::{self, ExchangeError},
    wire::{
        self, MAX_BODY, OutputRange, Query, QueryReply,
        bulk::{BulkQuery, MAX_QUERY},
    },
};
use gsi::{
    Credential, KeyPool, SecureStream,
    admission::{Admission, Bounds, Crowded, Stranger},
};
use std::{sync::Weak, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::{Instant, timeout_at},
};

/// Most connections at once, for the contacts of one identity. Only that identity is served, so it may have all places; a
/// site's users often share an address.
pub const BOUNDS: Bounds = Bounds { strangers: 64, guests: 128, per_address: 128, per_identity: 128 };
/// How long nothing may come from a peer while something is waited for.
pub(crate) const IDLE: Duration = Duration::from_secs(15);
/// How long a peer may take for handshake and query, and again for an in-band delegation.
pub(crate) const EXCHANGE: Duration = Duration::from_secs(60);
/// How long a query may take to be answered; a cancel waits for the scheduler.
pub(crate) const ANSWER: Duration = Duration::from_secs(120);
/// Pause after a failed accept (out of descriptors), so as not to spin.
const PAUSE: Duration = Duration::from_millis(100);

/// What the accepting task works with.
#[derive(Clone)]
pub(crate) struct Serving {
    /// Whose contacts these are.
    pub(crate) identity: Weak<Identity>,
    /// Where queries go.
    pub(crate) inbox: Inbox,
    /// Keys for renewals.
    pub(crate) keys: KeyPool,
}

impl Serving {
    /// Accepts until aborted.
    pub(crate) async fn run(self, listener: TcpListener) {
        let admission = Admission::new(BOUNDS);
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "job contact cannot accept");
                    admission.make_room();
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let Some(identity) = self.identity.upgrade() else { return };
            let (serving, place) = (self.clone(), admission.enter(peer.ip()));
            tokio::spawn(async move {
                if let Err(error) = Box::pin(serving.serve(&identity, stream, place)).await {
                    tracing::info!(%peer, identity = %identity.subject, %error, "query not answered");
                }
            });
        }
    }

    async fn serve(
        &self,
        identity: &Identity,
        stream: TcpStream,
        place: Result<Stranger, Crowded>,
    ) -> Result<(), QueryFailure> {
        let deadline = Instant::now() + EXCHANGE;
        let mut place = place?;
        gram::endpoint::prepare(&stream).map_err(ExchangeError::Io)?;
        let acceptor = identity.current().acceptor.clone().patient_for(IDLE);
        let mut stream = tokio::select! {
            accepted = timeout_at(deadline, acceptor.accept(stream)) => {
                accepted.map_err(|_| ExchangeError::Deadline)??
            }
            () = place.pushed_out() => return Err(Crowded::PushedOut.into()),
        };
        // Kept to the end.
        let _place = place.welcome(stream.peer().owner())?;
        let is_owner = stream.peer().identity == identity.subject;
        let limit = if is_owner { MAX_QUERY } else { MAX_BODY };
        let (head, body) = exchange::read_request_within(&mut stream, deadline, limit).await?;
        if is_owner && let Ok(Some(query)) = BulkQuery::decode(&body) {
            return Ok(bulk::answer_all(&self.inbox, identity, stream, query).await?);
        }
        let reply = self.answer(identity, &mut stream, &head.uri, &body).await;
        exchange::write_message(&mut stream, &reply, Instant::now() + EXCHANGE).await?;
        exchange::close(stream).await;
        Ok(())
    }

    async fn answer(
        &self,
        identity: &Identity,
        stream: &mut SecureStream,
        uri: &str,
        body: &[u8],
    ) -> Vec<u8> {
        let peer = &stream.peer().identity;
        if *peer != identity.subject {
            tracing::warn!(%peer, owner = %identity.subject, uri, "query by somebody else refused");
            return QueryReply::failed(GramError::AUTHORIZATION).encode();
        }
        let query = match Query::decode(body) {
            Ok(query) => query,
            Err(error) => {
                tracing::info!(uri, %error, "query not understood");
                return QueryReply::failed(error.code()).encode();
            }
        };
        let Some(key) = job_of(uri) else { return QueryReply::unknown_job().encode() };
        tracing::debug!(job = %key, %query, "query");
        match query {
            Query::Renew => self.renew(identity, stream, key).await.encode(),
            Query::Timeline => self.timeline(identity, key).await,
            Query::Output(range) => self.read_output(identity, key, range).await,
            query => self.ask(identity, key, query).await.encode(),
        }
    }

    /// Reads a part of the job's output; the manager only says where it is.
    async fn read_output(&self, identity: &Identity, key: JobKey, range: OutputRange) -> Vec<u8> {
        let look = || {
            let (reply, answer) = oneshot::channel();
            let (identity, stream) = (identity.subject.clone(), range.stream);
            let (inbox, message) = (self.inbox.clone(), Message::Output { key, identity, stream, reply });
            async move {
                inbox.send(message).await.ok()?;
                answer.await.ok()
            }
        };
        match reader::read(key, range, look).await {
            Ok(reply) => reply.encode(),
            Err(GramError::JOB_CONTACT_NOT_FOUND) => QueryReply::unknown_job().encode(),
            Err(code) => QueryReply::failed(code).encode(),
        }
    }

    /// Tells what has happened to a job.
    async fn timeline(&self, identity: &Identity, key: JobKey) -> Vec<u8> {
        let (reply, answer) = oneshot::channel();
        let message = Message::Timeline { key, identity: identity.subject.clone(), reply };
        if self.inbox.send(message).await.is_err() {
            return QueryReply::unknown_job().encode();
        }
        let Ok(mut timeline) = answer.await else { return QueryReply::unknown_job().encode() };
        timeline.credential.until = Some(identity.current().credential.expires());
        wire::timeline::encode(&timeline)
    }

    /// Passes a query to the manager.
    async fn ask(&self, identity: &Identity, key: JobKey, query: Query) -> QueryReply {
        let (reply, answer) = oneshot::channel();
        let message = Message::Query { key, identity: identity.subject.clone(), query, reply };
        if self.inbox.send(message).await.is_err() {
            return QueryReply::unknown_job();
        }
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(Ok(answer)) => reply_of(answer),
            Ok(Err(_)) => QueryReply::unknown_job(),
            Err(_) => QueryReply::failed(GramError::JOB_CANCEL_FAILED),
        }
    }

    /// `renew` (gram.md §13): says go on, takes the delegation in the same connection, then answers like a status query.
    async fn renew(&self, identity: &Identity, stream: &mut SecureStream, key: JobKey) -> QueryReply {
        let status = self.ask(identity, key, Query::Status).await;
        if status.failure_code != GramError::SUCCESS {
            return status;
        }
        let taken = self.take_delegation(stream).await;
        let renewed = match taken {
            Ok(credential) => {
                let (reply, answer) = oneshot::channel();
                let message = Message::Renew { key, credential: Box::new(credential), reply };
                match self.inbox.send(message).await {
                    Ok(()) => answer.await.unwrap_or(Err(GramError::DELEGATION_FAILED)),
                    Err(_) => Err(GramError::DELEGATION_FAILED),
                }
            }
            Err(error) => {
                tracing::warn!(job = %key, %error, "renewal failed");
                Err(GramError::DELEGATION_FAILED)
            }
        };
        match renewed {
            Ok(()) => self.ask(identity, key, Query::Renew).await,
            Err(code) => QueryReply::failed(code),
        }
    }

    async fn take_delegation(&self, stream: &mut SecureStream) -> Result<Credential, QueryFailure> {
        let deadline = Instant::now() + EXCHANGE;
        exchange::write_message(stream, &QueryReply::ready_for_delegation().encode(), deadline).await?;
        let delegation = stream.accept_delegation_in_band(&self.keys);
        Ok(timeout_at(deadline, delegation).await.map_err(|_| ExchangeError::Deadline)??)
    }
}

/// A query that got no answer.
#[derive(Debug, thiserror::Error)]
enum QueryFailure {
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error(transparent)]
    Security(#[from] gsi::GsiError),
    #[error(transparent)]
    Crowded(#[from] Crowded),
}

/// The reply for an answer. The exit code goes with DONE only (gram.md §10).
fn reply_of(answer: Answer) -> QueryReply {
    if answer.refused == GramError::SUCCESS {
        let exit_code = answer.exit_code.filter(|_| answer.state == JobState::Done);
        QueryReply::state(answer.state, answer.failure, exit_code)
    } else {
        QueryReply { job_failure_code: answer.failure, ..QueryReply::failed(answer.refused) }
    }
}

/// The job of a request line: `/u64/u64/`, or a whole URL with that path. The slash at the end belongs to it.
fn job_of(uri: &str) -> Option<JobKey> {
    let path = match uri.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => uri.strip_prefix('/')?,
    };
    let (high, low) = path.strip_suffix('/')?.split_once('/')?;
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if plain { digits.parse().ok() } else { None }
    };
    Some(JobKey { high: number(high)?, low: number(low)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_paths() {
        let key = Some(JobKey { high: 17_370_766_278_073_067_596, low: 72 });
        assert_eq!(job_of("/17370766278073067596/72/"), key);
        assert_eq!(job_of("https://vm:33911/17370766278073067596/72/"), key);
        for wrong in
            ["/1/2", "/1/", "1/2/", "/1/2/3/", "/1/x/", "/1/+2/", "/1//", "", "/99999999999999999999/1/"]
        {
            assert_eq!(job_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn replies() {
        let answer = Answer {
            state: JobState::Done,
            refused: GramError::SUCCESS,
            failure: GramError::SUCCESS,
            exit_code: Some(3),
        };
        let has_exit_code =
            |reply: &QueryReply| reply.extensions.iter().any(|(name, _)| name.ends_with("exit-code"));
        assert!(has_exit_code(&reply_of(answer)));
        let failed = Answer { state: JobState::Failed, failure: GramError::USER_CANCELLED, ..answer };
        let reply = reply_of(failed);
        assert_eq!((reply.status, reply.job_failure_code.0), (4, 8));
        assert!(!has_exit_code(&reply));
        let refused = reply_of(Answer { refused: GramError::JOB_QUERY_DENIAL, ..answer });
        assert_eq!((refused.status, refused.failure_code.0), (4, 94));
    }
}
