//! GET, PUT and append of one file by URL (gass.md §3), with the quirks of stock servers (§4): replies of HTTP/1.0,
//! bodies that end with the connection, refusals that announce more than they send.

mod refusable;

use crate::appending::Duplex;
use crate::body::{BLOCK, Upload, UploadBody};
use crate::{GassError, Url};
use bytes::{Bytes, BytesMut};
use gsi::{Connector, Credential, Expect, SecureStream, TrustDirectory, endpoint};
use http_body_util::{BodyExt, Either, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{HeaderMap, Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use refusable::Refusable;
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long name look-up, TCP and TLS may take together.
pub const CONNECT: Duration = Duration::from_secs(60);
/// How long the server may do nothing while it is its turn.
pub const IDLE: Duration = Duration::from_secs(300);
/// How many redirects are followed.
pub const MAX_REDIRECTS: usize = 5;
/// Longest header block of a reply, in bytes; it is the read buffer as well, hence not smaller than data calls for.
pub const MAX_HEADERS: usize = 2 * BLOCK;

/// The path that appends (gass.md §3); the file follows after a `?`.
pub(crate) const APPEND_PATH: &str = "/globus-bins/GASSappend";

/// Transfers with one credential; deadlines on connect and on every idle period. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    /// None for plain http only.
    connector: Option<Connector>,
}

type Body = Either<Empty<Bytes>, UploadBody>;
type Sender = http1::SendRequest<Body>;

impl Client {
    /// With this credential and trust.
    ///
    /// # Errors
    /// A credential that TLS cannot use.
    pub fn new(credential: &Credential, trust: &TrustDirectory) -> Result<Self, GassError> {
        let connector = Connector::new(credential, trust).map_err(|source| GassError::Local {
            doing: "cannot use this credential".to_owned(),
            source: io::Error::other(source),
        })?;
        Ok(Self { connector: Some(connector) })
    }

    /// For `http:` URLs only, which know no security.
    pub fn insecure() -> Self {
        Self { connector: None }
    }

    /// Fetches into `sink`; returns bytes. A body shorter than announced is an error.
    ///
    /// # Errors
    /// Any [`GassError`]; what was written to `sink` by then stays.
    pub async fn get(
        &self,
        url: &Url,
        expect: &Expect,
        sink: &mut (dyn AsyncWrite + Unpin + Send),
    ) -> Result<u64, GassError> {
        let mut url = url.clone();
        let mut expect = expect.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut connection = self.connect(&url, &expect).await?;
            let request = request(&url, Method::GET, path_of(&url)?, Either::Left(Empty::new()))?;
            let reply = patiently(&url, "waiting for the reply", connection.sender.send_request(request))
                .await?
                .map_err(|source| GassError::Protocol { url: url.clone(), source })?;
            if !reply.status().is_redirection() {
                return receive(&url, reply, sink).await;
            }
            let (next, host) = follow(&url, &reply)?;
            // The same kind of authorization applies to the new server.
            if let Expect::Host(_) = expect {
                expect = Expect::Host(host);
            }
            url = next;
        }
        Err(GassError::Redirect { location: url.to_string(), url, reason: "too many redirects" })
    }

    /// Replaces the file (chunked PUT).
    ///
    /// # Errors
    /// Any [`GassError`]. A server may then hold a part of the file.
    pub async fn put(
        &self,
        url: &Url,
        expect: &Expect,
        source: &mut (dyn AsyncRead + Unpin + Send),
    ) -> Result<u64, GassError> {
        let path = path_of(url)?;
        self.upload(url, expect, Method::PUT, path, source).await
    }

    /// Appends to the file. `source` may pause for any length of time; what it has given is sent at once.
    ///
    /// # Errors
    /// Any [`GassError`]. A server may then hold a part of the data.
    pub async fn append(
        &self,
        url: &Url,
        expect: &Expect,
        source: &mut (dyn AsyncRead + Unpin + Send),
    ) -> Result<u64, GassError> {
        let path = format!("{APPEND_PATH}?{}", path_of(url)?);
        self.upload(url, expect, Method::POST, path, source).await
    }

    async fn upload(
        &self,
        url: &Url,
        expect: &Expect,
        method: Method,
        path: String,
        source: &mut (dyn AsyncRead + Unpin + Send),
    ) -> Result<u64, GassError> {
        let mut connection = self.connect(url, expect).await?;
        let (upload, body) = Upload::channel();
        let request = request(url, method, path, Either::Right(body))?;
        let mut reply = std::pin::pin!(connection.sender.send_request(request));
        let mut sending = std::pin::pin!(send_all(url, source, upload));
        let broken = |source| GassError::Protocol { url: url.clone(), source };

        // A refusal may come at any time, and ends the transfer; a success only counts after the last byte.
        let (reply, sent) = tokio::select! {
            early = &mut reply => {
                let early = early.map_err(broken)?;
                accepted(url, &early)?;
                (early, sending.await?)
            }
            sent = &mut sending => {
                let sent = sent?;
                (patiently(url, "waiting for the reply", reply).await?.map_err(broken)?, sent)
            }
        };
        accepted(url, &reply)?;
        match sent {
            Sent::All(bytes) => Ok(bytes),
            Sent::Part(received) => Err(GassError::Truncated { url: url.clone(), received }),
        }
    }

    async fn connect(&self, url: &Url, expect: &Expect) -> Result<Connection, GassError> {
        Connection::open(url, self.dial(url, expect).await?).await
    }

    /// TCP and, for https, TLS.
    pub(crate) async fn dial(&self, url: &Url, expect: &Expect) -> Result<Box<dyn Duplex>, GassError> {
        let Url::Http { secure, host, port, .. } = url else { return Err(not_http(url)) };
        let connecting = async {
            let stream = endpoint::dial(host, *port)
                .await
                .map_err(|source| GassError::Unreachable { url: url.clone(), source })?;
            if !*secure {
                return Ok(Box::new(stream) as Box<dyn Duplex>);
            }
            let connector =
                self.connector.as_ref().ok_or_else(|| GassError::NoCredential { url: url.clone() })?;
            let stream: SecureStream = connector
                .connect(stream, expect)
                .await
                .map_err(|source| GassError::Security { url: url.clone(), source: source.into() })?;
            Ok(Box::new(stream) as Box<dyn Duplex>)
        };
        timeout(CONNECT, connecting).await.unwrap_or_else(|_| {
            Err(GassError::TimedOut { url: url.clone(), doing: "connecting", limit: CONNECT })
        })
    }
}

/// An HTTP connection and the task that drives it; dropping it closes the connection.
struct Connection {
    sender: Sender,
    driver: JoinHandle<()>,
}

impl Connection {
    async fn open<S>(url: &Url, stream: S) -> Result<Self, GassError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::Builder::new()
            .title_case_headers(true)
            .max_buf_size(MAX_HEADERS)
            .handshake(TokioIo::new(Refusable::new(stream)))
            .await
            .map_err(|source| GassError::Protocol { url: url.clone(), source })?;
        // Its errors reach the request or the body as well.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, driver })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// How far an upload came.
enum Sent {
    All(u64),
    /// The connection ended first; the reply says more.
    Part(u64),
}

async fn send_all(
    url: &Url,
    source: &mut (dyn AsyncRead + Unpin + Send),
    upload: Upload,
) -> Result<Sent, GassError> {
    let mut block = BytesMut::new();
    let mut sent = 0_u64;
    loop {
        if block.capacity() - block.len() < BLOCK / 4 {
            block.reserve(BLOCK);
        }
        // No deadline here: a job that prints nothing for a day is no error.
        let read = source.read_buf(&mut block).await.map_err(|source| GassError::Local {
            doing: format!("cannot read the data for {url}"),
            source,
        })?;
        if read == 0 {
            let finished = patiently(url, "sending", upload.finish()).await?;
            return Ok(if finished.is_ok() { Sent::All(sent) } else { Sent::Part(sent) });
        }
        if patiently(url, "sending", upload.send(block.split().freeze())).await?.is_err() {
            return Ok(Sent::Part(sent));
        }
        sent += read as u64;
    }
}

async fn receive(
    url: &Url,
    reply: Response<Incoming>,
    sink: &mut (dyn AsyncWrite + Unpin + Send),
) -> Result<u64, GassError> {
    // The body of a refusal is not read: stock announces more of it than it sends.
    accepted(url, &reply)?;
    let local = |source| GassError::Local { doing: format!("cannot store the data of {url}"), source };
    let mut body = reply.into_body();
    let mut received = 0_u64;
    while let Some(frame) = patiently(url, "receiving", body.frame()).await? {
        let frame = frame.map_err(|error| {
            tracing::debug!(%url, %error, "body broke off");
            GassError::Truncated { url: url.clone(), received }
        })?;
        if let Ok(data) = frame.into_data() {
            sink.write_all(&data).await.map_err(local)?;
            received += data.len() as u64;
        }
    }
    sink.flush().await.map_err(local)?;
    Ok(received)
}

fn accepted(url: &Url, reply: &Response<Incoming>) -> Result<(), GassError> {
    if reply.status().is_success() { Ok(()) } else { Err(refused(url, reply)) }
}

fn refused(url: &Url, reply: &Response<Incoming>) -> GassError {
    let status = reply.status();
    let phrase = reply.extensions().get::<hyper::ext::ReasonPhrase>().map(|phrase| phrase.as_bytes());
    let reason = match phrase {
        Some(phrase) => {
            String::from_utf8_lossy(phrase).chars().filter(|c| !c.is_control()).take(200).collect()
        }
        None => status.canonical_reason().unwrap_or("no reason given").to_owned(),
    };
    GassError::Refused { url: url.clone(), status: status.as_u16(), reason }
}

/// The next URL and its host.
fn follow(url: &Url, reply: &Response<Incoming>) -> Result<(Url, String), GassError> {
    next_location(url, reply.headers()).unwrap_or_else(|| Err(refused(url, reply)))
}

/// None without `Location`.
fn next_location(url: &Url, headers: &HeaderMap) -> Option<Result<(Url, String), GassError>> {
    let location = String::from_utf8_lossy(headers.get(header::LOCATION)?.as_bytes()).into_owned();
    let next = url.join(&location);
    let refuse = |reason| Some(Err(GassError::Redirect { url: url.clone(), location, reason }));
    match (url, next) {
        (Url::Http { secure: true, .. }, Ok(Url::Http { secure: false, .. })) => {
            refuse("it would leave https, and nobody would know who answers")
        }
        (_, Ok(Url::Http { secure, host, port, path })) => {
            Some(Ok((Url::Http { secure, host: host.clone(), port, path }, host)))
        }
        (_, Ok(Url::File(_) | Url::Cache(_)) | Err(_)) => refuse("it is not an http or https URL"),
    }
}

fn request(url: &Url, method: Method, path: String, body: Body) -> Result<Request<Body>, GassError> {
    let Url::Http { host, .. } = url else { return Err(not_http(url)) };
    // Without a port, as stock sends it.
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, host)
        .header(header::CONNECTION, "close")
        .header(header::USER_AGENT, concat!("Gridiron-GASS/", env!("CARGO_PKG_VERSION")));
    if matches!(body, Either::Right(_)) {
        request = request
            .header(header::TRANSFER_ENCODING, "chunked")
            .header(header::CONTENT_TYPE, "application/octet-stream");
    }
    request.body(body).map_err(|error| GassError::BadUrl { url: url.to_string(), reason: error.to_string() })
}

fn path_of(url: &Url) -> Result<String, GassError> {
    url.request_path().ok_or_else(|| not_http(url))
}

fn not_http(url: &Url) -> GassError {
    GassError::BadUrl {
        url: url.to_string(),
        reason: "only https: and http: URLs can be transferred over the network".to_owned(),
    }
}

async fn patiently<T>(url: &Url, doing: &'static str, step: impl Future<Output = T>) -> Result<T, GassError> {
    timeout(IDLE, step).await.map_err(|_| GassError::TimedOut { url: url.clone(), doing, limit: IDLE })
}

#[cfg(test)]
mod tests;
