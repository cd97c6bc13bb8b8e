//! Our connector against the stock `globus-gatekeeper`.

use crate::site::{HOST, Site, only, text};
use gsi::tls::Versions;
use gsi::{Credential, DelegationMode, Expect, ProxyFormat, ProxyKind, SecureStream, Subject};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A gatekeeper in the foreground, with one service that answers with the credential it was delegated.
struct Gatekeeper {
    child: Child,
    port: u16,
}

impl Drop for Gatekeeper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Answers a job request; a stock job manager would read the file named by `X509_USER_PROXY` and remove it, too.
const SERVICE: &str = r#"#!/bin/sh
length=$(wc -c < "$X509_USER_PROXY")
printf 'Status: 200 OK\r\nContent-Type: application/x-globus-gram\r\nContent-Length: %s\r\n\r\n' "$length"
cat "$X509_USER_PROXY"
rm -f "$X509_USER_PROXY"
"#;

impl Gatekeeper {
    fn start(site: &Site, versions: Versions) -> Option<Self> {
        let mut command = site.stock("globus-gatekeeper")?;
        // The service runs as the mapped account, which has to reach it.
        std::fs::set_permissions(site.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
        let services = site.path("grid-services");
        std::fs::create_dir_all(&services).unwrap();
        let service = site.path("service");
        std::fs::write(&service, SERVICE).unwrap();
        std::fs::set_permissions(&service, std::fs::Permissions::from_mode(0o755)).unwrap();
        let line = format!("stderr_log,accept_limited - {} service\n", service.display());
        std::fs::write(services.join("jobmanager"), line).unwrap();
        let subject = site.user.identity().as_str();
        std::fs::write(site.path("grid-mapfile"), format!("\"{subject}\" {}\n", account())).unwrap();

        let port = free_port();
        command.args(["-f", "-launch_method", "fork_and_proxy", "-port", &port.to_string()]);
        for (option, file) in [
            ("-x509_cert_dir", "certificates"),
            ("-x509_user_cert", "hostcert.pem"),
            ("-x509_user_key", "hostkey.pem"),
            ("-gridmap", "grid-mapfile"),
            ("-grid_services", "grid-services"),
            ("-logfile", "gatekeeper.log"),
        ] {
            command.arg(option).arg(site.path(file));
        }
        command
            .env_remove("X509_USER_PROXY")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        only(&mut command, versions);
        Some(Self { child: command.spawn().unwrap(), port })
    }

    /// Connects as soon as the gatekeeper listens.
    async fn connect(&self) -> TcpStream {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match TcpStream::connect(("localhost", self.port)).await {
                Ok(stream) => return stream,
                Err(error) => assert!(Instant::now() < deadline, "the gatekeeper does not listen: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The gatekeeper chooses its port itself only when it is not root.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn account() -> String {
    let whoami = std::process::Command::new("id").arg("-un").output().unwrap();
    let name = String::from_utf8(whoami.stdout).unwrap().trim().to_owned();
    if name == "root" { "nobody".to_owned() } else { name }
}

async fn exchange(mut stream: SecureStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.unwrap();
    String::from_utf8(reply).unwrap()
}

const PING: &str = "POST ping/jobmanager HTTP/1.1\r\nHost: localhost\r\n\
                    Content-Type: application/x-globus-gram\r\nContent-Length: 0\r\n\r\n";
const JOB: &str = "POST /jobmanager HTTP/1.1\r\nHost: localhost\r\n\
                   Content-Type: application/x-globus-gram\r\nContent-Length: 0\r\n\r\n";

fn log(site: &Site) -> String {
    std::fs::read_to_string(site.path("gatekeeper.log")).unwrap_or_default()
}

async fn ping(proxy: (ProxyFormat, ProxyKind), versions: Versions, expect: &Expect) {
    let site = Site::new();
    let proxy = site.proxy(proxy.0, proxy.1);
    let Some(gatekeeper) = Gatekeeper::start(&site, versions) else { return };
    let connector = site.connector(&proxy, Versions::Both);
    let connected = connector.connect_gsi(gatekeeper.connect().await, expect, DelegationMode::None).await;
    let stream = connected.unwrap_or_else(|error| panic!("{error}\n{}", log(&site)));
    assert_eq!(stream.peer().identity.as_str(), HOST);
    let reply = exchange(stream, PING).await;
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}\n{}", log(&site));
}

fn host() -> Expect {
    Expect::Host("localhost".to_owned())
}

#[tokio::test]
async fn ping_over_tls_1_3() {
    ping((ProxyFormat::Rfc, ProxyKind::Full), Versions::Tls13, &host()).await;
}

#[tokio::test]
async fn ping_over_tls_1_2_by_identity() {
    let expect = Expect::Identity(Subject::new(HOST));
    ping((ProxyFormat::Rfc, ProxyKind::Limited), Versions::Tls12, &expect).await;
}

#[tokio::test]
async fn ping_with_a_draft_proxy() {
    ping((ProxyFormat::Draft, ProxyKind::Full), Versions::Both, &host()).await;
}

#[tokio::test]
async fn ping_with_a_legacy_proxy() {
    ping((ProxyFormat::Legacy, ProxyKind::Limited), Versions::Both, &host()).await;
}

/// What the stock gatekeeper stores is a credential we can use in turn.
async fn delegate(format: ProxyFormat, mode: DelegationMode, versions: Versions) {
    let site = Site::new();
    let proxy = site.proxy(format, ProxyKind::Full);
    let Some(gatekeeper) = Gatekeeper::start(&site, versions) else { return };
    let connector = site.connector(&proxy, Versions::Both);
    let connected = connector.connect_gsi(gatekeeper.connect().await, &host(), mode).await;
    let stream = connected.unwrap_or_else(|error| panic!("{error}\n{}", log(&site)));
    let reply = exchange(stream, JOB).await;
    let (_, stored) = reply.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{reply}\n{}", log(&site)));
    let stored = Credential::from_pem(stored.trim_end_matches('\0').as_bytes())
        .unwrap_or_else(|error| panic!("{error}: {reply}\n{}", log(&site)));
    let peer = gsi::chain::verify(stored.chain(), &site.trust(), jiff::Timestamp::now()).unwrap();
    assert_eq!(peer.identity, *site.user.identity());
    assert_eq!(peer.limited, mode == DelegationMode::Limited);
}

#[tokio::test]
async fn delegation_of_a_limited_proxy_over_tls_1_3() {
    delegate(ProxyFormat::Rfc, DelegationMode::Limited, Versions::Tls13).await;
}

#[tokio::test]
async fn delegation_of_a_full_proxy_over_tls_1_2() {
    delegate(ProxyFormat::Rfc, DelegationMode::Full, Versions::Tls12).await;
}

#[tokio::test]
async fn delegation_of_a_legacy_proxy() {
    delegate(ProxyFormat::Legacy, DelegationMode::Full, Versions::Both).await;
}

#[tokio::test]
async fn delegation_of_a_draft_proxy() {
    delegate(ProxyFormat::Draft, DelegationMode::Limited, Versions::Both).await;
}

#[tokio::test]
async fn the_stock_client_and_gatekeeper_work_on_this_site() {
    let site = Site::new();
    site.proxy(ProxyFormat::Rfc, ProxyKind::Full);
    let Some(gatekeeper) = Gatekeeper::start(&site, Versions::Both) else { return };
    let Some(mut globusrun) = site.stock("globusrun") else { return };
    drop(gatekeeper.connect().await);
    globusrun.args(["-a", "-r", &format!("localhost:{}", gatekeeper.port)]);
    let output = crate::site::run(globusrun).await;
    assert!(output.status.success(), "{}\n{}", text(&output), log(&site));
}
