//! A job manager for tests: an in-process gRPC server that remembers what it is asked.

use crate::Config;
use crate::config::{Limits, ServiceConfig};
use gram::control::{self, v1};
use gsi::chain::CrlOutOfDate;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tonic::{Request, Response, Status};
use v1::job_manager_server::{JobManager, JobManagerServer};

/// A configuration with everything in `folder`, on any port.
pub(crate) fn config(folder: &Path, services: BTreeMap<String, ServiceConfig>) -> Config {
    Config {
        listen: "[::]:0".into(),
        host: Some("localhost".into()),
        certificate: folder.join("host.pem"),
        key: folder.join("host.key"),
        trust: folder.join("certificates"),
        gridmap: folder.join("gridmap"),
        banned: None,
        crl_out_of_date: CrlOutOfDate::Refuse,
        min_rsa_bits: 2048,
        gridmapdir: None,
        audit: folder.join("audit"),
        audit_megabytes: 0,
        audit_files: 0,
        audit_database: None,
        metrics: None,
        register: folder.join("register"),
        state: folder.to_owned(),
        grid_services: None,
        nologin: Vec::new(),
        run_as_root: true,
        limits: Limits::default(),
        services,
        jobmanager_command: vec!["/bin/false".into()],
        launcher: None,
    }
}

/// By default accepts every request; its answer's message is the request's id.
#[derive(Default)]
pub(crate) struct Fake {
    /// This many times it says that it is leaving.
    pub(crate) refusals: AtomicU32,
    /// This many times it takes the request and its answer is lost.
    pub(crate) lost: AtomicU32,
    /// The answer, when not the default one.
    pub(crate) reply: Mutex<Option<v1::SubmitReply>>,
    /// Makes it say goodbye to whoever attends it.
    pub(crate) leave: Notify,
    /// What it leaves behind then.
    pub(crate) unfinished: AtomicU32,
    requests: Mutex<Vec<v1::SubmitRequest>>,
}

impl Fake {
    pub(crate) fn requests(&self) -> Vec<v1::SubmitRequest> {
        self.requests.lock().unwrap().clone()
    }
}

#[tonic::async_trait]
impl JobManager for Fake {
    async fn submit(&self, request: Request<v1::SubmitRequest>) -> Result<Response<v1::SubmitReply>, Status> {
        if self.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
            return Err(Status::unavailable("leaving"));
        }
        let request = request.into_inner();
        let message = request.request_id.clone();
        self.requests.lock().unwrap().push(request);
        if self.lost.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
            return Err(Status::aborted("as if the connection had broken"));
        }
        let reply = self.reply.lock().unwrap().clone();
        let accepted = v1::SubmitReply { error: 0, job_contact: "https://vm:1/2/3/".into(), message };
        Ok(Response::new(reply.unwrap_or(accepted)))
    }
    async fn submit_many(
        &self,
        request: Request<v1::SubmitManyRequest>,
    ) -> Result<Response<v1::SubmitManyReply>, Status> {
        let v1::SubmitManyRequest { common, first, templates } = request.into_inner();
        let common = common.unwrap_or_default();
        let mut jobs = Vec::new();
        for template in templates {
            let indices = template.indices.iter().flat_map(|range| range.first..=range.last);
            let count = if template.indices.is_empty() { 1 } else { indices.count() };
            for _ in 0..count {
                let number = first + jobs.len() as u64;
                let request_id = format!("{}.{number}", common.request_id);
                let rsl = template.rsl.clone();
                let request = v1::SubmitRequest { request_id, rsl, ..common.clone() };
                jobs.push(self.submit(Request::new(request)).await?.into_inner());
            }
        }
        Ok(Response::new(v1::SubmitManyReply { jobs }))
    }
    async fn describe(&self, _: Request<v1::DescribeRequest>) -> Result<Response<v1::DescribeReply>, Status> {
        Err(Status::unimplemented("not faked"))
    }
    async fn attend(&self, _: Request<v1::AttendRequest>) -> Result<Response<v1::Goodbye>, Status> {
        self.leave.notified().await;
        Ok(Response::new(v1::Goodbye { unfinished: self.unfinished.load(Ordering::Relaxed) }))
    }
    async fn list(&self, _: Request<v1::ListRequest>) -> Result<Response<v1::ListReply>, Status> {
        Err(Status::unimplemented("not faked"))
    }
}

/// Serves an account's control socket below `state` until told to stop.
pub(crate) fn serve(state: &Path, account: &str, fake: &Arc<Fake>) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let socket = control::socket_path(state, account);
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let incoming = control::listen(&socket, &[]).unwrap();
    let (stop, stopped) = oneshot::channel();
    let service = JobManagerServer::from_arc(Arc::clone(fake));
    let server = tokio::spawn(async move {
        let stopped = async {
            if stopped.await.is_err() {
                std::future::pending::<()>().await; // the test keeps no handle: serve to its end
            }
        };
        let server = tonic::transport::Server::builder().add_service(service);
        server.serve_with_incoming_shutdown(incoming, stopped).await.unwrap();
    });
    (stop, server)
}
