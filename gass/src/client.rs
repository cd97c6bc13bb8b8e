//! One request to one server by URL (gass.md §3), with the quirks of stock servers (§4): replies of HTTP/1.0, bodies that
//! end with the connection, refusals that announce more than they send.
//!
//! A server is treated as a stock one until a reply of it says that it is Gridiron's ([`servers`]): a connection for each
//! request, and nothing in it that a stock client would not send. Servers of ours are asked for ranges and checksums, and
//! their connections are kept.

mod connection;
mod reading;
mod refusable;
mod reply;
mod request;
mod servers;
mod writing;

pub use reading::{Reading, Version, Wanted};
pub use servers::Make;
pub use writing::{Upload, Writing};

use crate::appending::Duplex;
use crate::body::BLOCK;
use crate::listing::{self, Entry, MAX_LISTING};
use crate::{GassError, ReprDigest, Url, digest};
use bytes::BytesMut;
use connection::Connection;
use gsi::{Connector, Credential, Expect, TrustDirectory};
use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};
use request::Head;
use servers::Servers;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
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
/// Names an upload that can be taken up again.
pub(crate) const UPLOAD_ID: HeaderName = HeaderName::from_static("upload-id");
/// How much of it the server has.
pub(crate) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// Transfers with one credential; deadlines on connect and on every idle period. Cheap to clone; clones share the kept
/// connections.
#[derive(Clone)]
pub struct Client {
    /// None for plain http only.
    connector: Option<Connector>,
    servers: Arc<Servers>,
}

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
        Ok(Self { connector: Some(connector), servers: Arc::default() })
    }

    /// For `http:` URLs only, which know no security.
    pub fn insecure() -> Self {
        Self { connector: None, servers: Arc::default() }
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
        let local = |source| GassError::Local { doing: format!("cannot store the data of {url}"), source };
        let mut reading = self.open(url, expect, &Wanted::default()).await?;
        let mut received = 0_u64;
        while let Some(data) = reading.next().await? {
            sink.write_all(&data).await.map_err(local)?;
            received += data.len() as u64;
        }
        sink.flush().await.map_err(local)?;
        Ok(received)
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
        let writing = self.start(url, expect, Upload::default()).await?;
        send_all(url, source, writing).await
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
        let writing = self.start(url, expect, Upload { append: true, ..Upload::default() }).await?;
        send_all(url, source, writing).await
    }

    /// Begins to fetch a file, or a part of it. Redirects are followed; the same kind of authorization applies to the
    /// next server.
    ///
    /// Of servers that are not ours the whole file comes, whatever is wanted: see [`Reading::start`].
    ///
    /// # Errors
    /// Any [`GassError`] but those of [`Reading::next`].
    pub async fn open(&self, url: &Url, expect: &Expect, wanted: &Wanted) -> Result<Reading, GassError> {
        let mut url = url.clone();
        let mut expect = expect.clone();
        let mut wanted = wanted.clone();
        for _ in 0..=MAX_REDIRECTS {
            let known = self.servers.make_of(&url);
            let head = Head::new(&url, Method::GET)?;
            let (reply, connection) = self.ask(&url, &expect, &head.with(wanted.headers())).await?;
            let status = reply.status();
            if status.is_redirection() {
                let (next, host) = reply::follow(&url, &reply)?;
                if let Expect::Host(_) = expect {
                    expect = Expect::Host(host);
                }
                url = next;
                continue;
            }
            // It could not be asked for what is special before it was known.
            if known.is_none() && !wanted.is_plain() && self.servers.make_of(&url) == Some(Make::Ours) {
                return Box::pin(self.open(&url, &expect, &wanted)).await;
            }
            if status == StatusCode::RANGE_NOT_SATISFIABLE && wanted.offset > 0 {
                // The file has become shorter.
                wanted = Wanted { checksum: wanted.checksum, ..Wanted::default() };
                continue;
            }
            let lease = servers::Lease::new(&self.servers, &url, &expect, connection);
            return Reading::new(url, reply, lease, &wanted);
        }
        Err(GassError::Redirect { location: url.to_string(), url, reason: "too many redirects" })
    }

    /// Begins to send a file.
    ///
    /// # Errors
    /// No connection, or a URL that is none of http.
    pub async fn start(&self, url: &Url, expect: &Expect, upload: Upload) -> Result<Writing, GassError> {
        let (method, path) = match upload.append {
            true => (Method::POST, format!("{APPEND_PATH}?{}", path_of(url)?)),
            false => (Method::PUT, path_of(url)?),
        };
        let ours = self.servers.make_of(url) == Some(Make::Ours);
        let connection = self.connection(url, expect, ours).await?;
        let head = Head::at(url, method, path)?;
        Writing::start(url, head, &upload, ours, servers::Lease::new(&self.servers, url, expect, connection))
    }

    /// How much of an upload with this id the server has; 0 when it knows nothing of it. Only for servers of ours.
    ///
    /// # Errors
    /// Any [`GassError`].
    pub async fn uploaded(&self, url: &Url, expect: &Expect, id: &str) -> Result<u64, GassError> {
        let id = HeaderValue::from_str(id).map_err(|error| answer(url, &error))?;
        let head = Head::new(url, Method::HEAD)?.with(vec![(UPLOAD_ID, id)]);
        let (reply, connection) = self.ask(url, expect, &head).await?;
        let offset = reply.headers().get(UPLOAD_OFFSET).map(HeaderValue::as_bytes);
        let offset = offset.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(0);
        servers::Lease::new(&self.servers, url, expect, connection).give_back();
        Ok(offset)
    }

    /// Whose server answers there. One that has not been asked anything yet is asked for `/`, in the words of a stock client.
    ///
    /// # Errors
    /// No connection, or no answer in HTTP.
    pub async fn make_of(&self, url: &Url, expect: &Expect) -> Result<Make, GassError> {
        if let Some(make) = self.servers.make_of(url) {
            return Ok(make);
        }
        let head = Head::at(url, Method::GET, "/".to_owned())?;
        self.ask(url, expect, &head).await?;
        Ok(self.servers.make_of(url).unwrap_or(Make::Other))
    }

    /// What is in a directory; the URL ends with a slash.
    ///
    /// # Errors
    /// Any [`GassError`]; [`GassError::Unable`] when the server is not ours.
    pub async fn list(&self, url: &Url, expect: &Expect) -> Result<Vec<Entry>, GassError> {
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        if self.make_of(url, expect).await? != Make::Ours {
            return Err(GassError::Unable { url: url.clone(), what: "list directories" });
        }
        let head = Head::new(url, Method::GET)?.with(vec![(header::ACCEPT, JSON)]);
        let (reply, connection) = self.ask(url, expect, &head).await?;
        let lease = servers::Lease::new(&self.servers, url, expect, connection);
        let mut reading = Reading::new(url.clone(), reply, lease, &Wanted::default())?;
        let mut text = BytesMut::new();
        while let Some(data) = reading.next().await? {
            if text.len() + data.len() > MAX_LISTING {
                return Err(answer(url, &format!("a listing of more than {MAX_LISTING} bytes")));
            }
            text.extend_from_slice(&data);
        }
        listing::parse(&text).map_err(|reason| answer(url, &reason))
    }

    /// Makes a directory; false when it was there already.
    ///
    /// # Errors
    /// Any [`GassError`]; [`GassError::Unable`] when the server is not ours.
    pub async fn make_directory(&self, url: &Url, expect: &Expect) -> Result<bool, GassError> {
        if self.make_of(url, expect).await? != Make::Ours {
            return Err(GassError::Unable { url: url.clone(), what: "make directories" });
        }
        let method = Method::from_bytes(b"MKCOL").map_err(|error| answer(url, &error))?;
        let (reply, connection) = self.ask(url, expect, &Head::new(url, method)?).await?;
        let made = match reply.status() {
            StatusCode::METHOD_NOT_ALLOWED => false,
            _ => {
                reply::accepted(url, &reply)?;
                true
            }
        };
        let lease = servers::Lease::new(&self.servers, url, expect, connection);
        reply::discard(url, reply, lease).await;
        Ok(made)
    }

    /// Makes a directory and those above it that are missing.
    ///
    /// # Errors
    /// As [`Client::make_directory`].
    pub async fn make_directories(&self, url: &Url, expect: &Expect) -> Result<(), GassError> {
        let mut missing = vec![url.clone()];
        while let Some(url) = missing.last() {
            match self.make_directory(url, expect).await {
                Ok(_) => drop(missing.pop()),
                // The one above is missing. Each is one part shorter, so this ends.
                Err(error @ GassError::Refused { status: 409, .. }) => match above(url) {
                    Some(above) if !missing.contains(&above) => missing.push(above),
                    _ => return Err(error),
                },
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The checksum of a file; None when the server gives none.
    ///
    /// # Errors
    /// Any [`GassError`].
    pub async fn checksum(&self, url: &Url, expect: &Expect) -> Result<Option<ReprDigest>, GassError> {
        if self.make_of(url, expect).await? != Make::Ours {
            return Ok(None);
        }
        let wanted = HeaderValue::from_static(digest::WANTED);
        let head = Head::new(url, Method::HEAD)?.with(vec![(digest::WANT_REPR_DIGEST, wanted)]);
        let (reply, connection) = self.ask(url, expect, &head).await?;
        reply::accepted(url, &reply)?;
        let checksum = reply.headers().get(digest::REPR_DIGEST);
        let checksum = checksum.and_then(|checksum| ReprDigest::parse(checksum.as_bytes()));
        servers::Lease::new(&self.servers, url, expect, connection).give_back();
        Ok(checksum)
    }

    /// Sends a request without a body and waits for the head of the reply.
    async fn ask(
        &self,
        url: &Url,
        expect: &Expect,
        head: &Head,
    ) -> Result<(Response<Incoming>, Connection), GassError> {
        loop {
            let ours = self.servers.make_of(url) == Some(Make::Ours);
            let mut connection = self.connection(url, expect, ours).await?;
            let reply = connection.send(head.empty(ours)?);
            match patiently(url, "waiting for the reply", reply).await? {
                Ok(reply) => {
                    self.servers.saw(url, reply.headers());
                    return Ok((reply, connection));
                }
                // The server has closed a kept connection meanwhile. There are only so many, then comes a fresh one.
                Err(error) if connection.was_kept() => {
                    tracing::debug!(%url, %error, "kept connection is gone");
                }
                Err(source) => return Err(GassError::Protocol { url: url.clone(), source }),
            }
        }
    }

    /// A kept connection, where the server allows that and there is one, or a fresh one.
    async fn connection(&self, url: &Url, expect: &Expect, ours: bool) -> Result<Connection, GassError> {
        while ours && let Some(mut kept) = self.servers.take(url, expect) {
            if kept.is_ready().await {
                return Ok(kept);
            }
        }
        let connecting = Connection::open(self.connector.as_ref(), url, expect);
        timeout(CONNECT, connecting).await.unwrap_or_else(|_| {
            Err(GassError::TimedOut { url: url.clone(), doing: "connecting", limit: CONNECT })
        })
    }

    /// A connection without HTTP: TCP and, for https, TLS.
    pub(crate) async fn dial(&self, url: &Url, expect: &Expect) -> Result<Box<dyn Duplex>, GassError> {
        timeout(CONNECT, connection::dial(self.connector.as_ref(), url, expect)).await.unwrap_or_else(|_| {
            Err(GassError::TimedOut { url: url.clone(), doing: "connecting", limit: CONNECT })
        })
    }
}

async fn send_all(
    url: &Url,
    source: &mut (dyn AsyncRead + Unpin + Send),
    mut writing: Writing,
) -> Result<u64, GassError> {
    let mut block = BytesMut::new();
    loop {
        if block.capacity() - block.len() < BLOCK / 4 {
            block.reserve(BLOCK);
        }
        // No deadline here: a job that prints nothing for a day is no error. But a refusal ends the waiting.
        let read = tokio::select! {
            read = source.read_buf(&mut block) => read,
            refusal = writing.refusal() => return Err(refusal),
        };
        let read = read.map_err(|source| GassError::Local {
            doing: format!("cannot read the data for {url}"),
            source,
        })?;
        if read == 0 {
            return Ok(writing.finish().await?.sent);
        }
        writing.send(block.split().freeze()).await?;
    }
}

/// The directory above a directory.
fn above(url: &Url) -> Option<Url> {
    let Url::Http { secure, host, port, path } = url else { return None };
    let (above, _) = path.strip_suffix('/').unwrap_or(path).rsplit_once('/')?;
    let (host, path) = (host.clone(), format!("{above}/"));
    (!above.is_empty()).then_some(Url::Http { secure: *secure, host, port: *port, path })
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

fn answer(url: &Url, reason: &dyn std::fmt::Display) -> GassError {
    GassError::Answer { url: url.clone(), reason: reason.to_string() }
}

async fn patiently<T>(url: &Url, doing: &'static str, step: impl Future<Output = T>) -> Result<T, GassError> {
    timeout(IDLE, step).await.map_err(|_| GassError::TimedOut { url: url.clone(), doing, limit: IDLE })
}

#[cfg(test)]
mod tests;
