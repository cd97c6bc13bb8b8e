//! Credentials that end, and new ones (gram.md §13).

use e2e::{Kind, World, matrix, world::Setup};

matrix!(
    a_proxy_that_ends_too_soon_is_refused,
    renewal_reaches_the_job,
    the_stop_before_the_end,
    a_job_without_a_manager_is_found_again,
);

/// Less than this is refused: ten minutes.
const TOO_SHORT: &[&str] = &["-valid", "0:9"];
/// A minute more than the ten.
const ELEVEN_MINUTES: &[&str] = &["-valid", "0:11"];

const EXPIRED: &str = "the user proxy expired (job is still running)";

fn a_proxy_that_ends_too_soon_is_refused(world: &World) {
    world.proxy_init(&world.pki.alice, TOO_SHORT);
    let out = world.run("globusrun", ["-q", "-r", world.contact(), "&(executable=/bin/true)"]);
    assert_eq!(out.code, 131, "{out:#?}");
    assert!(out.stderr.starts_with("GRAM Job submission failed because "), "{out:#?}");
    assert!(out.stderr.ends_with(" (error code 131)\n"), "{out:#?}");
}

/// A job that shows its proxy, waits for the user's file `go`, and shows it again.
const SHOW_TWICE: &str = "#!/bin/sh\n\
    md5sum <\"$X509_USER_PROXY\"\n\
    until test -e \"$1\"; do sleep 0.1; done\n\
    md5sum <\"$X509_USER_PROXY\"\n";

fn renewal_reaches_the_job(world: &World) {
    let script = world.script("show", SHOW_TWICE);
    let (go, out) = (world.file("go").display().to_string(), world.file("out").display().to_string());
    let rsl = format!("&(executable={script})(arguments={go})(stdout={out})");
    let job = world.run("globusrun", ["-b", "-q", "-r", world.contact(), &rsl]).job_contact();
    world.until_status(&job, "ACTIVE");
    world.run("globusrun", ["-refresh-proxy", &job]).is(0, "", "");
    world.write("go", "");
    world.until_status(&job, "DONE");
    let shown = world.read("out");
    let sums: Vec<&str> = shown.lines().collect();
    assert!(matches!(sums.as_slice(), [before, after] if before != after), "{shown}");
}

/// Takes a minute, as the tools make no proxy that lasts for seconds.
fn the_stop_before_the_end(world: &World) {
    world.proxy_init(&world.pki.alice, ELEVEN_MINUTES);
    let script = world.script("wait", "#!/bin/sh\nuntil test -e \"$1\"; do sleep 0.1; done\n");
    let go = world.file("go").display().to_string();
    let rsl = format!("&(executable={script})(arguments={go})");
    let first = world.start("globusrun", ["-r", world.contact(), &rsl]);
    let out = first.finish();
    assert_eq!(out.code, 131, "{out:#?}");
    assert!(
        out.stderr.starts_with(&format!("GRAM Job failed because {EXPIRED} (error code 131)")),
        "{out:#?}"
    );
    assert!((30..90).contains(&out.took.as_secs()), "ten minutes before its end: {:?}", out.took);
}

/// A stock job manager has left by then, and with it the job's contact; ours still answers for ten minutes.
fn a_job_without_a_manager_is_found_again(world: &World) {
    world.proxy_init(&world.pki.alice, ELEVEN_MINUTES);
    let script = world.script("wait", "#!/bin/sh\nuntil test -e \"$1\"; do sleep 0.1; done\n");
    let go = world.file("go").display().to_string();
    let rsl = format!("&(executable={script})(arguments={go})");
    let job = world.run("globusrun", ["-b", "-q", "-r", world.contact(), &rsl]).job_contact();
    // There is no event for a client that has left.
    std::thread::sleep(std::time::Duration::from_secs(70));
    world.proxy_init(&world.pki.alice, &[]);
    let restart = format!("&(restart={job})");
    let second = world.start("globusrun", ["-r", world.contact(), &restart]);
    std::thread::sleep(std::time::Duration::from_secs(3));
    world.write("go", "");
    let out = second.finish();
    assert_eq!((out.code, &*out.stderr), (0, ""), "{out:#?}");
    assert!(out.stdout.contains("GLOBUS_GRAM_PROTOCOL_JOB_STATE_DONE\n"), "{out:#?}");
}

/// The job runs on; a renewal is enough for it and for the others.
#[test]
fn a_renewal_takes_up_every_job_again() {
    let Some(world) = World::new(Kind::Ours, Kind::Ours, &Setup::default()) else { return };
    world.proxy_init(&world.pki.alice, ELEVEN_MINUTES);
    let place = world.file("out").display().to_string();
    let go = world.file("go").display().to_string();
    let script = world.script("wait", "#!/bin/sh\nuntil test -e \"$1\"; do sleep 0.1; done\necho said\n");
    let rsl = format!("&(executable={script})(arguments={go})(stdout=(file://{place}))");
    let submit = || world.run("globusrun", ["-b", "-q", "-r", world.contact(), &rsl]).job_contact();
    let (one, other) = (submit(), submit());
    // Both are told; here we look for what their owner sees in the site's log of it.
    let deadline = std::time::Instant::now() + e2e::command::DEADLINE;
    while !world.our_site().logs().contains("ends=true") {
        assert!(std::time::Instant::now() < deadline, "the credential did not end");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    world.write("go", "");
    world.run("globusrun", ["-status", &one]).is(0, "ACTIVE\n", "");
    world.proxy_init(&world.pki.alice, &[]);
    let mut renew = world.gridiron();
    renew.args(["renew", &one]);
    e2e::command::run(renew).is(0, &format!("{one} ACTIVE\n"), "");
    world.until_status(&one, "DONE");
    world.until_status(&other, "DONE");
    assert_eq!(world.read("out"), "said\n");
}
