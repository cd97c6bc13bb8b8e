//! Copies against a server that breaks, changes files and lies; it knows as much as servers of ours do.

use super::*;
use crate::client::Make;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the server does, and what it has seen.
struct Server {
    port: u16,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

struct State {
    name: &'static str,
    content: Vec<u8>,
    version: u32,
    /// Bytes after which the next replies or uploads break off; taken from the front.
    breaks: Vec<usize>,
    /// Instead of the right checksum.
    checksum: Option<ReprDigest>,
    /// What uploads have left, by id.
    kept: HashMap<String, Vec<u8>>,
    requests: Vec<String>,
    connections: usize,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    async fn start(name: &'static str, content: &[u8], breaks: &[usize]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State {
            name,
            content: content.to_vec(),
            version: 1,
            breaks: breaks.to_vec(),
            checksum: None,
            kept: HashMap::new(),
            requests: Vec::new(),
            connections: 0,
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.lock().unwrap().connections += 1;
                tokio::spawn(connection(stream, Arc::clone(&shared)));
            }
        });
        Self { port, state, serving }
    }

    fn place(&self, path: &str) -> Place {
        Place::Remote(format!("http://127.0.0.1:{}{path}", self.port).parse().unwrap(), Expect::Anyone)
    }

    fn seen(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

async fn connection(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|part| part == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8(buffer.drain(..end).collect()).unwrap();
        if answer(&mut stream, &mut buffer, &head, &state).await.is_none()
            || header(&head, "connection") == Some("close")
        {
            return;
        }
    }
}

/// None to break the connection.
async fn answer(stream: &mut TcpStream, rest: &mut Vec<u8>, head: &str, state: &Mutex<State>) -> Option<()> {
    let mut words = head.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let id = header(head, "upload-id").map(str::to_owned);
    let mut line = format!("{method} {path}");
    for name in ["range", "if-range", "content-range"] {
        if let Some(value) = header(head, name) {
            line += &format!(" {name}={value}");
        }
    }
    let mut broken = false;
    let reply = {
        let mut state = state.lock().unwrap();
        state.requests.push(line);
        let name = state.name;
        let version = format!("\"{}\"", state.version);
        match method {
            "HEAD" if id.is_some() => {
                let held = state.kept.get(id.as_ref()?).map_or(0, Vec::len);
                format!("HTTP/1.1 204 No Content\r\nServer: {name}\r\nUpload-Offset: {held}\r\n\r\n")
                    .into_bytes()
            }
            "HEAD" => format!(
                "HTTP/1.1 200 Ok\r\nServer: {name}\r\nRepr-Digest: {}\r\nContent-Length: {}\r\n\r\n",
                ReprDigest::of(&state.content),
                state.content.len()
            )
            .into_bytes(),
            "GET" if path == "/" => {
                format!("HTTP/1.1 404 No\r\nServer: {name}\r\nContent-Length: 0\r\n\r\n").into_bytes()
            }
            "GET" => {
                let same = header(head, "if-range").is_none_or(|tag| tag == version);
                let first = header(head, "range")
                    .filter(|_| same)
                    .and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse::<usize>().ok());
                let checksum = state.checksum.unwrap_or_else(|| ReprDigest::of(&state.content));
                let total = state.content.len();
                let body = state.content.get(first.unwrap_or(0)..).unwrap_or_default().to_vec();
                let (status, range) = match first {
                    Some(first) => {
                        ("206 Part", format!("Content-Range: bytes {first}-{}/{total}\r\n", total - 1))
                    }
                    None => ("200 Ok", String::new()),
                };
                let mut reply = format!(
                    "HTTP/1.1 {status}\r\nServer: {name}\r\nETag: {version}\r\n{range}Repr-Digest: {checksum}\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                )
                .into_bytes();
                let head = reply.len();
                reply.extend(body);
                if !state.breaks.is_empty() {
                    let stop = state.breaks.remove(0);
                    reply.truncate(head + stop);
                    broken = true;
                }
                reply
            }
            "PUT" => Vec::new(),
            _ => format!("HTTP/1.1 400 Bad\r\nServer: {name}\r\nContent-Length: 0\r\n\r\n").into_bytes(),
        }
    };
    if method == "PUT" {
        return take(stream, rest, head, id, state).await;
    }
    stream.write_all(&reply).await.ok()?;
    (!broken).then_some(())
}

async fn take(
    stream: &mut TcpStream,
    rest: &mut Vec<u8>,
    head: &str,
    id: Option<String>,
    state: &Mutex<State>,
) -> Option<()> {
    let stop = {
        let mut state = state.lock().unwrap();
        (!state.breaks.is_empty()).then(|| state.breaks.remove(0))
    };
    let length: Option<usize> = header(head, "content-length").map(|length| length.parse().unwrap());
    let complete = |data: &[u8]| match length {
        Some(length) => data.len() >= length,
        None => data.ends_with(b"0\r\n\r\n"),
    };
    let mut data = std::mem::take(rest);
    while !complete(&data) && stop.is_none_or(|stop| data.len() < stop) {
        if stream.read_buf(&mut data).await.unwrap_or(0) == 0 {
            return None;
        }
    }
    let reply = store(head, id, data, stop.is_some(), &mut state.lock().unwrap())?;
    stream.write_all(reply.as_bytes()).await.ok()
}

/// What came of an upload; None when it broke off.
fn store(head: &str, id: Option<String>, data: Vec<u8>, broken: bool, state: &mut State) -> Option<String> {
    let mut whole = match (&id, header(head, "content-range")) {
        (Some(id), Some(range)) => {
            let kept = state.kept.remove(id).unwrap_or_default();
            assert!(range.starts_with(&format!("bytes {}-", kept.len())), "{range}");
            kept
        }
        _ => Vec::new(),
    };
    if broken {
        whole.extend(data);
        if let Some(id) = id {
            state.kept.insert(id, whole);
        }
        return None;
    }
    whole.extend(data);
    let wanted = header(head, "repr-digest").map(|digest| ReprDigest::parse(digest.as_bytes()).unwrap());
    let fits = wanted.is_none_or(|wanted| wanted == ReprDigest::of(&whole));
    let status = if fits { "200 Ok" } else { "400 Checksum Mismatch" };
    if fits {
        state.content = whole;
    }
    Some(format!("HTTP/1.1 {status}\r\nServer: {}\r\nContent-Length: 0\r\n\r\n", state.name))
}

const OURS: &str = "Gridiron-GASS/9";
const STOCK: &str = "Globus-GASS-HTTP/1.1.0";

/// Several blocks.
fn data() -> Vec<u8> {
    (0..10_000_003_u32).map(|n| (n % 251) as u8).collect()
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    (folder, file)
}

fn quickly() -> Options {
    Options { pause: Some(Duration::from_millis(1)), ..Options::default() }
}

async fn copy(from: Place, to: Place, options: Options) -> Result<Copied, GassError> {
    Client::insecure().copy(&Transfer::whole(from, to), &options, &()).await
}

fn names(folder: &TempDir) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_download_goes_on_where_it_broke_off() {
    let data = data();
    let server = Server::start(OURS, &data, &[3_000_000, 1_000_000, 0]).await;
    let (folder, file) = folder();
    let copied = copy(server.place("/f"), Place::Local(file.clone()), quickly()).await.unwrap();
    assert_eq!((copied.bytes, copied.retries), (data.len() as u64, 3));
    assert!(std::fs::read(&file).unwrap() == data);
    assert_eq!(names(&folder), ["file"]);
    let seen = server.seen();
    assert_eq!(
        seen,
        [
            "GET /f",
            "GET /f range=bytes=3000000- if-range=\"1\"",
            "GET /f range=bytes=4000000- if-range=\"1\"",
            "GET /f range=bytes=4000000- if-range=\"1\""
        ]
    );
}

/// The two halves would not belong together.
#[tokio::test]
async fn a_file_that_changed_meanwhile_is_fetched_anew() {
    let server = Server::start(OURS, &data(), &[5_000_000]).await;
    let (_folder, file) = folder();
    let state = Arc::clone(&server.state);
    struct Change(Arc<Mutex<State>>);
    impl Watch for Change {
        fn failed(&self, _: &GassError, _: Duration) {
            let mut state = self.0.lock().unwrap();
            state.content = b"another one".to_vec();
            state.version += 1;
        }
    }
    let transfer = Transfer::whole(server.place("/f"), Place::Local(file.clone()));
    let copied = Client::insecure().copy(&transfer, &quickly(), &Change(state)).await.unwrap();
    assert_eq!(copied.bytes, 11);
    assert_eq!(std::fs::read(&file).unwrap(), b"another one");
}

#[tokio::test]
async fn a_stock_server_is_asked_for_nothing_special() {
    let data = data();
    let server = Server::start(STOCK, &data, &[3_000_000]).await;
    let (_folder, file) = folder();
    copy(server.place("/f"), Place::Local(file.clone()), quickly()).await.unwrap();
    assert!(std::fs::read(&file).unwrap() == data);
    assert_eq!(server.seen(), ["GET /f", "GET /f"]);
    // A part of it, too, is cut out here; stock clients get the whole (gass.md §11, fault 8).
    let transfer = Transfer {
        offset: 100,
        length: Some(3),
        ..Transfer::whole(server.place("/f"), Place::Local(file.clone()))
    };
    Client::insecure().copy(&transfer, &quickly(), &()).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), data.get(100..103).unwrap());
}

#[tokio::test]
async fn a_refusal_is_not_tried_again_and_leaves_nothing() {
    let server = Server::start(OURS, b"", &[]).await;
    let (folder, file) = folder();
    std::fs::write(&file, "old").unwrap();
    let error = copy(server.place("/"), Place::Local(file.clone()), quickly()).await.unwrap_err();
    assert!(matches!(error, GassError::Refused { status: 404, .. }), "{error}");
    assert_eq!(server.seen().len(), 1);
    assert_eq!(std::fs::read(&file).unwrap(), b"old");
    assert_eq!(names(&folder), ["file"]);
}

#[tokio::test]
async fn what_breaks_off_too_often_leaves_the_old_file() {
    let server = Server::start(STOCK, &data(), &[1000; 10]).await;
    let (folder, file) = folder();
    std::fs::write(&file, "old").unwrap();
    let options = Options { retries: 2, ..quickly() };
    let error = copy(server.place("/f"), Place::Local(file.clone()), options).await.unwrap_err();
    assert!(matches!(error, GassError::Truncated { .. }), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), b"old");
    assert_eq!(names(&folder), ["file"]);
}

#[tokio::test]
async fn checksums_are_compared() {
    for content in [data(), b"small".to_vec()] {
        let server = Server::start(OURS, &content, &[]).await;
        let (folder, file) = folder();
        let options = Options { checksum: true, retries: 1, ..quickly() };
        let copied = copy(server.place("/f"), Place::Local(file.clone()), options).await.unwrap();
        assert_eq!(copied.checksum, Some(ReprDigest::of(&content)));
        assert!(std::fs::read(&file).unwrap() == content);

        server.state.lock().unwrap().checksum = Some(ReprDigest::of(b"something else"));
        std::fs::write(&file, "old").unwrap();
        let error = copy(server.place("/f"), Place::Local(file.clone()), options).await.unwrap_err();
        assert!(matches!(error, GassError::Checksum { .. }), "{error}");
        assert_eq!(std::fs::read(&file).unwrap(), b"old");
        assert_eq!(names(&folder), ["file"]);
    }
    // Where there is none to compare with, that is no success.
    let server = Server::start(STOCK, b"x", &[]).await;
    server.state.lock().unwrap().name = STOCK;
    let (folder, file) = folder();
    std::fs::write(&file, "x").unwrap();
    let options = Options { checksum: true, ..quickly() };
    let error = copy(Place::Local(file), server.place("/f"), options).await.unwrap_err();
    assert!(matches!(error, GassError::Unverified { .. }), "{error}");
    assert_eq!(names(&folder), ["file"]);
}

#[tokio::test]
async fn an_upload_goes_on_where_it_broke_off() {
    let data = data();
    let server = Server::start(OURS, b"", &[4_000_000, 2_000_000]).await;
    let (_folder, file) = folder();
    std::fs::write(&file, &data).unwrap();
    let options = Options { checksum: true, ..quickly() };
    let copied = copy(Place::Local(file), server.place("/f"), options).await.unwrap();
    assert_eq!((copied.bytes, copied.retries), (data.len() as u64, 2));
    assert_eq!(copied.checksum, Some(ReprDigest::of(&data)));
    assert!(server.state.lock().unwrap().content == data);
    let seen = server.seen();
    assert_eq!(seen.first().unwrap(), "GET /");
    let resumed: Vec<_> = seen.iter().filter(|line| line.contains("content-range")).collect();
    assert_eq!(resumed.len(), 2, "{seen:?}");
}

#[tokio::test]
async fn an_upload_to_a_stock_server_starts_over() {
    let server = Server::start(STOCK, b"", &[1000]).await;
    let (_folder, file) = folder();
    std::fs::write(&file, data()).unwrap();
    copy(Place::Local(file), server.place("/f"), quickly()).await.unwrap();
    assert_eq!(server.seen(), ["GET /", "PUT /f", "PUT /f"]);
}

/// What a server prints would be printed twice.
#[tokio::test]
async fn an_output_is_written_once() {
    let server = Server::start(OURS, b"", &[1000]).await;
    let (_folder, file) = folder();
    std::fs::write(&file, data()).unwrap();
    copy(Place::Local(file), server.place("/dev/stdout"), quickly()).await.unwrap_err();
    assert_eq!(server.seen(), ["PUT /dev/stdout"]);
}

#[tokio::test]
async fn from_server_to_server_nothing_touches_the_disk() {
    let data = data();
    let from = Server::start(OURS, &data, &[3_000_000]).await;
    let to = Server::start(OURS, b"", &[]).await;
    let options = Options { checksum: true, ..quickly() };
    let copied = copy(from.place("/f"), to.place("/g"), options).await.unwrap();
    assert_eq!(copied.bytes, data.len() as u64);
    assert_eq!(copied.checksum, Some(ReprDigest::of(&data)));
    assert!(to.state.lock().unwrap().content == data);
}

#[tokio::test]
async fn many_small_files_share_connections() {
    let server = Server::start(OURS, b"small", &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let transfers = (0..200).map(|n| {
        Transfer::whole(server.place(&format!("/{n}")), Place::Local(folder.path().join(n.to_string())))
    });
    let mut ended = 0;
    let each = |outcome: many::Outcome| {
        outcome.result.unwrap();
        ended += 1;
    };
    let many = many::Many { parallel: 4, keep_going: false };
    Client::insecure().copy_all(transfers, many, quickly(), Arc::new(()), each).await;
    assert_eq!((ended, names(&folder).len()), (200, 200));
    // The first of each worker was asked like a stock server.
    assert!(server.state.lock().unwrap().connections <= 8);
}

#[tokio::test]
async fn local_files() {
    let (folder, file) = folder();
    let to = folder.path().join("to");
    for content in [data(), b"small".to_vec(), Vec::new()] {
        std::fs::write(&file, &content).unwrap();
        let copied = copy(Place::Local(file.clone()), Place::Local(to.clone()), quickly()).await.unwrap();
        assert_eq!(copied.bytes, content.len() as u64);
        assert!(std::fs::read(&to).unwrap() == content);
    }
    // A part, into the file that is there.
    std::fs::write(&file, "0123456789").unwrap();
    std::fs::write(&to, "OLDOLDOLD").unwrap();
    let part = Transfer {
        offset: 2,
        length: Some(3),
        into: Some(2),
        ..Transfer::whole(Place::Local(file.clone()), Place::Local(to.clone()))
    };
    Client::insecure().copy(&part, &quickly(), &()).await.unwrap();
    assert_eq!(std::fs::read(&to).unwrap(), b"OL234DOLD");

    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&to, &link).unwrap();
    copy(Place::Local(file.clone()), Place::Local(link.clone()), quickly()).await.unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(std::fs::read(&to).unwrap(), b"0123456789");

    copy(Place::Local(file.clone()), Place::Local("/dev/null".into()), quickly()).await.unwrap();
    let missing = Place::Local(folder.path().join("missing/x"));
    let error = copy(Place::Local(file.clone()), missing.clone(), quickly()).await.unwrap_err();
    assert!(matches!(error, GassError::File { action: crate::error::FileAction::Open, .. }), "{error}");
    let options = Options { make_directories: true, ..quickly() };
    copy(Place::Local(file), missing, options).await.unwrap();
    let error = copy(Place::Local(folder.path().into()), Place::Local(to), quickly()).await.unwrap_err();
    assert!(matches!(error, GassError::File { action: crate::error::FileAction::Read, .. }), "{error}");
    assert_eq!(names(&folder), ["file", "link", "missing", "to"]);
}

#[test]
fn text_is_seven_bits_and_ends_lines_with_lf() {
    let convert = |blocks: &[&[u8]]| {
        let mut text = Text::default();
        blocks.iter().flat_map(|block| text.convert(block)).collect::<Vec<u8>>()
    };
    assert_eq!(convert(&[b"l1\r\nl2\n\xe9x"]), b"l1\nl2\nix");
    assert_eq!(convert(&[b"a\r", b"\nb\rc"]), b"a\nb\nc");
}

#[tokio::test]
async fn who_answers_is_found_out_without_harm() {
    for (name, make) in [(OURS, Make::Ours), (STOCK, Make::Other)] {
        let server = Server::start(name, b"", &[]).await;
        let Place::Remote(url, expect) = server.place("/f") else { panic!("it is remote") };
        let client = Client::insecure();
        assert_eq!(client.make_of(&url, &expect).await.unwrap(), make);
        assert_eq!(client.make_of(&url, &expect).await.unwrap(), make);
        assert_eq!(server.seen(), ["GET /"]);
    }
}
