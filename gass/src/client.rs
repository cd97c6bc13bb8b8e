//! GET, PUT and append of one file by URL (gass.md §3).

use crate::{GassError, Url};
use gsi::{Credential, Expect, TrustDirectory};
use tokio::io::{AsyncRead, AsyncWrite};

/// Transfers with one credential; deadlines on connect and on every idle period.
#[derive(Clone)]
pub struct Client {/* gsi::Connector */}

impl Client {
    /// With this credential and trust.
    pub fn new(_credential: &Credential, _trust: &TrustDirectory) -> Result<Self, GassError> {
        todo!()
    }
    /// Fetches into `sink`; returns bytes. A body shorter than announced is an error.
    pub async fn get(
        &self,
        _url: &Url,
        _expect: &Expect,
        _sink: &mut (dyn AsyncWrite + Unpin + Send),
    ) -> Result<u64, GassError> {
        todo!()
    }
    /// Replaces the file (chunked PUT).
    pub async fn put(
        &self,
        _url: &Url,
        _expect: &Expect,
        _source: &mut (dyn AsyncRead + Unpin + Send),
    ) -> Result<u64, GassError> {
        todo!()
    }
    /// Appends to the file.
    pub async fn append(
        &self,
        _url: &Url,
        _expect: &Expect,
        _source: &mut (dyn AsyncRead + Unpin + Send),
    ) -> Result<u64, GassError> {
        todo!()
    }
}
