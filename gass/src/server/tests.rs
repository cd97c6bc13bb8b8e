//! Our client against our server, over plain http; TLS and the stock programs are tried in `tests/stock.rs`.

mod confined;
mod reading;
mod writing;

use super::*;
use crate::{Client, Url};
use gsi::Expect;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;

const ALL: Access = Access { read: true, write: true, stdout: true, stderr: true };

struct World {
    server: Server,
    stdout: DuplexStream,
    directory: tempfile::TempDir,
    client: Client,
}

impl World {
    fn new(access: Access) -> Self {
        Self::within(access, Scope::default())
    }

    fn within(access: Access, scope: Scope) -> Self {
        let (stdout, reader) = tokio::io::duplex(1024 * 1024);
        let settings = Settings {
            security: Security::Nobody,
            access,
            stdout: Output::new(stdout),
            stderr: Output::new(tokio::io::sink()),
            port: None,
        };
        Self {
            server: Server::start_within(settings, scope).unwrap(),
            stdout: reader,
            directory: tempfile::tempdir().unwrap(),
            client: Client::insecure(),
        }
    }

    fn port(&self) -> u16 {
        self.server.url().rsplit(':').next().unwrap().parse().unwrap()
    }

    fn url(&self, path: &str) -> Url {
        format!("http://localhost:{}{path}", self.port()).parse().unwrap()
    }

    fn file(&self, name: &str) -> (Url, std::path::PathBuf) {
        let path = self.directory.path().join(name);
        (self.url(path.to_str().unwrap()), path)
    }

    async fn get(&self, url: &Url) -> Result<Vec<u8>, GassError> {
        let mut data = Vec::new();
        let bytes = self.client.get(url, &Expect::Anyone, &mut data).await?;
        assert_eq!(bytes, data.len() as u64);
        Ok(data)
    }

    async fn put(&self, url: &Url, mut data: &[u8]) -> Result<u64, GassError> {
        self.client.put(url, &Expect::Anyone, &mut data).await
    }

    /// One request on a connection of its own, for a path on the server.
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n").into_bytes();
        for (name, value) in headers {
            request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let has_length =
            headers.iter().any(|(name, _)| matches!(*name, "Content-Length" | "Transfer-Encoding"));
        if method == "PUT" && !has_length {
            request.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body);
        let mut stream = TcpStream::connect(("localhost", self.port())).await.unwrap();
        stream.write_all(&request).await.unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).await.unwrap();
        Reply::parse(&reply)
    }

    /// The path of a file's URL.
    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    /// Sends bytes, and reads the reply to its end.
    async fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(("localhost", self.port())).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        reply
    }
}

/// A reply taken apart; a chunked body stays in its chunks.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a header block");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

fn status<T: std::fmt::Debug>(result: Result<T, GassError>) -> u16 {
    match result {
        Err(GassError::Refused { status, .. }) => status,
        other => panic!("{other:?}"),
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn files_come_and_go() {
    let world = World::new(ALL);
    let (url, path) = world.file("with blank");
    let data: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    for content in [data.as_slice(), b"", b"x"] {
        assert_eq!(world.put(&url, content).await.unwrap(), content.len() as u64);
        assert!(std::fs::read(&path).unwrap() == content);
        assert!(world.get(&url).await.unwrap() == content);
    }
    for more in ["yz\n", "", "and more"] {
        world.client.append(&url, &Expect::Anyone, &mut more.as_bytes()).await.unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "xyz\nand more");
    assert_eq!(names(world.directory.path()), ["with blank"]);
}

#[tokio::test]
async fn refusals_name_the_reason() {
    let world = World::new(ALL);
    let (missing, _) = world.file("missing");
    assert_eq!(status(world.get(&missing).await), 404);
    assert_eq!(
        world.get(&missing).await.unwrap_err().to_string(),
        format!("{missing}: the server refused: 404 File Not Found")
    );
    let (directory, path) = world.file("directory");
    std::fs::create_dir(&path).unwrap();
    assert_eq!(status(world.get(&directory).await), 400);
    assert_eq!(status(world.put(&directory, b"x").await), 400);
    assert_eq!(status(world.put(&world.file("no/such").0, b"x").await), 404);
    assert_eq!(status(world.get(&world.url("/~no-such-user/x")).await), 404);
}

/// More than any socket buffer holds: the reply must arrive although the data is not taken.
#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let world = World::new(Access { read: true, ..Access::default() });
    let (url, path) = world.file("big");
    let data = vec![b'x'; 12 * 1024 * 1024];
    assert_eq!(status(world.put(&url, &data).await), 400);
    assert!(!path.exists());
}

#[tokio::test]
async fn output_is_written_while_the_client_pauses() {
    let mut world = World::new(Access { stdout: true, ..Access::default() });
    let (mut source, mut body) = tokio::io::duplex(64);
    let (client, url) = (world.client.clone(), world.url("/dev/stdout"));
    let appending = tokio::spawn(async move { client.append(&url, &Expect::Anyone, &mut body).await });
    for line in ["one\n", "two\n"] {
        source.write_all(line.as_bytes()).await.unwrap();
        let mut read = [0; 4];
        world.stdout.read_exact(&mut read).await.unwrap();
        assert_eq!(read, line.as_bytes());
    }
    source.write_all(b"three").await.unwrap();
    drop(source);
    assert_eq!(appending.await.unwrap().unwrap(), 13);
    let mut rest = [0; 5];
    world.stdout.read_exact(&mut rest).await.unwrap();
    assert_eq!(&rest, b"three");
    assert_eq!(status(world.put(&world.url("/dev/stderr"), b"x").await), 400);
}

#[tokio::test]
async fn an_interrupted_put_changes_nothing() {
    let world = World::new(ALL);
    let (url, path) = world.file("f");
    world.put(&url, b"old").await.unwrap();
    for request in [
        format!("PUT {} HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nnew", path.display()),
        format!(
            "PUT {} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnew\r\n",
            path.display()
        ),
    ] {
        let mut stream = TcpStream::connect(("localhost", world.port())).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut reply = String::new();
        let _ = stream.read_to_string(&mut reply).await;
        assert!(!reply.contains(" 200 "), "{reply}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    }
    world.server.drain(Duration::from_secs(10)).await;
    assert_eq!(names(world.directory.path()), ["f"], "the temporary file is gone");
}

#[tokio::test]
async fn put_keeps_modes_and_links() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new(ALL);
    let (url, path) = world.file("f");
    std::fs::write(&path, "old").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (link, link_path) = world.file("link");
    std::os::unix::fs::symlink("f", &link_path).unwrap();
    world.put(&link, b"through the link").await.unwrap();
    assert!(link_path.is_symlink());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(world.get(&url).await.unwrap(), b"through the link");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o4755)).unwrap();
    world.put(&url, b"another program").await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o755);
    world.put(&world.url("/dev/null"), b"x").await.unwrap();
}

/// gass.md §11, fault 3: in stock, one silent connection blocks all others.
#[tokio::test]
async fn silent_connections_block_nobody() {
    let world = World::new(ALL);
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(("localhost", world.port())).await.unwrap());
    }
    let (url, _) = world.file("f");
    world.put(&url, b"x").await.unwrap();
}

#[tokio::test]
async fn odd_requests_get_an_answer() {
    let world = World::new(ALL);
    let (_, path) = world.file("f");
    std::fs::write(&path, "content").unwrap();
    let path = path.display();
    for (request, expected) in [
        (format!("GET {path} HTTP/1.0\r\n\r\n"), "200 Ok"),
        (format!("get {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), "405 Method Not Allowed"),
        (format!("GET http://elsewhere{path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), "200 Ok"),
        (format!("PUT {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), "411 Length Required"),
        (
            format!("PUT {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
            "200 Ok",
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".to_owned(), "405 Method Not Allowed"),
        ("nonsense\r\n\r\n".to_owned(), "400 Bad Request"),
        (format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(2 * MAX_HEADERS)), "431 "),
    ] {
        let reply = world.raw(request.as_bytes()).await;
        assert!(reply.lines().next().unwrap().contains(expected), "{request:?}: {reply}");
    }
}

#[tokio::test]
async fn refusals_look_as_stock_clients_expect() {
    let world = World::new(ALL);
    let reply = world.raw(b"GET /no/such/file HTTP/1.1\r\nHost: vm\r\nConnection: close\r\n\r\n").await;
    let date = reply.lines().find(|line| line.starts_with("Date: ")).unwrap().to_owned();
    insta::assert_snapshot!(reply.replace(&format!("{date}\r\n"), "").replace('\r', ""));
}

#[tokio::test]
async fn dropping_stops_the_server() {
    let world = World::new(ALL);
    let port = world.port();
    let mut open = TcpStream::connect(("localhost", port)).await.unwrap();
    drop(world.server);
    assert_eq!(open.read(&mut [0; 1]).await.unwrap_or(0), 0);
}
