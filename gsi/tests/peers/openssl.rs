//! The SSL-compatible style against `openssl`, which can be made to do what stock Globus peers do rarely.

use crate::site::{Site, USER, run, text};
use gsi::tls::Versions;
use gsi::{Expect, GsiError, ProxyFormat, ProxyKind};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Lets `openssl s_client` connect with these options; what it printed, and what our side made of it.
async fn s_client(site: &Site, options: &[&str]) -> Option<(String, Result<String, GsiError>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = site.stock("openssl")?;
    let address = listener.local_addr().unwrap().to_string();
    client.args(["s_client", "-connect", &address, "-msg", "-ign_eof"]).args(options).stdin(Stdio::null());
    let acceptor = site.acceptor(&site.host, Versions::Both);
    let serve = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(tcp).await?;
        stream.write_all(b"welcome\n").await.unwrap();
        stream.shutdown().await.unwrap();
        Ok(stream.peer().identity.as_str().to_owned())
    };
    let (served, output) = tokio::join!(serve, run(client));
    Some((text(&output), served))
}

const CREDENTIAL: [&str; 6] = ["-cert", "proxy", "-key", "proxy", "-cert_chain", "usercert.pem"];

fn hellos(printed: &str) -> usize {
    printed.matches("ClientHello").count()
}

fn site_with_proxy() -> Site {
    let site = Site::new();
    site.proxy(ProxyFormat::Rfc, ProxyKind::Full);
    site
}

async fn greeted(site: &Site, options: &[&str], hellos_expected: usize) {
    let options = [&CREDENTIAL[..], options].concat();
    let Some((printed, served)) = s_client(site, &options).await else { return };
    assert_eq!(served.unwrap(), USER, "{printed}");
    assert!(printed.contains("welcome"), "{printed}");
    assert_eq!(hellos(&printed), hellos_expected, "{printed}");
}

#[tokio::test]
async fn valid_invalid_and_absent_names_over_tls_1_3() {
    let site = site_with_proxy();
    greeted(&site, &["-tls1_3", "-servername", "localhost"], 1).await;
    greeted(&site, &["-tls1_3", "-servername", "Grid User"], 1).await;
    greeted(&site, &["-tls1_3", "-noservername"], 1).await;
}

#[tokio::test]
async fn valid_invalid_and_absent_names_over_tls_1_2() {
    let site = site_with_proxy();
    greeted(&site, &["-tls1_2", "-servername", "localhost"], 1).await;
    greeted(&site, &["-tls1_2", "-servername", "Grid User"], 1).await;
    greeted(&site, &["-tls1_2", "-noservername"], 1).await;
}

/// The key share is for a group we do not have, so a HelloRetryRequest asks for another, and the invalid SNI comes twice.
#[tokio::test]
async fn invalid_name_with_a_hello_retry_request() {
    let site = site_with_proxy();
    greeted(&site, &["-tls1_3", "-servername", "Grid User", "-groups", "P-521:X25519"], 2).await;
    greeted(&site, &["-tls1_3", "-servername", "localhost", "-groups", "P-521:P-256"], 2).await;
}

#[tokio::test]
async fn every_suite_hashes_the_name_that_was_sent() {
    let site = site_with_proxy();
    for suite in ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"] {
        greeted(&site, &["-tls1_3", "-servername", "Grid User", "-ciphersuites", suite], 1).await;
    }
    for suite in ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"]
    {
        greeted(&site, &["-tls1_2", "-servername", "Grid User", "-cipher", suite], 1).await;
    }
}

#[tokio::test]
async fn who_shows_no_certificate_is_refused() {
    let site = Site::new();
    for version in ["-tls1_2", "-tls1_3"] {
        let Some((_, served)) = s_client(&site, &[version]).await else { return };
        let refusal = served.unwrap_err().to_string();
        assert!(refusal.contains("anonymous"), "{refusal}");
    }
}

#[tokio::test]
async fn no_session_can_be_resumed() {
    let site = site_with_proxy();
    for version in ["-tls1_2", "-tls1_3"] {
        let options = [&CREDENTIAL[..], &[version]].concat();
        let Some((printed, _)) = s_client(&site, &options).await else { return };
        assert!(!printed.contains("NewSessionTicket"), "{printed}");
    }
}

/// `openssl s_server`, which checks the client's chain, proxies included, and sends each line back reversed.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(site: &Site, version: &str) -> Option<Self> {
        let mut command = site.stock("openssl")?;
        command.args(["s_server", "-accept", "127.0.0.1:0", "-cert", "hostcert.pem", "-key", "hostkey.pem"]);
        command.args(["-CAfile", "ca/cacert.pem", "-Verify", "5", "-verify_return_error", "-rev", version]);
        command.args(["-allow_proxy_certs"]);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let accept = lines.find(|line| line.starts_with("ACCEPT ")).unwrap();
        let port = accept.rsplit(':').next().unwrap().trim().parse().unwrap();
        // It would stop when nobody took its words any more.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { child, port })
    }
}

#[tokio::test]
async fn our_connector_talks_to_s_server() {
    let site = Site::new();
    for (version, format) in [("-tls1_2", ProxyFormat::Rfc), ("-tls1_3", ProxyFormat::Rfc)] {
        let proxy = site.proxy(format, ProxyKind::Limited);
        let Some(server) = Server::start(&site, version) else { return };
        let tcp = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
        let connector = site.connector(&proxy, Versions::Both);
        let mut stream = connector.connect(tcp, &Expect::Host("localhost".to_owned())).await.unwrap();
        stream.write_all(b"gridiron\n").await.unwrap();
        stream.flush().await.unwrap();
        let mut reply = [0; 9];
        stream.read_exact(&mut reply).await.unwrap();
        assert_eq!(&reply, b"noridirg\n");
        stream.shutdown().await.unwrap();
    }
}
