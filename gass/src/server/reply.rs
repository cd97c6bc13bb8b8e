//! Replies, in the form stock clients know (gass.md §4); the stock server's wrong lengths are not repeated.

use super::request::Refusal;
use crate::body::Download;
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, SERVER};
use hyper::{Response, StatusCode, ext::ReasonPhrase};
use std::io;

pub(super) type Body = Either<Full<Bytes>, Download<tokio::fs::File>>;

const NAME: HeaderValue = HeaderValue::from_static(concat!("Gridiron-GASS/", env!("CARGO_PKG_VERSION")));

/// A transfer that was asked for and failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error("refused: {0:?}")]
    Refused(Refusal),
    #[error("{0}")]
    File(#[from] io::Error),
    /// The peer broke off; nobody reads the reply.
    #[error("the transfer broke off: {0}")]
    Body(#[from] hyper::Error),
}

/// The file.
pub(super) fn file(file: tokio::fs::File, length: u64) -> Response<Body> {
    let mut reply = respond(StatusCode::OK, b"Ok", Either::Right(Download::new(file, length)));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    reply
}

/// All data arrived and is stored.
pub(super) fn done() -> Response<Body> {
    respond(StatusCode::OK, b"Ok", Either::Left(Full::default()))
}

/// The one place where failures become HTTP statuses. Stock clients show status and reason of a refused GET, and
/// nothing of a refused PUT.
pub(super) fn failed(failure: &Failed) -> Response<Body> {
    let (status, reason): (StatusCode, &'static str) = match failure {
        Failed::Refused(Refusal::NotFound) => (StatusCode::NOT_FOUND, "File Not Found"),
        Failed::Refused(Refusal::NotAllowed(_)) | Failed::Body(_) => (StatusCode::BAD_REQUEST, "Bad Request"),
        Failed::Refused(Refusal::Method) => (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"),
        Failed::Refused(Refusal::NoLength) => (StatusCode::LENGTH_REQUIRED, "Length Required"),
        Failed::File(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                (StatusCode::NOT_FOUND, "File Not Found")
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                (StatusCode::FORBIDDEN, "Permission Denied")
            }
            io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput => {
                (StatusCode::BAD_REQUEST, "Not A File")
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                (StatusCode::INSUFFICIENT_STORAGE, "Disk Full")
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "Server Error"),
        },
    };
    let what = match failure {
        Failed::Refused(Refusal::NotAllowed(what)) => format!("<p>This server does not allow {what}.</p>\n"),
        Failed::Refused(_) | Failed::File(_) | Failed::Body(_) => String::new(),
    };
    let title = format!("{} {reason}", status.as_u16());
    let text = format!(
        "<html><head><title>{title}</title></head><body>\r\n<h1>{title}</h1>{what}</body></html>\r\n"
    );
    let mut reply = respond(status, reason.as_bytes(), Either::Left(Full::from(text)));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    reply
}

fn respond(status: StatusCode, reason: &'static [u8], body: Body) -> Response<Body> {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    if let Ok(reason) = ReasonPhrase::try_from(reason) {
        reply.extensions_mut().insert(reason);
    }
    reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    reply.headers_mut().insert(SERVER, NAME);
    reply
}
