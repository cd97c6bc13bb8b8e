//! Our acceptor, contacted by the stock `globusrun`.

use crate::site::{Site, USER, only, run, text};
use gsi::authority::Holder;
use gsi::tls::Versions;
use gsi::{Credential, KeyPool, Peer, ProxyFormat, ProxyKind};
use std::process::Output;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The reply to a ping, stray NUL included (gram.md §6.1).
const PONG: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-globus-gram\r\nContent-Length: 0\r\n\r\n\0";

/// Lets globusrun ping a gatekeeper that shows `host`; who came, what was delegated, and how globusrun liked it.
async fn ping(
    site: &Site,
    host: &Credential,
    subject: Option<&str>,
    versions: Versions,
) -> Option<(Peer, Output)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let contact = match subject {
        Some(subject) => format!("localhost:{port}:{subject}"),
        None => format!("localhost:{port}"),
    };
    let mut globusrun = site.stock("globusrun")?;
    globusrun.args(["-a", "-r", &contact]);
    only(&mut globusrun, versions);
    let acceptor = site.acceptor(host, Versions::Both);
    let serve = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let (mut stream, delegated) =
            acceptor.accept_gsi(tcp, &KeyPool::new(0, Duration::ZERO)).await.unwrap();
        assert!(delegated.is_none(), "a ping delegates nothing");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        assert!(request.starts_with(b"POST ping/"), "{}", String::from_utf8_lossy(&request));
        stream.write_all(PONG).await.unwrap();
        stream.shutdown().await.unwrap();
        stream.peer().clone()
    };
    Some(tokio::join!(serve, run(globusrun)))
}

async fn ping_with(format: ProxyFormat, kind: ProxyKind, versions: Versions) {
    let site = Site::new();
    site.proxy(format, kind);
    let Some((peer, output)) = ping(&site, &site.host, None, versions).await else { return };
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(peer.identity.as_str(), USER);
    assert_eq!(peer.limited, kind == ProxyKind::Limited);
}

#[tokio::test]
async fn rfc_proxy_over_tls_1_3() {
    ping_with(ProxyFormat::Rfc, ProxyKind::Full, Versions::Tls13).await;
}

#[tokio::test]
async fn rfc_proxy_over_tls_1_2() {
    ping_with(ProxyFormat::Rfc, ProxyKind::Full, Versions::Tls12).await;
}

#[tokio::test]
async fn limited_rfc_proxy() {
    ping_with(ProxyFormat::Rfc, ProxyKind::Limited, Versions::Both).await;
}

#[tokio::test]
async fn draft_proxy() {
    ping_with(ProxyFormat::Draft, ProxyKind::Full, Versions::Tls12).await;
}

#[tokio::test]
async fn limited_draft_proxy() {
    ping_with(ProxyFormat::Draft, ProxyKind::Limited, Versions::Tls13).await;
}

#[tokio::test]
async fn legacy_proxy() {
    ping_with(ProxyFormat::Legacy, ProxyKind::Full, Versions::Tls13).await;
}

#[tokio::test]
async fn limited_legacy_proxy() {
    ping_with(ProxyFormat::Legacy, ProxyKind::Limited, Versions::Tls12).await;
}

/// A contact with an explicit subject makes globusrun send its CN, blank included, as SNI (gsi.md §15.4).
async fn ping_a_name_with_a_blank(versions: Versions) {
    let site = Site::new();
    site.proxy(ProxyFormat::Rfc, ProxyKind::Full);
    let name = "/O=Grid/CN=A Gate Keeper";
    let host = site.issue(name, &Holder::Host { names: Vec::new() });
    let Some((peer, output)) = ping(&site, &host, Some(name), versions).await else { return };
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(peer.identity.as_str(), USER);
}

#[tokio::test]
async fn invalid_sni_over_tls_1_3() {
    ping_a_name_with_a_blank(Versions::Tls13).await;
}

#[tokio::test]
async fn invalid_sni_over_tls_1_2() {
    ping_a_name_with_a_blank(Versions::Tls12).await;
}

#[tokio::test]
async fn a_personal_gatekeeper_shows_a_proxy() {
    let site = Site::new();
    let proxy = site.proxy(ProxyFormat::Rfc, ProxyKind::Full);
    let Some((_, output)) = ping(&site, &proxy, Some(USER), Versions::Both).await else { return };
    assert!(output.status.success(), "{}", text(&output));
}
