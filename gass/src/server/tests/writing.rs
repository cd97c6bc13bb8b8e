//! PUT, append and directories: checksums, conditions, uploads that survive their connection.

use super::*;
use crate::body::BLOCK;
use crate::digest::ReprDigest;

/// A PUT whose connection breaks after this much of its body.
async fn broken_put(world: &World, path: &str, headers: &str, body: &[u8]) {
    let mut stream = TcpStream::connect(("localhost", world.port())).await.unwrap();
    let head = format!("PUT {path} HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    stream.shutdown().await.unwrap();
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

async fn offset(world: &World, path: &str, id: &str) -> u64 {
    let reply = world.ask("HEAD", path, &[("Upload-Id", id)], b"").await;
    assert_eq!(reply.status, 204, "{reply:?}");
    reply.header("Upload-Offset").unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_upload_goes_on_where_it_broke() {
    let world = World::new(ALL);
    let path = world.path("f");
    let content: Vec<u8> = (0..3 * BLOCK).map(|n| (n % 241) as u8).collect();
    let total = content.len();
    let digest = ReprDigest::of(&content).to_string();
    std::fs::write(&path, "old").unwrap();
    assert_eq!(offset(&world, &path, "one").await, 0);

    broken_put(
        &world,
        &path,
        &format!("Upload-Id: one\r\nContent-Length: {total}\r\n"),
        &content[..BLOCK + 5],
    )
    .await;
    world.server.drain(Duration::from_secs(10)).await;
    let held = offset(&world, &path, "one").await as usize;
    assert_eq!(held, BLOCK + 5, "all that came");
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(offset(&world, &path, "two").await, 0, "another upload");

    // A piece, and one that does not fit.
    let range = |first: usize, last: usize| format!("bytes {first}-{last}/{total}");
    let piece = |first: usize, last: usize| {
        let (world, path, content) = (&world, &path, &content);
        async move {
            let range = range(first, last);
            let headers = [("Upload-Id", "one"), ("Content-Range", &*range)];
            world.ask("PUT", path, &headers, &content[first..=last]).await
        }
    };
    let reply = piece(held, held + 9).await;
    assert_eq!((reply.status, reply.header("Upload-Offset")), (202, Some(&*(held + 10).to_string())));
    for wrong in [0, held, held + 11] {
        let reply = piece(wrong, total - 1).await;
        assert_eq!((reply.status, reply.header("Upload-Offset")), (409, Some(&*(held + 10).to_string())));
    }
    let range = range(held + 10, total - 1);
    let headers = [
        ("Upload-Id", "one"),
        ("Content-Range", &range),
        ("Repr-Digest", &digest),
        ("Want-Repr-Digest", "sha-256=10"),
    ];
    let reply = world.ask("PUT", &path, &headers, &content[held + 10..]).await;
    assert_eq!((reply.status, reply.header("Repr-Digest")), (200, Some(&*digest)));
    assert!(std::fs::read(&path).unwrap() == content);
    assert_eq!(names(world.directory.path()), ["f"]);
}

#[tokio::test]
async fn an_upload_begins_anew_without_a_range() {
    let world = World::new(ALL);
    let path = world.path("f");
    broken_put(&world, &path, "Upload-Id: x\r\nContent-Length: 100\r\n", b"garbage").await;
    world.server.drain(Duration::from_secs(10)).await;
    assert_eq!(offset(&world, &path, "x").await, 7);
    let reply = world.ask("PUT", &path, &[("Upload-Id", "x")], b"right").await;
    assert_eq!(reply.status, 200);
    assert_eq!(std::fs::read(&path).unwrap(), b"right");
    assert_eq!(names(world.directory.path()), ["f"]);
}

#[tokio::test]
async fn bad_uploads_are_refused() {
    let world = World::new(ALL);
    let path = world.path("f");
    let id = ("Upload-Id", "x");
    for (headers, expected) in [
        (&[("Content-Range", "bytes 0-1/2")][..], 400),
        (&[id, ("Content-Range", "bytes 0-1/*")], 400),
        (&[id, ("Content-Range", "bytes 0-2/3")], 400),
        (&[id, ("Content-Range", "bytes 5-6/7")], 409),
        (&[("Upload-Id", "../x")], 400),
        (&[id, ("Repr-Digest", "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:")], 400),
    ] {
        let reply = world.ask("PUT", &path, headers, b"ab").await;
        assert_eq!(reply.status, expected, "{headers:?}");
    }
    assert_eq!(names(world.directory.path()), Vec::<String>::new());
    let reader = World::new(Access { read: true, ..Access::default() });
    assert_eq!(reader.ask("HEAD", &path, &[id], b"").await.status, 400);
}

/// A client whose connection broke comes again before the server has noticed.
#[tokio::test]
async fn a_second_connection_takes_an_upload_over() {
    let world = World::new(ALL);
    let path = world.path("f");
    let mut hanging = TcpStream::connect(("localhost", world.port())).await.unwrap();
    let head = format!("PUT {path} HTTP/1.1\r\nHost: h\r\nUpload-Id: x\r\nContent-Length: 1000\r\n\r\n");
    hanging.write_all(head.as_bytes()).await.unwrap();
    hanging.write_all(b"some").await.unwrap();
    let reply = world.ask("PUT", &path, &[("Upload-Id", "x")], b"all").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"all");
    let mut reply = String::new();
    let _ = hanging.read_to_string(&mut reply).await;
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 409"), "{reply}");
}

#[tokio::test]
async fn checksums_are_checked() {
    let world = World::new(ALL);
    let path = world.path("f");
    let right = ReprDigest::of(b"abc").to_string();
    let wrong = ReprDigest::of(b"x").to_string();
    for name in ["Repr-Digest", "Content-Digest"] {
        std::fs::write(&path, "old").unwrap();
        let reply = world.ask("PUT", &path, &[(name, &wrong)], b"abc").await;
        assert_eq!(reply.status, 400);
        assert!(reply.head.contains("Checksum Mismatch"), "{reply:?}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        let reply =
            world.ask("PUT", &path, &[(name, &right), ("Want-Repr-Digest", "sha-256=1")], b"abc").await;
        assert_eq!((reply.status, reply.header("Repr-Digest")), (200, Some(&*right)));
    }
    // The same behind the data.
    for (digest, expected) in [(&wrong, 400), (&right, 200)] {
        let body = format!("3\r\nabc\r\n0\r\nRepr-Digest: {digest}\r\n\r\n");
        let headers = [("Transfer-Encoding", "chunked"), ("Trailer", "Repr-Digest")];
        assert_eq!(world.ask("PUT", &path, &headers, body.as_bytes()).await.status, expected);
    }
    assert_eq!(names(world.directory.path()), ["f"]);
}

#[tokio::test]
async fn conditions_protect_what_is_there() {
    let world = World::new(ALL);
    let path = world.path("f");
    let new = [("If-None-Match", "*")];
    let made = world.ask("PUT", &path, &new, b"one").await;
    assert_eq!(made.status, 200);
    assert_eq!(world.ask("PUT", &path, &new, b"two").await.status, 412);
    let tag = made.header("ETag").unwrap();
    assert_eq!(world.ask("HEAD", &path, &[], b"").await.header("ETag"), Some(tag));
    assert_eq!(world.ask("PUT", &path, &[("If-Match", tag)], b"two!").await.status, 200);
    assert_eq!(world.ask("PUT", &path, &[("If-Match", tag)], b"three").await.status, 412);
    assert_eq!(std::fs::read(&path).unwrap(), b"two!");
    assert_eq!(names(world.directory.path()), ["f"]);
}

#[tokio::test]
async fn directories_can_be_made() {
    let world = World::new(ALL);
    let path = world.path("d");
    for (path, expected) in
        [(format!("{path}/e"), 409), (path.clone(), 201), (path.clone(), 405), (format!("{path}/e/"), 201)]
    {
        assert_eq!(world.ask("MKCOL", &path, &[], b"").await.status, expected, "{path}");
    }
    assert!(world.file("d/e").1.is_dir());
    assert_eq!(world.ask("PUT", &format!("{path}/"), &[], b"x").await.status, 400);
    let reader = World::new(Access { read: true, ..Access::default() });
    assert_eq!(reader.ask("MKCOL", &reader.path("d"), &[], b"").await.status, 400);
}

/// Appends come one after the other, whole, and what came before a broken connection counts.
#[tokio::test]
async fn appends_do_not_tear() {
    let world = World::new(ALL);
    let path = world.path("f");
    let uri = format!("/globus-bins/GASSappend?{path}");
    let length = [("Content-Length", "4")];
    let both =
        tokio::join!(world.ask("POST", &uri, &length, b"aaa\n"), world.ask("POST", &uri, &length, b"bbb\n"));
    assert_eq!((both.0.status, both.1.status), (200, 200));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text == "aaa\nbbb\n" || text == "bbb\naaa\n", "{text}");
    let mut stream = TcpStream::connect(("localhost", world.port())).await.unwrap();
    let head = format!("POST {uri} HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nccc\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let _ = stream.read_to_end(&mut Vec::new()).await;
    world.server.drain(Duration::from_secs(10)).await;
    assert!(std::fs::read_to_string(&path).unwrap().ends_with("ccc\n"));
}

#[tokio::test]
async fn a_client_may_end_a_server_that_lets_it() {
    let stop = "/dev/globus_gass_client_shutdown";
    let world = World::within(Access::default(), Scope { shutdown: true, ..Scope::default() });
    assert_eq!(world.ask("PUT", stop, &[], b"x").await.status, 400, "as stock answers");
    world.server.asked_to_stop().await;
    let world = World::new(ALL);
    assert_eq!(world.ask("PUT", stop, &[], b"x").await.status, 400);
    let asked = tokio::time::timeout(Duration::from_millis(100), world.server.asked_to_stop()).await;
    assert!(asked.is_err());
}
