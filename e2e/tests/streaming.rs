//! Output while the job runs: to the client that waits, to servers of both makes, and to whoever follows it. Stock never does that
//! (gass.md §7.1), so every site here is ours; the receivers are the stock programs wherever there is one.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests fail by panicking, as tests do"
)]

use e2e::{
    Kind::{self, Ours, Stock},
    Running, User, World,
    command::DEADLINE,
    mortal_site::{MortalSite, Role},
    stock,
    world::Setup,
};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// A site of ours and a user of this make.
fn world(client: Kind, jobmanager_lines: &[&str]) -> Option<World> {
    let jobmanager_lines = jobmanager_lines.iter().map(|line| (*line).to_owned()).collect();
    World::new(client, Ours, &Setup { jobmanager_lines, ..Setup::default() })
}

/// A program that prints `one`, and `two` once the user has a file `GO`. So whoever sees `one` before that has not waited for the
/// job's end.
fn talk(user: &User) -> String {
    let go = user.file("GO").display().to_string();
    user.script("talk", &format!("#!/bin/sh\necho one\nwhile [ ! -e {go} ]; do sleep 0.05; done\necho two\n"))
}

fn go(user: &User) {
    user.write("GO", "");
}

/// A GASS server of the stock make that serves the user, and its URL.
fn stock_server(user: &User, options: &[&str]) -> Option<(Running, String)> {
    let missing = stock::missing(&["globus-gass-server"]);
    if !missing.is_empty() {
        stock::skip("not installed: globus-gass-server");
        return None;
    }
    let mut command = user.at_home(Command::new(stock::program("globus-gass-server")));
    command.args(options);
    let server = Running::start(command, None);
    let printed = server.wait_for("\n");
    let url = printed.lines().next().unwrap_or_default().to_owned();
    Some((server, url))
}

/// What a server has printed after its URL.
fn after_url(printed: &str) -> &str {
    printed.split_once('\n').map_or("", |(_, rest)| rest)
}

#[track_caller]
fn until_file(path: &Path, content: &str) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let found = fs::read_to_string(path).unwrap_or_default();
        if found == content {
            return;
        }
        assert!(Instant::now() < deadline, "{} holds {found:?}, not {content:?}", path.display());
        thread::sleep(Duration::from_millis(20));
    }
}

fn waiting_client_sees_each_line(client: Kind) {
    let Some(world) = world(client, &[]) else { return };
    let rsl = format!("&(executable={})", talk(&world));
    let running = world.start("globusrun", ["-o", "-r", world.contact(), &rsl]);
    running.wait_for("one\n");
    go(&world);
    running.finish().is(0, "one\ntwo\n", "");
}

#[test]
fn stock_globusrun_sees_each_line_at_once() {
    waiting_client_sees_each_line(Stock);
}

#[test]
fn our_globusrun_sees_each_line_at_once() {
    waiting_client_sees_each_line(Ours);
}

/// One stream to a terminal and a file at once, each with a position of its own.
#[test]
fn stock_server_gets_lines_and_files_early() {
    let Some(world) = world(Stock, &[]) else { return };
    let Some((server, url)) = stock_server(&world, &[]) else { return };
    let (out, err) = (world.file("out"), world.file("err"));
    fs::write(&out, "of an earlier job\n").unwrap();
    let rsl = format!(
        "&(executable={})(stdout=({url}/dev/stdout)({url}{}))(stderr={url}{})",
        talk(&world),
        out.display(),
        err.display()
    );
    let running = world.start("globusrun", ["-q", "-r", world.contact(), &rsl]);
    server.wait_for("one\n");
    until_file(&out, "one\n");
    go(&world);
    running.finish().is(0, "", "");
    assert_eq!(after_url(&server.wait_for("two\n")), "one\ntwo\n");
    until_file(&out, "one\ntwo\n");
    until_file(&err, "");
}

/// The manager dies in mid-stream, again and again; what has been shown is not shown again, and the file is whole.
#[test]
fn a_killed_manager_repeats_and_loses_nothing() {
    let Some(user) = User::new(Stock) else { return };
    user.proxy_init(&user.pki.alice, &[]);
    let Some((server, url)) = stock_server(&user, &[]) else { return };
    let folder = user.temporary().join("site");
    fs::create_dir(&folder).unwrap();
    let mut site = MortalSite::start(&folder, &user.pki);
    let (out, steps) = (user.file("out"), user.file("step"));
    let script = format!(
        "#!/bin/sh\nfor i in 1 2 3 4; do\n  echo line $i\n  while [ ! -e {}$i ]; do sleep 0.05; done\ndone\n",
        steps.display()
    );
    let rsl = format!(
        "&(executable={})(stdout=({url}/dev/stdout)({url}{}))",
        user.script("steps", &script),
        out.display()
    );
    let job = user.run("globusrun", ["-b", "-q", "-r", site.contact(), &rsl]).job_contact();
    let mut whole = String::new();
    for line in 1..=4 {
        whole.push_str(&format!("line {line}\n"));
        server.wait_for(&whole);
        until_file(&out, &whole);
        site.kill(&[Role::JobManager]);
        // The job goes on while nobody watches.
        fs::write(format!("{}{line}", steps.display()), "").unwrap();
        site.wait_for(Role::JobManager);
    }
    user.until_status(&job, "DONE");
    until_file(&out, &whole);
    assert_eq!(after_url(&server.wait_for(&whole)), whole, "{}", site.logs());
}

/// The manager dies at any moment while much is under way to a file: in the end it is there once.
#[test]
fn a_file_is_exact_whenever_the_manager_dies() {
    let Some(user) = User::new(Stock) else { return };
    user.proxy_init(&user.pki.alice, &[]);
    let Some((_server, url)) = stock_server(&user, &[]) else { return };
    let folder = user.temporary().join("site");
    fs::create_dir(&folder).unwrap();
    let mut site = MortalSite::start(&folder, &user.pki);
    let out = user.file("out");
    let script = user.script("count", "#!/bin/sh\nfor i in $(seq 300); do echo $i; sleep 0.02; done\n");
    let rsl = format!("&(executable={script})(stdout={url}{})", out.display());
    let job = user.run("globusrun", ["-b", "-q", "-r", site.contact(), &rsl]).job_contact();
    for _ in 0..5 {
        thread::sleep(Duration::from_millis(900));
        site.kill(&[Role::JobManager]);
        site.wait_for(Role::JobManager);
    }
    let whole: String = (1..=300).map(|number| format!("{number}\n")).collect();
    until_file(&out, &whole);
    user.until_status(&job, "DONE");
    until_file(&out, &whole);
}

#[test]
fn a_refusing_receiver_fails_its_job_and_no_other() {
    let Some(world) = world(Stock, &[]) else { return };
    let Some((_server, url)) = stock_server(&world, &["-r"]) else { return };
    for (attribute, number) in [("stdout", 73), ("stderr", 74)] {
        let rsl =
            format!("&(executable=/bin/sh)(arguments=-c 'echo x; echo y >&2')({attribute}={url}/dev/stdout)");
        let other = world.start("globus-job-run", [world.contact(), "/bin/echo", "fine"]);
        let out = world.run("globusrun", ["-q", "-r", world.contact(), &rsl]);
        assert_eq!(out.code, number, "{out:#?}");
        other.finish().is(0, "fine\n", "");
    }
}

/// Whoever accepts connections and never reads is given up when the job has ended; until then nobody notices.
#[test]
fn a_hanging_receiver_fails_its_job_in_time_and_no_other() {
    let Some(world) = world(Stock, &["output_stall_seconds = 2"]) else { return };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    for path in ["/out", "/dev/stdout"] {
        let rsl = format!(
            "&(executable=/bin/sh)(arguments=-c 'head -c 20000000 /dev/zero')(stdout=http://127.0.0.1:{port}{path})"
        );
        let running = world.start("globusrun", ["-q", "-r", world.contact(), &rsl]);
        world.run("globus-job-run", [world.contact(), "/bin/echo", "fine"]).is(0, "fine\n", "");
        let out = running.finish();
        assert_eq!(out.code, 73, "{path}: {out:#?}");
        assert!(out.took < Duration::from_secs(60), "{out:#?}");
    }
}

/// A receiver that goes away and comes back gets what it has not had, and nothing twice.
#[test]
fn a_receiver_that_returns_gets_the_rest() {
    let Some(world) = world(Stock, &["transfer_patience_seconds = 60"]) else { return };
    let first = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = first.local_addr().unwrap();
    let rsl = format!("&(executable={})(stdout=http://{address}/dev/stdout)", talk(&world));
    let running = world.start("globusrun", ["-q", "-r", world.contact(), &rsl]);
    let (mut stream, _) = first.accept().unwrap();
    assert!(read_until(&mut stream, "one\n\r\n").starts_with("POST /globus-bins/GASSappend?/dev/stdout "));
    drop((stream, first));
    // The job goes on and ends while nobody is there.
    go(&world);
    thread::sleep(Duration::from_secs(3));
    let again = TcpListener::bind(address).unwrap();
    let (mut stream, _) = again.accept().unwrap();
    let received = read_until(&mut stream, "\r\n0\r\n\r\n");
    stream.write_all(b"HTTP/1.0 200 Ok\r\n\r\n").unwrap();
    drop(stream);
    assert!(received.contains("two\n") && !received.contains("one\n"), "{received}");
    running.finish().is(0, "", "");
}

fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    stream.set_read_timeout(Some(DEADLINE)).ok();
    while !text.ends_with(end) {
        let read = stream.read(&mut buffer).unwrap_or(0);
        assert!(read > 0, "it broke off after {text:?}");
        text.push_str(&String::from_utf8_lossy(buffer.get(..read).unwrap_or_default()));
    }
    text
}

/// A receiver that takes its time gets everything, and the manager does not hold it in memory meanwhile.
#[test]
fn a_slow_receiver_costs_no_memory() {
    const SIZE: usize = 20_000_000;
    let Some(user) = User::new(Ours) else { return };
    user.proxy_init(&user.pki.alice, &[]);
    let folder = user.temporary().join("site");
    fs::create_dir(&folder).unwrap();
    let site = MortalSite::start(&folder, &user.pki);
    let slow = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = slow.local_addr().unwrap().port();
    let receiving = thread::spawn(move || {
        let (mut stream, _) = slow.accept().unwrap();
        let (mut received, mut buffer) = (0, vec![0; 256 * 1024]);
        let mut tail = Vec::new();
        while !tail.ends_with(b"\r\n0\r\n\r\n") {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "it broke off after {received} bytes");
            received += read;
            tail.extend_from_slice(&buffer[..read]);
            tail.drain(..tail.len().saturating_sub(16));
            thread::sleep(Duration::from_millis(20));
        }
        stream.write_all(b"HTTP/1.0 200 Ok\r\n\r\n").unwrap();
        received
    });
    // Something small first, so that what every first job needs is there.
    user.run("globusrun", ["-o", "-r", site.contact(), "&(executable=/bin/echo)"]).is(0, "\n", "");
    let before = site.status_number(Role::JobManager, "VmRSS");
    let rsl = format!(
        "&(executable=/bin/sh)(arguments=-c 'head -c {SIZE} /dev/zero; sleep 2')\
         (stdout=http://127.0.0.1:{port}/dev/stdout)"
    );
    user.run("globusrun", ["-q", "-r", site.contact(), &rsl]).is(0, "", "");
    assert!(receiving.join().unwrap() > SIZE);
    let peak = site.status_number(Role::JobManager, "VmHWM");
    assert!(peak < before + 16_000, "from {before} kB to {peak} kB");
}

/// `gridiron output -f` shows a submitted job's output as it comes, wherever it is kept, and ends with the job.
#[test]
fn output_can_be_followed() {
    let Some(world) = world(Ours, &[]) else { return };
    let out = world.file("out").display().to_string();
    let kept = [
        // Where `gridiron submit` keeps it, in a file of the request's, in the cache, and in the job directory on its way to a URL
        // at which nobody listens.
        String::new(),
        format!("(stdout={out})"),
        "(stdout=x-gass-cache://$(GLOBUS_GRAM_JOB_CONTACT)stdout anExtraTag)".to_owned(),
        format!("(stdout=(file://{out}2)(file://{out}3))"),
    ];
    for relation in kept {
        fs::remove_file(world.file("GO")).ok();
        let mut submit = world.gridiron();
        let request = world.write("job.rsl", &format!("&(executable={}){relation}", talk(&world)));
        submit.args(["submit", "-r", world.contact(), "-f", &request]);
        let job = e2e::command::run(submit).job_contact();
        let follow = |more: &[&str]| {
            let mut command = world.gridiron();
            command.args(["output", "-f"]).args(more).arg(&job);
            Running::start(command, None)
        };
        let (all, last) = (follow(&[]), follow(&["--tail", "1"]));
        all.wait_for("one\n");
        last.wait_for("one\n");
        go(&world);
        all.finish().is(0, "one\ntwo\n", "");
        last.finish().is(0, "one\ntwo\n", "");
    }
}

/// The classic way to the output that `globus-job-submit` keeps in the cache.
#[test]
fn globus_job_get_output_follows_at_once() {
    let Some(world) = world(Ours, &[]) else { return };
    let job = world.run("globus-job-submit", [world.contact(), &talk(&world)]).job_contact();
    world.until_job_status(&job, "ACTIVE");
    let following = world.start("globus-job-get-output", ["-f", "10", &job]);
    following.wait_for("one\n");
    go(&world);
    following.finish().is(0, "one\ntwo\n", "");
}

/// Others cannot read it: the job contact serves its owner only.
#[test]
fn nobody_else_can_follow() {
    let Some(world) = world(Ours, &[]) else { return };
    let job = world.run("globus-job-submit", [world.contact(), "/bin/sleep", "100"]).job_contact();
    world.proxy_init(&world.pki.carol, &[]);
    let mut command = world.gridiron();
    command.args(["output", "-f", &job]);
    let out = e2e::command::run(command);
    assert!(out.code != 0 && out.stdout.is_empty(), "{out:#?}");
}
