//! Our client against `globus-gass-server`, and `globus-url-copy` against our server: https with a throw-away CA, and
//! plain http. Where a stock program is absent, the test says so and passes.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking"
)]

mod files;
mod site;

use gass::server::{Output, Security, Settings};
use gass::{Access, Client, GassError, Server, Url};
use gsi::{Expect, ProxyKind};
use site::Site;
use std::time::Duration;
use tokio::io::{AsyncReadExt, DuplexStream};

const ALL: Access = Access { read: true, write: true, stdout: true, stderr: true };

/// Several blocks, and not a multiple of anything.
fn data() -> Vec<u8> {
    (0..5_000_003_u32).map(|n| (n % 251) as u8).collect()
}

async fn get(client: &Client, url: &str) -> Result<Vec<u8>, GassError> {
    let mut data = Vec::new();
    client.get(&url.parse()?, &Expect::Myself, &mut data).await?;
    Ok(data)
}

async fn put(client: &Client, url: &str, mut data: &[u8]) -> Result<u64, GassError> {
    client.put(&url.parse()?, &Expect::Myself, &mut data).await
}

async fn append(client: &Client, url: &str, mut data: &[u8]) -> Result<u64, GassError> {
    client.append(&url.parse()?, &Expect::Myself, &mut data).await
}

fn status<T: std::fmt::Debug>(result: Result<T, GassError>) -> u16 {
    match result {
        Err(GassError::Refused { status, .. }) => status,
        other => panic!("{other:?}"),
    }
}

/// All our client can do with a stock server.
async fn use_stock_server(site: &Site, client: &Client, options: &[&str]) {
    let Some(mut server) = site.server(&[options, &["-r", "-w", "-o", "-l"]].concat()) else { return };
    let file = |name: &str| format!("{}{}", server.url, site.path(name).display());
    let data = data();
    for content in [data.as_slice(), b"", b"short"] {
        assert_eq!(put(client, &file("a b"), content).await.unwrap(), content.len() as u64);
        assert!(std::fs::read(site.path("a b")).unwrap() == content);
        assert!(get(client, &file("a b")).await.unwrap() == content);
    }
    append(client, &file("a b"), b" and more").await.unwrap();
    assert_eq!(get(client, &file("a b")).await.unwrap(), b"short and more");

    assert_eq!(status(get(client, &file("missing")).await), 404);
    assert_eq!(status(put(client, &file("no/such/directory"), b"x").await), 400);
    let url = format!("{}/dev/stderr", server.url);
    assert_eq!(status(put(client, &url, b"x").await), 400);
    let url = format!("{}/dev/stdout", server.url);
    append(client, &url, b"hello\n").await.unwrap();
    assert_eq!(server.read(6), "hello\n");

    let Some(reader) = site.server(&[options, &["-r"]].concat()) else { return };
    let url = format!("{}{}", reader.url, site.path("big").display());
    assert_eq!(status(put(client, &url, &data).await), 400, "a refusal while we are still sending");
}

/// All `globus-url-copy` can do with our server.
async fn serve_stock_client(site: &Site, security: Security) {
    let (stdout, mut reader) = tokio::io::duplex(1024);
    let server = start(security.clone(), ALL, stdout);
    let local = |name: &str| format!("file://{}", site.path(name).display());
    let remote = |name: &str| format!("{}{}", server.url(), site.path(name).display());
    let data = data();
    for content in [data.as_slice(), b"", b"short\n"] {
        std::fs::write(site.path("from"), content).unwrap();
        match site.copy(&local("from"), &remote("served")).await {
            Some(result) => result.unwrap(),
            None => return,
        }
        assert!(std::fs::read(site.path("served")).unwrap() == content);
        site.copy(&remote("served"), &local("to")).await.unwrap().unwrap();
        assert!(std::fs::read(site.path("to")).unwrap() == content);
    }
    std::fs::write(site.path("with blank"), "x").unwrap();
    site.copy(&remote("with%20blank"), &local("to")).await.unwrap().unwrap();

    site.copy(&local("from"), &format!("{}/dev/stdout", server.url())).await.unwrap().unwrap();
    let mut line = [0; 6];
    reader.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"short\n");

    let refusal = site.copy(&remote("missing"), &local("to")).await.unwrap().unwrap_err();
    assert!(refusal.contains("404, File Not Found"), "{refusal}");
    server.drain(Duration::from_secs(10)).await;

    // The stock server would let this one write (gass.md §6).
    let (stdout, _reader) = tokio::io::duplex(1024);
    let server = start(security, Access { write: false, ..ALL }, stdout);
    std::fs::write(site.path("from"), &data).unwrap();
    let target = format!("{}{}", server.url(), site.path("forbidden").display());
    site.copy(&local("from"), &target).await.unwrap().unwrap_err();
    assert!(!site.path("forbidden").exists());
}

fn start(security: Security, access: Access, stdout: DuplexStream) -> Server {
    let settings = Settings {
        security,
        access,
        stdout: Output::new(stdout),
        stderr: Output::new(tokio::io::sink()),
        port: None,
    };
    Server::start_with(settings).unwrap()
}

#[tokio::test]
async fn our_client_with_a_stock_server() {
    let site = Site::new();
    let proxy = site.proxy(ProxyKind::Full);
    let client = Client::new(&proxy, &site.trust()).unwrap();
    use_stock_server(&site, &client, &[]).await;
}

#[tokio::test]
async fn our_client_with_an_insecure_stock_server() {
    let site = Site::new();
    use_stock_server(&site, &Client::insecure(), &["-i"]).await;
}

#[tokio::test]
async fn a_stock_client_with_our_server() {
    let site = Site::new();
    let proxy = site.proxy(ProxyKind::Full);
    serve_stock_client(&site, Security::Myself(proxy, site.trust())).await;
}

#[tokio::test]
async fn a_stock_client_with_our_insecure_server() {
    let site = Site::new();
    serve_stock_client(&site, Security::Nobody).await;
}

/// What a job manager stages with is a limited proxy (gass.md §2).
#[tokio::test]
async fn limited_proxies_transfer_files() {
    let site = Site::new();
    let full = site.proxy(ProxyKind::Full);
    let limited = site.proxy(ProxyKind::Limited);
    std::fs::write(site.path("f"), "content").unwrap();

    let (stdout, _reader) = tokio::io::duplex(1024);
    let server = start(Security::Myself(full, site.trust()), ALL, stdout);
    let from = format!("{}{}", server.url(), site.path("f").display());
    if let Some(result) = site.copy(&from, &format!("file://{}", site.path("to").display())).await {
        result.unwrap();
    }
    let client = Client::new(&limited, &site.trust()).unwrap();
    assert_eq!(get(&client, &from).await.unwrap(), b"content");
    if let Some(server) = site.server(&["-r"]) {
        let from = format!("{}{}", server.url, site.path("f").display());
        assert_eq!(get(&client, &from).await.unwrap(), b"content");
    }
}

#[tokio::test]
async fn strangers_are_refused_on_both_sides() {
    let site = Site::new();
    let proxy = site.proxy(ProxyKind::Full);
    std::fs::write(site.path("f"), "secret").unwrap();
    let file = |server: &str| format!("{server}{}", site.path("f").display());

    let (stdout, _reader) = tokio::io::duplex(1024);
    let ours = start(Security::Myself(proxy.clone(), site.trust()), ALL, stdout);
    let theirs = site.server(&["-r"]);
    let stranger = Client::new(&site.stranger(), &site.trust()).unwrap();

    if let Some(result) = site.copy_as("stranger", &file(ours.url()), "file:///dev/null").await {
        result.unwrap_err();
    }
    // Even when the client does not mind whom it talks to.
    let url: Url = file(ours.url()).parse().unwrap();
    let error = stranger.get(&url, &Expect::Anyone, &mut Vec::new()).await.unwrap_err();
    assert!(!matches!(error, GassError::Refused { .. }), "refused before any HTTP: {error}");
    let error = get(&stranger, &file(ours.url())).await.unwrap_err();
    assert!(matches!(error, GassError::Security { .. }), "{error}");

    if let Some(theirs) = theirs {
        let error = get(&stranger, &file(&theirs.url)).await.unwrap_err();
        assert!(matches!(error, GassError::Security { .. }), "{error}");
        let owner = Client::new(&proxy, &site.trust()).unwrap();
        assert_eq!(get(&owner, &file(&theirs.url)).await.unwrap(), b"secret");
    }
}
