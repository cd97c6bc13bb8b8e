//! Many jobs over one connection (docs/protocol-extensions.md): after the answer to a batch the next request may come. Each
//! goes through all the steps, so that a ban or a changed gridmap counts from the next batch on.

use super::{Authenticated, Conversation, Operation, Permitted, Site, SubmitReply, read_request};
use crate::audit::Outcome;
use crate::refusal::Refusal;
use gram::control::v1;
use gram::wire::bulk::{BulkJobs, BulkReply, ItemReply, Template};
use gram::{GramError, exchange};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

impl<Stream> Conversation<Permitted, Stream>
where
    Stream: AsyncRead + AsyncWrite + Unpin,
{
    /// Does what is asked for until nothing more is.
    pub(super) async fn carry_out_batches(mut self, site: &Site, ourselves: &str) {
        while let Operation::Jobs(jobs) = &self.step.operation {
            let reply = match self.submit_many(jobs, site, ourselves).await {
                Ok(reply) => reply,
                Err(refusal) => return self.refuse(&refusal).tell(site).await,
            };
            self.record_all(jobs, &reply, site);
            site.metrics.answer.observe(self.since.elapsed());
            let deadline = Instant::now() + site.limits.request();
            if let Err(error) = exchange::write_message(&mut self.stream, &reply.encode(), deadline).await {
                tracing::info!(%error, "the client did not take its answer");
                return;
            }
            let next = self.step(|Permitted { asker, delegated, .. }| Authenticated { asker, delegated });
            let Some(next) = next.continued(site).await else { return };
            match next {
                Ok(permitted) => self = permitted,
                Err(refused) => return refused.tell(site).await,
            }
        }
        self.carry_out(site, ourselves).await.tell(site).await;
    }

    async fn submit_many(&self, jobs: &BulkJobs, site: &Site, ourselves: &str) -> Result<BulkReply, Refusal> {
        let request = v1::SubmitManyRequest {
            common: Some(v1::SubmitRequest {
                request_id: jobs.batch.clone(),
                job_state_mask: jobs.mask.0,
                callback_url: jobs.callback.clone().unwrap_or_default(),
                ..self.request(site, ourselves)?
            }),
            first: jobs.first,
            templates: jobs.templates.iter().map(template).collect(),
        };
        let submitting = site.managers.submit(self.step.permit.account(), &request);
        let reply = self.in_time(site, submitting).await?;
        Ok(BulkReply(reply.jobs.into_iter().map(|job| SubmitReply::from(job).into()).collect()))
    }

    /// One line of the audit for each job, under the id that the job has everywhere.
    fn record_all(&self, jobs: &BulkJobs, reply: &BulkReply, site: &Site) {
        tracing::info!(
            request = self.record.request,
            batch = jobs.batch,
            first = jobs.first,
            jobs = reply.0.len(),
            "batch"
        );
        let mut record = (*self.record).clone();
        for (item, number) in reply.0.iter().zip(jobs.first..) {
            record.request = format!("{}.{number}", jobs.batch);
            record.error = Some(item.code.0);
            let accepted = item.code.is_accepted();
            record.job = accepted.then(|| item.text.clone());
            record.reason = (!accepted).then(|| {
                let words = if item.text.is_empty() { item.code.text() } else { &item.text };
                words.to_owned()
            });
            site.audit.write(&record, if accepted { Outcome::Granted } else { Outcome::Rejected });
        }
    }
}

fn template(template: &Template) -> v1::Template {
    let ranges = template.indices.iter().flat_map(|indices| indices.ranges());
    v1::Template {
        rsl: template.rsl.clone(),
        indices: ranges.map(|range| v1::Range { first: *range.start(), last: *range.end() }).collect(),
    }
}

impl From<SubmitReply> for ItemReply {
    fn from(reply: SubmitReply) -> Self {
        let code = GramError(reply.error);
        Self { code, text: if code.is_accepted() { reply.contact } else { reply.message } }
    }
}

type Decided<Stream> = Result<Conversation<Permitted, Stream>, Conversation<super::Answered, Stream>>;

impl<Stream> Conversation<Authenticated, Stream>
where
    Stream: AsyncRead + AsyncWrite + Unpin,
{
    /// The next request; None: the client has no more.
    async fn continued(mut self, site: &Site) -> Option<Decided<Stream>> {
        let read = read_request(&mut self.stream, Instant::now() + site.limits.idle()).await;
        self.since = Instant::now();
        match read {
            Ok(request) => Some(self.requested(request).permit(site)),
            Err(Refusal::NoRequest(_)) => {
                exchange::close(self.stream).await;
                None
            }
            Err(refusal) => Some(Err(self.refuse(&refusal))),
        }
    }
}
