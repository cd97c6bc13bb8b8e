//! Many jobs at once: one connection and one delegation where the site knows how (docs/protocol-extensions.md), and one of
//! each per job where it does not.

use crate::{
    job::{JobError, request},
    session::Session,
};
use gram::{
    GramError, JobContact, ResourceContact, StateMask,
    client::{Client, ClientError, bulk::Batches},
    wire::bulk::{BulkJobs, Indices, ItemReply, Template, pack},
};
use gsi::DelegationMode;
use rsl::Spec;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

/// Connections at once to a site that takes one job with each.
const PARALLEL: usize = 8;
/// How long a connection that was lost in the midst is made again, and the pause before.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(500);
/// What a lost connection looks like: broken off, nobody there, nobody behind it.
const LOST: [GramError; 3] =
    [GramError::PROTOCOL_FAILED, GramError::CONNECTION_FAILED, GramError::CONTACTING_JOB_MANAGER];

/// Jobs to be submitted.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Where.
    pub contact: ResourceContact,
    /// What, complete; each may be an array.
    pub parts: Vec<Part>,
    /// What is delegated.
    pub delegation: DelegationMode,
}

/// A request, or one for many jobs.
#[derive(Debug, Clone)]
pub struct Part {
    /// The request.
    pub spec: Spec,
    /// The numbers of an array.
    pub indices: Option<Indices>,
}

/// One job of a batch: which part it is of, and its number in an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Position of the part.
    pub part: usize,
    /// Number in the array.
    pub index: Option<u32>,
}

/// What became of one job request: its contact, or why there is none.
pub type Submitted = Result<Accepted, ClientError>;

/// An accepted job.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// 0, or 110 when a commit must follow.
    pub code: GramError,
    /// The job.
    pub contact: JobContact,
}

impl Batch {
    /// The jobs, in the order of the results of [`submit`].
    pub fn places(&self) -> Vec<Place> {
        let places = self.parts.iter().enumerate().flat_map(|(part, Part { indices, .. })| {
            let array = indices.iter().flat_map(Indices::iter).map(Some);
            let alone = indices.is_none().then_some(None);
            alone.into_iter().chain(array).map(move |index| Place { part, index })
        });
        places.collect()
    }

    /// The request of one job, as a site that knows no arrays takes it.
    pub fn spec(&self, place: Place) -> Option<Spec> {
        let part = self.parts.get(place.part)?;
        Some(match place.index {
            Some(index) => rsl::array::element(&part.spec, index),
            None => part.spec.clone(),
        })
    }

    /// All jobs of one connection run as one account; a request that names another is refused by the site.
    fn account(&self) -> Option<String> {
        request::account(&self.parts.first()?.spec)
    }
}

/// Submits all; one result for each job, in order. `progress` hears how many are done.
pub async fn submit(
    session: &Session,
    batch: &Batch,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Submitted>, JobError> {
    let mut templates = Vec::with_capacity(batch.parts.len());
    for Part { spec, indices } in &batch.parts {
        templates.push(Template { rsl: request::text(spec)?, indices: indices.clone() });
    }
    let id = uuid::Uuid::new_v4().to_string();
    let account = batch.account();
    let mut line = Line { client: &session.client, batch, account: account.as_deref(), open: None };
    let mut results: Vec<Submitted> = Vec::new();
    for message in pack(&id, StateMask::ALL, None, &templates) {
        match line.deliver(&message).await {
            Ok(Some(items)) => results.extend(items.into_iter().map(|item| understood(&batch.contact, item))),
            Ok(None) => {
                let rest = batch.places().split_off(results.len());
                one_by_one(&session.client, batch, rest, &mut results, progress).await?;
                return Ok(results);
            }
            // Nothing has come through at all: one failure, not one for each job.
            Err(error) if results.is_empty() => return Err(error.into()),
            Err(error) => {
                let missing = batch.places().len().saturating_sub(results.len());
                results.extend(std::iter::repeat_n(Err(error), missing));
                break;
            }
        }
        progress(results.len());
    }
    line.close().await;
    Ok(results)
}

fn understood(site: &ResourceContact, item: ItemReply) -> Submitted {
    let ItemReply { code, text } = item;
    if !code.is_accepted() {
        let words = if text.is_empty() { code.text() } else { &text };
        let message = format!("{words} (error code {})", code.0);
        return Err(ClientError { code, message, details: Some(text) });
    }
    match text.parse() {
        Ok(contact) => Ok(Accepted { code, contact }),
        Err(error) => {
            let message = format!("the gatekeeper at {}:{} answered: {error}", site.host, site.port);
            Err(ClientError::new(GramError::INVALID_JOB_CONTACT, message))
        }
    }
}

/// The connection with the gatekeeper, made again when it is lost.
struct Line<'a> {
    client: &'a Client,
    batch: &'a Batch,
    account: Option<&'a str>,
    open: Option<Batches<'a>>,
}

impl Line<'_> {
    /// Sends a message until it is answered. It may be sent twice: the site knows its jobs by their numbers.
    async fn deliver(&mut self, message: &BulkJobs) -> Result<Option<Vec<ItemReply>>, ClientError> {
        let until = Instant::now() + PATIENCE;
        let mut was_open = self.open.is_some();
        loop {
            let error = match self.attempt(message).await {
                Err(error) if LOST.contains(&error.code) => error,
                result => return result,
            };
            was_open |= self.open.take().is_some();
            if !was_open || Instant::now() + PAUSE >= until {
                return Err(error);
            }
            tracing::info!(%error, batch = message.batch, first = message.first, "sending again");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn attempt(&mut self, message: &BulkJobs) -> Result<Option<Vec<ItemReply>>, ClientError> {
        let mut batches = match self.open.take() {
            Some(batches) => batches,
            None => {
                let Batch { contact, delegation, .. } = self.batch;
                self.client.batches(contact, self.account, *delegation).await?
            }
        };
        let answer = batches.submit(message).await;
        self.open = Some(batches);
        answer
    }

    async fn close(self) {
        if let Some(batches) = self.open {
            batches.close().await;
        }
    }
}

/// For sites that know nothing of this: a connection for each job.
async fn one_by_one(
    client: &Client,
    batch: &Batch,
    places: Vec<Place>,
    results: &mut Vec<Submitted>,
    progress: &mut dyn FnMut(usize),
) -> Result<(), JobError> {
    let (turns, contact) = (Arc::new(Semaphore::new(PARALLEL)), Arc::new(batch.contact.clone()));
    let account = batch.account();
    let mut submitting = JoinSet::new();
    for (index, place) in places.iter().enumerate() {
        let text = batch.spec(*place).map(|spec| request::text(&spec)).transpose()?.unwrap_or_default();
        let (client, turns, contact) = (client.clone(), Arc::clone(&turns), Arc::clone(&contact));
        let (account, mode) = (account.clone(), batch.delegation);
        submitting.spawn(async move {
            let _turn = turns.acquire().await;
            (index, client.submit(&contact, account.as_deref(), &text, StateMask::ALL, None, mode).await)
        });
    }
    let mut answers: Vec<Option<Submitted>> = vec![None; places.len()];
    let before = results.len();
    let mut done = 0;
    while let Some(finished) = submitting.join_next().await {
        if let Ok((index, reply)) = finished
            && let Some(answer) = answers.get_mut(index)
        {
            *answer = Some(reply.map(|reply| Accepted { code: reply.code, contact: reply.contact }));
            done += 1;
            progress(before + done);
        }
    }
    let unanswered = || ClientError::new(GramError::PROTOCOL_FAILED, "the job was not submitted");
    results.extend(answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(unanswered()))));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_of_a_batch_in_order() {
        let part = |text: &str, indices: Option<&str>| Part {
            spec: request::parse(text.as_bytes()).unwrap(),
            indices: indices.map(|text| text.parse().unwrap()),
        };
        let array = part("&(executable=/bin/echo)(arguments=$(GRIDIRON_ARRAY_INDEX))", Some("3-4"));
        let batch = Batch {
            contact: "h".parse().unwrap(),
            parts: vec![part("&(executable=/bin/date)(username=alice)", None), array],
            delegation: DelegationMode::Limited,
        };
        let places = batch.places();
        assert_eq!(places.iter().map(|place| place.index).collect::<Vec<_>>(), [None, Some(3), Some(4)]);
        let text = |place| String::from_utf8(request::text(&batch.spec(place).unwrap()).unwrap()).unwrap();
        assert!(text(places[0]).contains("/bin/date"));
        assert!(
            text(places[2]).contains("(\"rsl_substitution\" = (\"GRIDIRON_ARRAY_INDEX\" \"4\" ) )"),
            "{}",
            text(places[2])
        );
        assert_eq!(batch.account().as_deref(), Some("alice"));
    }
}
