//! What replies say: taken, refused, or to be asked for elsewhere.

use super::servers::Lease;
use crate::{GassError, Url};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{HeaderMap, Response, header};
use std::time::Duration;

/// How much of a body that says nothing is read so that the connection can be kept, and how long that may take.
const MAX_DISCARDED: usize = 64 * 1024;
const DISCARD: Duration = Duration::from_secs(5);

/// Whether it is a success.
pub(super) fn accepted(url: &Url, reply: &Response<Incoming>) -> Result<(), GassError> {
    if reply.status().is_success() { Ok(()) } else { Err(refused(url, reply)) }
}

/// The refusal in it.
pub(super) fn refused(url: &Url, reply: &Response<Incoming>) -> GassError {
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
pub(super) fn follow(url: &Url, reply: &Response<Incoming>) -> Result<(Url, String), GassError> {
    next_location(url, reply.headers()).unwrap_or_else(|| Err(refused(url, reply)))
}

/// None without `Location`.
pub(super) fn next_location(url: &Url, headers: &HeaderMap) -> Option<Result<(Url, String), GassError>> {
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

/// Reads what nobody wants to know, so that the connection can be used again; what is too long, or too long in coming,
/// costs the connection.
pub(super) async fn discard(url: &Url, reply: Response<Incoming>, lease: Lease) {
    let body = Limited::new(reply.into_body(), MAX_DISCARDED).collect();
    match tokio::time::timeout(DISCARD, body).await {
        Ok(Ok(_)) => lease.give_back(),
        Ok(Err(_)) | Err(_) => tracing::debug!(%url, "the connection is not kept: the reply does not end"),
    }
}
