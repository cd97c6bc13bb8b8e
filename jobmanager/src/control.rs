//! The control interface's service side: what the gatekeeper (and later other front doors) ask of this manager.

use crate::{
    bulk,
    gate::{Gate, Refused},
    intake,
    manager::{Message, Shared},
    scheduler::Scheduler,
};
use gram::{control::v1, version};
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use tonic::{Request, Response, Status};

/// Serves one manager.
pub struct Control<S> {
    /// What the manager's tasks share.
    pub shared: Arc<Shared<S>>,
    /// Counts submissions, so that the manager does not end between request and job.
    pub gate: Arc<Gate>,
    /// Set when the manager has ended in order, to the number of unfinished jobs.
    pub goodbye: watch::Receiver<Option<u32>>,
}

impl<S: Scheduler> Control<S> {
    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, Status> {
        let (reply, answer) = oneshot::channel();
        self.shared.inbox.send(message(reply)).await.map_err(|_| ending())?;
        answer.await.map_err(|_| ending())
    }
}

fn ending() -> Status {
    refused(Refused::Closed)
}

/// "Unavailable" says that another manager may be asked, "aborted" that this one may be asked again.
fn refused(why: Refused) -> Status {
    match why {
        Refused::Closed => Status::unavailable(why.to_string()),
        Refused::AtWork => Status::aborted(why.to_string()),
    }
}

#[tonic::async_trait]
impl<S: Scheduler> v1::job_manager_server::JobManager for Control<S> {
    async fn submit(&self, request: Request<v1::SubmitRequest>) -> Result<Response<v1::SubmitReply>, Status> {
        let inside = self.gate.enter(&request.get_ref().request_id).map_err(refused)?;
        let shared = Arc::clone(&self.shared);
        // A task of its own: the job must reach its end even when the front door hangs up half way.
        let submitting = tokio::spawn(async move {
            let reply = intake::submit(&shared, request.into_inner()).await;
            drop(inside);
            reply
        });
        let reply = submitting.await.map_err(|error| Status::internal(error.to_string()))?;
        reply.map(Response::new).map_err(|intake::Ending| ending())
    }

    async fn submit_many(
        &self,
        request: Request<v1::SubmitManyRequest>,
    ) -> Result<Response<v1::SubmitManyReply>, Status> {
        let id = request.get_ref().common.as_ref().map_or("", |common| &common.request_id);
        // By its batch: parts of one that overlap must not be worked on at the same time.
        let inside = self.gate.enter(id).map_err(refused)?;
        let shared = Arc::clone(&self.shared);
        let submitting = tokio::spawn(async move {
            let reply = bulk::submit(&shared, request.into_inner()).await;
            drop(inside);
            reply
        });
        let reply = submitting.await.map_err(|error| Status::internal(error.to_string()))?;
        reply.map(Response::new).map_err(|intake::Ending| ending())
    }

    async fn attend(&self, _: Request<v1::AttendRequest>) -> Result<Response<v1::Goodbye>, Status> {
        let mut goodbye = self.goodbye.clone();
        let said = goodbye.wait_for(Option::is_some).await.map_err(|_| ending())?;
        Ok(Response::new(v1::Goodbye { unfinished: said.unwrap_or_default() }))
    }

    async fn describe(&self, _: Request<v1::DescribeRequest>) -> Result<Response<v1::DescribeReply>, Status> {
        let jobs = self.ask(Message::Count).await?;
        Ok(Response::new(v1::DescribeReply {
            version: version::VERSION.to_owned(),
            toolkit_version: version::TOOLKIT_VERSION.to_owned(),
            pid: std::process::id(),
            jobs: u32::try_from(jobs).unwrap_or(u32::MAX),
        }))
    }

    async fn list(&self, _: Request<v1::ListRequest>) -> Result<Response<v1::ListReply>, Status> {
        let mut jobs = self.ask(Message::List).await?;
        jobs.sort_by(|a, b| (a.created, &a.contact).cmp(&(b.created, &b.contact)));
        Ok(Response::new(v1::ListReply { jobs }))
    }
}
