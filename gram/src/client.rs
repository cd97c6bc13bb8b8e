//! The GRAM client: every operation on a gatekeeper or a job contact, one connection each; [`bulk`] has those on many jobs.

pub mod bulk;

use crate::endpoint;
use crate::exchange::{self, ExchangeError};
use crate::wire::{
    self, JobReply, JobRequest, OutputRange, OutputReply, Query, QueryReply, ReplyHead, VersionReply,
    WireError, body, reply, request,
};
use crate::{GramError, JobContact, JobState, ResourceContact, Signal, StateMask, Timeline};
use gsi::connection::ConnectionError;
use gsi::{Connector, Credential, DelegationMode, Expect, GsiError, SecureStream, TrustDirectory};
use std::time::Duration;
use tokio::time::Instant;

/// How long connecting, the handshake and delegation may take together.
const CONNECT: Duration = Duration::from_secs(60);
/// How long the answer may take to a question that is answered at once.
const ANSWER: Duration = Duration::from_secs(120);
/// How long the answer may take when the other side has work to do first: a job request, a cancel, a renewal. A stock
/// gatekeeper gives up after the same time.
const SLOW_ANSWER: Duration = Duration::from_secs(600);

/// A client failure: the GRAM number a stock client would report, and what really happened.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ClientError {
    /// The number.
    pub code: GramError,
    /// Text for people: names the peer and what to try.
    pub message: String,
    /// The server's own words (`gt3-failure-message`), which stock tools print in place of the number's text.
    pub details: Option<String>,
}

impl ClientError {
    /// Without words from the server.
    pub fn new(code: GramError, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: None }
    }
}

/// Submits and controls jobs with one credential. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    connector: Connector,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Reply to a job request.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// 0, or 110: accepted, a commit is needed.
    pub code: GramError,
    /// The job.
    pub contact: JobContact,
    /// Reply extensions.
    pub extensions: Vec<(String, String)>,
}

/// Reply to a query on a job contact.
#[derive(Debug, Clone)]
pub struct JobStatus {
    /// None: a job manager answered that it does not know the job, which has therefore ended. Tools say DONE.
    pub state: Option<JobState>,
    /// Error of the job.
    pub failure: GramError,
    /// Exit code, when sent.
    pub exit_code: Option<i32>,
    /// All extensions.
    pub extensions: Vec<(String, String)>,
}

impl JobStatus {
    /// The state tools show: a job its manager has forgotten is done.
    pub fn state_or_done(&self) -> JobState {
        self.state.unwrap_or(JobState::Done)
    }
}

/// Reply to a version request.
#[derive(Debug, Clone)]
pub struct Version {
    /// `15.8 (1653033972-1)`.
    pub version: Option<String>,
    /// `6.2`.
    pub toolkit: Option<String>,
}

impl Client {
    /// With this credential and trust.
    pub fn new(credential: &Credential, trust: &TrustDirectory) -> Result<Self, ClientError> {
        let connector = Connector::new(credential, trust).map_err(|error| {
            ClientError::new(GramError::AUTHORIZATION, format!("cannot use this credential: {error}"))
        })?;
        Ok(Self { connector })
    }

    /// `globusrun -a`: would I be let in?
    pub async fn ping(&self, contact: &ResourceContact) -> Result<(), ClientError> {
        let peer = Peer::Probed(contact);
        let message = request::encode_ping(&contact.service, &contact.host);
        let stream = self.open(peer, DelegationMode::None).await?;
        ask(stream, &message, ANSWER).await.map_err(|failure| peer.explain(failure))?;
        Ok(())
    }

    /// `globusrun -j`.
    pub async fn version(&self, contact: &ResourceContact) -> Result<Version, ClientError> {
        let peer = Peer::Probed(contact);
        let message = request::encode_version(&contact.service, &contact.host);
        // A stock gatekeeper starts a job manager to answer this, and that wants a credential.
        let stream = self.open(peer, DelegationMode::Limited).await?;
        let body = ask(stream, &message, SLOW_ANSWER).await.map_err(|failure| peer.explain(failure))?;
        let reply = VersionReply::decode(&body).map_err(|error| peer.explain(error.into()))?;
        let extension = |name| body::extension(&reply.extensions, name).map(str::to_owned);
        let version = Version { version: extension("version"), toolkit: extension("toolkit-version") };
        if version.version.is_none() && version.toolkit.is_none() {
            return Err(peer.explain(Failure::Refused(reply.status, None)));
        }
        Ok(version)
    }

    /// Job request; `account` is the RSL's `username`. A refusal with gt3-failure-message carries it in the error.
    pub async fn submit(
        &self,
        contact: &ResourceContact,
        account: Option<&str>,
        rsl: &[u8],
        mask: StateMask,
        callback: Option<&str>,
        mode: DelegationMode,
    ) -> Result<Submitted, ClientError> {
        let peer = Peer::Gatekeeper(contact);
        let job = JobRequest { mask, callback: callback.map(str::to_owned), rsl: rsl.to_vec() };
        let message = request::encode_job(&contact.service, account, &contact.host, &job);
        if message.len() > wire::MAX_BODY {
            let text =
                format!("the request has {} bytes, at most {} can be sent", message.len(), wire::MAX_BODY);
            return Err(ClientError::new(GramError::PROTOCOL_FAILED, text));
        }
        let stream = self.open(peer, mode).await?;
        let body = ask(stream, &message, SLOW_ANSWER).await.map_err(|failure| peer.explain(failure))?;
        let reply = JobReply::decode(&body).map_err(|error| peer.explain(error.into()))?;
        let details = body::extension(&reply.extensions, "gt3-failure-message").map(str::to_owned);
        if !reply.status.is_accepted() {
            return Err(peer.explain(Failure::Refused(reply.status, details)));
        }
        let url = reply
            .contact
            .ok_or_else(|| peer.explain(WireError::MissingAttribute("job-manager-url").into()))?;
        let contact = url.parse().map_err(|error| {
            ClientError::new(GramError::INVALID_JOB_CONTACT, format!("{peer} answered: {error}"))
        })?;
        Ok(Submitted { code: reply.status, contact, extensions: reply.extensions })
    }

    /// Status query. Error 79 means that no job manager answers at the contact: tools take the job for done then.
    pub async fn status(&self, job: &JobContact) -> Result<JobStatus, ClientError> {
        let reply = self.query(job, &Query::Status, ANSWER).await?;
        let forgotten = reply.failure_code == GramError::JOB_CONTACT_NOT_FOUND
            && body::extension(&reply.extensions, "version").is_some();
        if forgotten {
            return Ok(status(None, reply));
        }
        Self::accepted(job, reply)
    }

    /// Cancel; answered after the job has ended.
    pub async fn cancel(&self, job: &JobContact) -> Result<JobStatus, ClientError> {
        Self::accepted(job, self.query(job, &Query::Cancel, SLOW_ANSWER).await?)
    }

    /// Registers a call-back contact.
    pub async fn register(
        &self,
        job: &JobContact,
        mask: StateMask,
        callback: &str,
    ) -> Result<JobStatus, ClientError> {
        let query = Query::Register { mask, url: callback.to_owned() };
        Self::accepted(job, self.query(job, &query, ANSWER).await?)
    }

    /// Removes one.
    pub async fn unregister(&self, job: &JobContact, callback: &str) -> Result<JobStatus, ClientError> {
        let query = Query::Unregister { url: callback.to_owned() };
        Self::accepted(job, self.query(job, &query, ANSWER).await?)
    }

    /// Sends a signal.
    pub async fn signal(&self, job: &JobContact, signal: &Signal) -> Result<JobStatus, ClientError> {
        let query = Query::Signal(signal.clone());
        Self::accepted(job, self.query(job, &query, SLOW_ANSWER).await?)
    }

    /// What has happened to the job so far. None: its job manager does not know the question, as stock ones (92).
    pub async fn timeline(&self, job: &JobContact) -> Result<Option<Timeline>, ClientError> {
        let peer = Peer::Job(job);
        let message = Query::Timeline.encode(&job.path(), &job.host);
        let stream = self.open(peer, DelegationMode::None).await?;
        let asked =
            async { Ok::<_, Failure>(wire::timeline::decode(&ask(stream, &message, ANSWER).await?)?) };
        match asked.await.map_err(|failure| peer.explain(failure))? {
            Ok(timeline) => Ok(Some(timeline)),
            Err(GramError::INVALID_JOB_QUERY) => Ok(None),
            Err(code) => Err(peer.explain(Failure::Refused(code, None))),
        }
    }

    /// Reads a part of the job's output while it runs; only job managers of ours can tell (others answer 92).
    pub async fn output(&self, job: &JobContact, range: &OutputRange) -> Result<OutputReply, ClientError> {
        let peer = Peer::Job(job);
        let message = Query::Output(*range).encode(&job.path(), &job.host);
        let stream = self.open(peer, DelegationMode::None).await?;
        let asked = async { Ok::<_, Failure>(OutputReply::decode(&ask(stream, &message, ANSWER).await?)?) };
        let reply = asked.await.map_err(|failure| peer.explain(failure))?;
        reply.map_err(|code| peer.explain(Failure::Refused(code, None)))
    }

    /// Renews the job's credential by in-band delegation (gram.md §13).
    pub async fn renew(&self, job: &JobContact, mode: DelegationMode) -> Result<JobStatus, ClientError> {
        let peer = Peer::Job(job);
        let deadline = Instant::now() + SLOW_ANSWER;
        let mut stream = self.open(peer, DelegationMode::None).await?;
        let renewing = async {
            exchange::write_message(&mut stream, &Query::Renew.encode(&job.path(), &job.host), deadline)
                .await?;
            let ready = QueryReply::decode(&receive(&mut stream, deadline).await?)?;
            if !ready.failure_code.is_success() {
                return Ok(ready);
            }
            let delegating = stream.delegate_in_band(self.connector.credential(), mode);
            tokio::time::timeout_at(deadline, delegating)
                .await
                .map_err(|_| ExchangeError::Deadline)?
                .map_err(Failure::Delegation)?;
            Ok::<_, Failure>(QueryReply::decode(&receive(&mut stream, deadline).await?)?)
        };
        let reply = renewing.await.map_err(|failure| peer.explain(failure))?;
        exchange::close(stream).await;
        Self::accepted(job, reply)
    }

    async fn query(
        &self,
        job: &JobContact,
        query: &Query,
        patience: Duration,
    ) -> Result<QueryReply, ClientError> {
        let peer = Peer::Job(job);
        let message = query.encode(&job.path(), &job.host);
        let stream = self.open(peer, DelegationMode::None).await?;
        let body = ask(stream, &message, patience).await.map_err(|failure| peer.explain(failure))?;
        QueryReply::decode(&body).map_err(|error| peer.explain(error.into()))
    }

    /// The status of a query that went well; otherwise its failure code as an error.
    fn accepted(job: &JobContact, reply: QueryReply) -> Result<JobStatus, ClientError> {
        if !reply.failure_code.is_success() {
            return Err(Peer::Job(job).explain(Failure::Refused(reply.failure_code, None)));
        }
        Ok(status(JobState::from_value(reply.status), reply))
    }

    async fn open(&self, peer: Peer<'_>, mode: DelegationMode) -> Result<SecureStream, ClientError> {
        let opening = async {
            match peer {
                Peer::Gatekeeper(contact) | Peer::Probed(contact) => {
                    let tcp = endpoint::dial(&contact.host, contact.port).await.map_err(Failure::Connect)?;
                    let expect = match &contact.subject {
                        Some(subject) => Expect::Identity(subject.clone()),
                        None => Expect::Host(contact.host.clone()),
                    };
                    self.connector.connect_gsi(tcp, &expect, mode).await.map_err(Failure::Security)
                }
                Peer::Job(job) => {
                    let tcp = endpoint::dial(&job.host, job.port).await.map_err(Failure::Connect)?;
                    self.connector.connect(tcp, &Expect::Myself).await.map_err(Failure::Security)
                }
            }
        };
        let opened = tokio::time::timeout(CONNECT, opening).await;
        opened
            .unwrap_or_else(|_| Err(Failure::Connect(std::io::ErrorKind::TimedOut.into())))
            .map_err(|failure| peer.explain(failure))
    }
}

fn status(state: Option<JobState>, reply: QueryReply) -> JobStatus {
    let exit_code = [body::EXIT_CODE, body::QUIET_EXIT_CODE]
        .iter()
        .find_map(|name| body::extension(&reply.extensions, name)?.parse().ok());
    JobStatus { state, failure: reply.job_failure_code, exit_code, extensions: reply.extensions }
}

/// Sends a message and gives the body of the answer, if that has status 200.
async fn ask(mut stream: SecureStream, message: &[u8], patience: Duration) -> Result<Vec<u8>, Failure> {
    let deadline = Instant::now() + patience;
    exchange::write_message(&mut stream, message, deadline).await?;
    receive(&mut stream, deadline).await
}

async fn receive(stream: &mut SecureStream, deadline: Instant) -> Result<Vec<u8>, Failure> {
    match exchange::read_reply(stream, deadline).await? {
        (ReplyHead { status: 200, .. }, body) => Ok(body),
        (ReplyHead { status, .. }, _) => Err(Failure::Http(status)),
    }
}

/// Who is being talked to.
#[derive(Debug, Clone, Copy)]
enum Peer<'a> {
    /// A gatekeeper that gets a job request.
    Gatekeeper(&'a ResourceContact),
    /// A gatekeeper that is only asked whether it would, or its version.
    Probed(&'a ResourceContact),
    /// A job manager.
    Job(&'a JobContact),
}

impl std::fmt::Display for Peer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gatekeeper(contact) | Self::Probed(contact) => {
                write!(f, "the gatekeeper at {}:{}", contact.host, contact.port)
            }
            Self::Job(job) => write!(f, "the job manager at {}:{}", job.host, job.port),
        }
    }
}

/// Whether the connection was lost or ended by the peer, rather than the peer refused by us.
fn is_loss(error: &GsiError) -> bool {
    matches!(
        error,
        GsiError::Io(_)
            | GsiError::Connection(
                ConnectionError::Closed { .. }
                    | ConnectionError::Refused { .. }
                    | ConnectionError::Socket { .. }
            )
    )
}

/// What went wrong, before it has a number.
#[derive(Debug)]
enum Failure {
    /// No TCP connection.
    Connect(std::io::Error),
    /// TLS, a wrong peer, or the peer's refusal of us.
    Security(GsiError),
    /// In-band delegation.
    Delegation(GsiError),
    /// The message did not get through.
    Exchange(ExchangeError),
    /// An HTTP status other than 200.
    Http(u16),
    /// A GRAM number in a reply, with the server's words.
    Refused(GramError, Option<String>),
}

impl From<ExchangeError> for Failure {
    fn from(error: ExchangeError) -> Self {
        Self::Exchange(error)
    }
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        Self::Exchange(error.into())
    }
}

impl Peer<'_> {
    /// The one place where a client's failures get their GRAM numbers (gram.md §3, gsi.md §13) and their words.
    fn explain(self, failure: Failure) -> ClientError {
        let unreachable = match self {
            Self::Gatekeeper(_) => GramError::CONNECTION_FAILED,
            // Stock clients say "job manager" here even where it is the gatekeeper that does not answer.
            Self::Probed(_) | Self::Job(_) => GramError::CONTACTING_JOB_MANAGER,
        };
        match failure {
            Failure::Connect(error) => ClientError::new(
                unreachable,
                match self {
                    Self::Gatekeeper(_) | Self::Probed(_) => {
                        format!("cannot connect to {self}: {error}; check host and port")
                    }
                    Self::Job(_) => format!("cannot connect to {self}: {error}; the job has probably ended"),
                },
            ),
            // The peer went away during the handshake. With TLS 1.3 that is also how its refusal of our certificate looks.
            Failure::Security(error) if is_loss(&error) => {
                ClientError::new(unreachable, format!("{self} ended the handshake: {error}"))
            }
            Failure::Security(error) => {
                ClientError::new(GramError::AUTHORIZATION, format!("cannot authenticate {self}: {error}"))
            }
            Failure::Delegation(error) => ClientError::new(
                GramError::DELEGATION_FAILED,
                format!("delegation to {self} failed: {error}"),
            ),
            Failure::Exchange(error) => ClientError::new(error.code(), format!("{self}: {error}")),
            Failure::Http(status) => {
                let code = reply::code_of_status(status);
                let hint = match (status, self) {
                    (403, Self::Gatekeeper(_) | Self::Probed(_)) => {
                        "; this identity is not in its grid-mapfile, or may not use the service or account asked for"
                            .to_owned()
                    }
                    (404, Self::Gatekeeper(contact) | Self::Probed(contact)) => format!("; it has no service {:?}", contact.service),
                    _ => String::new(),
                };
                ClientError::new(code, format!("{self} answered HTTP {status}: {}{hint}", code.text()))
            }
            Failure::Refused(code, details) => {
                let words = details.as_deref().filter(|words| !words.is_empty()).unwrap_or(code.text());
                let message = format!("{self} answered: {words} (error code {})", code.0);
                ClientError { code, message, details }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// The number of a failure of a submission, a probe and a query.
    fn codes(failure: impl Fn() -> Failure) -> [u16; 3] {
        let contact: ResourceContact = "h/s".parse().unwrap();
        let job: JobContact = "https://h:1/2/3/".parse().unwrap();
        [Peer::Gatekeeper(&contact), Peer::Probed(&contact), Peer::Job(&job)].map(|peer| {
            let error = peer.explain(failure());
            assert!(error.message.contains(" at h:"), "{error}");
            error.code.0
        })
    }

    #[test]
    fn numbers_of_failures() {
        assert_eq!(codes(|| Failure::Connect(io::ErrorKind::ConnectionRefused.into())), [12, 79, 79]);
        assert_eq!(
            codes(|| Failure::Security(GsiError::Io(io::ErrorKind::UnexpectedEof.into()))),
            [12, 79, 79]
        );
        for (status, number) in [(400, 10), (403, 7), (404, 93), (500, 47), (503, 89)] {
            assert_eq!(codes(|| Failure::Http(status)), [number; 3]);
        }
        assert_eq!(codes(|| ExchangeError::Closed { received: 0 }.into()), [10; 3]);
        assert_eq!(codes(|| ExchangeError::Deadline.into()), [10; 3]);
        assert_eq!(codes(|| WireError::MissingLength.into()), [89; 3]);
        assert_eq!(codes(|| WireError::MissingAttribute("status").into()), [91; 3]);
        assert_eq!(codes(|| WireError::Version(3).into()), [49; 3]);
    }

    #[test]
    fn the_servers_words_come_first() {
        let contact: ResourceContact = "h".parse().unwrap();
        let refused = |words: &str| {
            Peer::Gatekeeper(&contact)
                .explain(Failure::Refused(GramError::RSL_COUNT, Some(words.into())))
                .message
        };
        assert!(refused("count = x is no number").contains("count = x is no number (error code 51)"));
        assert!(refused("").contains(GramError::RSL_COUNT.text()));
    }

    #[test]
    fn a_forgotten_job_is_done() {
        let reply = status(None, QueryReply::unknown_job());
        assert_eq!(reply.state_or_done(), JobState::Done);
    }
}
