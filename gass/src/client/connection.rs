//! An HTTP connection and the task that drives it.

use super::refusable::Refusable;
use super::{MAX_HEADERS, not_http};
use crate::appending::Duplex;
use crate::body::UploadBody;
use crate::{GassError, Url};
use bytes::Bytes;
use gsi::{Connector, Expect, SecureStream, endpoint};
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::future::Future;
use tokio::task::JoinHandle;

/// What requests carry.
pub(super) type Body = Either<Empty<Bytes>, UploadBody>;

/// Dropping it closes the connection.
pub(super) struct Connection {
    sender: http1::SendRequest<Body>,
    driver: JoinHandle<()>,
    requests: u64,
}

/// TCP and, for https, TLS: shows and checks credentials. Without a deadline.
pub(super) async fn dial(
    connector: Option<&Connector>,
    url: &Url,
    expect: &Expect,
) -> Result<Box<dyn Duplex>, GassError> {
    let Url::Http { secure, host, port, .. } = url else { return Err(not_http(url)) };
    let stream = endpoint::dial(host, *port)
        .await
        .map_err(|source| GassError::Unreachable { url: url.clone(), source })?;
    if !*secure {
        return Ok(Box::new(stream));
    }
    let connector = connector.ok_or_else(|| GassError::NoCredential { url: url.clone() })?;
    let stream: SecureStream = connector
        .connect(stream, expect)
        .await
        .map_err(|source| GassError::Security { url: url.clone(), source: source.into() })?;
    Ok(Box::new(stream))
}

impl Connection {
    /// Dials, and shows and checks credentials for https. Without a deadline.
    pub(super) async fn open(
        connector: Option<&Connector>,
        url: &Url,
        expect: &Expect,
    ) -> Result<Self, GassError> {
        let stream = dial(connector, url, expect).await?;
        let (sender, connection) = http1::Builder::new()
            .title_case_headers(true)
            .max_buf_size(MAX_HEADERS)
            .handshake(TokioIo::new(Refusable::new(stream)))
            .await
            .map_err(|source| GassError::Protocol { url: url.clone(), source })?;
        // Its errors reach the request or the body as well.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, driver, requests: 0 })
    }

    /// Sends a request; the reply comes without its body.
    pub(super) fn send(
        &mut self,
        request: Request<Body>,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + Send + use<> {
        self.requests += 1;
        self.sender.send_request(request)
    }

    /// Whether the request that was sent was not its first.
    pub(super) fn was_kept(&self) -> bool {
        self.requests > 1
    }

    /// Whether it can take another request.
    pub(super) async fn is_ready(&mut self) -> bool {
        !self.sender.is_closed() && self.sender.ready().await.is_ok()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
