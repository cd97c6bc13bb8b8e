//! Our file server and the stock clients, and curl, which knows nothing of Globus; and what the stock server does wrong.

use e2e::{
    Finished,
    Kind::{Ours, Stock},
    Running, User, World, command, need, stock,
    world::Setup,
};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::Command,
};

/// A user with a proxy, whose server is ours and whose clients are stock.
struct Desk {
    /// Whose commands are stock.
    user: User,
    /// Whose commands are ours; the proxy is the same.
    ours: User,
}

impl Desk {
    fn new() -> Option<Self> {
        let desk = Self { user: User::new(Stock)?, ours: User::new(Ours)? };
        desk.user.proxy_init(&desk.user.pki.alice, &[]);
        fs::copy(desk.user.file("proxy"), desk.ours.file("proxy")).ok()?;
        Some(desk)
    }

    /// Starts the classic server with these options; its base URL.
    fn classic(&self, options: &[&str]) -> (Running, String) {
        let server = self.ours.start("globus-gass-server", options);
        let url = server.wait_for("\n").lines().next().unwrap_or_default().to_owned();
        (server, url)
    }

    /// Starts `gridiron gass serve` with these options; its base URL.
    fn modern(&self, options: &[&str]) -> (Running, String) {
        let mut command = self.ours.gridiron();
        command.args(["gass", "serve"]).args(options);
        let server = Running::start(command, None);
        let url = server.wait_for("\n").lines().next().unwrap_or_default().to_owned();
        (server, url)
    }

    /// The path of a file in the server's folder.
    fn path(&self, name: &str) -> PathBuf {
        self.ours.file(name)
    }

    fn url(&self, base: &str, name: &str) -> String {
        format!("{base}{}", self.path(name).display())
    }

    /// `globus-url-copy`.
    fn copy(&self, from: &str, to: &str) -> Finished {
        self.user.run("globus-url-copy", [from, to])
    }

    /// `curl` with the proxy as its certificate.
    fn curl(&self, arguments: &[&str]) -> Finished {
        let proxy = self.user.file("proxy");
        let mut command = self.user.at_home(Command::new("curl"));
        command.args(["--silent", "--show-error", "--cert"]).arg(&proxy).arg("--key").arg(&proxy);
        command.arg("--capath").arg(&self.user.pki.trust).arg("--insecure").args(arguments);
        command::run(command)
    }

    /// What curl gets, and the status.
    fn status(&self, arguments: &[&str]) -> String {
        let arguments = [&["--output", "/dev/null", "--write-out", "%{http_code}"], arguments].concat();
        self.curl(&arguments).stdout
    }
}

/// Not a multiple of anything.
fn large() -> Vec<u8> {
    (0..3_000_017_u32).map(|n| (n % 251) as u8).collect()
}

#[test]
fn stock_clients_get_put_and_append() {
    need!("globus-url-copy", "curl");
    let Some(desk) = Desk::new() else { return };
    let (server, base) = desk.classic(&[]);
    let file = |path: PathBuf| format!("file://{}", path.display());
    for content in [large(), Vec::new(), b"short\n".to_vec()] {
        fs::write(desk.user.file("from"), &content).unwrap();
        desk.copy(&file(desk.user.file("from")), &desk.url(&base, "served")).succeeded();
        assert!(fs::read(desk.path("served")).unwrap() == content);
        desk.copy(&desk.url(&base, "served"), &file(desk.user.file("to"))).succeeded();
        assert!(fs::read(desk.user.file("to")).unwrap() == content);
    }
    // Home directories are those of the server's user.
    fs::write(desk.path("at home"), "tilde").unwrap();
    desk.copy(&format!("{base}/~/at%20home"), &file(desk.user.file("to"))).succeeded();
    assert_eq!(fs::read_to_string(desk.user.file("to")).unwrap(), "tilde");

    desk.copy(&file(desk.user.file("from")), &format!("{base}/dev/stdout")).succeeded();
    server.wait_for("short\n");
    desk.copy(&file(desk.user.file("from")), &format!("{base}/dev/stderr")).succeeded();
    server.wait_for_error("short\n");

    let append = format!("{base}/globus-bins/GASSappend?{}", desk.path("served").display());
    desk.curl(&["--data-binary", "and more", &append]).succeeded();
    assert_eq!(fs::read_to_string(desk.path("served")).unwrap(), "short\nand more");

    let refused = desk.copy(&desk.url(&base, "missing"), &file(desk.user.file("to")));
    assert!(refused.code != 0 && refused.stderr.contains("404, File Not Found"), "{refused:#?}");
    assert_eq!(desk.status(&[&desk.url(&base, "missing")]), "404");
    assert!(
        !fs::read_dir(desk.path("."))
            .unwrap()
            .any(|entry| { entry.unwrap().file_name().to_string_lossy().starts_with(".gass-") })
    );
}

/// gass.md §5.1: one functional option switches the others off.
#[test]
fn options_give_rights_one_by_one() {
    need!("curl");
    let Some(desk) = Desk::new() else { return };
    fs::write(desk.path("f"), "content").unwrap();
    for (options, expected) in [
        (&[][..], ["200"; 5]),
        (&["-r"], ["200", "400", "400", "400", "404"]),
        (&["-r", "-w", "-t", "-n", "w"], ["200", "400", "400", "400", "200"]),
        // The stock server takes files from whoever may write to its stdout (fault 4).
        (&["-o"], ["400", "400", "200", "400", "400"]),
        (&["-e"], ["400", "400", "400", "200", "400"]),
        (&["-c"], ["400"; 5]),
        (&["-l"], ["400"; 5]),
    ] {
        let (_server, base) = desk.classic(&[&["-i"], options].concat());
        let body = desk.path("f").display().to_string();
        let seen = [
            desk.status(&[&desk.url(&base, "f")]),
            desk.status(&["-T", &body, &desk.url(&base, "new")]),
            desk.status(&["-T", &body, &format!("{base}/dev/stdout")]),
            desk.status(&["-T", &body, &format!("{base}/dev/stderr")]),
            desk.status(&[&format!("{base}/~/f")]),
        ];
        assert_eq!(seen, expected, "{options:?}");
        assert_eq!(fs::remove_file(desk.path("new")).is_ok(), expected[1] == "200", "{options:?}");
    }
}

#[test]
fn the_classic_server_speaks_as_the_stock_one() {
    need!("globus-gass-server", "globus-gass-server-shutdown");
    let Some(desk) = Desk::new() else { return };
    let warning = "Warning:  You do not have valid credentials at this time\n";
    for line in [
        &["globus-gass-server", "-bogus"][..],
        &["globus-gass-server", "-p"],
        &["globus-gass-server", "-p", "0"],
        &["globus-gass-server", "-p", "abc"],
        &["globus-gass-server", "-r", "-n", "zz"],
        &["globus-gass-server", "-n"],
        &["globus-gass-server-shutdown"],
        &["globus-gass-server-shutdown", "a", "b"],
        &["globus-gass-server-shutdown", "http://localhost:1"],
    ] {
        let [program, arguments @ ..] = line else { continue };
        let seen = [&desk.user, &desk.ours].map(|user| {
            let out = user.run(program, arguments);
            (out.code, out.stdout, out.stderr.replace(warning, ""))
        });
        assert_eq!(seen[0], seen[1], "{line:?}");
    }
    // A port that is taken.
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for user in [&desk.user, &desk.ours] {
        let out = user.run("globus-gass-server", ["-i", "-p", &port]);
        assert_eq!((out.code, &*out.stdout), (255, "Error: Failed to initialize gass server library\n"));
    }
    // The URL is one line, with the host's name, on the port that was asked for; -s keeps it back.
    drop(taken);
    let (server, base) = desk.classic(&["-i", "-p", &port]);
    assert_eq!(base, format!("http://{}:{port}", e2e::pki::host_name()));
    drop(server);
    let range = format!("{port},{port}");
    let mut command = desk.ours.command("globus-gass-server");
    command.arg("-silent").env("GLOBUS_TCP_PORT_RANGE", &range);
    let silent = Running::start(command, None);
    let url = format!("https://{}:{port}{}", e2e::pki::host_name(), desk.path("proxy").display());
    let answers = (0..500).any(|_| desk.curl(&["--output", "/dev/null", &url]).code == 0);
    assert!(answers, "on the port of the range");
    silent.signal(rustix::process::Signal::TERM);
    silent.finish().is(128 + 15, "", "");
}

#[test]
fn a_server_ends_when_it_is_told_to() {
    need!("globus-gass-server-shutdown", "globus-url-copy");
    let Some(desk) = Desk::new() else { return };
    for user in [&desk.user, &desk.ours] {
        let (server, base) = desk.classic(&["-c", "-r"]);
        assert_eq!(user.run("globus-gass-server-shutdown", [&base]).code, 1, "in any case");
        assert_eq!(server.finish().code, 0, "{:?}", user.client);
        let (server, base) = desk.classic(&["-r"]);
        assert_eq!(user.run("globus-gass-server-shutdown", [&base]).code, 1);
        fs::write(desk.path("f"), "alive").unwrap();
        assert_eq!(desk.curl(&[&desk.url(&base, "f")]).ok(), "alive");
        drop(server);
    }
    let (server, base) = desk.modern(&["--client-shutdown"]);
    desk.user.run("globus-gass-server-shutdown", [&base]);
    assert_eq!(server.finish().code, 0);
}

/// A job's output comes home to ours, and it reads and writes our files, run by our `globusrun` at a stock site.
#[test]
fn jobs_use_the_server_inside_globusrun() {
    let Some(world) = World::new(Ours, Stock, &Setup::default()) else { return };
    let input = world.write("input", "through\n");
    let output = world.file("staged").display().to_string();
    let rsl = format!(
        "&(executable=/bin/cat)(stdin=$(GLOBUSRUN_GASS_URL){input})\
         (file_stage_out=({input} $(GLOBUSRUN_GASS_URL){output}))"
    );
    world.run("globusrun", ["-w", "-r", world.contact(), &rsl]).is(0, "through\n", "");
    assert_eq!(world.read("staged"), "through\n");
    let rsl = "&(executable=/bin/echo)(arguments=only output)";
    world.run("globusrun", ["-o", "-r", world.contact(), rsl]).is(0, "only output\n", "");
    world.script("program", "#!/bin/sh\necho staged $1\n");
    world.run("globus-job-run", [world.contact(), "-s", "program", "yes"]).is(0, "staged yes\n", "");
}

#[test]
fn curl_reads_and_writes() {
    need!("curl");
    let Some(desk) = Desk::new() else { return };
    let content = large();
    let total = content.len();
    fs::create_dir(desk.path("data")).unwrap();
    fs::write(desk.path("data/big"), &content).unwrap();
    fs::write(desk.user.file("big"), &content).unwrap();
    let root = format!("{}:rw", desk.path("data").display());
    let (_server, base) = desk.modern(&["--root", &root]);
    let url = desk.url(&base, "data/big");

    desk.curl(&["--output", "got", &url]).succeeded();
    assert!(fs::read(desk.user.file("got")).unwrap() == content);
    let head = desk.curl(&["--head", "-H", "Want-Repr-Digest: sha-256=10", &url]).succeeded().stdout;
    for line in [
        "HTTP/1.1 200 Ok",
        &format!("Content-Length: {total}"),
        "Accept-Ranges: bytes",
        "Repr-Digest: sha-256=:",
    ] {
        assert!(head.contains(line), "{line}: {head}");
    }
    // Parts, and the rest of a download that broke.
    assert_eq!(desk.status(&["--range", "0-9", &url]), "206");
    assert_eq!(desk.status(&["--range", &format!("{total}-"), &url]), "416");
    fs::write(desk.user.file("got"), &content[..1000]).unwrap();
    desk.curl(&["--continue-at", "-", "--output", "got", &url]).succeeded();
    assert!(fs::read(desk.user.file("got")).unwrap() == content);

    // Uploads, and the rest of one that broke.
    let new = desk.url(&base, "data/new");
    desk.curl(&["-T", "big", &new]).succeeded();
    assert!(fs::read(desk.path("data/new")).unwrap() == content);
    let id = ["-H", "Upload-Id: abc"];
    let broken = ["--max-time", "1", "--limit-rate", "1000000", "-T", "big"];
    let resumed = desk.url(&base, "data/resumed");
    let out = desk.curl(&[&id[..], &broken[..], &[&resumed]].concat());
    assert_eq!(out.code, 28, "it ran out of time: {out:#?}");
    assert!(!desk.path("data/resumed").exists(), "nothing under the final name");
    let held = || {
        let head = desk.curl(&[&id[..], &["--head", &resumed]].concat()).succeeded().stdout;
        let line = head.lines().find_map(|line| line.strip_prefix("Upload-Offset: ")).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{head}"))
    };
    let offset = held();
    assert!(offset.parse::<usize>().is_ok_and(|offset| offset > 0 && offset < total), "{offset}");
    let rest = ["--continue-at", &offset, "-T", "big", &resumed];
    desk.curl(&[&id[..], &rest[..]].concat()).succeeded();
    assert!(fs::read(desk.path("data/resumed")).unwrap() == content);

    // Listings, for programs and people.
    let listing = desk.curl(&["-H", "Accept: application/json", &desk.url(&base, "data/")]).succeeded();
    let entries = serde_json::from_str::<serde_json::Value>(&listing.stdout).unwrap();
    let names: Vec<&str> =
        entries["entries"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["big", "new", "resumed"]);
    assert!(desk.curl(&[&desk.url(&base, "data/")]).ok().contains("<a href=\"./big\">big</a>"));
    let listing = desk.curl(&["-H", "Accept: application/json", &format!("{base}/")]).succeeded();
    assert!(listing.stdout.contains("\"kind\":\"directory\""), "{listing:#?}");

    // Several requests on one connection.
    let count = desk.curl(&[
        "--output",
        "/dev/null",
        &url,
        "--output",
        "/dev/null",
        &url,
        "--write-out",
        "%{num_connects} ",
    ]);
    assert_eq!(count.stdout, "1 0 ");
}

#[test]
fn nothing_leads_out_of_an_exported_directory() {
    need!("curl");
    let Some(desk) = Desk::new() else { return };
    fs::create_dir(desk.path("data")).unwrap();
    fs::write(desk.path("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(desk.path("secret"), desk.path("data/link")).unwrap();
    std::os::unix::fs::symlink("/proc/self/root", desk.path("data/magic")).unwrap();
    let root = format!("/pub={}:rw", desk.path("data").display());
    let (_server, base) = desk.modern(&["--root", &root, "--insecure"]);
    let secret = desk.path("secret").display().to_string();
    for path in [
        secret.clone(),
        "/etc/passwd".to_owned(),
        "/pub/../secret".to_owned(),
        "/pub/%2e%2e/secret".to_owned(),
        "/pub/link".to_owned(),
        format!("/pub/magic{secret}"),
        "/~/secret".to_owned(),
        "/~root/.profile".to_owned(),
    ] {
        let url = format!("{base}{path}");
        assert!(["403", "404"].contains(&&*desk.status(&["--path-as-is", &url])), "{path}");
        let put = desk.status(&["--path-as-is", "-T", &secret, &url]);
        assert!(["400", "403", "404"].contains(&&*put), "{path}: {put}");
    }
    assert_eq!(fs::read_to_string(desk.path("secret")).unwrap(), "secret");
    assert_eq!(desk.status(&["-T", &secret, &format!("{base}/pub/new")]), "200");
}

#[test]
fn only_those_allowed_are_served() {
    need!("globus-url-copy");
    let Some(desk) = Desk::new() else { return };
    let pki = &desk.user.pki;
    fs::write(desk.path("f"), "content").unwrap();
    let get = |base: &str| {
        let subject = &pki.alice.subject;
        let url = desk.url(base, "f");
        let to = format!("file://{}", desk.user.file("to").display());
        desk.user.run("globus-url-copy", ["-ss", subject, &url, &to]).code == 0
    };
    let gridmap = desk.ours.write("gridmap", &format!("\"{}\" somebody\n", pki.carol.subject));
    let servers = [
        (desk.modern(&[]), [true, false, false]),
        (desk.modern(&["--allow-subject", &pki.carol.subject]), [true, true, false]),
        (desk.modern(&["--gridmap", &gridmap]), [true, true, false]),
    ];
    for (index, person) in [&pki.alice, &pki.carol, &pki.mallory].into_iter().enumerate() {
        desk.user.proxy_init(person, &[]);
        for ((_, base), expected) in &servers {
            assert_eq!(get(base), expected[index], "{}", person.subject);
        }
    }
    // A changed gridmap counts at once.
    fs::write(&gridmap, format!("\"{}\" somebody\n", pki.mallory.subject)).unwrap();
    assert!(get(&servers[2].0.1));
}

/// gass.md §11, faults 2 and 3, and what else stops a stock server.
#[test]
fn nobody_stops_a_server() {
    need!("curl");
    let Some(desk) = Desk::new() else { return };
    fs::write(desk.path("f"), "content").unwrap();
    let (server, base) = desk.classic(&["-i"]);
    let address = base.trim_start_matches("http://").to_owned();
    let _silent: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(&*address).unwrap()).collect();
    let say = |request: &str| {
        let mut stream = TcpStream::connect(&*address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        String::from_utf8_lossy(&reply).into_owned()
    };
    let path = desk.path("f").display().to_string();
    let absolute = say(&format!("GET http://x{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    assert!(absolute.ends_with("content"), "{absolute}");
    for request in ["GET / HTTP/9.9\r\n\r\n", "\r\n\r\n\r\n\0\0\0\r\n\r\n", "OPTIONS * HTTP/1.0\r\n\r\n"] {
        say(request);
    }
    assert_eq!(desk.status(&["-X", "DELETE", &desk.url(&base, "f")]), "405");
    // Fault 5: what is announced is sent, or curl would complain.
    assert!(desk.curl(&[&desk.url(&base, "missing")]).ok().contains("404 File Not Found"));
    assert_eq!(desk.curl(&[&desk.url(&base, "f")]).ok(), "content");
    drop(server);
}

/// Fault 1: a file that is there and cannot be read kills the stock server.
#[test]
fn unreadable_files_are_refused() {
    need!("curl", "setpriv");
    if !rustix::process::geteuid().is_root() {
        stock::skip("not root: cannot become an account that may not read a file");
        return;
    }
    let Some(desk) = Desk::new() else { return };
    let folder = tempfile::Builder::new().prefix("gridiron-e2e-").tempdir().unwrap();
    let file = folder.path().join("f");
    fs::write(&file, "content").unwrap();
    std::os::unix::fs::chown(folder.path(), Some(65534), None).unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    let mut command = desk.ours.at_home(Command::new("setpriv"));
    // A copy, since the account may not be able to pass through to the original.
    let program = folder.path().join("gridiron");
    fs::copy(e2e::user::gridiron(), &program).unwrap();
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
    command.args(["classic", "globus-gass-server", "-i"]).current_dir("/");
    let server = Running::start(command, None);
    let base = server.wait_for("\n").trim().to_owned();
    let url = format!("{base}{}", file.display());
    assert_eq!(desk.status(&[&url]), "403");
    assert_eq!(desk.status(&["-T", &desk.ours.file("proxy").display().to_string(), &url]), "403");
    assert_eq!(desk.status(&[&url]), "403", "it lives");
}
