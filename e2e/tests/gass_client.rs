//! `gridiron cp` and `globus-url-copy` against GASS servers of both makes, and against wires and servers that fail.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests fail by panicking, as tests do"
)]

use e2e::{
    Finished,
    Kind::{self, Ours, Stock},
    Running, User,
    gass::{GassServer, Wire, answering},
    need,
};
use std::{fs, path::Path};

/// The exit codes of `gridiron`.
const UNREACHABLE: i32 = 69;
const REFUSED: i32 = 77;

/// Alice with a proxy and our commands.
fn alice(client: Kind) -> Option<User> {
    let user = User::new(client)?;
    user.proxy_init(&user.pki.alice, &[]);
    Some(user)
}

fn cp(user: &User, arguments: &[&str]) -> Finished {
    let mut command = user.gridiron();
    command.arg("cp").args(arguments);
    Running::start(command, None).finish()
}

/// Several blocks, and not a multiple of anything.
fn data(length: u32) -> Vec<u8> {
    (0..length).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn write(user: &User, name: &str, content: &[u8]) {
    fs::write(user.file(name), content).expect("writable");
}

fn read(user: &User, name: &str) -> Vec<u8> {
    fs::read(user.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Nothing that is half a file lies about.
fn assert_clean(folder: &Path) {
    let left: Vec<_> = fs::read_dir(folder)
        .expect("it is there")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(".gass-"))
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// All that a server of any make can do.
fn files_come_and_go(make: Kind) {
    let Some(user) = alice(Ours) else { return };
    let server = GassServer::start(&user, make, &["-r", "-w", "-o", "-l"]);
    let url = |name: &str| server.file(&user, name);
    for (name, content) in [("big", data(5_000_003)), ("small", b"hello\n".to_vec()), ("empty", Vec::new())] {
        write(&user, name, &content);
        cp(&user, &[name, &url("put")]).ok();
        assert!(read(&user, "put") == content, "put of {name}");
        cp(&user, &[&url(name), "got"]).ok();
        assert!(read(&user, "got") == content, "get of {name}");
        cp(&user, &[&url(name), &url("third")]).ok();
        assert!(read(&user, "third") == content, "copy of {name} from server to server");
    }
    write(&user, "with blank", b"blank");
    cp(&user, &[&url("with%20blank"), "got"]).ok();
    assert_eq!(read(&user, "got"), b"blank");
    assert_eq!(cp(&user, &[&url("small"), "-"]).ok(), "hello\n");
    let mut command = user.gridiron();
    command.args(["cp", "-", &url("from stdin")]);
    Running::start(command, Some(b"typed")).finish().ok();
    assert_eq!(read(&user, "from stdin"), b"typed");
    cp(&user, &["small", &format!("{}/dev/stdout", server.url)]).ok();
    server.running.wait_for("hello\n");

    let missing = cp(&user, &[&url("missing"), "got"]);
    missing.is(
        REFUSED,
        "",
        &format!("gridiron: {}: the server refused: 404 File Not Found\n", url("missing")),
    );
    assert_eq!(read(&user, "got"), b"blank", "a failure leaves the old file");
    let denied = cp(&user, &["big", &url("no/such/folder")]);
    assert_eq!((denied.code, &*denied.stdout), (REFUSED, ""), "{denied:#?}");
    assert_clean(&user.file(""));
}

#[test]
fn files_come_and_go_at_a_stock_server() {
    need!("globus-gass-server");
    files_come_and_go(Stock);
}

#[test]
fn files_come_and_go_at_ours() {
    files_come_and_go(Ours);
}

/// A list, many at once, and results in JSON.
fn many_files(make: Kind) {
    let Some(user) = alice(Ours) else { return };
    let server = GassServer::start(&user, make, &["-r", "-w"]);
    fs::create_dir(user.file("to")).expect("writable");
    let mut list = String::from("# source and destination\n\n");
    for number in 0..60 {
        write(&user, &format!("f {number}"), format!("content {number}").as_bytes());
        list += &format!("{} \"to/f {number}\"\n", server.file(&user, &format!("f%20{number}")));
    }
    user.write("list", &list);
    let copied = cp(&user, &["--json", "-p", "6", "-f", "list"]);
    assert_eq!(copied.ok().lines().count(), 60);
    for line in copied.stdout.lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect("a JSON value on each line");
        assert_eq!(value["retries"], 0, "{line}");
    }
    for number in 0..60 {
        assert_eq!(read(&user, &format!("to/f {number}")), format!("content {number}").as_bytes());
    }

    user.write("list", &format!("{} to/x\n\"f 1\" to/y\n", server.file(&user, "missing")));
    let stopped = cp(&user, &["-p", "1", "-f", "list"]);
    assert_eq!((stopped.code, user.file("to/y").exists()), (REFUSED, false), "{stopped:#?}");
    let went_on = cp(&user, &["-k", "-f", "list"]);
    assert_eq!((went_on.code, user.file("to/y").exists()), (REFUSED, true), "{went_on:#?}");
    assert!(went_on.stderr.ends_with("gridiron: 1 of 2 copies failed\n"), "{went_on:#?}");
    assert_clean(&user.file("to"));
}

#[test]
fn many_files_from_a_stock_server() {
    need!("globus-gass-server");
    many_files(Stock);
}

#[test]
fn many_files_from_ours() {
    many_files(Ours);
}

/// Only a server of ours lists directories and makes them.
#[test]
fn whole_trees() {
    let Some(user) = alice(Ours) else { return };
    let server = GassServer::start(&user, Ours, &["-r", "-w"]);
    fs::create_dir_all(user.file("tree/sub/empty")).expect("writable");
    for name in ["a", "b c", "sub/d%20e", "sub/\u{e9}"] {
        write(&user, &format!("tree/{name}"), name.as_bytes());
    }
    cp(&user, &["-r", &server.file(&user, "tree/"), "got/"]).ok();
    cp(&user, &["-r", "--checksum", "tree/", &server.file(&user, "put/new/")]).ok();
    for copy in ["got", "put/new"] {
        for name in ["a", "b c", "sub/d%20e", "sub/\u{e9}"] {
            assert_eq!(read(&user, &format!("{copy}/{name}")), name.as_bytes(), "{copy}/{name}");
        }
        assert!(user.file(copy).join("sub/empty").is_dir());
    }
    let refused = cp(&user, &[&server.file(&user, "tree/"), "got/"]);
    assert_eq!(refused.code, 2, "{refused:#?}");
}

#[test]
fn a_stock_server_lists_nothing_and_that_is_said() {
    need!("globus-gass-server");
    let Some(user) = alice(Ours) else { return };
    let server = GassServer::start(&user, Stock, &["-r", "-w"]);
    let refused = cp(&user, &["-r", &server.file(&user, ""), "got/"]);
    assert_eq!(refused.code, REFUSED);
    assert!(refused.stderr.contains("only a Gridiron server can"), "{refused:#?}");
}

#[test]
fn whoever_is_not_expected_is_refused() {
    let Some(user) = alice(Ours) else { return };
    let server = GassServer::start(&user, Ours, &["-r", "-w"]);
    write(&user, "f", b"content");
    let url = server.file(&user, "f");
    let refused = cp(&user, &["--subject", "/CN=somebody else", &url, "got"]);
    assert_eq!(refused.code, REFUSED);
    assert!(refused.stderr.contains("expected /CN=somebody else, but the other end is"), "{refused:#?}");
    cp(&user, &["--subject", &user.pki.alice.subject, &url, "got"]).ok();
    let plain = cp(&user, &[&url.replace("https:", "http:"), "got"]);
    assert_eq!(plain.code, 2);
    assert!(plain.stderr.contains("--insecure"), "{plain:#?}");
    let ftp = cp(&user, &["gsiftp://h/f", "got"]);
    assert_eq!(ftp.code, 65);
    assert!(ftp.stderr.contains("use https:, http:, file:"), "{ftp:#?}");
}

/// The wire breaks twice; what is there is not sent again where the server is ours.
fn a_broken_wire(make: Kind) {
    const LENGTH: u32 = 12_000_000;
    let Some(user) = alice(Ours) else { return };
    let server = GassServer::start(&user, make, &["-r", "-w"]);
    let content = data(LENGTH);
    write(&user, "big", &content);
    let through =
        |wire: &Wire, name: &str| format!("https://localhost:{}{}", wire.port, user.file(name).display());
    // A question who answers comes before a large upload.
    for (upload, breaks) in [(false, vec![5_000_000, 4_000_000]), (true, vec![u64::MAX, 5_000_000])] {
        let wire = Wire::to(server.port(), breaks);
        let copied = match upload {
            false => cp(&user, &["--json", &through(&wire, "big"), "copy"]),
            true => cp(&user, &["--json", "big", &through(&wire, "copy")]),
        };
        let value: serde_json::Value =
            serde_json::from_str(copied.clone().succeeded().stdout.trim()).expect("JSON");
        assert!(value["retries"].as_u64() >= Some(1), "{copied:#?}");
        assert_eq!(value["bytes"], LENGTH);
        assert!(read(&user, "copy") == content);
        let again = wire.carried() > u64::from(LENGTH) * 13 / 10;
        assert_eq!(again, make == Stock, "{} bytes for {LENGTH}, upload: {upload}", wire.carried());
        fs::remove_file(user.file("copy")).expect("it was just made");
    }
    assert_clean(&user.file(""));
}

#[test]
fn a_broken_wire_to_a_stock_server() {
    need!("globus-gass-server");
    a_broken_wire(Stock);
}

#[test]
fn a_broken_wire_to_ours() {
    a_broken_wire(Ours);
}

/// The stock client stores short bodies as complete (gass.md §11, fault 8).
#[test]
fn half_a_file_is_no_file() {
    let Some(user) = alice(Ours) else { return };
    let short = "HTTP/1.0 200 Ok\r\nConnection: close\r\nContent-Length: 10\r\n\r\nabc".to_owned();
    let url = format!("http://localhost:{}/f", answering(short));
    write(&user, "old", b"old");
    let failed = cp(&user, &["--insecure", "--retries", "0", &url, "old"]);
    assert_eq!(failed.code, UNREACHABLE);
    assert!(failed.stderr.contains("the transfer broke off after 3 bytes"), "{failed:#?}");
    let failed = user.run("globus-url-copy", [&*url, "old"]);
    assert_eq!(failed.code, 1, "{failed:#?}");
    assert_eq!(read(&user, "old"), b"old");
    assert_clean(&user.file(""));
}

#[test]
fn a_wrong_checksum_is_no_file() {
    let Some(user) = alice(Ours) else { return };
    // The checksum is that of "abc".
    let wrong = "HTTP/1.1 200 Ok\r\nServer: Gridiron-GASS/9\r\nConnection: close\r\nContent-Length: 3\r\n\
                 Repr-Digest: sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:\r\n\r\nabd";
    let url = format!("http://localhost:{}/f", answering(wrong.to_owned()));
    let failed = cp(&user, &["--insecure", "--checksum", "--retries", "1", &url, "new"]);
    assert_eq!(failed.code, UNREACHABLE);
    assert!(failed.stderr.contains("the checksum is wrong"), "{failed:#?}");
    assert!(!user.file("new").exists());
    // Nobody has asked.
    cp(&user, &["--insecure", &url, "new"]).ok();
    assert_clean(&user.file(""));
}

/// An interrupt leaves nothing behind.
#[test]
fn an_interrupted_copy_leaves_nothing() {
    let Some(user) = alice(Ours) else { return };
    let mut command = user.gridiron();
    command.args(["cp", "-", "new"]);
    let mut running = Running::interactive(command);
    running.send_apart(&data(3_000_000));
    running.interrupt();
    let ended = running.finish();
    assert_eq!(ended.code, 130, "{ended:#?}");
    assert!(!user.file("new").exists());
    assert_clean(&user.file(""));
}

/// What differs between makes is only what is told beyond the words of the original (docs/observed.md).
#[test]
fn the_classic_tool_says_what_the_original_says() {
    need!("globus-gass-server", "globus-url-copy");
    let (Some(stock), Some(ours)) = (alice(Stock), alice(Ours)) else { return };
    let server = GassServer::start(&stock, Stock, &["-r", "-w"]);
    for user in [&stock, &ours] {
        for folder in ["d/sub", "e"] {
            fs::create_dir_all(user.file(folder)).expect("writable");
        }
        for (name, content) in
            [("d/a", "hello\n"), ("d/sub/c", "deep\n"), ("digits", "0123456789"), ("text", "a\r\nb\n")]
        {
            user.write(name, content);
        }
        let d = user.file("").display().to_string();
        user.write(
            "list",
            &format!(
                "# one\nfile://{d}d/a file://{d}e/1\n\n\"{}{d}digits\" \"file://{d}e/2 3\"\n",
                server.url
            ),
        );
        user.write(
            "bad",
            &format!("file://{d}d/a file://{d}e/1\n{}{d}nosuch file://{d}e/2\ndigits e/3\n", server.url),
        );
        user.write("worse", "a\n");
        user.write("part", "digits e/part 2,3\n");
    }
    let lines = [
        "HTTPSd/a FILEe/got",
        "d/a HTTPSe/put",
        "HTTPSd/a HTTPSe/third",
        "HTTPSd/a FILEe/",
        "HTTPSd/a -",
        "d/a FILE/dev/null",
        "-v HTTPSd/a FILEe/got",
        "-v d/a FILEe/a",
        "-vb d/a HTTPSe/put",
        "-q HTTPSnosuch FILEe/n",
        "HTTPSnosuch FILEe/n",
        "-c HTTPSnosuch FILEe/n",
        "nosuch e/n",
        "d/a nosuch/n",
        "d e/n",
        "HTTPSd/a nosuch/n",
        "FILEd/ FILEe/",
        "-r FILEd/ FILEe/",
        "-v -r FILEd/sub/ FILEe/",
        "-cd d/a FILEe/x/y/z",
        "FILEd/ FILEe/one",
        "FILEd/nomatch* FILEe/",
        "FILEnosuch/ FILEe/",
        "HTTPSd/ FILEe/",
        "-r HTTPSd/ FILEe/",
        "-list HTTPSd/",
        "-list FILEd/sub/",
        "-f list",
        "-v -f list",
        "-f bad",
        "-c -v -f bad",
        "-f worse",
        "-f part",
        "-off 2 -len 3 digits e/range",
        "-len 4 digits HTTPSe/range2",
        "-off 20 digits e/range3",
        "-a HTTPStext e/text",
        "-b HTTPStext e/text2",
        "-rst -rst-interval 1 HTTPSnosuch e/n",
        "-p 4 -tcp-bs 1M -bs 64K -fast -nodcau HTTPSd/a e/p",
        "-cc 3 -f list",
    ];
    let mut different = Vec::new();
    for line in lines {
        let seen = [&stock, &ours].map(|user| {
            let folder = user.file("").display().to_string();
            let (https, file) = (format!("{}{folder}", server.url), format!("file://{folder}"));
            let line =
                line.replace("FILE/dev", "file:///dev").replace("HTTPS", &https).replace("FILE", &file);
            let out = user.run("globus-url-copy", line.split(' '));
            let plain = |text: &str| text.replace(&folder, "<folder>/");
            // The original leaves pieces behind where it fails.
            let made = if out.code == 0 { tree(&user.file("e")) } else { Vec::new() };
            fs::remove_dir_all(user.file("e")).and_then(|()| fs::create_dir(user.file("e"))).expect("ours");
            (out.code, plain(&out.stdout), plain(&out.stderr), made)
        });
        let [stock, ours] = &seen;
        if stock != ours {
            different.push(format!("{line}\n  stock {stock:?}\n  ours  {ours:?}"));
        }
    }
    assert!(different.is_empty(), "{} of {} differ:\n{}", different.len(), lines.len(), different.join("\n"));
}

/// Where ours adds a line, the first is that of the original.
#[test]
fn the_classic_tool_adds_the_cause() {
    need!("globus-gass-server", "globus-url-copy");
    let (Some(stock), Some(ours)) = (alice(Stock), alice(Ours)) else { return };
    let server = GassServer::start(&stock, Stock, &["-r", "-w"]);
    stock.write("a", "hello");
    let port = {
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("free").port()
    };
    let file = stock.file("a").display().to_string();
    let (get, put) = (format!("{}{file}", server.url), format!("{}/no/such/folder", server.url));
    let nobody = format!("https://localhost:{port}/f");
    for (line, cause) in [
        (vec![file.as_str(), put.as_str()], "the server refused: 400"),
        (vec![nobody.as_str(), "n"], "cannot connect"),
        (vec!["-ss", "/CN=nobody", get.as_str(), "n"], "expected /CN=nobody"),
    ] {
        let (stock, ours) = (stock.run("globus-url-copy", &line), ours.run("globus-url-copy", &line));
        assert_eq!((stock.code, ours.code), (1, 1), "{line:?}");
        let added = ours.stderr.strip_prefix(&*stock.stderr);
        assert!(added.is_some_and(|added| added.contains(cause)), "{line:?}\n{stock:#?}\n{ours:#?}");
    }
    let refused = ours.run("globus-url-copy", ["gsiftp://h/f", "file:///tmp/f"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("gsiftp: is not supported; this program copies https:, http: and file:"),
        "{refused:#?}"
    );
}

/// Names and contents of all files.
fn tree(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("it is there") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
                found.push((name, fs::read(&path).expect("readable")));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn stock_clients_at_our_server() {
    need!("globus-url-copy");
    let Some(user) = alice(Stock) else { return };
    let server = GassServer::start(&user, Ours, &["-r", "-w"]);
    let content = data(3_000_001);
    write(&user, "big", &content);
    let file = |name: &str| format!("file://{}", user.file(name).display());
    user.run("globus-url-copy", [server.file(&user, "big"), file("got")]).ok();
    user.run("globus-url-copy", [file("big"), server.file(&user, "put")]).ok();
    assert!(read(&user, "got") == content && read(&user, "put") == content);
}
