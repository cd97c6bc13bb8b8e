//! One connection: requests, one after the other, carried out on files and outputs.

use super::body::Body;
use super::condition::{Verdict, Version, is_conditional, judge_write};
use super::digests::Digests;
use super::exports::{Files, Found};
use super::output::Output;
use super::patience::Patience;
use super::place::Place;
use super::receive::{Addition, Kept, Replacement, make_directory, receive};
use super::reply::{self, Failed, UPLOAD_OFFSET};
use super::request::{Action, Refusal, Rights, Target, decide};
use super::resume::{self, Piece, Running, Standing, UPLOAD_ID, Upload};
use super::wish::{listing_form, wants_digest};
use super::{Failure, GREETING, MAX_HEADERS, STALLED, listing, send};
use crate::body::BLOCK;
use crate::digest::REPR_DIGEST;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, ETAG, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version as Http};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::fs::OFlags;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;

/// After a refusal, how much of what the peer goes on sending is read and dropped, and for how long: closing at once
/// would reset the connection, and the peer could lose the reply.
const LINGER_BYTES: u64 = 16 * 1024 * 1024;
const LINGER: Duration = Duration::from_secs(5);

/// What all connections share.
pub(super) struct Service {
    pub(super) rights: Rights,
    pub(super) files: Files,
    pub(super) stdout: Output,
    pub(super) stderr: Output,
    pub(super) digests: Arc<Digests>,
    pub(super) uploads: Running,
    /// Connections with something to do.
    pub(super) busy: watch::Sender<usize>,
    /// No connection is kept for another request.
    pub(super) draining: watch::Sender<bool>,
    /// A client has asked for the end.
    pub(super) stop: watch::Sender<bool>,
}

/// Counts a connection as running until dropped.
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

/// Serves a connection to its end. `owner` is whom it belongs to, empty for who is not known; `greeted` is told when the
/// first request has come.
pub(super) async fn connection<S>(
    stream: S,
    service: Arc<Service>,
    owner: Arc<str>,
    greeted: Arc<Notify>,
) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Until the last reply is out, so that draining waits for it.
    let counted = Arc::clone(&service);
    let busy = Busy::new(&counted.busy);
    let mut draining = service.draining.subscribe();
    let was_asked = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&was_asked);
    let handler = service_fn(move |request| {
        asked.store(true, Ordering::Relaxed);
        greeted.notify_one();
        let (service, owner) = (Arc::clone(&service), Arc::clone(&owner));
        Box::pin(async move { Ok::<_, Infallible>(service.answer(request, &owner).await) })
    });
    let mut stream = Patience::new(stream, STALLED);
    let served = {
        let mut serving = http1::Builder::new()
            .half_close(true)
            .title_case_headers(true)
            .timer(TokioTimer::new())
            .header_read_timeout(GREETING)
            .max_header_size(MAX_HEADERS)
            .max_buf_size(MAX_HEADERS.max(BLOCK))
            .serve_connection(TokioIo::new(&mut stream), handler);
        let mut told = false;
        loop {
            tokio::select! {
                served = poll_fn(|context| serving.poll_without_shutdown(context)) => break served,
                _ = draining.wait_for(|&draining| draining), if !told => {
                    told = true;
                    // Who has not asked anything yet may; the reply will close the connection.
                    if was_asked.load(Ordering::Relaxed) {
                        Pin::new(&mut serving).graceful_shutdown();
                    }
                }
            }
        }
    };
    drop(busy);
    let _ = tokio::time::timeout(LINGER, async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
    })
    .await;
    match served {
        // It was kept for another request, and none came.
        Err(error) if error.is_timeout() && was_asked.load(Ordering::Relaxed) => Ok(()),
        served => Ok(served?),
    }
}

/// The path of a URL as it was sent. GASS knows no query: a `?` belongs to the name.
pub(super) fn path(head: &Parts) -> &str {
    head.uri.path_and_query().map_or("", |path| path.as_str())
}

impl Service {
    async fn answer(&self, request: Request<Incoming>, owner: &str) -> Response<Body> {
        let (head, mut body) = request.into_parts();
        let result = match self.decide(&head) {
            Ok(action) => Box::pin(self.carry_out(action, &head, &mut body, owner)).await,
            Err(refusal) => Err(refusal.into()),
        };
        let (method, uri) = (&head.method, path(&head));
        let mut reply = match result {
            Ok(reply) => {
                tracing::debug!(%method, uri, owner, "transfer done");
                reply
            }
            Err(failure) => {
                tracing::warn!(%method, uri, owner, %failure, "transfer failed");
                reply::failed(&failure)
            }
        };
        // What was not read of a body could be taken for the next request.
        if !is_kept(&head) || !body.is_end_stream() || *self.draining.borrow() {
            reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        reply
    }

    fn decide(&self, head: &Parts) -> Result<Action, Refusal> {
        let action = decide(&head.method, path(head), head.headers.contains_key(UPLOAD_ID), self.rights)?;
        let sends = matches!(head.method, Method::PUT | Method::POST);
        let announced =
            head.headers.contains_key(CONTENT_LENGTH) || head.headers.contains_key(TRANSFER_ENCODING);
        if sends && !announced { Err(Refusal::NoLength) } else { Ok(action) }
    }

    async fn carry_out(
        &self,
        action: Action,
        head: &Parts,
        body: &mut Incoming,
        owner: &str,
    ) -> Result<Response<Body>, Failed> {
        match action {
            Action::Get(target) => match self.find(target, false).await? {
                Found::File(place) => return send::reply(self, place, head).await,
                Found::Exports(paths) => {
                    let form = listing_form(&head.headers, true).ok_or(Refusal::NotFound)?;
                    return Ok(listing::exports(&paths, form));
                }
            },
            Action::Put(target) => {
                let place = self.place(target).await?;
                return Box::pin(self.put(place, head, body, owner)).await;
            }
            Action::Offset(target) => {
                let place = self.place(target).await?;
                let upload = Upload::of(&head.headers, owner)?.ok_or(Refusal::Method)?;
                // Who asks has lost the connection that brought data until now.
                let _turn = self.uploads.enter(&upload, &place);
                let offset = off_thread(move || resume::offset(&place, &upload)).await?;
                let mut reply = reply::plain(StatusCode::NO_CONTENT);
                reply::set(&mut reply, UPLOAD_OFFSET, offset.to_string());
                return Ok(reply);
            }
            Action::Append(target) => receive(Addition::to(self.place(target).await?), body).await?,
            Action::MakeDirectory(target) => {
                let place = self.place(target).await?;
                off_thread(move || make_directory(&place)).await?;
                return Ok(reply::plain(StatusCode::CREATED));
            }
            Action::Stdout => print(&self.stdout, body).await?,
            Action::Stderr => print(&self.stderr, body).await?,
            Action::Shutdown => {
                while next(body).await?.is_some() {}
                tracing::info!(owner, "a client ends this server");
                self.stop.send_replace(true);
                // The stock server answers so whether it ends or not.
                return Err(Refusal::NotAllowed("more of this, it ends").into());
            }
        }
        Ok(reply::done())
    }

    async fn find(&self, target: Target, writing: bool) -> Result<Found, Failed> {
        if let Target::Path(_) = target {
            return Ok(self.files.find(&target, writing)?);
        }
        let files = self.files.clone();
        // The user database may be far away.
        off_thread(move || Ok(files.find(&target, writing)?)).await
    }

    /// Where to write.
    async fn place(&self, target: Target) -> Result<Place, Failed> {
        match self.find(target, true).await? {
            Found::File(place) => Ok(place),
            Found::Exports(_) => Err(Refusal::NotFound.into()),
        }
    }

    async fn put(
        &self,
        place: Place,
        head: &Parts,
        body: &mut Incoming,
        owner: &str,
    ) -> Result<Response<Body>, Failed> {
        let headers = &head.headers;
        if is_conditional(headers) {
            let asked = place.clone();
            let version = off_thread(move || version(&asked)).await?;
            if judge_write(headers, version.as_ref()) == Verdict::Failed {
                return Err(Failed::Precondition);
            }
        }
        let kept = match Upload::of(headers, owner)? {
            None => receive(Replacement::of(place, headers), body).await?,
            Some(upload) => {
                let mut turn = self.uploads.enter(&upload, &place);
                let piece = Piece::of(place, upload, headers);
                let standing = tokio::select! {
                    standing = receive(piece, body) => standing?,
                    () = turn.over() => return Err(Failed::Running),
                };
                match standing {
                    Standing::Complete(kept) => kept,
                    Standing::Partial(offset) => {
                        let mut reply = reply::plain(StatusCode::ACCEPTED);
                        reply::set(&mut reply, UPLOAD_OFFSET, offset.to_string());
                        return Ok(reply);
                    }
                }
            }
        };
        let Kept { stat, digest } = kept;
        let mut reply = reply::done();
        if let Some(stat) = stat {
            reply::set(&mut reply, ETAG, Version::of(&stat).tag);
        }
        if let Some(digest) = digest.filter(|_| wants_digest(headers)) {
            reply::set(&mut reply, REPR_DIGEST, digest.to_string());
        }
        Ok(reply)
    }
}

/// The state of the file there is.
fn version(place: &Place) -> Result<Option<Version>, Failed> {
    match place.open(OFlags::PATH) {
        Ok(file) => Ok(Some(Version::of(&super::place::stat(&file)?))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failed> + Send + 'static,
) -> Result<T, Failed> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Whether the client wants to go on with this connection. Stock ones never do, and say so.
fn is_kept(head: &Parts) -> bool {
    let closes = head.headers.get_all(CONNECTION).iter().any(|value| {
        let options = value.to_str().unwrap_or("close").split(',').map(str::trim);
        options.into_iter().any(|option| option.eq_ignore_ascii_case("close"))
    });
    head.version == Http::HTTP_11 && !closes
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
        // Trailers say nothing about output.
        if let Ok(data) = frame?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}
