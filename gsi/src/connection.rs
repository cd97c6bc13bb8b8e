//! Secure connections: the two channel styles of gsi.md §1, as initiator and acceptor.

use crate::{Credential, DelegationMode, Expect, GsiError, KeyPool, Peer, TrustDirectory};
use tokio::net::TcpStream;

/// An authenticated stream; reads give end of stream when the peer closes without close_notify (stock peers always do).
#[derive(Debug)]
pub struct SecureStream {/* AsyncRead + AsyncWrite + Unpin + Send */}

impl SecureStream {
    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        todo!()
    }
    /// Initiator side of in-band delegation (GRAM `renew`): sends 'D', signs the request, sends the chain.
    pub async fn delegate_in_band(
        &mut self,
        _credential: &Credential,
        _mode: DelegationMode,
    ) -> Result<(), GsiError> {
        todo!()
    }
    /// Acceptor side of in-band delegation.
    pub async fn accept_delegation_in_band(&mut self, _keys: &KeyPool) -> Result<Credential, GsiError> {
        todo!()
    }
}

impl tokio::io::AsyncRead for SecureStream {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
        _buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        todo!()
    }
}
impl tokio::io::AsyncWrite for SecureStream {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
        _buf: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        todo!()
    }
    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        todo!()
    }
    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        todo!()
    }
}

/// The initiating side: one per credential, reused for many connections; cheap to clone.
#[derive(Clone)]
pub struct Connector {/* Arc */}

impl Connector {
    /// With this credential, trusting this directory, TLS versions from the environment.
    pub fn new(_credential: &Credential, _trust: &TrustDirectory) -> Result<Self, GsiError> {
        todo!()
    }
    /// The credential.
    pub fn credential(&self) -> &Credential {
        todo!()
    }
    /// SSL-compatible style: plain TLS, for job contacts, call-backs and GASS.
    pub async fn connect(&self, _tcp: TcpStream, _expect: &Expect) -> Result<SecureStream, GsiError> {
        todo!()
    }
    /// GSI-wrapped style, for the gatekeeper: handshake, flag, delegation.
    pub async fn connect_gsi(
        &self,
        _tcp: TcpStream,
        _expect: &Expect,
        _mode: DelegationMode,
    ) -> Result<SecureStream, GsiError> {
        todo!()
    }
}

/// The accepting side: one per credential; cheap to clone.
#[derive(Clone)]
pub struct Acceptor {/* Arc */}

impl Acceptor {
    /// Shows this credential, trusts this directory.
    pub fn new(_credential: &Credential, _trust: &TrustDirectory) -> Result<Self, GsiError> {
        todo!()
    }
    /// SSL-compatible style.
    pub async fn accept(&self, _tcp: TcpStream) -> Result<SecureStream, GsiError> {
        todo!()
    }
    /// GSI-wrapped style with the flag byte; the delegated credential when the peer delegated.
    pub async fn accept_gsi(
        &self,
        _tcp: TcpStream,
        _keys: &KeyPool,
    ) -> Result<(SecureStream, Option<Credential>), GsiError> {
        todo!()
    }
}
