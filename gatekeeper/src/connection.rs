//! One connection, step by step, each step its own type: accepted, authenticated, requested, permitted, answered.
//!
//! A step that has not happened cannot be skipped: only [`Conversation<Permitted>`] can ask a job manager for anything,
//! and only a permit makes one. A client that submits many jobs at once may go through the steps again (`bulk.rs`).

mod bulk;

use crate::attendance::Attendance;
use crate::audit::{Audit, Outcome, Record};
use crate::config::Limits;
use crate::launch::LaunchError;
use crate::metrics::Metrics;
use crate::policy::{Asker, Permit};
use crate::rate::Rates;
use crate::refusal::{Answer, Refusal};
use crate::rules::SiteRules;
use gram::control::v1;
use gram::wire::bulk::BulkJobs;
use gram::wire::{GatekeeperBody, JobReply, JobRequest, Target, reply};
use gram::{GramError, exchange};
use gsi::admission::{Crowded, Guest, Stranger};
use gsi::{Acceptor, KeyPool, SecureStream};
use jiff::Timestamp;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// What all connections share. A changed configuration makes another one, for the connections that come after.
#[derive(Clone)]
pub struct Site {
    /// Who may come in.
    pub rules: SiteRules,
    /// The job managers.
    pub managers: Arc<Attendance>,
    /// Where decisions are recorded.
    pub audit: Arc<Audit>,
    /// What is counted.
    pub metrics: Metrics,
    /// Deadlines.
    pub limits: Limits,
    /// How often subjects have asked lately.
    pub rates: Arc<Rates>,
    /// Our name in contacts.
    pub host: String,
    /// Our port.
    pub port: u16,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// What connections are accepted with.
#[derive(Debug)]
pub struct Door {
    /// Shows the host certificate.
    pub acceptor: Acceptor,
    /// Our identity.
    pub subject: String,
}

/// A connection that has come in, nothing known about the other end but its address.
#[derive(Debug)]
pub struct Accepted {
    /// The socket.
    pub tcp: TcpStream,
    /// Its place among those not authenticated yet.
    pub place: Result<Stranger, Crowded>,
    /// When it came.
    pub since: Instant,
    /// What is known for the audit file.
    pub record: Record,
}

/// A secure connection at one of the following steps.
#[derive(Debug)]
pub struct Conversation<Step, Stream = SecureStream> {
    stream: Stream,
    since: Instant,
    record: Box<Record>,
    step: Step,
}

/// It is known who asks.
#[derive(Debug)]
pub struct Authenticated {
    asker: Asker,
    delegated: Option<Zeroizing<String>>,
}

/// It is known what is asked for.
#[derive(Debug)]
pub struct Requested {
    asker: Asker,
    delegated: Option<Zeroizing<String>>,
    target: Target,
    operation: Operation,
}

/// It may be done.
#[derive(Debug)]
pub struct Permitted {
    asker: Asker,
    delegated: Option<Zeroizing<String>>,
    permit: Permit,
    operation: Operation,
}

/// It has been done, or not; the client has still to be told.
#[derive(Debug)]
pub struct Answered {
    answer: Answer,
    outcome: Outcome,
}

/// What is asked for, apart from the service.
#[derive(Debug)]
enum Operation {
    Ping,
    Version,
    Job(JobRequest),
    /// Many jobs; further requests may follow.
    Jobs(BulkJobs),
    /// A body that says neither; refused only after the permit, as stock gatekeepers do.
    Unclear(gram::wire::WireError),
}

impl Operation {
    fn name(&self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Version => "version",
            Self::Job(_) | Self::Jobs(_) | Self::Unclear(_) => "job",
        }
    }
}

/// Serves one connection from beginning to end.
pub async fn serve(accepted: Accepted, site: &Site, door: &Door, keys: &KeyPool) {
    let Accepted { tcp, place, since, mut record } = accepted;
    // The handshake needs much more room than what follows, which most of the time is waiting.
    match Box::pin(authenticate(tcp, place, site, door, keys)).await {
        // The place is kept as long as the conversation lasts.
        Ok((stream, delegated, place)) => {
            site.metrics.handshake.observe(since.elapsed());
            let asker = Asker::from(stream.peer());
            record.warning = stream.peer().tolerated.first().map(ToString::to_string);
            let conversation = Conversation::new(stream, since, record, asker, delegated);
            match &place {
                Ok(Guest { .. }) => conversation.converse(site, &door.subject).await,
                Err(crowded) => conversation.refuse(&Refusal::Crowded(*crowded)).tell(site).await,
            }
        }
        Err(refusal) => {
            record.refused(&refusal);
            site.audit.write(&record, Outcome::Refused);
        }
    }
}

type Entered = (SecureStream, Option<Zeroizing<String>>, Result<Guest, Crowded>);

/// Handshake and delegation, and a place among the guests.
async fn authenticate(
    tcp: TcpStream,
    place: Result<Stranger, Crowded>,
    site: &Site,
    door: &Door,
    keys: &KeyPool,
) -> Result<Entered, Refusal> {
    let mut place = place?;
    site.rules.is_open()?;
    let handshake = tokio::time::timeout(site.limits.handshake(), door.acceptor.accept_gsi(tcp, keys));
    let (stream, credential) = tokio::select! {
        accepted = handshake => accepted.map_err(|_| Refusal::HandshakeDeadline)??,
        () = place.pushed_out() => return Err(Refusal::Crowded(Crowded::PushedOut)),
    };
    let guest = place.welcome(stream.peer().owner());
    Ok((stream, credential.map(|credential| credential.to_pem()), guest))
}

impl<Stream> Conversation<Authenticated, Stream>
where
    Stream: AsyncRead + AsyncWrite + Unpin,
{
    fn new(
        stream: Stream,
        since: Instant,
        mut record: Record,
        asker: Asker,
        delegated: Option<Zeroizing<String>>,
    ) -> Self {
        record.subject = Some(asker.subject.to_string());
        record.identity = Some(asker.identity.to_string());
        record.limited = Some(asker.limited);
        Self { stream, since, record: Box::new(record), step: Authenticated { asker, delegated } }
    }

    /// The rest of the connection. `ourselves`: our identity.
    async fn converse(self, site: &Site, ourselves: &str) {
        let answered = match self.decide(site).await {
            Ok(permitted) if matches!(permitted.step.operation, Operation::Jobs(_)) => {
                // Rare, and larger than all the rest.
                return Box::pin(permitted.carry_out_batches(site, ourselves)).await;
            }
            Ok(permitted) => permitted.carry_out(site, ourselves).await,
            Err(refused) => refused,
        };
        answered.tell(site).await;
    }

    async fn decide(
        self,
        site: &Site,
    ) -> Result<Conversation<Permitted, Stream>, Conversation<Answered, Stream>> {
        self.read(site).await?.permit(site)
    }

    /// Reads the request.
    async fn read(
        mut self,
        site: &Site,
    ) -> Result<Conversation<Requested, Stream>, Conversation<Answered, Stream>> {
        let deadline = Instant::now() + site.limits.request();
        match read_request(&mut self.stream, deadline).await {
            Ok(request) => Ok(self.requested(request)),
            Err(refusal) => Err(self.refuse(&refusal)),
        }
    }

    fn requested(mut self, (target, operation): (Target, Operation)) -> Conversation<Requested, Stream> {
        self.record.operation = Some(operation.name());
        self.record.service = Some(target.service.clone());
        self.record.account = target.account.clone();
        self.step(|Authenticated { asker, delegated }| Requested { asker, delegated, target, operation })
    }
}

async fn read_request<Stream: AsyncRead + Unpin>(
    stream: &mut Stream,
    deadline: Instant,
) -> Result<(Target, Operation), Refusal> {
    let (head, body) = exchange::read_request(stream, deadline).await?;
    let target = Target::parse(&head.uri)?;
    if target.ping {
        return Ok((target, Operation::Ping)); // stock gatekeepers ignore a ping's body, and whether it has one
    }
    if head.length.is_none() {
        return Err(Refusal::NoLength);
    }
    let operation = match GatekeeperBody::decode(&body) {
        Ok(GatekeeperBody::Version) => Operation::Version,
        Ok(GatekeeperBody::Job(request)) => Operation::Job(request),
        Ok(GatekeeperBody::Jobs(jobs)) => Operation::Jobs(jobs),
        Err(error) => Operation::Unclear(error),
    };
    Ok((target, operation))
}

impl<Stream> Conversation<Requested, Stream>
where
    Stream: AsyncRead + AsyncWrite + Unpin,
{
    /// Decides.
    fn permit(
        mut self,
        site: &Site,
    ) -> Result<Conversation<Permitted, Stream>, Conversation<Answered, Stream>> {
        let Requested { asker, target, operation, .. } = &self.step;
        if let Err(wait) = site.rates.take(&asker.owner, &site.limits, Instant::now().into_std()) {
            let job = matches!(operation, Operation::Job(_) | Operation::Jobs(_));
            let subject = asker.owner.clone();
            return Err(self.refuse(&Refusal::TooManyRequests { subject, wait, job }));
        }
        match site.rules.decide(asker, target, Timestamp::now()) {
            Ok(permit) => {
                self.record.account = Some(permit.account().to_owned());
                self.record.file = Some(site.rules.gridmap_file().to_owned());
                self.record.line = Some(permit.line());
                Ok(self.step(|Requested { asker, delegated, operation, .. }| Permitted {
                    asker,
                    delegated,
                    permit,
                    operation,
                }))
            }
            Err(refusal) => Err(self.refuse(&refusal)),
        }
    }
}

impl<Stream> Conversation<Permitted, Stream>
where
    Stream: AsyncRead + AsyncWrite + Unpin,
{
    /// Does what is asked for.
    async fn carry_out(mut self, site: &Site, ourselves: &str) -> Conversation<Answered, Stream> {
        let answer = match &self.step.operation {
            Operation::Ping => Answer::Pong,
            Operation::Version => Answer::Version,
            // Served before it comes here.
            Operation::Jobs(_) => Answer::Close,
            Operation::Unclear(error) => {
                let refusal = Refusal::Body(error.clone());
                return self.refuse(&refusal);
            }
            Operation::Job(job) => match self.submit(job, site, ourselves).await {
                Ok(reply) => {
                    self.record.error = Some(reply.error);
                    Answer::Job(reply.into())
                }
                Err(refusal) => return self.refuse(&refusal),
            },
        };
        let outcome = match &answer {
            Answer::Job(reply) if !reply.status.is_accepted() => {
                let message = gram::wire::body::extension(&reply.extensions, "gt3-failure-message");
                self.record.reason = Some(message.unwrap_or(reply.status.text()).to_owned());
                Outcome::Rejected
            }
            Answer::Job(reply) => {
                self.record.job = reply.contact.clone();
                Outcome::Granted
            }
            _ => Outcome::Granted,
        };
        self.step(|_| Answered { answer, outcome })
    }

    async fn submit(&self, job: &JobRequest, site: &Site, ourselves: &str) -> Result<SubmitReply, Refusal> {
        let request = v1::SubmitRequest {
            request_id: self.record.request.clone(),
            rsl: job.rsl.clone(),
            job_state_mask: job.mask.0,
            callback_url: job.callback.clone().unwrap_or_default(),
            ..self.request(site, ourselves)?
        };
        let submitting = site.managers.submit(self.step.permit.account(), &request);
        self.in_time(site, submitting).await.map(SubmitReply::from)
    }

    /// What every job request of this connection has in common.
    fn request(&self, site: &Site, ourselves: &str) -> Result<v1::SubmitRequest, Refusal> {
        let Permitted { asker, delegated, permit, .. } = &self.step;
        let credential = delegated.as_ref().ok_or(Refusal::NoCredential)?;
        if !site.audit.is_open() {
            return Err(Refusal::Unrecorded);
        }
        Ok(v1::SubmitRequest {
            identity: asker.identity.to_string(),
            service: permit.service().name.clone(),
            scheduler: permit.service().scheduler.clone(),
            delegated_credential: credential.as_bytes().to_vec(),
            client_address: self.record.peer.ip().to_canonical().to_string(),
            gatekeeper_host: site.host.clone(),
            gatekeeper_port: u32::from(site.port),
            gatekeeper_subject: ourselves.to_owned(),
            ..v1::SubmitRequest::default()
        })
    }

    /// The job manager's answer, unless it takes too long.
    async fn in_time<Reply>(
        &self,
        site: &Site,
        submitting: impl Future<Output = Result<Reply, LaunchError>>,
    ) -> Result<Reply, Refusal> {
        let (total, handed_over) = (site.limits.total(), Instant::now());
        let reply = tokio::time::timeout_at(self.since + total, submitting).await;
        let reply = reply.map_err(|_| Refusal::TotalDeadline(total))??;
        site.metrics.job_manager.observe(handed_over.elapsed());
        Ok(reply)
    }
}

/// The job manager's answer.
struct SubmitReply {
    error: u16,
    contact: String,
    message: String,
}

impl From<v1::SubmitReply> for SubmitReply {
    fn from(reply: v1::SubmitReply) -> Self {
        let error = u16::try_from(reply.error).unwrap_or(GramError::PROTOCOL_FAILED.0);
        Self { error, contact: reply.job_contact, message: reply.message }
    }
}

impl From<SubmitReply> for JobReply {
    fn from(reply: SubmitReply) -> Self {
        let mut extensions = reply::version_extensions();
        if !reply.message.is_empty() {
            extensions.push(("gt3-failure-message".to_owned(), reply.message));
        }
        let contact = Some(reply.contact).filter(|contact| !contact.is_empty());
        Self { status: GramError(reply.error), contact, extensions }
    }
}

impl<Stream> Conversation<Answered, Stream>
where
    Stream: AsyncRead + AsyncWrite + Unpin,
{
    /// Records the decision, sends the answer and closes.
    async fn tell(mut self, site: &Site) {
        site.audit.write(&self.record, self.step.outcome);
        site.metrics.answer.observe(self.since.elapsed());
        let Some(message) = self.step.answer.encode() else { return };
        let deadline = Instant::now() + site.limits.request();
        match exchange::write_message(&mut self.stream, &message, deadline).await {
            Ok(()) => exchange::close(self.stream).await,
            Err(error) => tracing::info!(%error, "the client did not take its answer"),
        }
    }
}

impl<Step, Stream> Conversation<Step, Stream> {
    /// The next step.
    fn step<Next>(self, next: impl FnOnce(Step) -> Next) -> Conversation<Next, Stream> {
        let Self { stream, since, record, step } = self;
        Conversation { stream, since, record, step: next(step) }
    }

    /// The end, with what this refusal tells the client.
    fn refuse(mut self, refusal: &Refusal) -> Conversation<Answered, Stream> {
        self.record.refused(refusal);
        self.step(|_| Answered { answer: refusal.answer(), outcome: Outcome::Refused })
    }
}

#[cfg(test)]
mod tests;
