//! GET and HEAD: parts, states, checksums, listings, kept connections.

use super::*;
use crate::body::BLOCK;
use crate::digest::ReprDigest;
use std::time::SystemTime;

const LARGE: usize = 2 * BLOCK + 11;

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

/// A world with the file `f`, last changed a minute ago.
fn world_with(content: &[u8]) -> (World, String) {
    let world = World::new(ALL);
    let (_, path) = world.file("f");
    std::fs::write(&path, content).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    let path = world.path("f");
    (world, path)
}

#[tokio::test]
async fn parts_of_small_and_large_files() {
    for length in [100, LARGE] {
        let content = content(length);
        let (world, path) = world_with(&content);
        for (range, first, last) in [
            ("bytes=0-0", 0, 0),
            ("bytes=10-49", 10, 49),
            ("bytes=90-", 90, length - 1),
            ("bytes=-7", length - 7, length - 1),
            ("bytes=0-999999999999", 0, length - 1),
        ] {
            let reply = world.ask("GET", &path, &[("Range", range)], b"").await;
            assert_eq!(reply.status, 206, "{range}");
            assert_eq!(reply.header("Content-Range").unwrap(), format!("bytes {first}-{last}/{length}"));
            assert_eq!(reply.header("Content-Length").unwrap(), (last - first + 1).to_string());
            assert!(reply.body == content[first..=last], "{range}");
        }
        let reply = world.ask("GET", &path, &[("Range", "bytes=99999999-")], b"").await;
        assert_eq!((reply.status, reply.header("Content-Range")), (416, Some(&*format!("bytes */{length}"))));
        for range in ["bytes=5-2", "chapters=1-2"] {
            let reply = world.ask("GET", &path, &[("Range", range)], b"").await;
            assert_eq!((reply.status, reply.body.len()), (200, length), "{range}");
        }
    }
}

#[tokio::test]
async fn several_parts_come_in_an_envelope() {
    for length in [100, LARGE] {
        let content = content(length);
        let (world, path) = world_with(&content);
        let reply = world.ask("GET", &path, &[("Range", "bytes=0-1,50-52,-1")], b"").await;
        assert_eq!(reply.status, 206);
        let boundary = reply.header("Content-Type").unwrap().split_once("boundary=").unwrap().1;
        let part = |first: usize, last: usize| {
            let header = format!(
                "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {first}-{last}/{length}\r\n\r\n"
            );
            [header.as_bytes(), &content[first..=last]].concat()
        };
        let end = format!("\r\n--{boundary}--\r\n");
        let expected = [part(0, 1), part(50, 52), part(length - 1, length - 1), end.into_bytes()].concat();
        assert!(reply.body == expected);
        assert_eq!(reply.header("Content-Length").unwrap(), expected.len().to_string());
    }
}

#[tokio::test]
async fn head_tells_what_get_would() {
    for length in [0, 100, LARGE] {
        let (world, path) = world_with(&content(length));
        let get = world.ask("GET", &path, &[], b"").await;
        let head = world.ask("HEAD", &path, &[("Range", "bytes=0-0")], b"").await;
        assert_eq!((get.status, get.body.len()), (200, length));
        assert_eq!((head.status, head.body.len()), (200, 0), "no ranges of HEAD");
        for name in ["Content-Length", "ETag", "Last-Modified", "Accept-Ranges", "Content-Type"] {
            assert_eq!(get.header(name), head.header(name), "{name}");
            assert!(get.header(name).is_some(), "{name}");
        }
        assert_eq!(head.header("Content-Length").unwrap(), length.to_string());
    }
}

#[tokio::test]
async fn conditions_hold_for_one_state() {
    let (world, path) = world_with(b"content");
    let first = world.ask("GET", &path, &[], b"").await;
    let (tag, modified) = (first.header("ETag").unwrap(), first.header("Last-Modified").unwrap());
    let ask = |name: &'static str, value: &str| {
        let (world, path, value) = (&world, &path, value.to_owned());
        async move { world.ask("GET", path, &[(name, &value), ("Range", "bytes=1-2")], b"").await.status }
    };
    assert_eq!(ask("If-None-Match", tag).await, 304);
    assert_eq!(ask("If-Modified-Since", modified).await, 304);
    assert_eq!(ask("If-Match", tag).await, 206);
    assert_eq!(ask("If-Match", "\"other\"").await, 412);
    assert_eq!(ask("If-Range", tag).await, 206);
    assert_eq!(ask("If-Range", "\"other\"").await, 200);
    std::fs::write(&path, "changed").unwrap();
    assert_eq!(ask("If-None-Match", tag).await, 206);
    assert_eq!(ask("If-Range", tag).await, 200);
}

#[tokio::test]
async fn checksums_on_request() {
    for length in [0, 100, LARGE] {
        let content = content(length);
        let digest = ReprDigest::of(&content).to_string();
        let (world, path) = world_with(&content);
        let wanted = ("Want-Repr-Digest", "sha-512=3, sha-256=10");
        assert_eq!(world.ask("GET", &path, &[], b"").await.header("Repr-Digest"), None);
        let reply = world.ask("GET", &path, &[wanted, ("TE", "trailers")], b"").await;
        if length == LARGE {
            assert_eq!(reply.header("Trailer"), Some("Repr-Digest"));
            assert_eq!(reply.header("Repr-Length"), Some(&*length.to_string()));
            let end = format!("0\r\nrepr-digest: {digest}\r\n\r\n");
            let tail = String::from_utf8_lossy(&reply.body[reply.body.len() - end.len()..]).into_owned();
            assert_eq!(tail.to_ascii_lowercase(), end.to_ascii_lowercase());
            // It is known now.
            assert!(world.ask("GET", &path, &[wanted], b"").await.body == content);
        }
        for (method, range) in [("GET", "bytes=0-3"), ("HEAD", "none"), ("GET", "none")] {
            if length > 0 {
                let reply = world.ask(method, &path, &[wanted, ("Range", range)], b"").await;
                assert_eq!(reply.header("Repr-Digest"), Some(&*digest), "{method} {range}");
            }
        }
    }
}

#[tokio::test]
async fn a_checksum_is_that_of_the_file_as_it_is() {
    let (world, path) = world_with(&content(LARGE));
    for change in [0_u8, 1, 2] {
        let mut content = content(LARGE);
        content[LARGE / 2] = change;
        std::fs::write(&path, &content).unwrap();
        let reply = world.ask("HEAD", &path, &[("Want-Repr-Digest", "sha-256=1")], b"").await;
        assert_eq!(reply.header("Repr-Digest"), Some(&*ReprDigest::of(&content).to_string()));
    }
}

#[tokio::test]
async fn directories_are_listed_for_those_who_ask() {
    let world = World::new(ALL);
    std::fs::create_dir(world.file("d").1).unwrap();
    std::fs::write(world.file("d/file").1, "12345").unwrap();
    let path = world.path("d");
    for path in [path.clone(), format!("{path}/")] {
        let reply = world.ask("GET", &path, &[("Accept", "application/json")], b"").await;
        assert_eq!((reply.status, reply.header("Content-Type")), (200, Some("application/json")));
        assert!(reply.text().contains(r#""name":"file","href":"file","kind":"file","size":5"#), "{reply:?}");
        let reply = world.ask("GET", &path, &[("Accept", "text/html")], b"").await;
        assert_eq!(reply.header("Content-Type"), Some("text/html; charset=utf-8"));
        // A stock client would take a page for the content.
        assert_eq!(world.ask("GET", &path, &[], b"").await.status, 400);
    }
    let reply = world.ask("GET", &format!("{path}/"), &[("Accept", "*/*")], b"").await;
    assert!(reply.text().contains("<a href=\"./file\">file</a>"), "{reply:?}");
    let reply = world.ask("HEAD", &path, &[("Accept", "application/json")], b"").await;
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    let blind = World::new(Access { read: false, ..ALL });
    assert_eq!(blind.ask("GET", "/", &[("Accept", "application/json")], b"").await.status, 400);
}

#[tokio::test]
async fn connections_are_kept_for_those_who_go_on() {
    let (world, path) = world_with(b"content");
    let mut stream = TcpStream::connect(("localhost", world.port())).await.unwrap();
    let requests = [
        format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"),
        format!("HEAD {path} HTTP/1.1\r\nHost: h\r\n\r\n"),
        format!("PUT {path}2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nnew"),
        format!("GET {path}/missing HTTP/1.1\r\nHost: h\r\n\r\n"),
        format!("GET {path}2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
    ];
    // All at once, as a client may that does not wait.
    stream.write_all(requests.concat().as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let seen: Vec<&str> = text.split("HTTP/1.1 ").filter_map(|reply| reply.get(..3)).collect();
    assert_eq!(seen, ["200", "200", "200", "404", "200"], "{text}");
    assert_eq!(text.matches("Connection: close").count(), 1, "{text}");
    assert!(text.ends_with("\r\n\r\nnew"));
}

#[tokio::test]
async fn idle_connections_do_not_keep_a_server() {
    let (world, path) = world_with(b"content");
    let mut stream = TcpStream::connect(("localhost", world.port())).await.unwrap();
    stream.write_all(format!("HEAD {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await.unwrap();
    assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
    world.server.drain(Duration::from_secs(20)).await;
    assert_eq!(stream.read(&mut [0; 1024]).await.unwrap(), 0, "closed at once, not after {GREETING:?}");
}

/// gass.md §11, fault 1: the stock server dies of it.
#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let world = World::new(ALL);
    // Opening is allowed, reading is not, also for root.
    let reply = world.ask("GET", "/proc/self/mem", &[], b"").await;
    assert_eq!(reply.status, 500);
    let reply = world.ask("GET", "/proc/self/status", &[], b"").await;
    assert!(reply.status == 200 && reply.text().contains("Pid:"), "no length, but a content");
    assert_eq!(world.ask("GET", "/dev/null", &[], b"").await.status, 400);
}
