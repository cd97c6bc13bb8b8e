//! What a peer may send before and during the establishment, and what happens when it sends something else.

use crate::site::Site;
use gsi::connection::ConnectionError;
use gsi::tls::Versions;
use gsi::{Connector, Expect, GsiError, KeyPool, SecureStream};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Our acceptor in GSI-wrapped style; what it makes of whatever `client` does.
async fn accept<F: Future<Output = ()>>(site: &Site, client: impl FnOnce(TcpStream) -> F) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = site.acceptor(&site.host, Versions::Both);
    let serve = async {
        let (tcp, _) = listener.accept().await.unwrap();
        acceptor.accept_gsi(tcp, &KeyPool::new(0, Duration::ZERO)).await.map(|_| ())
    };
    let connect = async { client(TcpStream::connect(address).await.unwrap()).await };
    let (served, ()) = tokio::join!(serve, connect);
    served.expect_err("the peer misbehaved").to_string()
}

/// Writes until the other side has had enough.
async fn pour(mut tcp: TcpStream, bytes: &[u8]) {
    let _ = tcp.write_all(bytes).await;
    let _ = tcp.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn other_protocols_are_told_from_gsi() {
    let site = Site::new();
    let error = accept(&site, |tcp| async move { pour(tcp, b"GET / HTTP/1.1\r\n\r\n").await }).await;
    assert!(error.contains("is the peer speaking GSI?"), "{error}");
}

#[tokio::test]
async fn a_peer_that_leaves_is_named() {
    let site = Site::new();
    let error = accept(&site, |tcp| async move { drop(tcp) }).await;
    assert!(error.contains("127.0.0.1:") && error.contains("closed the connection"), "{error}");
}

/// Silence before the handshake, and after its first bytes. One who says something now and then is no matter for this clock.
#[tokio::test]
async fn a_silent_peer_is_given_up() {
    let site = Site::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = site.acceptor(&site.host, Versions::Both).patient_for(Duration::from_millis(300));
    for (bytes, pause) in [(0, 0), (3, 100)] {
        let mut silent = TcpStream::connect(address).await.unwrap();
        let talk = async {
            for byte in [22, 3, 1].into_iter().take(bytes) {
                silent.write_all(&[byte]).await.unwrap();
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        };
        let begun = std::time::Instant::now();
        let (tcp, _) = listener.accept().await.unwrap();
        let (accepted, ()) = tokio::join!(acceptor.accept(tcp), talk);
        let error = accepted.unwrap_err();
        assert!(matches!(error, GsiError::Connection(ConnectionError::Idle { .. })), "{error}");
        let least = Duration::from_millis(300 + 2 * pause * u64::from(bytes > 0));
        assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_token_of_any_length_is_not_waited_for() {
    let site = Site::new();
    let error = accept(&site, |tcp| async move { pour(tcp, &[1, 255, 255, 255]).await }).await;
    assert!(error.contains("at most"), "{error}");
}

/// Empty tokens, each of which is permitted, without end.
#[tokio::test]
async fn the_bytes_before_authentication_are_counted() {
    let site = Site::new();
    let error = accept(&site, |tcp| async move { pour(tcp, &vec![0; 1 << 20]).await }).await;
    assert!(error.contains("before authentication"), "{error}");
}

/// A peer that is who it says it is, in plain TLS 1.2, where nothing is due between handshake and flag.
async fn authenticated<F: Future<Output = ()>>(then: impl FnOnce(SecureStream) -> F) -> String {
    let site = Site::new();
    let connector: Connector = site.connector(&site.user, Versions::Tls12);
    accept(&site, |tcp| async move {
        let stream = connector.connect(tcp, &Expect::Anyone).await.unwrap();
        then(stream).await;
    })
    .await
}

async fn send(stream: &mut SecureStream, message: &[u8]) {
    stream.write_all(message).await.unwrap();
    stream.flush().await.unwrap();
}

#[tokio::test]
async fn only_two_flags_exist() {
    let error = authenticated(|mut stream| async move { send(&mut stream, b"X").await }).await;
    assert!(error.contains("0x58"), "{error}");
}

#[tokio::test]
async fn a_certificate_longer_than_any_is_refused_by_its_header() {
    let error = authenticated(|mut stream| async move {
        send(&mut stream, b"D").await;
        send(&mut stream, &[0x30, 0x83, 0x7F, 0xFF, 0xFF, 0]).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    assert!(error.contains("at most 65536 are allowed"), "{error}");
}

#[tokio::test]
async fn something_else_than_a_certificate_is_refused() {
    for message in [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &[0x30, 0, 0, 0, 0, 0, 0]] {
        let error = authenticated(|mut stream| async move {
            send(&mut stream, b"D").await;
            send(&mut stream, message).await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        assert!(error.contains("delegated chain is malformed"), "{error}");
    }
}

#[tokio::test]
async fn lengths_in_band_are_limited() {
    let site = Site::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = site.acceptor(&site.host, Versions::Both);
    let connector = site.connector(&site.user, Versions::Both);
    let serve = async {
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await?;
        stream.accept_delegation_in_band(&KeyPool::new(0, Duration::ZERO)).await.map(|_| ())
    };
    let attack = async {
        let tcp = TcpStream::connect(address).await.unwrap();
        let mut stream = connector.connect(tcp, &Expect::Anyone).await.unwrap();
        send(&mut stream, &[0, 0, 0, 1, b'D']).await;
        let length = stream.read_u32().await.unwrap();
        stream.read_exact(&mut vec![0; length as usize]).await.unwrap();
        send(&mut stream, &u32::MAX.to_be_bytes()).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    let (served, ()): (Result<(), GsiError>, ()) = tokio::join!(serve, attack);
    let error = served.unwrap_err().to_string();
    assert!(error.contains("announced 4294967295 bytes"), "{error}");
}
