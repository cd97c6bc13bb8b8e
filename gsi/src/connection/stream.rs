//! An authenticated stream.

use super::{ConnectionError, establish, has_synchronising_byte};
use crate::tls::Transport;
use crate::{Credential, DelegationMode, GsiError, KeyPool, Peer, TrustDirectory};
use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsStream;

/// An authenticated stream; reads give end of stream when the peer closes without close_notify (stock peers always do).
///
/// A write of up to 16 KiB leaves as one TLS record. Call `shutdown` when done: it flushes, says goodbye and closes the
/// sending direction.
pub struct SecureStream {
    tls: TlsStream<Transport>,
    peer: Peer,
    address: SocketAddr,
    trust: TrustDirectory,
}

impl fmt::Debug for SecureStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecureStream")
            .field("peer", &self.peer.subject)
            .field("address", &self.address)
            .finish()
    }
}

impl SecureStream {
    pub(super) fn new(
        tls: TlsStream<Transport>,
        peer: Peer,
        address: SocketAddr,
        trust: TrustDirectory,
    ) -> Self {
        Self { tls, peer, address, trust }
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Where the other end is.
    #[must_use]
    pub fn peer_address(&self) -> SocketAddr {
        self.address
    }

    /// Our end.
    ///
    /// # Errors
    /// When the system does not know it any more.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.tls.get_ref().0.tcp().local_addr()
    }

    /// Initiator side of in-band delegation (GRAM `renew`): sends 'D', signs the request, sends the chain.
    ///
    /// # Errors
    /// When the connection fails, or the request is refused.
    pub async fn delegate_in_band(
        &mut self,
        credential: &Credential,
        mode: DelegationMode,
    ) -> Result<(), GsiError> {
        establish::delegate_in_band(self, credential, mode).await
    }

    /// Acceptor side of in-band delegation.
    ///
    /// # Errors
    /// When the connection fails, or what is delegated is not a valid credential of the peer.
    pub async fn accept_delegation_in_band(&mut self, keys: &KeyPool) -> Result<Credential, GsiError> {
        establish::accept_in_band(self, keys).await
    }

    pub(super) fn trust(&self) -> &TrustDirectory {
        &self.trust
    }

    pub(super) fn has_synchronising_byte(&self) -> bool {
        has_synchronising_byte(self.tls.get_ref().1.protocol_version())
    }

    /// Sends one message of the establishment as its own TLS record.
    pub(super) async fn send(&mut self, message: &[u8], during: &'static str) -> Result<(), ConnectionError> {
        let sent = match self.write_all(message).await {
            Ok(()) => self.flush().await,
            failed => failed,
        };
        sent.map_err(|error| ConnectionError::from_io(error, self.address, during))
    }

    /// Reads exactly so many bytes.
    pub(super) async fn receive(
        &mut self,
        buffer: &mut [u8],
        during: &'static str,
    ) -> Result<(), ConnectionError> {
        let received = self.read_exact(buffer).await;
        received.map(|_| ()).map_err(|error| ConnectionError::from_io(error, self.address, during))
    }
}

/// In TLS 1.3 the acceptor's refusal arrives as an alert in the place of the first reply; callers see an I/O error that
/// says so.
fn explain(error: io::Error, peer: SocketAddr) -> io::Error {
    match ConnectionError::from_io(error, peer, "the exchange") {
        ConnectionError::Socket { source, .. } => source,
        sorted => io::Error::new(io::ErrorKind::ConnectionAborted, sorted),
    }
}

impl AsyncRead for SecureStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.tls).poll_read(cx, buf) {
            // No close_notify. Whether the message was complete, its own framing tells (§2).
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(explain(error, self.address))),
            other => other,
        }
    }
}

impl AsyncWrite for SecureStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, buf)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}
