//! The GASS cache: the stock program and ours on the same directory, in turn and at the same time, and killed.
#![allow(clippy::expect_used, reason = "the helpers of tests fail by panicking, as tests do")]

use e2e::{
    Finished, Kind, Running, World, command, need,
    stock::{self, skip},
    user::{gridiron, temporary_folder},
};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Longer than anything takes that does not wait for the dead, which takes the stock program 320 s.
const PROMPT: Duration = Duration::from_secs(60);

/// A folder with caches, sources, and both programs.
struct Lab {
    folder: TempDir,
}

impl Lab {
    fn new() -> Self {
        let folder = temporary_folder();
        for name in ["bin", "home"] {
            fs::create_dir(folder.path().join(name)).expect("writable");
        }
        for name in ["globus-gass-cache", "globus-gass-cache-destroy"] {
            symlink(gridiron(), folder.path().join("bin").join(name)).expect("writable");
        }
        fs::write(folder.path().join("source"), "hello\n").expect("writable");
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The URL of a file here.
    fn source(&self) -> String {
        format!("file://{}", self.file("source").display())
    }

    /// `globus-gass-cache` of this make, on this cache.
    fn command(&self, kind: Kind, cache: &str, arguments: &[&str]) -> Command {
        let program = match kind {
            Kind::Stock => stock::program("globus-gass-cache"),
            Kind::Ours => self.file("bin/globus-gass-cache"),
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("GLOBUS_GASS_CACHE_DEFAULT", self.file(cache))
            .env("HOME", self.file("home"));
        command.env_remove("X509_USER_PROXY");
        command
    }

    fn run(&self, kind: Kind, cache: &str, arguments: &[&str]) -> Finished {
        command::run(self.command(kind, cache, arguments))
    }

    /// Runs an operation that has to succeed; returns what it prints.
    #[track_caller]
    fn ok(&self, kind: Kind, cache: &str, arguments: &[&str]) -> String {
        let finished = self.run(kind, cache, arguments);
        assert!(finished.took < PROMPT, "{finished:#?}");
        finished.ok().to_owned()
    }

    /// `gridiron cache … --json`, one value a line.
    fn gridiron(&self, cache: &str, arguments: &[&str]) -> Vec<serde_json::Value> {
        let mut command = Command::new(gridiron());
        command.arg("cache").arg("--cache").arg(self.file(cache)).args(arguments).arg("--json");
        let printed = command::run(command).succeeded().stdout;
        printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Every file that the stock program knows of, below the cache.
    fn files(&self, cache: &str) -> Vec<PathBuf> {
        fn visit(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    visit(&entry.path(), found);
                } else {
                    found.push(entry.path());
                }
            }
        }
        let mut found = Vec::new();
        visit(&self.file(cache), &mut found);
        let own = ["config", "gridiron.lock", "gridiron.limit"];
        found.retain(|path| !own.iter().any(|name| path.ends_with(name)));
        found
    }
}

/// Entries and tags in order, and without the one line too many that stock prints for each tag.
fn sorted(list: &str, kind: Kind) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for entry in list.split("URL: ").skip(1) {
        let (mut tags, rest): (Vec<&str>, Vec<&str>) =
            entry.lines().partition(|line| line.starts_with("\tTag:"));
        tags.sort_unstable();
        let mut seen = "";
        tags.retain(|tag| {
            let is_first = *tag != seen;
            seen = tag;
            !(is_first && kind == Kind::Stock)
        });
        entries.push([rest, tags].concat().join("\n"));
    }
    entries.sort_unstable();
    entries
}

#[test]
fn the_same_operations_on_two_caches_have_the_same_result() {
    need!("globus-gass-cache");
    let lab = Lab::new();
    let source = lab.source();
    let steps: &[&[&str]] = &[
        &["-type"],
        &["-list"],
        &["-add", "-t", "T1", &source],
        &["-a", "-t", "T1", &source],
        &["-add", "-t", "a tag", &source],
        &["-add", "-n", "any:name", &source],
        &["-add", "-n", "x-gass-cache://empty", "file:///dev/null"],
        &["-add", "-n", "x-gass-cache://empty", "file:/dev/null"],
        &["-list"],
        &["-l", "-long"],
        &["-list", "-t", "T1"],
        &["-list", "-t", "nope"],
        &["-list", &source],
        &["-list", "-long", "-t", "T1", &source],
        &["-list", "nope"],
        &["-query", "-t", "T1", &source],
        &["-q", "x-gass-cache://empty"],
        &["-mangle", "-t", "T1", &source],
        &["-m", &source],
        &["-mangle"],
        &["-dirs"],
        &["-dirs", "-t", "T1", &source],
        &["-dirs", &source],
        &["-cleanup-url", "any:name"],
        &["-cleanup-url", &source],
        &["-list"],
        &["-cleanup-tag"],
        &["-list"],
        &["-add", "-t", "T1", &source],
        &["-delete", "-t", "T1", &source],
        &["-add", &source],
        &["-cleanup-tag", &source],
        &["-list"],
    ];
    for step in steps {
        // Twins whose names have the same length, so that whatever is cut is cut alike.
        let stock = lab.run(Kind::Stock, "stock", step);
        let ours = lab.run(Kind::Ours, "twins", step);
        assert_eq!((stock.code, ours.code), (0, 0), "{step:?} {stock:#?} {ours:#?}");
        assert_eq!((stock.stderr.as_str(), ours.stderr.as_str()), ("", ""), "{step:?}");
        let plain = |finished: &Finished, cache| {
            finished.stdout.replace(&*lab.file(cache).to_string_lossy(), "CACHE")
        };
        if step.iter().any(|word| *word == "-list" || *word == "-l") {
            assert_eq!(sorted(&stock.stdout, Kind::Stock), sorted(&ours.stdout, Kind::Ours), "{step:?}");
        } else {
            assert_eq!(plain(&stock, "stock"), plain(&ours, "twins"), "{step:?}");
        }
    }
}

#[test]
fn failures_are_told_in_the_words_of_the_original() {
    need!("globus-gass-cache");
    let lab = Lab::new();
    let steps: &[&[&str]] = &[
        &[],
        &["-nosuchoption"],
        &["-add"],
        &["-query"],
        &["-delete"],
        &["-add", "-query", "u"],
        &["-type", "a", "b"],
        &["-add", "-n"],
        &["-query", "-t"],
        &["--query", "u"],
        &["-cleanup-url", "nope"],
    ];
    for step in steps {
        let (stock, ours) = (lab.run(Kind::Stock, "stock", step), lab.run(Kind::Ours, "twins", step));
        assert_eq!((ours.code, &ours.stdout), (stock.code, &stock.stdout), "{step:?}");
        assert_eq!(
            ours.stderr.trim_end_matches(['.', '\n']),
            stock.stderr.trim_end_matches(['.', '\n']),
            "{step:?}"
        );
    }
    // Ours says why.
    for source in ["file:///nowhere", "zzz", "http://127.0.0.1:1/x"] {
        let (stock, ours) = (
            lab.run(Kind::Stock, "stock", &["-add", source]),
            lab.run(Kind::Ours, "twins", &["-add", source]),
        );
        assert_eq!((stock.code, ours.code), (255, 255));
        assert_eq!(ours.stdout, stock.stdout);
        assert!(ours.stderr.contains(source.trim_start_matches("file://")), "{ours:#?}");
    }
    // docs/observed.md: what is not there is told apart from what fails.
    for (step, code) in [(["-query", "nope"], 1), (["-delete", "nope"], 255)] {
        let ours = lab.run(Kind::Ours, "twins", &step);
        assert_eq!((ours.code, ours.stdout.as_str()), (code, ""));
        assert!(ours.stderr.contains("the URL was not found in the GASS cache"), "{ours:#?}");
    }
    assert_eq!(lab.run(Kind::Ours, "twins", &["-cleanup-tag", "-t", "nope"]).code, 255);
    assert!(lab.files("twins").is_empty(), "{:?}", lab.files("twins"));
}

#[test]
fn both_makes_on_one_cache_in_turn() {
    use Kind::{Ours, Stock};
    need!("globus-gass-cache");
    for first in ["", "type=flat\nlevels=2\n", "type=normal\nlevels=4\n", "type=normal\nlevels=0\n"] {
        let lab = Lab::new();
        if !first.is_empty() {
            fs::create_dir(lab.file("c")).expect("writable");
            fs::write(lab.file("c/config"), first).expect("writable");
        }
        let source = lab.source();
        for (maker, user) in [(Stock, Ours), (Ours, Stock)] {
            lab.ok(maker, "c", &["-add", "-t", "T1", &source]);
            // The source has changed: whoever fetched again would notice.
            fs::write(lab.file("source"), "changed\n").expect("writable");
            lab.ok(user, "c", &["-add", "-t", "T1", &source]);
            lab.ok(user, "c", &["-add", "-t", "T2", &source]);
            for tag in ["T1", "T2"] {
                let paths = [maker, user].map(|kind| lab.ok(kind, "c", &["-query", "-t", tag, &source]));
                assert_eq!(paths[0], paths[1]);
                assert_eq!(fs::read_to_string(paths[0].trim_end()).expect("it is there"), "hello\n");
            }
            // Ours leaves the entry ready, the last reference or not.
            lab.ok(Ours, "c", &["-delete", "-t", "T1", &source]);
            lab.ok(Stock, "c", &["-add", "-t", "T3", &source]);
            lab.ok(Ours, "c", &["-delete", "-t", "T1", &source]);
            let listed = lab.ok(Ours, "c", &["-list"]);
            assert_eq!(listed, format!("URL: {source}\n\tTag:T2\n\tTag:T3\n"));
            // What stock leaves locked (gass.md §11, 6) is put right by ours.
            lab.run(Stock, "c", &["-delete", "-t", "T2", &source]);
            lab.ok(Ours, "c", &["-add", "-t", "T4", &source]);
            lab.ok(Stock, "c", &["-add", "-t", "T5", &source]);
            for tag in ["T3", "T4", "T5"] {
                lab.ok(Ours, "c", &["-cleanup-tag", "-t", tag]);
            }
            let left: Vec<PathBuf> = lab.files("c").into_iter().filter(|file| !is_flat_root(file)).collect();
            assert!(left.is_empty(), "{left:?}");
            fs::write(lab.file("source"), "hello\n").expect("writable");
        }
    }
}

/// The files that stand for the three main directories of a flat cache.
fn is_flat_root(file: &Path) -> bool {
    ["global", "local", "tmp"].iter().any(|name| file.ends_with(name))
}

/// An http server with one file, which it sends when it is told to.
struct SlowServer {
    url: String,
    gets: Arc<AtomicUsize>,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl SlowServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let url = format!("http://127.0.0.1:{}/slow", listener.local_addr().expect("bound").port());
        let gets = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let (counted, closed) = (Arc::clone(&gets), Arc::clone(&gate));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counted, closed) = (Arc::clone(&counted), Arc::clone(&closed));
                thread::spawn(move || serve(stream, &counted, &closed));
            }
        });
        Self { url, gets, gate }
    }

    fn open(&self) {
        *self.gate.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.gate.1.notify_all();
    }

    fn close(&self) {
        *self.gate.0.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    fn gets(&self) -> usize {
        self.gets.load(Ordering::SeqCst)
    }

    #[track_caller]
    fn wait_for_get(&self) {
        let start = Instant::now();
        while self.gets() == 0 {
            assert!(start.elapsed() < PROMPT, "nobody asks");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What [`SlowServer`] has, in two halves.
const SLOW: (&str, &str) = ("first half, ", "second half\n");

fn serve(stream: TcpStream, gets: &AtomicUsize, gate: &(Mutex<bool>, Condvar)) {
    let mut writer = stream.try_clone().expect("a socket");
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        if line.is_empty() {
            break;
        }
    }
    gets.fetch_add(1, Ordering::SeqCst);
    let length = SLOW.0.len() + SLOW.1.len();
    let head = format!("HTTP/1.0 200 Ok\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{}", SLOW.0);
    // A client that was killed takes nothing.
    let _ = writer.write_all(head.as_bytes());
    let mut open = gate.0.lock().unwrap_or_else(PoisonError::into_inner);
    while !*open {
        open = gate.1.wait(open).unwrap_or_else(PoisonError::into_inner);
    }
    drop(open);
    let _ = writer.write_all(SLOW.1.as_bytes());
}

#[test]
fn simultaneous_adds_of_both_makes_make_one_get() {
    use Kind::{Ours, Stock};
    need!("globus-gass-cache");
    let lab = Lab::new();
    for (first, others) in [(Stock, [Ours, Ours, Stock]), (Ours, [Stock, Stock, Ours])] {
        let server = SlowServer::start();
        let cache = format!("{first:?}");
        let start = |kind, tag: &str| {
            Running::start(lab.command(kind, &cache, &["-add", "-t", tag, &server.url]), None)
        };
        let mut adds = vec![start(first, "first")];
        server.wait_for_get();
        adds.extend(others.iter().zip(["a", "b", "c"]).map(|(kind, tag)| start(*kind, tag)));
        // That the others are waiting cannot be seen from outside; let them come to it.
        thread::sleep(Duration::from_secs(1));
        let listed = lab.gridiron(&cache, &["list"]);
        assert_eq!(listed[0]["ready"], false, "{listed:?}");
        server.open();
        for add in adds {
            let finished = add.finish();
            assert!(finished.code == 0 && finished.took < PROMPT, "{finished:#?}");
        }
        assert_eq!(server.gets(), 1, "{first:?} first");
        for tag in ["first", "a", "b", "c"] {
            let path = lab.ok(Stock, &cache, &["-query", "-t", tag, &server.url]);
            assert_eq!(fs::read_to_string(path.trim_end()).expect("it is there"), [SLOW.0, SLOW.1].concat());
            lab.ok(Ours, &cache, &["-cleanup-tag", "-t", tag]);
        }
        assert!(lab.files(&cache).is_empty(), "{:?}", lab.files(&cache));
    }
}

#[test]
fn many_of_both_makes_at_once() {
    need!("globus-gass-cache");
    const EACH: usize = 8;
    let lab = Lab::new();
    let source = lab.source();
    let tags: Vec<String> = (0..EACH).map(|number| format!("T{number}")).collect();
    // The stock program forgets to unlock when it drops a reference that is not the last, so only ours drops here.
    let adds: Vec<Running> = tags
        .iter()
        .flat_map(|tag| [Kind::Stock, Kind::Ours].map(|kind| (kind, tag)))
        .map(|(kind, tag)| Running::start(lab.command(kind, "c", &["-add", "-t", tag, &source]), None))
        .collect();
    for add in adds {
        let finished = add.finish();
        assert!(finished.code == 0 && finished.took < PROMPT, "{finished:#?}");
    }
    let listed = lab.gridiron("c", &["list"]);
    let expected: Vec<_> =
        tags.iter().map(|tag| serde_json::json!({ "tag": tag, "references": 2 })).collect();
    assert_eq!(listed[0]["tags"], serde_json::Value::from(expected));
    let drops: Vec<Running> = tags
        .iter()
        .map(|tag| Running::start(lab.command(Kind::Ours, "c", &["-cleanup-tag", "-t", tag]), None))
        .collect();
    for drop in drops {
        drop.finish().ok();
    }
    assert!(lab.files("c").is_empty(), "{:?}", lab.files("c"));
}

#[test]
fn an_add_that_is_killed_at_any_instant_leaves_nothing_in_the_way() {
    const ROUNDS: u64 = 60;
    let lab = Lab::new();
    let (server, source) = (SlowServer::start(), lab.source());
    let mut random = u64::from(std::process::id()) | 1;
    let mut kills = 0;
    for round in 0..ROUNDS {
        // xorshift; the instants differ from run to run, and are told on failure.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Every third while it downloads, with half of it there; the others anywhere from start to end.
        let is_download = round % 3 == 0;
        let url = if is_download { &server.url } else { &source };
        server.close();
        server.gets.store(0, Ordering::SeqCst);
        let add = Running::start(lab.command(Kind::Ours, "c", &["-add", "-t", "killed", url]), None);
        if is_download {
            server.wait_for_get();
        }
        let instant = Duration::from_micros(random % 40_000);
        thread::sleep(instant);
        add.kill();
        kills += usize::from(add.finish().code == 137);
        server.open();
        let context = format!("round {round}, {instant:?} {url}");

        let next = if round % 2 == 0 || stock::find("globus-gass-cache").is_none() {
            Kind::Ours
        } else {
            Kind::Stock
        };
        if next == Kind::Stock {
            // Stock waits 320 s for the dead unless somebody of ours has come by.
            lab.gridiron("c", &["clean"]);
        }
        let path = {
            let added = lab.run(next, "c", &["-add", "-t", "next", url]);
            assert!(added.code == 0 && added.took < PROMPT, "{context}: {added:#?}");
            lab.ok(Kind::Ours, "c", &["-query", "-t", "next", url])
        };
        let expected = if is_download { [SLOW.0, SLOW.1].concat() } else { "hello\n".to_owned() };
        assert_eq!(fs::read_to_string(path.trim_end()).expect("it is there"), expected, "{context}");
        for tag in ["killed", "next"] {
            // The one that was killed may have been done.
            lab.run(Kind::Ours, "c", &["-cleanup-tag", "-t", tag]);
        }
        lab.gridiron("c", &["clean"]);
        assert!(lab.files("c").is_empty(), "{context}: {:?}", lab.files("c"));
    }
    assert!(kills >= 20, "only {kills} were killed on the way");
}

#[test]
fn what_nobody_refers_to_stays_up_to_the_limit() {
    need!("globus-gass-cache");
    let lab = Lab::new();
    let server = SlowServer::start();
    server.open();
    let size = SLOW.0.len() + SLOW.1.len();
    lab.gridiron("c", &["limit", &format!("{}", size * 2)]);
    let url = |name: &str| format!("{}{name}", server.url);
    for name in ["1", "2", "3"] {
        lab.ok(Kind::Ours, "c", &["-add", &url(name)]);
        lab.ok(Kind::Ours, "c", &["-delete", &url(name)]);
    }
    let listed = lab.ok(Kind::Stock, "c", &["-list"]);
    assert_eq!(sorted(&listed, Kind::Stock), [url("2"), url("3")], "the oldest made room");
    assert_eq!(lab.gridiron("c", &["usage"])[0]["kept_files"], 2);
    assert_eq!(server.gets(), 3);
    // Both makes use what is kept.
    lab.ok(Kind::Stock, "c", &["-add", "-t", "T", &url("2")]);
    lab.ok(Kind::Ours, "c", &["-add", "-t", "T", &url("3")]);
    assert_eq!(server.gets(), 3);
    lab.ok(Kind::Stock, "c", &["-cleanup-tag", "-t", "T"]);
    assert!(lab.files("c").is_empty(), "stock keeps nothing: {:?}", lab.files("c"));
}

/// A file system of its own, small and then read-only, for one shell.
#[test]
fn full_disk_and_read_only_cache() {
    let lab = Lab::new();
    let Some(unshare) = stock::find("unshare") else { return skip("not installed: unshare") };
    fs::create_dir(lab.file("disk")).expect("writable");
    fs::write(lab.file("big"), vec![b'x'; 1 << 20]).expect("writable");
    let script = format!(
        "cd {folder} && mount -t tmpfs -o size=256k none disk || exit 77\n\
         export GLOBUS_GASS_CACHE_DEFAULT=$PWD/disk/c\n\
         run() {{ bin/globus-gass-cache \"$@\"; echo \"status $?\"; }}\n\
         run -add {small}; run -add file://$PWD/big 2>&1; run -list; run -query {small}\n\
         mount -o remount,ro disk\n\
         run -add -t other {small} 2>&1; run -query {small}; run -list; run -delete {small} 2>&1; run -query {small}\n\
         mount -o remount,rw disk\n\
         run -delete {small}; find disk/c/global disk/c/local disk/c/tmp -type f",
        folder = lab.folder.path().display(),
        small = lab.source(),
    );
    let mut shell = Command::new(unshare);
    shell.args(["--mount", "sh", "-c", &script]);
    let finished = command::run(shell);
    if finished.code == 77 || finished.stderr.contains("unshare") {
        return skip(&format!("no mounts here: {}", finished.stderr.trim()));
    }
    let source = lab.source();
    let lines: Vec<&str> = finished.stdout.lines().collect();
    let list = format!("URL: {source}");
    let path = lines.iter().find(|line| line.ends_with("/data")).copied().unwrap_or_default();
    let expected: [&[&str]; 10] = [
        &["status 0"],
        &[
            &format!("Error transferring file://{}", lab.file("big").display()),
            "No space left on device",
            "status 255",
        ],
        &[&list, "\tTag:null", "status 0"],
        &[path, "status 0"],
        &["Error transferring", "Read-only file system", "status 255"],
        &[path, "status 0"],
        &[&list, "\tTag:null", "status 0"],
        &["Read-only file system", "status 255"],
        &[path, "status 0"],
        &["status 0"],
    ];
    let expected: Vec<&str> = expected.concat();
    assert_eq!(lines.len(), expected.len(), "{finished:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "{line:?} is not {expected:?}: {finished:#?}");
    }
}

/// `-r`: the operation as a job, with its output and exit status.
fn remote(world: &World) {
    let mangled = world.run("globus-gass-cache", ["-r", world.contact(), "-mangle", "-t", "TAG1", "u"]);
    assert_eq!(
        mangled.ok(),
        "URL: 'md5/7b/774effe4a349c6dd82ad4f4f21d34c'\nTAG: 'md5/b2/4a391e7a942c8ba29ed4a8fbbfbc02'\n"
    );
    let unknown = world.run("globus-gass-cache", ["-r", world.contact(), "-delete", "nope:nope"]);
    assert_eq!(unknown.code, 255, "{unknown:#?}");
    assert!(unknown.stderr.contains("the URL was not found"), "{unknown:#?}");
}

mod at_a_service {
    use e2e::{Kind, world::play};

    #[test]
    fn stock() {
        play(Kind::Ours, Kind::Stock, super::remote);
    }

    #[test]
    fn ours() {
        e2e::need!("globus-gass-cache");
        play(Kind::Ours, Kind::Ours, super::remote);
    }
}
