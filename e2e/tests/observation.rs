//! What a site lets its admins see: one id from the connection to the job's process, numbers for Prometheus, and the audit as
//! file, in a database, and by `gridiron audit`.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test harness fails by panicking")]

use e2e::{
    Finished, Kind, World, command, stock,
    user::{gridiron, temporary_folder},
    world::Setup,
};
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// How long something may take that happens beside the request.
const SOON: Duration = Duration::from_secs(20);

/// A port that nobody listens on, for the short time until somebody does.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("it is bound").port()
}

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the page is served");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is text");
    answer
}

/// `gridiron audit` about this site.
fn audit(site: &Path, arguments: &[&str]) -> Finished {
    let mut asking = Command::new(gridiron());
    asking.args(["audit", "--json", "--config"]).arg(site).args(arguments);
    command::run(asking)
}

fn values(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Asks until there are so many lines: they come into the database beside the requests.
fn until_lines(site: &Path, arguments: &[&str], count: usize) -> Vec<Value> {
    let until = Instant::now() + SOON;
    loop {
        let out = audit(site, arguments);
        let lines = values(&out.stdout);
        if lines.len() == count || Instant::now() > until {
            assert_eq!(lines.len(), count, "{out:#?}");
            return lines;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// One job of Alice's, which tells its request's id, and one refusal of Mallory's; the metrics on a port and the audit in a
/// database.
fn watched(database: &str) -> Option<(World, PathBuf, u16, String)> {
    let port = free_port();
    let lines = vec![format!("metrics = \"127.0.0.1:{port}\""), format!("audit_database = {database:?}")];
    let setup = Setup { gatekeeper_lines: lines, ..Setup::default() };
    let world = World::new(Kind::Stock, Kind::Ours, &setup)?;
    let job = world.job("&(executable=/usr/bin/printenv)(arguments=GRIDIRON_REQUEST)").ok().trim().to_owned();
    world.proxy_init(&world.pki.mallory, &[]);
    assert_ne!(world.run("globus-job-run", [world.contact(), "/bin/true"]).code, 0);
    let site = world.our_site().file("gridiron.toml");
    Some((world, site, port, job))
}

#[test]
fn one_id_from_the_connection_to_the_job() {
    let Some((world, site, port, told)) = watched("sqlite:audit.sqlite") else { return };
    let granted = until_lines(&site, &["--outcome", "granted"], 1);
    let (id, job) = (text(&granted[0], "request").to_owned(), text(&granted[0], "job").to_owned());
    assert!(id.len() > 30 && job.starts_with("https://"), "{granted:?}");
    assert_eq!(told, id);
    let logs = world.our_site().logs();
    for part in ["gatekeeper", "jobmanager"] {
        assert!(
            logs.lines().any(|line| line.contains(&id) && line.contains(part)),
            "{id} is in no line of the {part}:\n{logs}"
        );
    }
    assert_eq!(until_lines(&site, &["--job", &job], 1), granted);
    assert_eq!(until_lines(&site, &["--request", &id], 1), granted);
    assert_eq!(until_lines(&site, &["--identity", "mallory", "--since", "1h"], 1).len(), 1);
    assert_eq!(until_lines(&site, &["--until", "1h"], 0).len(), 0);

    let page = get(port, "/metrics");
    for series in [
        "gridiron_gatekeeper_connections_total 2",
        r#"gridiron_gatekeeper_decisions_total{operation="job",outcome="granted",code="ok"} 1"#,
        r#"gridiron_gatekeeper_decisions_total{operation="job",outcome="refused",code="unmapped"} 1"#,
        "gridiron_gatekeeper_handshake_seconds_count 2",
        "gridiron_gatekeeper_job_manager_answer_seconds_count 1",
        "gridiron_gatekeeper_audit_failures_total 0",
    ] {
        assert!(page.lines().any(|line| line == series), "{series}\n{page}");
    }
    assert!(get(port, "/").starts_with("HTTP/1.1 404 "));
}

fn same_in_the_database(site: &Path) {
    let in_file = until_lines(site, &[], 2);
    assert_eq!(until_lines(site, &["--database"], 2), in_file);
    let refused = until_lines(site, &["--database", "--code", "unmapped"], 1);
    assert_eq!(text(&refused[0], "outcome"), "refused");
    let imported = audit(site, &["--import"]);
    assert_eq!(imported.ok().trim(), r#"{"lines":2}"#);
    assert_eq!(until_lines(site, &["--database"], 2), in_file);
}

#[test]
fn the_audit_in_sqlite() {
    let folder = temporary_folder();
    let url = format!("sqlite:{}", folder.path().join("audit.sqlite").display());
    let Some((_world, site, ..)) = watched(&url) else { return };
    same_in_the_database(&site);
}

/// A PostgreSQL server of its own; dropping it stops it.
struct Postgres {
    bin: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
}

impl Postgres {
    fn start() -> Option<Self> {
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let bins = versions.map(|version| version.path().join("bin"));
        let Some(bin) = bins.filter(|bin| bin.join("initdb").exists()).max() else {
            stock::skip("not installed: postgresql");
            return None;
        };
        let server = Self { bin, folder: temporary_folder(), port: free_port() };
        // The server refuses to be root's.
        if e2e::world::account() == "root" {
            command::run({
                let mut own = Command::new("chown");
                own.arg("postgres").arg(server.folder.path());
                own
            })
            .succeeded();
        }
        let data = server.folder.path().join("data").display().to_string();
        server.run(&["initdb", "-D", &data, "-A", "trust", "-U", "gridiron", "--no-sync"]).succeeded();
        let socket = server.folder.path().display();
        let options = format!("-p {} -k {socket} -c listen_addresses= -c fsync=off", server.port);
        let log = server.folder.path().join("log").display().to_string();
        server.run(&["pg_ctl", "-D", &data, "-w", "-l", &log, "-o", &options, "start"]).succeeded();
        Some(server)
    }

    fn run(&self, line: &[&str]) -> Finished {
        let [program, arguments @ ..] = line else { return Finished::default() };
        let program = self.bin.join(program);
        let mut command = if e2e::world::account() == "root" {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(arguments).current_dir("/");
        command::run(command)
    }

    fn url(&self) -> String {
        format!("postgres://gridiron@localhost:{}/postgres?host={}", self.port, self.folder.path().display())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.folder.path().join("data").display().to_string();
        self.run(&["pg_ctl", "-D", &data, "-m", "immediate", "stop"]);
    }
}

#[test]
fn the_audit_in_postgresql() {
    let Some(server) = Postgres::start() else { return };
    let Some((_world, site, ..)) = watched(&server.url()) else { return };
    same_in_the_database(&site);
}
