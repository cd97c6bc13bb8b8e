//! Many jobs at once (docs/protocol-extensions.md): submissions from the front door, and questions at the job contacts. Each job
//! is accepted, refused and answered as if it were alone; what can be done once for all is: credential, connection, message.

use crate::{
    identity::Identity,
    intake::{self, Ending, Grant},
    launch::JobKey,
    listener::{ANSWER, EXCHANGE, IDLE},
    machine::Answer,
    manager::{
        Found, Inbox, Message, Shared,
        bulk::{Answering, Ask},
    },
    scheduler::Scheduler,
};
use gram::{
    GramError, JobState,
    control::v1,
    exchange::{self, ExchangeError},
    wire::bulk::{BulkAnswers, BulkQuery, JobAnswer, MAX_JOBS, MAX_QUERY, results::shortened},
};
use gsi::SecureStream;
use std::sync::Arc;
use tokio::{
    sync::{Semaphore, oneshot},
    task::JoinSet,
    time::{Instant, timeout_at},
};

/// Jobs of one request that are being accepted at once: as many as share a transaction of the store.
const AT_ONCE: usize = 512;
/// Longest message about one job, in bytes: the reply has to hold those of all.
const MAX_MESSAGE: usize = 1000;

/// Answers a submission of many jobs, each on its own: see [`intake::submit`].
pub async fn submit<S: Scheduler>(
    shared: &Arc<Shared<S>>,
    mut request: v1::SubmitManyRequest,
) -> Result<v1::SubmitManyReply, Ending> {
    let grant = Grant::take(shared, request.common.get_or_insert_default()).await;
    // Taken in: a copy for each job would be most of the memory that all of them need.
    request.common.get_or_insert_default().delegated_credential = Vec::new();
    let requests = expand(request);
    let known = find(shared, &requests).await?;
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut accepting = JoinSet::new();
    for (index, (request, found)) in requests.into_iter().zip(known).enumerate() {
        let (shared, grant, places) = (Arc::clone(shared), grant.clone(), Arc::clone(&places));
        accepting.spawn(async move {
            let _place = places.acquire().await;
            let id = request.request_id.clone();
            let accepted = match (found, grant) {
                (Some(found), _) => Ok(found),
                (None, Ok(grant)) => intake::accept(&shared, &grant, request).await,
                (None, Err(failure)) => Err(failure),
            };
            (index, intake::answer(&shared, &id, accepted))
        });
    }
    let mut jobs = vec![v1::SubmitReply::default(); accepting.len()];
    while let Some(accepted) = accepting.join_next().await {
        // A panic of one: whether it has left a job is seen when the request is offered again.
        let (index, reply) = accepted.map_err(|_| Ending)?;
        let mut reply = reply?;
        reply.message = shortened(&reply.message, MAX_MESSAGE).to_owned();
        if let Some(place) = jobs.get_mut(index) {
            *place = reply;
        }
    }
    if let Ok(grant) = grant {
        grant.announce(shared).await;
    }
    Ok(v1::SubmitManyReply { jobs })
}

/// One request for each job, in order; none beyond [`MAX_JOBS`].
fn expand(request: v1::SubmitManyRequest) -> Vec<v1::SubmitRequest> {
    let v1::SubmitManyRequest { common, first, templates } = request;
    let common = common.unwrap_or_default();
    let texts = templates.iter().flat_map(|template| {
        let array = template.indices.iter().flat_map(|range| range.first..=range.last);
        let alone = template.indices.is_empty().then(|| template.rsl.clone());
        alone.into_iter().chain(array.map(|index| element(&template.rsl, index)))
    });
    texts
        .take(MAX_JOBS)
        .zip(first..=u64::MAX)
        .map(|(rsl, number)| {
            let request_id = format!("{}.{number}", common.request_id);
            v1::SubmitRequest { request_id, rsl, ..common.clone() }
        })
        .collect()
}

/// The request of one job of an array. Text that is no RSL is left for the refusal that says so.
fn element(rsl: &[u8], index: u32) -> Vec<u8> {
    let spec = rsl::parse(rsl).map(|spec| rsl::array::element(&spec, index));
    spec.ok().and_then(|spec| rsl::print::print(&spec).ok()).unwrap_or_else(|| rsl.to_vec())
}

/// The jobs that these requests have made before.
async fn find<S>(shared: &Shared<S>, requests: &[v1::SubmitRequest]) -> Result<Vec<Option<Found>>, Ending> {
    let (reply, answer) = oneshot::channel();
    let ids = requests.iter().map(|request| request.request_id.clone()).collect();
    let identity = requests.first().map(|request| request.identity.clone()).unwrap_or_default();
    let ask = Ask::Find { requests: ids, identity, reply };
    shared.inbox.send(Message::Bulk(ask)).await.map_err(|_| Ending)?;
    answer.await.map_err(|_| Ending)
}

/// Answers a query of the owner about many jobs, and those that follow it on the same connection.
pub(crate) async fn answer_all(
    inbox: &Inbox,
    identity: &Identity,
    mut stream: SecureStream,
    mut query: BulkQuery,
) -> Result<(), ExchangeError> {
    // Without an answer the manager is ending; the client asks the next one.
    while let Some(answers) = answers(inbox, identity, query).await {
        let reply = BulkAnswers(answers).encode();
        exchange::write_message(&mut stream, &reply, Instant::now() + EXCHANGE).await?;
        let next = exchange::read_request_within(&mut stream, Instant::now() + IDLE, MAX_QUERY).await;
        match next.map(|(_, body)| BulkQuery::decode(&body)) {
            Ok(Ok(Some(next))) => query = next,
            // Nothing more is wanted, or nothing that is answered here.
            Ok(_) | Err(_) => break,
        }
    }
    exchange::close(stream).await;
    Ok(())
}

async fn answers(inbox: &Inbox, identity: &Identity, query: BulkQuery) -> Option<Vec<JobAnswer>> {
    let BulkQuery { which, query } = query;
    tracing::debug!(identity = %identity.subject, %query, "query about many jobs");
    let deadline = Instant::now() + ANSWER;
    let (reply, answer) = oneshot::channel();
    let ask = Ask::Query { which, identity: identity.subject.clone(), query, reply };
    inbox.send(Message::Bulk(ask)).await.ok()?;
    let asked = answer.await.ok()?;
    let mut answers = Vec::with_capacity(asked.len());
    for (key, answering) in asked {
        let answer = match answering {
            Answering::Now(answer) => Ok(answer),
            Answering::Unknown => Err(GramError::JOB_CONTACT_NOT_FOUND),
            Answering::Soon(answer) => match timeout_at(deadline, answer).await {
                Ok(answer) => answer.map_err(|_| GramError::JOB_CONTACT_NOT_FOUND),
                Err(_) => Err(GramError::JOB_CANCEL_FAILED),
            },
        };
        answers.push(job_answer(key, answer));
    }
    Some(answers)
}

/// As the replies to single queries: 156 has no state, other failures FAILED.
fn job_answer(key: JobKey, answer: Result<Answer, GramError>) -> JobAnswer {
    let failed = |code| JobAnswer {
        job: (key.high, key.low),
        status: JobState::Failed.value(),
        failure_code: code,
        job_failure_code: GramError::SUCCESS,
        exit_code: None,
    };
    match answer {
        Err(GramError::JOB_CONTACT_NOT_FOUND) => {
            JobAnswer { status: 0, ..failed(GramError::JOB_CONTACT_NOT_FOUND) }
        }
        Err(code) => failed(code),
        Ok(answer) if !answer.refused.is_success() => {
            JobAnswer { job_failure_code: answer.failure, ..failed(answer.refused) }
        }
        Ok(answer) => JobAnswer {
            status: answer.state.value(),
            job_failure_code: answer.failure,
            exit_code: answer.exit_code.filter(|_| answer.state == JobState::Done),
            ..failed(GramError::SUCCESS)
        },
    }
}

#[cfg(test)]
mod tests;
