//! TCP ends: dialling a contact's host and port, and listening where `GLOBUS_TCP_PORT_RANGE` allows; for every protocol above.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

/// How long one address of a host may take to answer.
const CONNECT: Duration = Duration::from_secs(30);
/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Connects to the first address of `host` that answers; keepalive on, as stock clients have it.
pub async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
    for address in lookup_host((host, port)).await? {
        let attempt = tokio::time::timeout(CONNECT, TcpStream::connect(address));
        match attempt.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => {
                prepare(&stream)?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Socket options of every connection, dialled or accepted: keepalive, and no waiting to fill packets.
pub fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    Ok(sockopt::set_socket_keepalive(stream, true)?)
}

/// Listens on this address; the unspecified IPv6 address serves IPv4 too (dual-stack), and stands in for the IPv4 one
/// where a host has no IPv6.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let dual = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    match bind(address) {
        Err(error) if dual && lacks_ipv6(&error) => bind((Ipv4Addr::UNSPECIFIED, address.port()).into()),
        other => other,
    }
}

/// Listens on all addresses on a port of the range, or on any when there is none.
pub fn listen_in(range: Option<RangeInclusive<u16>>) -> io::Result<TcpListener> {
    let Some(range) = range else { return listen((Ipv6Addr::UNSPECIFIED, 0).into()) };
    let (first, last) = (*range.start(), *range.end());
    for port in range {
        match listen((Ipv6Addr::UNSPECIFIED, port).into()) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            other => return other,
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AddrInUse,
        format!("every port of GLOBUS_TCP_PORT_RANGE ({first} to {last}) is taken"),
    ))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn lacks_ipv6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

/// The range of `GLOBUS_TCP_PORT_RANGE`, `min,max` or `min max`; None when unset or not a range (which is logged).
pub fn port_range() -> Option<RangeInclusive<u16>> {
    let text = std::env::var("GLOBUS_TCP_PORT_RANGE").ok()?;
    let range = parse_range(&text);
    if range.is_none() {
        tracing::warn!(%text, "GLOBUS_TCP_PORT_RANGE is not `min,max`; any port is used");
    }
    range
}

fn parse_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.trim().split_once([',', ' '])?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first != 0 && first <= last).then_some(first..=last)
}

/// The name others reach this host by: `GLOBUS_HOSTNAME`, else the host's own name.
pub fn host_name() -> String {
    let named = std::env::var("GLOBUS_HOSTNAME").ok().filter(|name| !name.is_empty());
    named.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(parse_range("1000,1001"), Some(1000..=1001));
        assert_eq!(parse_range(" 1000 1001 "), Some(1000..=1001));
        for text in ["", "1000", "1001,1000", "0,5", "a,b", "1,70000"] {
            assert_eq!(parse_range(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn both_families_reach_a_listener() {
        let listener = listen_in(None).unwrap();
        let port = listener.local_addr().unwrap().port();
        dial("127.0.0.1", port).await.unwrap();
        listener.accept().await.unwrap();
        if listener.local_addr().unwrap().is_ipv6() {
            dial("::1", port).await.unwrap();
            listener.accept().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_full_range_says_so() {
        let taken = listen_in(None).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = listen_in(Some(port..=port)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains("GLOBUS_TCP_PORT_RANGE"));
    }
}
