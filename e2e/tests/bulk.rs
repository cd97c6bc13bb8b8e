//! Many jobs at once: arrays and lists of requests in one connection, status and cancel of many (docs/protocol-extensions.md);
//! job by job at a stock site. And batches whose gatekeeper or job manager dies in the midst.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "the helpers of a test fail as tests do"
)]

use e2e::{
    Finished, Kind, Running, User, World,
    mortal_site::{MortalSite, Role},
    world::{Setup, play},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashSet},
    fs, thread,
    time::{Duration, Instant},
};

/// Each scenario at a stock site and at ours; the commands are ours in any case, for stock has none of the kind.
macro_rules! both_sites {
    ($($scenario:ident),+ $(,)?) => {$(
        mod $scenario {
            use e2e::Kind::{Ours, Stock};

            #[test]
            fn at_stock() {
                super::play(Ours, Stock, super::$scenario);
            }

            #[test]
            fn at_ours() {
                super::play(Ours, Ours, super::$scenario);
            }
        }
    )+};
}

both_sites!(
    an_array_of_which_some_fail,
    many_request_files,
    status_and_cancel_of_many,
    staged_input_for_an_array,
    two_phase_jobs_are_committed,
);

/// `gridiron` with these arguments, run by the user.
fn gridiron(user: &User, arguments: &[&str]) -> Finished {
    start(user, arguments).finish()
}

fn start(user: &User, arguments: &[&str]) -> Running {
    let mut command = user.gridiron();
    command.args(arguments);
    Running::start(command, None)
}

/// What a command has printed with `--json`.
#[track_caller]
fn values(out: &Finished) -> Vec<Value> {
    out.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{out:#?}"))).collect()
}

fn contacts(values: &[Value]) -> Vec<String> {
    values.iter().filter_map(|value| value["job"].as_str()).map(str::to_owned).collect()
}

/// Waits until the file has so many lines, and gives them in order.
#[track_caller]
fn lines(user: &User, name: &str, count: usize) -> Vec<String> {
    let deadline = Instant::now() + e2e::command::DEADLINE;
    loop {
        let text = fs::read_to_string(user.file(name)).unwrap_or_default();
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        if lines.len() >= count {
            lines.sort();
            return lines;
        }
        assert!(Instant::now() < deadline, "only {} lines in {name}", lines.len());
        thread::sleep(Duration::from_millis(50));
    }
}

/// How many connections our gatekeeper has let in, by its audit: each has a peer of its own.
fn connections(world: &World) -> usize {
    let audit = world.our_site().audit();
    audit.iter().map(|line| line["peer"].to_string()).collect::<HashSet<_>>().len()
}

/// Programs exist for some numbers only. Stock job managers look for the program after they have accepted the job.
fn an_array_of_which_some_fail(world: &World) {
    for number in 2..5 {
        let script = "#!/bin/sh\necho \"$GRIDIRON_ARRAY_INDEX $1\" >> ";
        world.script(&format!("program{number}"), &format!("{script}{}\n", world.file("book").display()));
    }
    let folder = world.file("").display().to_string();
    let rsl = format!(
        "&(directory={folder})(executable=program#$(GRIDIRON_ARRAY_INDEX))(arguments=a#$(GRIDIRON_ARRAY_INDEX))"
    );
    let arguments = ["--json", "submit", "-r", world.contact(), "--array", "1-3,4,6", "--rsl", &rsl];
    let out = gridiron(world, &arguments);
    let (code, missing) = if world.server == Kind::Ours { (77, Some(5)) } else { (0, None) };
    assert_eq!(out.code, code, "{out:#?}");
    let results: Vec<_> = values(&out)
        .iter()
        .map(|value| (value["index"].as_u64().unwrap_or(0), value["error"]["number"]["code"].as_u64()))
        .collect();
    assert_eq!(results, [(1, missing), (2, None), (3, None), (4, None), (6, missing)]);
    assert_eq!(lines(world, "book", 3), ["2 a2", "3 a3", "4 a4"]);
    if world.server == Kind::Ours {
        assert_eq!(connections(world), 1);
        let ids: HashSet<_> =
            world.our_site().audit().iter().map(|line| line["request"].to_string()).collect();
        assert_eq!(ids.len(), 5, "one line for each job, with an id of its own");
    }
    // Accepted ones are known to later commands, the others are not.
    let listed = gridiron(world, &["--json", "list", "--offline"]);
    assert_eq!(contacts(&values(&listed)), contacts(&values(&out)));
}

fn many_request_files(world: &World) {
    let book = world.file("book").display().to_string();
    for name in ["a", "b", "c"] {
        let rsl = format!("&(executable=/bin/sh)(arguments=-c 'echo {name} >> {book}')");
        world.write(&format!("{name}.rsl"), &rsl);
    }
    world.write("broken.rsl", "&(executable=");
    world.write("wrong.rsl", "&(executable=/bin/echo)(count=x)");
    let contact = world.contact();
    let out = gridiron(
        world,
        &["--json", "submit", "-r", contact, "-f", "a.rsl", "broken.rsl", "b.rsl", "wrong.rsl"],
    );
    assert_eq!(out.code, 65, "the first failure decides: {out:#?}");
    let results: BTreeMap<_, _> = values(&out)
        .iter()
        .map(|value| (value["file"].as_str().unwrap().to_owned(), value["error"].is_null()))
        .collect();
    let expected = [("a.rsl", true), ("b.rsl", true), ("broken.rsl", false), ("wrong.rsl", false)];
    assert_eq!(results, expected.map(|(name, fine)| (name.to_owned(), fine)).into());
    world.write("list", "c.rsl\n\na.rsl\n");
    let out = gridiron(world, &["submit", "-r", contact, "--list", "list"]).succeeded();
    assert_eq!(out.stdout.lines().filter(|line| line.starts_with("https://")).count(), 2);
    assert_eq!(lines(world, "book", 4), ["a", "a", "b", "c"]);
}

fn status_and_cancel_of_many(world: &World) {
    let contact = world.contact();
    let sleep = ["--json", "submit", "-r", contact, "--array", "1-3", "/bin/sleep", "300"];
    let running = contacts(&values(&gridiron(world, &sleep)));
    assert_eq!(running.len(), 3);
    let short = gridiron(world, &["submit", "-r", contact, "/bin/true"]).job_contact();
    for job in &running {
        world.until_status(job, "ACTIVE");
    }
    world.until_status(&short, "DONE");
    let before = if world.server == Kind::Ours { connections(world) } else { 0 };
    let active = gridiron(world, &["--json", "status", "--state", "active"]);
    assert_eq!(contacts(&values(&active)), running, "{active:#?}");
    let text = gridiron(world, &["status", "--all"]);
    let expected = running.iter().map(|job| format!("{job} ACTIVE\n")).collect::<String>();
    assert!(text.stdout.starts_with(&expected), "{text:#?}");
    assert!(text.stdout[expected.len()..].starts_with(&format!("{short} DONE")), "{text:#?}");

    // An unknown job among them is done, as stock has it, and concerns no other.
    let stranger = format!("{}1/1/", running[0].split_inclusive('/').take(3).collect::<String>());
    let out = gridiron(world, &["--json", "cancel", &running[1], &stranger]);
    let states: Vec<_> = values(&out).iter().map(|value| value["state"].clone()).collect();
    assert_eq!(states, ["FAILED", "DONE"], "{out:#?}");
    let out = gridiron(world, &["--json", "cancel", "--all"]).succeeded();
    assert_eq!(values(&out).len(), 4);
    let left = gridiron(world, &["--json", "status", "--state", "active", "--state", "pending"]);
    left.is(0, "", "");
    if world.server == Kind::Ours {
        assert_eq!(connections(world), before, "the gatekeeper has no part in this");
        let failed = values(&gridiron(world, &["--json", "status", "--state", "failed"]));
        assert_eq!(contacts(&failed), running);
        assert!(failed.iter().all(|value| value["failure"]["code"] == 8), "{failed:#?}");
    }
    gridiron(world, &["status"]).is(2, "", &gridiron(world, &["status"]).stderr);
}

fn staged_input_for_an_array(world: &World) {
    world.write("input", "from here\n");
    let book = world.file("book").display().to_string();
    let command = format!("cat >> {book}; echo $GRIDIRON_ARRAY_INDEX >> {book}");
    let arguments =
        ["submit", "-r", world.contact(), "--array", "1-2", "--stdin", "input", "/bin/sh", "-c", &command];
    gridiron(world, &arguments).succeeded();
    assert_eq!(lines(world, "book", 4), ["1", "2", "from here", "from here"]);
}

fn two_phase_jobs_are_committed(world: &World) {
    let book = world.file("book").display().to_string();
    let rsl = format!("&(executable=/bin/sh)(arguments=-c 'echo x >> {book}')(two_phase=60)");
    gridiron(world, &["submit", "-r", world.contact(), "--array", "1-3", "--rsl", &rsl]).succeeded();
    assert_eq!(lines(world, "book", 3), ["x", "x", "x"]);
}

/// Output of the jobs of an array is kept apart, fetched and removed job by job.
#[test]
fn output_of_an_array() {
    let Some(world) = World::new(Kind::Ours, Kind::Ours, &Setup::default()) else { return };
    let command = "echo number $GRIDIRON_ARRAY_INDEX";
    let arguments = ["--json", "submit", "-r", world.contact(), "--array", "7-8", "/bin/sh", "-c", command];
    let jobs = contacts(&values(&gridiron(&world, &arguments)));
    for (job, number) in jobs.iter().zip(7..) {
        world.until_status(job, "DONE");
        gridiron(&world, &["output", job]).is(0, &format!("number {number}\n"), "");
    }
    let kept = || {
        let names = fs::read_dir(world.file("")).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with(".gridiron-output-")).count()
    };
    if kept() == 4 {
        gridiron(&world, &["clean", &jobs[0]]).succeeded();
        assert_eq!(kept(), 2);
    }
    gridiron(&world, &["clean", &jobs[1]]).succeeded();
}

/// A stock gatekeeper refuses a batch before it does anything; that is what lets a client go on job by job.
#[test]
fn a_stock_gatekeeper_refuses_a_batch() {
    use e2e::by_hand::{Delegation, post};
    let Some(world) = World::new(Kind::Ours, Kind::Stock, &Setup::default()) else { return };
    let book = world.file("book").display().to_string();
    let body = format!(
        "protocol-version: 2\r\ncommand: submit-many\r\nbatch: 0123456789abcdef\r\nfirst: 0\r\njob-state-mask: 1\r\n\
         callback-url: \"\"\r\njob: \"&(executable=/usr/bin/touch)(arguments={book})\"\r\narray: 1-3\r\n\0"
    );
    let speaker = world.speaker(&world.pki.alice);
    let request = post("/jobmanager", &body);
    let reply = speaker.tell_gatekeeper(world.contact(), Delegation::Full, request.as_bytes());
    assert_eq!(reply.field("gridiron-bulk"), None, "{reply:?}");
    assert!(reply.status != 200 || reply.number("status") == 91, "{reply:?}");
    let job = speaker.submit(world.contact(), "&(executable=/bin/sleep)(arguments=300)");
    let job = job.field("job-manager-url").expect("a job").to_owned();
    for query in ["jobs all cancel", "jobs 1/2 cancel"] {
        let reply = speaker.ask(&job, query);
        assert_eq!((reply.number("failure-code"), reply.field("gridiron-bulk")), (92, None), "{reply:?}");
    }
    speaker.ask_until(&job, |reply| reply.number("status") == 2);
    assert!(!world.file("book").exists());
    speaker.ask(&job, "cancel");
}

/// Batches whose gatekeeper, job manager or reaper dies while they come in: the client is told of every job, each runs once, and
/// nobody but the killed notices.
#[test]
fn deaths_in_the_midst_of_a_batch() {
    let Some(user) = User::new(Kind::Ours) else { return };
    user.proxy_init(&user.pki.alice, &[]);
    let folder = user.temporary().join("site");
    fs::create_dir(&folder).expect("writable");
    let mut site = MortalSite::start(&folder, &user.pki);
    let book = user.file("book").display().to_string();
    let command = format!("echo $GRIDIRON_ARRAY_INDEX >> {book}");
    let contact = site.contact().to_owned();
    const JOBS: usize = 2500;
    let array = format!("1-{JOBS}");
    let arguments = ["--json", "submit", "-r", &contact, "--array", &array, "/bin/sh", "-c", &command];
    let submitting = start(&user, &arguments);
    // The client has come in: nobody waits for a gatekeeper that is not there to begin with.
    lines(&user, "book", 1);
    for victims in [
        &[Role::JobManager][..],
        &[Role::Gatekeeper],
        &[Role::Reaper],
        &[Role::Gatekeeper, Role::JobManager, Role::Reaper],
        &[Role::JobManager],
    ] {
        site.kill(victims);
        if victims.contains(&Role::Gatekeeper) {
            site.serve();
        }
        thread::sleep(Duration::from_millis(400));
    }
    let out = submitting.finish();
    assert_eq!(out.code, 0, "{out:#?}\n{}", site.logs());
    let jobs = contacts(&values(&out));
    assert_eq!((jobs.len(), jobs.iter().collect::<HashSet<_>>().len()), (JOBS, JOBS));
    // Waits until all have run, then looks whether one has done so twice.
    lines(&user, "book", JOBS);
    let left = || {
        let states = ["--state", "active", "--state", "pending", "--state", "unsubmitted"];
        gridiron(&user, &[&["--json", "status"], &states[..]].concat())
    };
    let deadline = Instant::now() + e2e::command::DEADLINE;
    while !left().stdout.is_empty() {
        assert!(Instant::now() < deadline, "jobs that do not end: {}", left().stdout);
        thread::sleep(Duration::from_millis(200));
    }
    let numbers: HashSet<String> = lines(&user, "book", JOBS).into_iter().collect();
    let book = user.read("book");
    assert_eq!((book.lines().count(), numbers.len()), (JOBS, JOBS), "some have run twice");
    let states = gridiron(&user, &["--json", "status", "--all"]);
    let done = values(&states).iter().filter(|value| value["state"] == "DONE").count();
    assert_eq!(done, JOBS);
}
