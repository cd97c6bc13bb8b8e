//! Secure connections: the two channel styles of gsi.md §1, as initiator and acceptor.
//!
//! Nothing here has a deadline; callers wrap what they await. Everything that is read before the peer is authenticated,
//! and every message of the establishment, is bounded in bytes.

mod establish;
mod stream;

pub use stream::SecureStream;

use crate::tls::{self, Framing, Transport, Verifier, Versions};
use crate::{Credential, DelegationMode, Expect, GsiError, KeyPool, Peer, TrustDirectory};
use rustix::net::sockopt;
use rustls::sign::SingleCertAndKey;
use rustls::{AlertDescription, ProtocolVersion};
use rustls_pki_types::ServerName;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// An idle peer is asked for a sign of life after this long, and dropped when several are unanswered.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_PROBES: u32 = 6;

/// How long a refused peer's connection is kept, so that it can read the alert.
const LINGER: Duration = Duration::from_secs(1);
/// How much of what it sends meanwhile is read, and thrown away.
const LINGER_BYTES: u64 = 64 * 1024;

/// What can go wrong on a connection, apart from the peer's credential being refused
/// ([`GsiError::Chain`](crate::GsiError)).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer closed the connection too early.
    #[error("{peer} closed the connection during {during}")]
    Closed {
        /// Who.
        peer: SocketAddr,
        /// What was going on.
        during: &'static str,
    },
    /// The peer refused, and said so in a TLS alert. With TLS 1.3 it may come after the handshake.
    #[error("{peer} refused the connection: {}", meaning(*alert))]
    Refused {
        /// Who.
        peer: SocketAddr,
        /// What it said.
        alert: AlertDescription,
    },
    /// The peer has no credential.
    #[error("{peer} showed no certificate; anonymous connections are not accepted")]
    Anonymous {
        /// Who.
        peer: SocketAddr,
    },
    /// No common version, or bytes that are not TLS or GSI.
    #[error("{peer} does not speak TLS as expected during {during}: {source}")]
    Protocol {
        /// Who.
        peer: SocketAddr,
        /// What was going on.
        during: &'static str,
        /// What the library says.
        source: io::Error,
    },
    /// Nothing came from it for too long.
    #[error("{peer} went silent during {during}: {source}")]
    Idle {
        /// Who.
        peer: SocketAddr,
        /// What was going on.
        during: &'static str,
        /// For how long.
        source: io::Error,
    },
    /// The socket failed.
    #[error("connection to {peer} failed during {during}: {source}")]
    Socket {
        /// Who.
        peer: SocketAddr,
        /// What was going on.
        during: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Neither `0` nor `D`.
    #[error("{peer} sent the delegation flag {flag:#04x}; only '0' and 'D' exist")]
    Flag {
        /// Who.
        peer: SocketAddr,
        /// What it sent.
        flag: u8,
    },
    /// A length that is not permitted in this place.
    #[error("{peer} announced {length} bytes during {during}; at most {limit} are taken")]
    TooLong {
        /// Who.
        peer: SocketAddr,
        /// What was going on.
        during: &'static str,
        /// Bytes announced.
        length: u64,
        /// Bytes taken.
        limit: usize,
    },
    /// Somebody else's credential was delegated.
    #[error("{peer} delegated a credential of {delegated}, but is {identity}")]
    ForeignDelegation {
        /// Who.
        peer: SocketAddr,
        /// Its identity.
        identity: crate::Subject,
        /// The identity of the delegated credential.
        delegated: crate::Subject,
    },
}

/// What an alert says about us, and what to do.
fn meaning(alert: AlertDescription) -> String {
    let known = match alert {
        AlertDescription::CertificateExpired => {
            "our credential has expired, or a clock is wrong; renew the credential"
        }
        AlertDescription::CertificateRevoked => "our certificate has been revoked",
        AlertDescription::UnknownCA => {
            "it does not trust the CA of our certificate; it needs that CA's files"
        }
        AlertDescription::CertificateRequired => "it wants a certificate and we showed none",
        AlertDescription::ProtocolVersion => "it speaks no TLS version that we do",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::DecryptError
        | AlertDescription::AccessDenied => "it does not accept our certificate; its log says why",
        other => return format!("TLS alert {other:?}"),
    };
    known.to_owned()
}

impl ConnectionError {
    /// Sorts an I/O error of the TLS library by blame.
    fn from_io(source: io::Error, peer: SocketAddr, during: &'static str) -> Self {
        let source = match source.downcast::<Self>() {
            Ok(sorted_already) => return sorted_already,
            Err(source) => source,
        };
        match source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::AlertReceived(alert)) => Self::Refused { peer, alert: *alert },
            Some(rustls::Error::NoCertificatesPresented) => Self::Anonymous { peer },
            _ if source.kind() == io::ErrorKind::UnexpectedEof => Self::Closed { peer, during },
            _ if source.kind() == io::ErrorKind::TimedOut => Self::Idle { peer, during, source },
            _ if source.kind() == io::ErrorKind::InvalidData => Self::Protocol { peer, during, source },
            _ => Self::Socket { peer, during, source },
        }
    }
}

/// What both sides need, made once per credential.
#[derive(Clone)]
struct Side {
    credential: Credential,
    shown: Arc<SingleCertAndKey>,
    trust: TrustDirectory,
    versions: Versions,
    patience: Option<Duration>,
}

impl Side {
    fn new(credential: &Credential, trust: &TrustDirectory, versions: Versions) -> Arc<Self> {
        let shown = tls::presented(credential);
        let (credential, trust) = (credential.clone(), trust.clone());
        Arc::new(Self { credential, shown, trust, versions, patience: None })
    }

    fn debug(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name).field("credential", &self.credential).field("versions", &self.versions).finish()
    }
}

/// The initiating side: one per credential, reused for many connections; cheap to clone.
#[derive(Clone)]
pub struct Connector {
    side: Arc<Side>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.side.debug("Connector", f)
    }
}

impl Connector {
    /// With this credential, trusting this directory, TLS versions from the environment.
    ///
    /// # Errors
    /// When the environment asks for a TLS version that does not exist.
    pub fn new(credential: &Credential, trust: &TrustDirectory) -> Result<Self, GsiError> {
        Ok(Self::with_versions(credential, trust, Versions::from_environment()?))
    }

    /// With these TLS versions.
    #[must_use]
    pub fn with_versions(credential: &Credential, trust: &TrustDirectory, versions: Versions) -> Self {
        Self { side: Side::new(credential, trust, versions) }
    }

    /// The credential.
    #[must_use]
    pub fn credential(&self) -> &Credential {
        &self.side.credential
    }

    /// SSL-compatible style: plain TLS, for job contacts, call-backs and GASS.
    ///
    /// # Errors
    /// When the handshake fails, the peer's chain is refused, or the peer is not the expected one.
    pub async fn connect(&self, tcp: TcpStream, expect: &Expect) -> Result<SecureStream, GsiError> {
        self.handshake(tcp, expect, Framing::Plain).await
    }

    /// GSI-wrapped style, for the gatekeeper: handshake, flag, delegation.
    ///
    /// # Errors
    /// As [`Connector::connect`], and when the delegation fails.
    pub async fn connect_gsi(
        &self,
        tcp: TcpStream,
        expect: &Expect,
        mode: DelegationMode,
    ) -> Result<SecureStream, GsiError> {
        let mut stream = self.handshake(tcp, expect, Framing::Tokens).await?;
        establish::initiate(&mut stream, &self.side.credential, mode).await?;
        Ok(stream)
    }

    async fn handshake(
        &self,
        tcp: TcpStream,
        expect: &Expect,
        framing: Framing,
    ) -> Result<SecureStream, GsiError> {
        let address = prepare(&tcp)?;
        let verifier = Verifier::new(&self.side.trust);
        let config = tls::initiator(self.side.versions, Arc::clone(&self.side.shown), Arc::clone(&verifier))?;
        let transport = Transport::connecting(tcp, framing);
        let connected = TlsConnector::from(config).connect(server_name(expect), transport).await;
        let (tls, peer) = authenticated(connected.map(TlsStream::Client), &verifier, address)?;
        expect.accepts(&peer, self.side.credential.identity())?;
        Ok(SecureStream::new(tls, peer, address, self.side.trust.clone()))
    }
}

/// The accepting side: one per credential; cheap to clone.
#[derive(Clone)]
pub struct Acceptor {
    side: Arc<Side>,
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.side.debug("Acceptor", f)
    }
}

impl Acceptor {
    /// Shows this credential, trusts this directory, TLS versions from the environment.
    ///
    /// # Errors
    /// When the environment asks for a TLS version that does not exist.
    pub fn new(credential: &Credential, trust: &TrustDirectory) -> Result<Self, GsiError> {
        Ok(Self::with_versions(credential, trust, Versions::from_environment()?))
    }

    /// With these TLS versions.
    #[must_use]
    pub fn with_versions(credential: &Credential, trust: &TrustDirectory, versions: Versions) -> Self {
        Self { side: Side::new(credential, trust, versions) }
    }

    /// The credential.
    #[must_use]
    pub fn credential(&self) -> &Credential {
        &self.side.credential
    }

    /// Gives a peer up ([`ConnectionError::Idle`]) when nothing comes from it for so long while something is waited for.
    #[must_use]
    pub fn patient_for(self, patience: Duration) -> Self {
        Self { side: Arc::new(Side { patience: Some(patience), ..(*self.side).clone() }) }
    }

    /// SSL-compatible style.
    ///
    /// # Errors
    /// When the handshake fails, or the peer is anonymous or its chain refused.
    pub async fn accept(&self, tcp: TcpStream) -> Result<SecureStream, GsiError> {
        self.handshake(tcp, Framing::Plain).await
    }

    /// GSI-wrapped style with the flag byte; the delegated credential when the peer delegated.
    ///
    /// # Errors
    /// As [`Acceptor::accept`], and when the delegation fails.
    pub async fn accept_gsi(
        &self,
        tcp: TcpStream,
        keys: &KeyPool,
    ) -> Result<(SecureStream, Option<Credential>), GsiError> {
        let mut stream = self.handshake(tcp, Framing::Tokens).await?;
        let delegated = establish::respond(&mut stream, keys).await?;
        Ok((stream, delegated))
    }

    async fn handshake(&self, tcp: TcpStream, framing: Framing) -> Result<SecureStream, GsiError> {
        let address = prepare(&tcp)?;
        let verifier = Verifier::new(&self.side.trust);
        let config = tls::acceptor(self.side.versions, Arc::clone(&self.side.shown), Arc::clone(&verifier))?;
        let transport = Transport::accepting(tcp, framing).patient_for(self.side.patience);
        let accepting = TlsAcceptor::from(config).accept(transport).into_fallible();
        let accepted = accepting.await.map_err(|(error, transport)| {
            linger(transport);
            error
        });
        let (tls, peer) = authenticated(accepted.map(TlsStream::Server), &verifier, address)?;
        Ok(SecureStream::new(tls, peer, address, self.side.trust.clone()))
    }
}

/// The peer behind a finished handshake, or why there is none. What the chain check found comes first: TLS only knows
/// that it failed.
fn authenticated(
    handshake: io::Result<TlsStream<Transport>>,
    verifier: &Verifier,
    address: SocketAddr,
) -> Result<(TlsStream<Transport>, Peer), GsiError> {
    const HANDSHAKE: &str = "the TLS handshake";
    match (handshake, verifier.take_verdict()) {
        (Ok(mut tls), Some(Ok(peer))) => {
            tls.get_mut().0.established();
            Ok((tls, peer))
        }
        (_, Some(Err(refusal))) => Err(refusal),
        (Ok(_), None) => Err(ConnectionError::Anonymous { peer: address }.into()),
        (Err(source), _) => Err(ConnectionError::from_io(source, address, HANDSHAKE).into()),
    }
}

/// Lets a refused peer find out why. In TLS 1.3 it may have sent its first request already; closing with that unread
/// would reset the connection, and the peer would fail in the middle of writing, the alert unseen.
fn linger(mut transport: Transport) {
    let drain = async move {
        transport.shutdown().await?;
        tokio::io::copy(&mut transport.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    tokio::spawn(tokio::time::timeout(LINGER, drain));
}

/// The SNI: the name in host authorization. In the other modes none, which an address stands for; a common name, as the
/// stock initiator sends it, is no DNS name (§2).
fn server_name(expect: &Expect) -> ServerName<'static> {
    let host = match expect {
        Expect::Host(host) => ServerName::try_from(host.clone()).ok(),
        Expect::Identity(_) | Expect::Myself | Expect::Anyone => None,
    };
    host.unwrap_or_else(|| ServerName::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST)))
}

/// Socket options; the peer's address.
fn prepare(tcp: &TcpStream) -> io::Result<SocketAddr> {
    // Messages are written whole; waiting to merge them would only delay the short ones of the establishment.
    tcp.set_nodelay(true)?;
    sockopt::set_socket_keepalive(tcp, true)?;
    sockopt::set_tcp_keepidle(tcp, KEEPALIVE_AFTER)?;
    sockopt::set_tcp_keepintvl(tcp, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(tcp, KEEPALIVE_PROBES)?;
    tcp.peer_addr()
}

/// Whether the acceptor sends a synchronising byte (§4): in TLS 1.3, where its last flight does not end the handshake.
fn has_synchronising_byte(version: Option<ProtocolVersion>) -> bool {
    version == Some(ProtocolVersion::TLSv1_3)
}
