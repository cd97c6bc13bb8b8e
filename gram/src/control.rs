//! The control interface (proto/control.proto) over a Unix socket with peer credentials checked on both ends.
//!
//! One channel serves any number of requests at once. It does not reconnect: when the job manager has gone, requests
//! fail with `UNAVAILABLE` and whoever holds the channel decides whether to start another manager.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio_stream::Stream;
use tonic::transport::{Channel, Endpoint};

/// Generated messages, client and server.
#[allow(missing_docs, clippy::all, unreachable_pub)]
pub mod v1 {
    tonic::include_proto!("gridiron.control.v1");
}

/// A client of one job manager; cheap to clone.
pub type JobManagerClient = v1::job_manager_client::JobManagerClient<Channel>;

/// Longest socket path the kernel takes, in bytes, less what the temporary name in [`listen`] adds.
const MAX_SOCKET_PATH: usize = 103;
/// How long to wait for the HTTP/2 greeting of a manager that has accepted the connection.
const GREETING: Duration = Duration::from_secs(10);

/// The control socket of an account's job manager below the site's state directory: `<state>/<account>/control.sock`.
pub fn socket_path(state_dir: &Path, account: &str) -> PathBuf {
    state_dir.join(account).join("control.sock")
}

/// Connects to a job manager, checking that the process at the other end runs as `uid`.
///
/// `NotFound` and `ConnectionRefused` mean that none is running; `PermissionDenied` that somebody else holds the socket.
pub async fn connect(socket: &Path, uid: u32) -> io::Result<JobManagerClient> {
    check_path(socket)?;
    let stream = UnixStream::connect(socket).await?;
    let owner = stream.peer_cred()?.uid();
    if owner != uid {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{} is held by uid {owner}, not by {uid}", socket.display()),
        ));
    }
    let mut stream = Some(stream);
    let connector = tower::service_fn(move |_| {
        let stream = stream.take().map(TokioIo::new).ok_or(io::ErrorKind::NotConnected);
        async move { stream.map_err(io::Error::from) }
    });
    // The address only fills the HTTP/2 authority; the connector has the connection already.
    let endpoint = Endpoint::from_static("http://job-manager").connect_timeout(GREETING);
    let channel = endpoint.connect_with_connector(connector).await.map_err(io::Error::other)?;
    Ok(JobManagerClient::new(channel))
}

/// Why a job manager gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The manager has gone, or is going, and has not taken the request: another one may be asked.
    #[error("the job manager has gone: {0}")]
    Gone(String),
    /// The connection was lost; whether the manager took the request is not known. It may be offered again.
    #[error("the connection to the job manager was lost: {0}")]
    Lost(String),
    /// It says that it has failed; whether it took the request is not known.
    #[error("the job manager failed: {0}")]
    Failed(String),
    /// It did not answer in time.
    #[error("the job manager did not answer within {} s", .0.as_secs())]
    Deadline(Duration),
}

/// A submission: of one job, or of many at once.
pub trait Submission: Clone + Send + Sync {
    /// What it is answered with.
    type Reply: Send;
    /// Hands it to a job manager.
    fn hand_over(
        self,
        client: JobManagerClient,
    ) -> impl Future<Output = Result<tonic::Response<Self::Reply>, tonic::Status>> + Send;
}

impl Submission for v1::SubmitRequest {
    type Reply = v1::SubmitReply;
    async fn hand_over(
        self,
        mut client: JobManagerClient,
    ) -> Result<tonic::Response<v1::SubmitReply>, tonic::Status> {
        client.submit(self).await
    }
}

impl Submission for v1::SubmitManyRequest {
    type Reply = v1::SubmitManyReply;
    async fn hand_over(
        self,
        mut client: JobManagerClient,
    ) -> Result<tonic::Response<v1::SubmitManyReply>, tonic::Status> {
        client.submit_many(self).await
    }
}

/// Hands a submission over and waits at most `patience` for the answer.
pub async fn submit<R: Submission>(
    client: &JobManagerClient,
    request: R,
    patience: Duration,
) -> Result<R::Reply, ControlError> {
    // A clone shares the connection.
    let answer = tokio::time::timeout(patience, request.hand_over(client.clone())).await;
    let answer = answer.map_err(|_| ControlError::Deadline(patience))?;
    answer.map(tonic::Response::into_inner).map_err(|status| explain(&status))
}

/// Waits for the manager's end. Any error means that it ended without a goodbye.
pub async fn attend(client: &JobManagerClient) -> Result<v1::Goodbye, ControlError> {
    let answer = client.clone().attend(v1::AttendRequest {}).await;
    answer.map(tonic::Response::into_inner).map_err(|status| explain(&status))
}

/// The one place that reads a status. What the manager itself answers has no source; what has one is about the connection.
fn explain(status: &tonic::Status) -> ControlError {
    match status.code() {
        tonic::Code::Unavailable => ControlError::Gone(status.message().to_owned()),
        // "Aborted" is the manager's word for a request that it has already and is still at work on.
        tonic::Code::Unknown | tonic::Code::Cancelled | tonic::Code::Aborted => {
            ControlError::Lost(status.to_string())
        }
        _ if std::error::Error::source(status).is_some() => ControlError::Lost(status.to_string()),
        _ => ControlError::Failed(status.to_string()),
    }
}

/// Binds the socket (a file left by a dead manager is replaced) and gives the stream of connections from our own uid and
/// the `allowed` ones, for `tonic`'s `serve_with_incoming`. `AddrInUse`: another manager answers there.
///
/// Without `allowed` uids the socket is 0600. With them it is 0666, and its folder decides who reaches it: it must be
/// closed to others (the launcher makes it 0710, with the gatekeeper's group), else `PermissionDenied`.
pub fn listen(socket: &Path, allowed: &[u32]) -> io::Result<Incoming> {
    check_path(socket)?;
    let mode = if allowed.is_empty() { 0o600 } else { 0o666 };
    if !allowed.is_empty() {
        check_folder(socket.parent().unwrap_or(Path::new(".")))?;
    }
    if std::os::unix::net::UnixStream::connect(socket).is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("{} is answered already", socket.display()),
        ));
    }
    // Bound under another name and renamed, so that nobody ever meets the socket with wider permissions.
    let unfinished = socket.with_extension("new");
    remove_if_present(&unfinished)?;
    let listener = UnixListener::bind(&unfinished)?;
    std::fs::set_permissions(&unfinished, std::fs::Permissions::from_mode(mode))?;
    std::fs::rename(&unfinished, socket)?;
    let mut allowed = allowed.to_vec();
    allowed.push(rustix::process::geteuid().as_raw());
    Ok(Incoming { listener, allowed })
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn check_folder(folder: &Path) -> io::Result<()> {
    if std::fs::metadata(folder)?.permissions().mode() & 0o007 == 0 {
        return Ok(());
    }
    let what = format!("{} is open to everybody; try: chmod o-rwx", folder.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
}

fn check_path(socket: &Path) -> io::Result<()> {
    let length = socket.as_os_str().len();
    if length > MAX_SOCKET_PATH {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "the socket path {} has {length} bytes, at most {MAX_SOCKET_PATH} work: choose a shorter state directory",
                socket.display()
            ),
        ));
    }
    Ok(())
}

/// Connections from allowed peers; others are closed and logged.
#[derive(Debug)]
pub struct Incoming {
    listener: UnixListener,
    allowed: Vec<u32>,
}

impl Stream for Incoming {
    type Item = io::Result<UnixStream>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let stream = match self.listener.poll_accept(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Ok((stream, _))) => stream,
            };
            match stream.peer_cred() {
                Ok(peer) if self.allowed.contains(&peer.uid()) => return Poll::Ready(Some(Ok(stream))),
                Ok(peer) => tracing::warn!(uid = peer.uid(), pid = peer.pid(), "control connection refused"),
                Err(error) => tracing::warn!(%error, "control connection without credentials refused"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::v1::job_manager_server::{JobManager, JobManagerServer};
    use super::*;
    use tokio_stream::StreamExt;
    use tonic::{Request, Response, Status};

    struct Echo;

    #[tonic::async_trait]
    impl JobManager for Echo {
        async fn submit(
            &self,
            request: Request<v1::SubmitRequest>,
        ) -> Result<Response<v1::SubmitReply>, Status> {
            let message = request.into_inner().request_id;
            Ok(Response::new(v1::SubmitReply { error: 110, job_contact: "c".into(), message }))
        }
        async fn submit_many(
            &self,
            _: Request<v1::SubmitManyRequest>,
        ) -> Result<Response<v1::SubmitManyReply>, Status> {
            Err(Status::unimplemented("not here"))
        }
        async fn describe(
            &self,
            _: Request<v1::DescribeRequest>,
        ) -> Result<Response<v1::DescribeReply>, Status> {
            Err(Status::unimplemented("not here"))
        }
        async fn list(&self, _: Request<v1::ListRequest>) -> Result<Response<v1::ListReply>, Status> {
            Ok(Response::new(v1::ListReply { jobs: Vec::new() }))
        }
        /// Stays until the server is torn down, as a manager that crashes.
        async fn attend(&self, _: Request<v1::AttendRequest>) -> Result<Response<v1::Goodbye>, Status> {
            std::future::pending().await
        }
    }

    #[test]
    fn a_manager_that_dies_says_no_goodbye() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        // A runtime of its own: what runs in it vanishes with it, as with a process.
        let runtime = || tokio::runtime::Runtime::new().unwrap();
        let (manager, gatekeeper) = (runtime(), runtime());
        manager.spawn({
            let incoming = {
                let _inside = manager.enter();
                listen(&socket, &[]).unwrap()
            };
            tonic::transport::Server::builder()
                .add_service(JobManagerServer::new(Echo))
                .serve_with_incoming(incoming)
        });
        let client = gatekeeper.block_on(connect(&socket, own_uid())).unwrap();
        let attending = gatekeeper.spawn(async move { attend(&client).await });
        std::thread::sleep(Duration::from_millis(50));
        assert!(!attending.is_finished());
        manager.shutdown_background();
        let end = gatekeeper.block_on(attending).unwrap();
        assert!(matches!(end, Err(ControlError::Lost(_))), "{end:?}");
    }

    #[test]
    fn a_lost_connection_is_told_from_a_refusal() {
        use tonic::{Code, Status};
        let broken = || Status::from_error(Box::new(io::Error::from(io::ErrorKind::BrokenPipe)));
        assert!(matches!(explain(&broken()), ControlError::Lost(_)));
        assert!(matches!(explain(&Status::unavailable("ending")), ControlError::Gone(_)));
        assert!(matches!(explain(&Status::aborted("at work")), ControlError::Lost(_)));
        assert!(matches!(explain(&Status::new(Code::Internal, "panic")), ControlError::Failed(_)));
    }

    fn own_uid() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    #[tokio::test]
    async fn a_request_and_its_answer() {
        let folder = tempfile::tempdir().unwrap();
        let socket = socket_path(folder.path(), "alice");
        std::fs::create_dir(socket.parent().unwrap()).unwrap();
        assert_eq!(connect(&socket, own_uid()).await.unwrap_err().kind(), io::ErrorKind::NotFound);

        let incoming = listen(&socket, &[]).unwrap();
        let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let service = JobManagerServer::new(Echo);
        let server = tokio::spawn(
            tonic::transport::Server::builder().add_service(service).serve_with_incoming_shutdown(
                incoming,
                async {
                    let _ = stopped.await;
                },
            ),
        );
        let client = connect(&socket, own_uid()).await.unwrap();
        let request = v1::SubmitRequest { request_id: "r1".into(), ..Default::default() };
        let reply = submit(&client, request.clone(), Duration::from_secs(20)).await.unwrap();
        assert_eq!((reply.error, reply.message.as_str()), (110, "r1"));
        assert_eq!(listen(&socket, &[]).unwrap_err().kind(), io::ErrorKind::AddrInUse);

        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
        let gone = submit(&client, request, Duration::from_secs(20)).await;
        assert!(matches!(gone, Err(ControlError::Gone(_))), "{gone:?}");
        // the file it left is replaced
        assert_eq!(connect(&socket, own_uid()).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        drop(listen(&socket, &[]).unwrap());
    }

    #[tokio::test]
    async fn a_socket_of_somebody_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let _incoming = listen(&socket, &[]).unwrap();
        let error = connect(&socket, own_uid() + 1).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[tokio::test]
    async fn a_peer_that_is_not_allowed_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let mut incoming = listen(&socket, &[]).unwrap();
        incoming.allowed.clear();
        let stranger = UnixStream::connect(&socket).await.unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(50), incoming.next()).await;
        assert!(waited.is_err(), "no connection is handed out");
        stranger.readable().await.unwrap();
        assert_eq!(stranger.try_read(&mut [0; 1]).unwrap(), 0, "it has been closed");
    }

    #[tokio::test]
    async fn a_socket_for_others_too_lies_in_a_closed_folder() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let mode = |mode| std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(mode)).unwrap();
        mode(0o711);
        assert_eq!(listen(&socket, &[own_uid() + 1]).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        mode(0o710);
        let _incoming = listen(&socket, &[own_uid() + 1]).unwrap();
        assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o666);
    }

    #[tokio::test]
    async fn paths_the_kernel_would_cut() {
        let socket = PathBuf::from(format!("/tmp/{}", "x".repeat(MAX_SOCKET_PATH)));
        assert_eq!(connect(&socket, 0).await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(listen(&socket, &[]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
