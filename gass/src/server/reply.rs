//! Replies, in the form stock clients know (gass.md §4); the stock server's wrong lengths are not repeated.

use super::body::Body;
use super::request::Refusal;
use crate::range::ContentRange;
use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, SERVER};
use hyper::{Response, StatusCode, ext::ReasonPhrase};
use std::io;

const NAME: HeaderValue = HeaderValue::from_static(concat!("Gridiron-GASS/", env!("CARGO_PKG_VERSION")));

/// How many bytes of an upload are kept: where it is to go on.
pub(super) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

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
    /// A condition of the request does not hold.
    #[error("the file is not in the state that the request is for")]
    Precondition,
    /// A `Range` behind the end.
    #[error("the range is not in the file, which has {0} bytes")]
    Range(u64),
    /// What arrived is not what its checksum says.
    #[error("the data does not have the checksum that came with it")]
    Checksum,
    /// An upload in pieces that does not fit together.
    #[error("upload: {0}")]
    Upload(&'static str),
    /// It goes on elsewhere.
    #[error("the upload goes on at byte {0}")]
    Offset(u64),
    /// The same upload runs in another process.
    #[error("the upload is running")]
    Running,
    /// A directory that is to be made has no parent.
    #[error("there is no directory to make it in")]
    NoParent,
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<rustix::io::Errno> for Failed {
    fn from(error: rustix::io::Errno) -> Self {
        Self::File(error.into())
    }
}

/// All data arrived and is stored.
pub(super) fn done() -> Response<Body> {
    respond(StatusCode::OK, "Ok", Body::empty())
}

/// Success with a body, in stock's words.
pub(super) fn with_body(status: StatusCode, body: Body) -> Response<Body> {
    let reason = if status == StatusCode::OK { "Ok" } else { status.canonical_reason().unwrap_or_default() };
    respond(status, reason, body)
}

/// Success without a body, in the standard's words.
pub(super) fn plain(status: StatusCode) -> Response<Body> {
    respond(status, status.canonical_reason().unwrap_or_default(), Body::empty())
}

/// A header whose value is ours, hence legal.
pub(super) fn set(reply: &mut Response<Body>, name: HeaderName, value: impl AsRef<[u8]>) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_ref()) {
        reply.headers_mut().insert(name, value);
    }
}

/// The one place where failures become HTTP statuses. Stock clients show status and reason of a refused GET, and
/// nothing of a refused PUT.
pub(super) fn failed(failure: &Failed) -> Response<Body> {
    let (status, reason): (StatusCode, &'static str) = match failure {
        Failed::Refused(Refusal::NotFound) => (StatusCode::NOT_FOUND, "File Not Found"),
        Failed::Refused(Refusal::NotAllowed(_)) | Failed::Body(_) => (StatusCode::BAD_REQUEST, "Bad Request"),
        Failed::Refused(Refusal::Method) => (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"),
        Failed::Refused(Refusal::NoLength) => (StatusCode::LENGTH_REQUIRED, "Length Required"),
        Failed::File(error) => of_file(error),
        Failed::Precondition => (StatusCode::PRECONDITION_FAILED, "Precondition Failed"),
        Failed::Range(_) => (StatusCode::RANGE_NOT_SATISFIABLE, "Range Not Satisfiable"),
        Failed::Checksum => (StatusCode::BAD_REQUEST, "Checksum Mismatch"),
        Failed::Upload(_) => (StatusCode::BAD_REQUEST, "Bad Upload"),
        Failed::Offset(_) => (StatusCode::CONFLICT, "Upload Goes On Elsewhere"),
        Failed::Running => (StatusCode::CONFLICT, "Upload Is Running"),
        Failed::NoParent => (StatusCode::CONFLICT, "Parent Not Found"),
    };
    let what = match failure {
        Failed::Refused(Refusal::NotAllowed(what)) => format!("<p>This server does not allow {what}.</p>\n"),
        Failed::Upload(what) => format!("<p>{what}.</p>\n"),
        _ => String::new(),
    };
    let title = format!("{} {reason}", status.as_u16());
    let text = format!(
        "<html><head><title>{title}</title></head><body>\r\n<h1>{title}</h1>{what}</body></html>\r\n"
    );
    let mut reply = respond(status, reason, Body::text(Bytes::from(text)));
    set(&mut reply, CONTENT_TYPE, "text/html");
    match failure {
        Failed::Range(total) => {
            set(&mut reply, CONTENT_RANGE, ContentRange::Unsatisfied { total: *total }.to_string());
        }
        Failed::Offset(offset) => set(&mut reply, UPLOAD_OFFSET, offset.to_string()),
        _ => {}
    }
    reply
}

/// A link, or another way out of an exported directory.
const NOT_EXPORTED: (StatusCode, &str) = (StatusCode::FORBIDDEN, "Not Exported");

fn of_file(error: &io::Error) -> (StatusCode, &'static str) {
    use io::ErrorKind::{
        AlreadyExists, CrossesDevices, InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied,
        QuotaExceeded, ReadOnlyFilesystem, StorageFull,
    };
    if rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::LOOP) {
        return NOT_EXPORTED;
    }
    match error.kind() {
        NotFound | NotADirectory => (StatusCode::NOT_FOUND, "File Not Found"),
        PermissionDenied | ReadOnlyFilesystem => (StatusCode::FORBIDDEN, "Permission Denied"),
        CrossesDevices => NOT_EXPORTED,
        IsADirectory | InvalidInput => (StatusCode::BAD_REQUEST, "Not A File"),
        AlreadyExists => (StatusCode::METHOD_NOT_ALLOWED, "Exists"),
        StorageFull | QuotaExceeded => (StatusCode::INSUFFICIENT_STORAGE, "Disk Full"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "Server Error"),
    }
}

fn respond(status: StatusCode, reason: &'static str, body: Body) -> Response<Body> {
    let length = body.length();
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    if let Ok(reason) = ReasonPhrase::try_from(reason.as_bytes()) {
        reply.extensions_mut().insert(reason);
    }
    reply.headers_mut().insert(SERVER, NAME);
    // Said here, and not left to the library, so that HEAD tells it too.
    if let Some(length) =
        length.filter(|_| status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED)
    {
        reply.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    reply
}
