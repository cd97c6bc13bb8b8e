//! Where a running job's output goes (signal 7) and whether all of it has arrived (signal 8), gram.md §8; our client, as no stock
//! one sends these signals, and by hand.

use e2e::{Finished, World, command, sites};

sites!(new_destinations, sizes, mistakes);

/// `gridiron signal JOB …`
#[track_caller]
fn signal(world: &World, job: &str, arguments: &[&str]) -> Finished {
    let mut command = world.gridiron();
    command.args(["signal", job]).args(arguments);
    command::run(command)
}

/// The number in the message of a refused signal; 0 when it was not.
#[track_caller]
fn code(world: &World, job: &str, arguments: &[&str]) -> u16 {
    let out = signal(world, job, arguments);
    if out.code == 0 {
        return 0;
    }
    let number = out.stderr.split("error code ").nth(1).and_then(|rest| rest.split(')').next()?.parse().ok());
    assert!(number.is_some(), "no number in {out:#?}");
    number.unwrap_or_default()
}

/// A two-phase job that says something and waits for the user's file `go`; committed, it runs.
#[track_caller]
fn talking_job(world: &World, stdout: &str) -> String {
    let alice = world.speaker(&world.pki.alice);
    let script = world.script("talk", "#!/bin/sh\necho said\nuntil test -e \"$1\"; do sleep 0.1; done\n");
    let go = world.file("go").display().to_string();
    let rsl = format!("&(executable={script})(arguments={go})(two_phase=60)(stdout={stdout})");
    let reply = alice.submit(world.contact(), &rsl);
    assert_eq!(reply.number("status"), 110, "{reply:?}");
    let job = reply.field("job-manager-url").unwrap_or_default().to_owned();
    assert_eq!(code(world, &job, &["commit"]), 0);
    world.until_status(&job, "ACTIVE");
    job
}

fn end(world: &World, job: &str) {
    world.write("go", "");
    world.until_status(job, "DONE");
}

fn new_destinations(world: &World) {
    // Nobody listens at port 9.
    let job = talking_job(world, "https://localhost:9/x");
    let place = world.file("out").display().to_string();
    let out = signal(world, &job, &["stdio-update", &format!("&(stdout=file://{place})(stdout_position=0)")]);
    out.is(0, &format!("{job} ACTIVE\n"), "");
    end(world, &job);
    assert_eq!(world.read("out"), "said\n");
    assert_eq!(code(world, &job, &["stdio-update", "&(stdout=/tmp/x)"]), 94, "too late");
    assert_eq!(code(world, &job, &["end"]), 0);
}

fn sizes(world: &World) {
    let place = world.file("out").display().to_string();
    let job = talking_job(world, &format!("file://{place}"));
    assert_eq!(code(world, &job, &["stdio-size", "5 -1"]), 161, "not sent yet");
    end(world, &job);
    assert_eq!(code(world, &job, &["stdio-size", "5 0"]), 0);
    assert_eq!(code(world, &job, &["stdio-size", "5"]), 0);
    assert_eq!(code(world, &job, &["stdio-size", "-1 -1"]), 0);
    assert_eq!(code(world, &job, &["stdio-size", "4 -1"]), 129);
    assert_eq!(code(world, &job, &["end"]), 0);
}

fn mistakes(world: &World) {
    let job = talking_job(world, "https://localhost:9/x");
    for (update, expected) in [
        ("&(stdout", 48),
        ("stdout=/tmp/x", 48),
        ("&(executable=/bin/true)", 48),
        ("&(foo=1)", 48),
        ("&(stdout=$(NOSUCH))", 39),
        ("&(stdout=a b)", 65),
    ] {
        assert_eq!(code(world, &job, &["stdio-update", update]), expected, "{update}");
    }
    let alice = world.speaker(&world.pki.alice);
    for query in ["signal 7", "signal 8", "signal 8 many"] {
        assert_eq!(alice.ask(&job, query).status, 400, "{query}");
    }
    assert_eq!(alice.ask(&job, "cancel").number("failure-code"), 0);
}
