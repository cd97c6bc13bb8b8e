//! What follows the TLS handshake: synchronising byte, flag, delegation (gsi.md §4), and delegation in-band.

use super::{ConnectionError, SecureStream};
use crate::certificate::MAX_CERTIFICATE_BYTES;
use crate::delegation::{self, DelegationError};
use crate::der::{self, DerError};
use crate::request::MAX_REQUEST;
use crate::{Certificate, Credential, DelegationMode, GsiError, KeyPool, chain};
use jiff::Timestamp;

/// The longest chain that is taken in-band, in bytes.
const MAX_CHAIN_BYTES: usize = 256 * 1024;

const NO_DELEGATION: u8 = b'0';
const DELEGATION: u8 = b'D';

const FLAG: &str = "the exchange of the delegation flag";
const REQUEST: &str = "the delegation request";
const CERTIFICATE: &str = "the delegation";

/// Initiator, steps 4 to 7.
pub(super) async fn initiate(
    stream: &mut SecureStream,
    credential: &Credential,
    mode: DelegationMode,
) -> Result<(), GsiError> {
    if stream.has_synchronising_byte() {
        // Its value means nothing.
        stream.receive(&mut [0], FLAG).await?;
    }
    if mode == DelegationMode::None {
        return Ok(stream.send(&[NO_DELEGATION], FLAG).await?);
    }
    stream.send(&[DELEGATION], FLAG).await?;
    let request = receive_element(stream, MAX_REQUEST, REQUEST).await?;
    let certificate = delegation::sign(credential, &request, mode)?;
    Ok(stream.send(certificate.der(), CERTIFICATE).await?)
}

/// Acceptor, steps 4 to 7.
pub(super) async fn respond(
    stream: &mut SecureStream,
    keys: &KeyPool,
) -> Result<Option<Credential>, GsiError> {
    if stream.has_synchronising_byte() {
        stream.send(&[0], FLAG).await?;
    }
    match receive_flag(stream).await? {
        NO_DELEGATION => Ok(None),
        DELEGATION => {
            let key = keys.key_for(stream.peer().owner()).await?;
            stream.send(key.request(), REQUEST).await?;
            let certificate = receive_element(stream, MAX_CERTIFICATE_BYTES, CERTIFICATE).await?;
            let certificate = Certificate::from_der(&certificate)?;
            let delegated = delegation::assemble(certificate, key.key(), &stream.peer().chain)?;
            check(stream, delegated.chain())?;
            Ok(Some(delegated))
        }
        flag => Err(ConnectionError::Flag { peer: stream.peer_address(), flag }.into()),
    }
}

async fn receive_flag(stream: &mut SecureStream) -> Result<u8, ConnectionError> {
    let mut flag = [0];
    stream.receive(&mut flag, FLAG).await?;
    let [flag] = flag;
    Ok(flag)
}

/// Reads one DER element, as long as it says it is, whatever records it comes in.
async fn receive_element(
    stream: &mut SecureStream,
    limit: usize,
    during: &'static str,
) -> Result<Vec<u8>, GsiError> {
    // The shortest element that has a meaning here is longer than the longest header.
    const LONGEST_HEADER: usize = 6;
    let mut element = vec![0; LONGEST_HEADER];
    stream.receive(&mut element, during).await?;
    let malformed = |error| GsiError::from(DelegationError::Malformed(error));
    match element.first() {
        Some(&der::SEQUENCE) => {}
        found => {
            let found = found.copied().unwrap_or_default();
            return Err(malformed(DerError::UnexpectedTag { expected: der::SEQUENCE, found }));
        }
    }
    let length = der::element_length(&element, limit).map_err(malformed)?.unwrap_or_default();
    if length < LONGEST_HEADER {
        return Err(malformed(DerError::Truncated));
    }
    element.resize(length, 0);
    stream.receive(element.get_mut(LONGEST_HEADER..).unwrap_or_default(), during).await?;
    Ok(element)
}

/// Initiator of in-band delegation: here every message has a length, and the chain follows the certificate.
pub(super) async fn delegate_in_band(
    stream: &mut SecureStream,
    credential: &Credential,
    mode: DelegationMode,
) -> Result<(), GsiError> {
    if mode == DelegationMode::None {
        return Err(DelegationError::NotWanted.into());
    }
    send_counted(stream, &[DELEGATION], FLAG).await?;
    let request = receive_counted(stream, MAX_REQUEST, REQUEST).await?;
    let certificate = delegation::sign(credential, &request, mode)?;
    Ok(send_counted(stream, &delegation::join(&certificate, credential), CERTIFICATE).await?)
}

/// Acceptor of in-band delegation. The chain may be another than that of the connection, so all of it is checked, and
/// it must be the same person's.
pub(super) async fn accept_in_band(
    stream: &mut SecureStream,
    keys: &KeyPool,
) -> Result<Credential, GsiError> {
    match receive_counted(stream, 1, FLAG).await?.as_slice() {
        [DELEGATION] => {}
        [flag] => return Err(ConnectionError::Flag { peer: stream.peer_address(), flag: *flag }.into()),
        _ => return Err(ConnectionError::Flag { peer: stream.peer_address(), flag: 0 }.into()),
    }
    let key = keys.key_for(stream.peer().owner()).await?;
    send_counted(stream, key.request(), REQUEST).await?;
    let chain = delegation::split(&receive_counted(stream, MAX_CHAIN_BYTES, CERTIFICATE).await?)?;
    check(stream, &chain)?;
    let (certificate, issuers) = chain.split_first().ok_or(DelegationError::NoChain)?;
    delegation::assemble(certificate.clone(), key.key(), issuers)
}

/// Judges what was delegated as strictly as what was shown in the handshake, and it must be the same person's: a
/// credential that nobody would accept is refused now, not when the job needs it.
fn check(stream: &SecureStream, delegated: &[Certificate]) -> Result<(), GsiError> {
    let delegated = chain::verify(delegated, stream.trust(), Timestamp::now())?;
    if delegated.identity == stream.peer().identity {
        return Ok(());
    }
    let identity = stream.peer().identity.clone();
    let (peer, delegated) = (stream.peer_address(), delegated.identity);
    Err(ConnectionError::ForeignDelegation { peer, identity, delegated }.into())
}

async fn send_counted(
    stream: &mut SecureStream,
    message: &[u8],
    during: &'static str,
) -> Result<(), ConnectionError> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    stream.send(&[&length.to_be_bytes(), message].concat(), during).await
}

async fn receive_counted(
    stream: &mut SecureStream,
    limit: usize,
    during: &'static str,
) -> Result<Vec<u8>, ConnectionError> {
    let mut length = [0; 4];
    stream.receive(&mut length, during).await?;
    let announced = u32::from_be_bytes(length);
    let Some(length) = usize::try_from(announced).ok().filter(|length| *length <= limit) else {
        let length = u64::from(announced);
        return Err(ConnectionError::TooLong { peer: stream.peer_address(), during, length, limit });
    };
    let mut message = vec![0; length];
    stream.receive(&mut message, during).await?;
    Ok(message)
}
