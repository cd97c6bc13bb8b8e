//! A file that is being sent.

use super::reply::{accepted, discard};
use super::request::Head;
use super::servers::Lease;
use super::{UPLOAD_ID, patiently};
use crate::body::{Gone, Upload as Blocks};
use crate::digest::REPR_DIGEST;
use crate::range::ContentRange;
use crate::{GassError, ReprDigest, Url};
use bytes::Bytes;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use std::future::{Future, pending};
use std::pin::Pin;

/// What is told about a file before it is sent. All but `append` and `length` is for servers of ours only.
#[derive(Debug, Clone, Default)]
pub struct Upload {
    /// Add to the file instead of replacing it.
    pub append: bool,
    /// How many bytes will be sent, where that is known.
    pub length: Option<u64>,
    /// Keep what comes under this name, should the connection break.
    pub id: Option<String>,
    /// The first byte that is sent, after those that the server has kept under the name; needs `length` and `id`.
    pub offset: u64,
    /// The checksum of the whole file: the server is to refuse anything else.
    pub checksum: Option<ReprDigest>,
}

impl Upload {
    fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = Vec::new();
        let mut add = |name, value: Option<String>| {
            headers
                .extend(value.and_then(|value| HeaderValue::try_from(value).ok()).map(|value| (name, value)));
        };
        add(UPLOAD_ID, self.id.clone());
        let range = self.length.filter(|&length| self.offset > 0 && length > 0).map(|length| {
            let total = self.offset.saturating_add(length);
            ContentRange::Part { first: self.offset, last: total.saturating_sub(1), total: Some(total) }
        });
        add(header::CONTENT_RANGE, range.map(|range| range.to_string()));
        add(REPR_DIGEST, self.checksum.map(|checksum| checksum.to_string()));
        headers
    }
}

/// What became of it.
#[derive(Debug)]
pub struct Stored {
    /// Bytes sent.
    pub sent: u64,
}

/// Reply to the request; it may come before the body is complete.
type Reply = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

/// The body of a file, to be given block by block. Dropped before [`Writing::finish`], it breaks off in a way that the
/// server notices.
pub struct Writing {
    url: Url,
    blocks: Blocks,
    /// None when it has come.
    reply: Option<Reply>,
    /// A success that came before all was sent; it counts only then.
    early: Option<Response<Incoming>>,
    lease: Lease,
    /// What was announced.
    length: Option<u64>,
    sent: u64,
}

impl Writing {
    pub(super) fn start(
        url: &Url,
        head: Head,
        upload: &Upload,
        ours: bool,
        mut lease: Lease,
    ) -> Result<Self, GassError> {
        let length = upload.length.filter(|_| ours);
        let (blocks, body) = Blocks::channel(length);
        let request = head.with(upload.headers()).carrying(ours, body)?;
        let reply: Reply = Box::pin(lease.connection().send(request));
        Ok(Self { url: url.clone(), blocks, reply: Some(reply), early: None, lease, length, sent: 0 })
    }

    /// The next bytes.
    ///
    /// # Errors
    /// A refusal, which may come at any time and ends the transfer; a broken or stalled connection.
    pub async fn send(&mut self, block: Bytes) -> Result<(), GassError> {
        // A success that comes early counts only after the last byte; so it goes on.
        while let Some(reply) = &mut self.reply {
            let place = patiently(&self.url, "sending", self.blocks.place());
            let place = tokio::select! {
                biased;
                reply = reply => Err(reply),
                place = place => Ok(place?),
            };
            match place {
                Err(reply) => self.came(reply)?,
                Ok(Ok(place)) => {
                    self.sent += block.len() as u64;
                    place.fill(block);
                    return Ok(());
                }
                Ok(Err(Gone)) => return Err(self.broken().await),
            }
        }
        match patiently(&self.url, "sending", self.blocks.place()).await? {
            Ok(place) => {
                self.sent += block.len() as u64;
                place.fill(block);
                Ok(())
            }
            Err(Gone) => Err(GassError::Truncated { url: self.url.clone(), received: self.sent }),
        }
    }

    /// Waits for a refusal; for ever, when none comes.
    pub async fn refusal(&mut self) -> GassError {
        if let Some(reply) = &mut self.reply {
            let reply = reply.await;
            if let Err(refusal) = self.came(reply) {
                return refusal;
            }
        }
        pending().await
    }

    /// All is sent; waits until the server has it.
    ///
    /// # Errors
    /// A refusal, a broken connection, silence.
    pub async fn finish(mut self) -> Result<Stored, GassError> {
        // A body of known length ends by itself, and nobody waits for its last word.
        let complete = self.length == Some(self.sent);
        if !complete && patiently(&self.url, "sending", self.blocks.finish()).await?.is_err() {
            return Err(self.broken().await);
        }
        if let Some(reply) = &mut self.reply {
            let reply = patiently(&self.url, "waiting for the reply", reply).await?;
            self.came(reply)?;
        }
        // The reply of a stock server ends with its connection, which nobody waits for.
        if let Some(reply) = self.early.filter(|_| self.lease.is_ours()) {
            discard(&self.url, reply, self.lease).await;
        }
        Ok(Stored { sent: self.sent })
    }

    /// The reply has come.
    fn came(&mut self, reply: hyper::Result<Response<Incoming>>) -> Result<(), GassError> {
        self.reply = None;
        let reply = reply.map_err(|source| GassError::Protocol { url: self.url.clone(), source })?;
        self.lease.saw(reply.headers());
        accepted(&self.url, &reply)?;
        self.early = Some(reply);
        Ok(())
    }

    /// The connection ended before all was sent; a reply, if there is one, says more.
    async fn broken(&mut self) -> GassError {
        if let Some(reply) = &mut self.reply {
            match patiently(&self.url, "waiting for the reply", reply).await {
                Ok(reply) => {
                    if let Err(refusal) = self.came(reply) {
                        return refusal;
                    }
                }
                Err(silent) => return silent,
            }
        }
        GassError::Truncated { url: self.url.clone(), received: self.sent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_in_headers() {
        let text = |upload: &Upload| {
            let headers = upload.headers();
            let lines = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
            lines.collect::<Vec<_>>().join("; ")
        };
        assert_eq!(text(&Upload::default()), "");
        let upload = Upload { id: Some("abc".to_owned()), length: Some(10), ..Upload::default() };
        assert_eq!(text(&upload), "upload-id: abc");
        assert_eq!(
            text(&Upload { offset: 5, ..upload.clone() }),
            "upload-id: abc; content-range: bytes 5-14/15"
        );
        assert!(
            text(&Upload { checksum: Some(ReprDigest::of(b"")), ..upload })
                .contains("repr-digest: sha-256=:")
        );
    }
}
