//! Our connector against our acceptor.

use crate::site::{Site, USER};
use gsi::authority::Holder;
use gsi::tls::Versions;
use gsi::{
    Acceptor, Connector, Credential, DelegationMode, Expect, GsiError, KeyPool, ProxyFormat, ProxyKind,
    SecureStream,
};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn no_reuse() -> KeyPool {
    KeyPool::new(0, Duration::ZERO)
}

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (connected, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    (connected.unwrap(), accepted.unwrap().0)
}

type Delegated = Result<(SecureStream, Option<Credential>), GsiError>;

async fn gsi(
    connector: &Connector,
    acceptor: &Acceptor,
    expect: &Expect,
    mode: DelegationMode,
) -> (Result<SecureStream, GsiError>, Delegated) {
    let (initiator, responder) = sockets().await;
    let keys = no_reuse();
    tokio::join!(connector.connect_gsi(initiator, expect, mode), acceptor.accept_gsi(responder, &keys))
}

async fn plain(connector: &Connector, acceptor: &Acceptor, expect: &Expect) -> (SecureStream, SecureStream) {
    let (initiator, responder) = sockets().await;
    let (client, server) = tokio::join!(connector.connect(initiator, expect), acceptor.accept(responder));
    (client.unwrap(), server.unwrap())
}

fn localhost() -> Expect {
    Expect::Host("localhost".to_owned())
}

#[tokio::test]
async fn delegation_in_every_format_mode_and_version() {
    let site = Site::new();
    for format in [ProxyFormat::Rfc, ProxyFormat::Draft, ProxyFormat::Legacy] {
        let proxy = site.proxy(format, ProxyKind::Full);
        for (versions, mode) in
            [(Versions::Tls12, DelegationMode::Full), (Versions::Tls13, DelegationMode::Limited)]
        {
            let connector = site.connector(&proxy, versions);
            let acceptor = site.acceptor(&site.host, Versions::Both);
            let (connected, accepted) = gsi(&connector, &acceptor, &localhost(), mode).await;
            connected.unwrap();
            let (stream, delegated) = accepted.unwrap();
            let delegated = delegated.unwrap();
            assert_eq!(stream.peer().identity.as_str(), USER);
            assert_eq!(delegated.identity().as_str(), USER);
            assert_eq!(delegated.is_limited(), mode == DelegationMode::Limited);
            assert_eq!(delegated.chain().len(), 3, "delegated proxy, proxy, user");
            gsi::chain::verify(delegated.chain(), &site.trust(), jiff::Timestamp::now()).unwrap();
        }
    }
}

#[tokio::test]
async fn without_delegation_nothing_is_delegated() {
    let site = Site::new();
    let connector = site.connector(&site.user, Versions::Both);
    let acceptor = site.acceptor(&site.host, Versions::Both);
    let (connected, accepted) = gsi(&connector, &acceptor, &localhost(), DelegationMode::None).await;
    connected.unwrap();
    assert!(accepted.unwrap().1.is_none());
}

#[tokio::test]
async fn delegation_in_band_carries_the_whole_chain() {
    let site = Site::new();
    let proxy = site.proxy(ProxyFormat::Rfc, ProxyKind::Full);
    let connector = site.connector(&proxy, Versions::Both);
    // A job contact shows a proxy of the same person.
    let acceptor = site.acceptor(&proxy, Versions::Both);
    let (mut client, mut server) = plain(&connector, &acceptor, &Expect::Myself).await;
    let keys = no_reuse();
    let (sent, received) = tokio::join!(
        client.delegate_in_band(&proxy, DelegationMode::Limited),
        server.accept_delegation_in_band(&keys)
    );
    sent.unwrap();
    let received = received.unwrap();
    assert_eq!(received.identity().as_str(), USER);
    assert!(received.is_limited());
}

#[tokio::test]
async fn somebody_elses_credential_cannot_be_delegated_in_band() {
    let site = Site::new();
    let other = site.issue("/O=Grid/CN=Somebody Else", &Holder::User);
    let connector = site.connector(&site.user, Versions::Both);
    let acceptor = site.acceptor(&site.host, Versions::Both);
    let (mut client, mut server) = plain(&connector, &acceptor, &localhost()).await;
    let keys = no_reuse();
    let (_, received) = tokio::join!(
        client.delegate_in_band(&other, DelegationMode::Full),
        server.accept_delegation_in_band(&keys)
    );
    let error = received.unwrap_err().to_string();
    assert!(error.contains("Somebody Else"), "{error}");
}

#[tokio::test]
async fn the_end_without_close_notify_is_a_clean_end() {
    let site = Site::new();
    let connector = site.connector(&site.user, Versions::Both);
    let acceptor = site.acceptor(&site.host, Versions::Both);
    let (mut client, mut server) = plain(&connector, &acceptor, &localhost()).await;
    client.write_all(b"goodbye").await.unwrap();
    client.flush().await.unwrap();
    drop(client);
    let mut text = String::new();
    server.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "goodbye");
}

#[tokio::test]
async fn the_acceptor_says_which_rule_refused_the_peer() {
    let site = Site::new();
    // Same CA name, another key: signed by nobody the site trusts.
    let elsewhere = Site::elsewhere();
    for versions in [Versions::Tls12, Versions::Tls13] {
        let connector = Connector::with_versions(&elsewhere.user, &site.trust(), versions);
        let acceptor = site.acceptor(&site.host, Versions::Both);
        let (connected, accepted) = gsi(&connector, &acceptor, &localhost(), DelegationMode::None).await;
        let refusal = accepted.unwrap_err();
        assert!(matches!(refusal, GsiError::Chain(_)), "{refusal}");
        let told = connected.unwrap_err().to_string();
        assert!(told.contains("refused the connection: it does not"), "{told}");
    }
}

#[tokio::test]
async fn the_connector_refuses_another_host() {
    let site = Site::new();
    let connector = site.connector(&site.user, Versions::Both);
    let acceptor = site.acceptor(&site.host, Versions::Both);
    let elsewhere = Expect::Host("elsewhere.example".to_owned());
    let (connected, accepted) = gsi(&connector, &acceptor, &elsewhere, DelegationMode::Full).await;
    connected.unwrap_err();
    accepted.unwrap_err();
}

/// In TLS 1.3 the refusal comes after the initiator has begun to send; it must still be seen, and not as a reset.
#[tokio::test]
async fn a_refusal_is_read_in_the_place_of_the_reply() {
    let (site, elsewhere) = (Site::new(), Site::elsewhere());
    let connector = Connector::with_versions(&elsewhere.user, &site.trust(), Versions::Tls13);
    let acceptor = site.acceptor(&site.host, Versions::Both);
    for _ in 0..20 {
        let (initiator, responder) = sockets().await;
        let serve = async { acceptor.accept(responder).await.unwrap_err() };
        let ask = async {
            let mut stream = connector.connect(initiator, &localhost()).await.unwrap();
            for _ in 0..3 {
                stream.write_all(&[b'x'; 8000]).await.unwrap();
                stream.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
            stream.read_to_end(&mut Vec::new()).await.unwrap_err()
        };
        let (_, told) = tokio::join!(serve, ask);
        assert!(told.to_string().contains("refused the connection: it does not"), "{told}");
    }
}

/// A relay between two of us that keeps every byte from the acceptor.
async fn relayed(connector: &Connector, acceptor: &Acceptor, message: &[u8]) -> Vec<u8> {
    let (initiator, front) = sockets().await;
    let (back, responder) = sockets().await;
    let relay = tokio::spawn(async move {
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
            (front.into_split(), back.into_split());
        let upstream = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
        let mut seen = Vec::new();
        let mut chunk = vec![0; 65536];
        loop {
            match from_server.read(&mut chunk).await.unwrap() {
                0 => break,
                count => {
                    seen.extend_from_slice(&chunk[..count]);
                    to_client.write_all(&chunk[..count]).await.unwrap();
                }
            }
        }
        upstream.abort();
        seen
    });
    let send = async {
        let mut stream = acceptor.accept(responder).await.unwrap();
        stream.write_all(message).await.unwrap();
        stream.shutdown().await.unwrap();
    };
    let receive = async {
        let mut stream = connector.connect(initiator, &localhost()).await.unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, message);
    };
    tokio::join!(send, receive);
    relay.await.unwrap()
}

/// Stock readers hang when a header and its body come in different records (gram.md §3).
#[tokio::test]
async fn what_is_written_at_once_leaves_in_one_record() {
    const APPLICATION_DATA: u8 = 23;
    let site = Site::new();
    let connector = site.connector(&site.user, Versions::Tls12);
    let acceptor = site.acceptor(&site.host, Versions::Both);
    let message = vec![b'x'; 16 * 1024];
    let seen = relayed(&connector, &acceptor, &message).await;
    let mut rest = &seen[..];
    let mut records = Vec::new();
    while let [kind, _, _, high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        records.push((*kind, length));
        rest = &after[length..];
    }
    let data: Vec<usize> =
        records.iter().filter(|(kind, _)| *kind == APPLICATION_DATA).map(|(_, n)| *n).collect();
    assert!(matches!(data[..], [length] if length >= message.len()), "{records:?}");
}
