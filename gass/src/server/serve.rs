//! One connection: one request, carried out on files and outputs, one reply.

use super::output::Output;
use super::patience::Patience;
use super::reply::{self, Body, Failed};
use super::request::{Action, Refusal, Target, decide};
use super::{Access, Failure, GREETING, MAX_HEADERS, STALLED};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::{NamedTempFile, TempPath};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

/// After a refusal, how much of what the peer goes on sending is read and dropped, and for how long: closing at once
/// would reset the connection, and the peer could lose the reply.
const LINGER_BYTES: u64 = 16 * 1024 * 1024;
const LINGER: Duration = Duration::from_secs(5);

/// What all connections share.
pub(super) struct Service {
    pub(super) access: Access,
    pub(super) stdout: Output,
    pub(super) stderr: Output,
    /// Requests being carried out.
    pub(super) busy: watch::Sender<usize>,
}

/// Counts a request as running until dropped.
struct Busy<'a>(&'a watch::Sender<usize>);

impl<'a> Busy<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Serves the one request of a connection.
pub(super) async fn connection<S>(stream: S, service: Arc<Service>) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Until the connection has ended, so that draining waits for the reply as well.
    let counted = Arc::clone(&service);
    let _busy = Busy::new(&counted.busy);
    let handler = service_fn(move |request| {
        let service = Arc::clone(&service);
        Box::pin(async move { Ok::<_, Infallible>(service.answer(request).await) })
    });
    let mut stream = Patience::new(stream, STALLED);
    let served = http1::Builder::new()
        .keep_alive(false)
        .half_close(true)
        .title_case_headers(true)
        .timer(TokioTimer::new())
        .header_read_timeout(GREETING)
        .max_buf_size(MAX_HEADERS)
        .serve_connection(TokioIo::new(&mut stream), handler)
        .without_shutdown()
        .await
        .map(drop);
    let _ = tokio::time::timeout(LINGER, async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
    })
    .await;
    Ok(served?)
}

impl Service {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, mut body) = request.into_parts();
        let uri = head.uri.path_and_query().map_or("", |path| path.as_str());
        let method = head.method;
        let sends = method != Method::GET;
        let announced =
            head.headers.contains_key(CONTENT_LENGTH) || head.headers.contains_key(TRANSFER_ENCODING);
        let decision = match decide(&method, uri, self.access) {
            Ok(_) if sends && !announced => Err(Refusal::NoLength),
            decision => decision,
        };
        match self.carry_out(decision, &mut body).await {
            Ok(reply) => {
                tracing::debug!(%method, uri, "transfer done");
                reply
            }
            Err(failure) => {
                tracing::warn!(%method, uri, %failure, "transfer failed");
                reply::failed(&failure)
            }
        }
    }

    async fn carry_out(
        &self,
        action: Result<Action, Refusal>,
        body: &mut Incoming,
    ) -> Result<Response<Body>, Failed> {
        match action.map_err(Failed::Refused)? {
            Action::Get(target) => {
                let (file, length) = open(&locate(target).await?).await?;
                return Ok(reply::file(file, length));
            }
            Action::Put(target) => replace(&locate(target).await?, body).await?,
            Action::Append(target) => append(&locate(target).await?, body).await?,
            Action::Stdout => print(&self.stdout, body).await?,
            Action::Stderr => print(&self.stderr, body).await?,
        }
        Ok(reply::done())
    }
}

async fn locate(target: Target) -> Result<PathBuf, Failed> {
    // The user database may be far away.
    let located = tokio::task::spawn_blocking(move || target.resolve(home_directory)).await;
    located.ok().flatten().ok_or(Failed::Refused(Refusal::NotFound))
}

fn home_directory(user: Option<&str>) -> Option<PathBuf> {
    match user {
        None => std::env::home_dir(),
        Some(name) => nix::unistd::User::from_name(name).ok().flatten().map(|user| user.dir),
    }
}

/// A regular file and its length.
async fn open(path: &Path) -> io::Result<(File, u64)> {
    // Without waiting, should it be a pipe.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    let mut file = options.open(path).await?;
    let metadata = file.metadata().await?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    file.set_max_buf_size(crate::body::BLOCK);
    Ok((file, metadata.len()))
}

/// Replaces a file at once when all data is there: readers see the old content or the new, and an interrupted transfer
/// changes nothing. Devices and pipes are written as they are.
async fn replace(path: &Path, body: &mut Incoming) -> Result<(), Failed> {
    let existing = match tokio::fs::metadata(path).await {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    match &existing {
        Some(metadata) if metadata.is_dir() => {
            return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
        }
        Some(metadata) if !metadata.is_file() => {
            let socket = metadata.file_type().is_socket();
            let file = if socket {
                Err(io::ErrorKind::InvalidInput.into())
            } else {
                File::options().write(true).open(path).await
            };
            return store(&mut file?, body).await;
        }
        Some(_) | None => {}
    }
    // Through symbolic links, so that the link stays and what it points to changes.
    let path = if existing.is_some() { tokio::fs::canonicalize(path).await? } else { path.to_owned() };
    if existing.is_some() {
        // Renaming asks the directory for permission, and the file nothing.
        drop(File::options().write(true).open(&path).await?);
    }
    let mode = existing.map_or(0o666, |metadata| metadata.permissions().mode() & 0o7777);
    let (mut file, temporary) = create_beside(&path, mode).await?;
    store(&mut file, body).await?;
    tokio::task::spawn_blocking(move || temporary.persist(path).map_err(|error| error.error))
        .await
        .map_err(io::Error::other)??;
    Ok(())
}

/// A new file in the same directory, removed again unless it is given its name.
async fn create_beside(path: &Path, mode: u32) -> io::Result<(File, TempPath)> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = directory.to_owned();
    let created = tokio::task::spawn_blocking(move || {
        // Subject to the umask, like any other new file; an existing file keeps its mode.
        let permissions = std::fs::Permissions::from_mode(mode);
        tempfile::Builder::new().prefix(".gass-").permissions(permissions).tempfile_in(directory)
    });
    let (file, path) = created.await.map_err(io::Error::other)?.map(NamedTempFile::into_parts)?;
    Ok((File::from_std(file), path))
}

async fn append(path: &Path, body: &mut Incoming) -> Result<(), Failed> {
    let mut file = File::options().append(true).create(true).open(path).await?;
    while let Some(data) = next(body).await? {
        file.write_all(&data).await?;
        // Others follow the file while it grows.
        file.flush().await?;
    }
    Ok(())
}

async fn store(file: &mut File, body: &mut Incoming) -> Result<(), Failed> {
    file.set_max_buf_size(crate::body::BLOCK);
    while let Some(data) = next(body).await? {
        file.write_all(&data).await?;
    }
    Ok(file.flush().await?)
}

async fn print(output: &Output, body: &mut Incoming) -> Result<(), Failed> {
    let mut lines = output.lines();
    let result = async {
        while let Some(data) = next(body).await? {
            lines.write(data).await?;
        }
        Ok(())
    }
    .await;
    // What came before a broken connection is output all the same.
    lines.finish().await?;
    result
}

/// The next data of a body; it may be a long time coming.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, hyper::Error> {
    while let Some(frame) = body.frame().await {
        // Trailers say nothing about a file.
        if let Ok(data) = frame?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}
