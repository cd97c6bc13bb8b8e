//! Requests: to stock servers byte for byte as the stock client sends them (gass.md §3), but for the name.

use super::connection::Body;
use super::{not_http, path_of};
use crate::body::UploadBody;
use crate::{GassError, Url};
use http_body_util::{Either, Empty};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request};

const NAME: HeaderValue = HeaderValue::from_static(concat!("Gridiron-GASS/", env!("CARGO_PKG_VERSION")));
const CLOSE: HeaderValue = HeaderValue::from_static("close");
const CHUNKED: HeaderValue = HeaderValue::from_static("chunked");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// A request but for its body.
pub(super) struct Head {
    url: Url,
    method: Method,
    path: String,
    /// As the header has it: without a port, as stock sends it.
    host: String,
    /// For servers of ours only.
    special: Vec<(HeaderName, HeaderValue)>,
}

impl Head {
    /// For what the URL names.
    pub(super) fn new(url: &Url, method: Method) -> Result<Self, GassError> {
        Self::at(url, method, path_of(url)?)
    }

    /// For another path on the same server.
    pub(super) fn at(url: &Url, method: Method, path: String) -> Result<Self, GassError> {
        let Url::Http { host, .. } = url else { return Err(not_http(url)) };
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        Ok(Self { url: url.clone(), method, path, host, special: Vec::new() })
    }

    /// With headers that are left out for servers that are not ours.
    pub(super) fn with(self, special: Vec<(HeaderName, HeaderValue)>) -> Self {
        Self { special, ..self }
    }

    /// Without a body.
    pub(super) fn empty(&self, ours: bool) -> Result<Request<Body>, GassError> {
        self.build(ours, Either::Left(Empty::new()))
    }

    /// With a body.
    pub(super) fn carrying(&self, ours: bool, body: UploadBody) -> Result<Request<Body>, GassError> {
        self.build(ours, Either::Right(body))
    }

    fn build(&self, ours: bool, body: Body) -> Result<Request<Body>, GassError> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(self.path.as_str())
            .header(header::HOST, self.host.as_str());
        if !ours {
            request = request.header(header::CONNECTION, CLOSE);
        }
        request = request.header(header::USER_AGENT, NAME);
        if let Either::Right(upload) = &body {
            // Stock servers do not answer an upload with `Content-Length: 0`.
            if !ours || upload.length().is_none() {
                request = request.header(header::TRANSFER_ENCODING, CHUNKED);
            }
            request = request.header(header::CONTENT_TYPE, BYTES);
        }
        if ours {
            for (name, value) in &self.special {
                request = request.header(name, value);
            }
        }
        let bad = |error: hyper::http::Error| GassError::BadUrl {
            url: self.url.to_string(),
            reason: error.to_string(),
        };
        request.body(body).map_err(bad)
    }
}
