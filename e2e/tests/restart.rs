//! Jobs that are taken up again (gram.md §12): running ones, stopped ones, those whose files could not be moved.

use e2e::{
    Finished, Kind, World, matrix,
    mortal_site::{MortalSite, Role},
    sites,
    user::User,
};
use std::fs;

matrix!(
    a_running_job_tells_one_more_client,
    a_stopped_job_runs_on_and_is_taken_up,
    what_could_not_be_fetched_is_fetched_again,
    who_waits_for_a_job_hears_that_it_is_let_go,
    operations_on_a_job_that_is_not_known,
);

sites!(refusals, a_job_that_nobody_collects_is_parked);

/// Restarts a job and follows it to its end.
#[track_caller]
fn restart(world: &World, job: &str, more: &str) -> Finished {
    let rsl = format!("&(restart={job}){more}");
    world.run("globusrun", ["-r", world.contact(), &rsl])
}

/// It was accepted, and ended well.
#[track_caller]
fn ends_well(out: &Finished) {
    assert_eq!((out.code, &*out.stderr), (0, ""), "{out:#?}");
    assert!(out.stdout.contains("GRAM Job submission successful\n"), "{out:#?}");
    // Our sites tell the exit code as well.
    let states = out.stdout.trim_end_matches("exit code: 0\n");
    assert!(states.ends_with("GLOBUS_GRAM_PROTOCOL_JOB_STATE_DONE\n"), "{out:#?}");
}

/// A job that waits for the user's file `go`, with more RSL.
#[track_caller]
fn waiting_job(world: &World, more: &str) -> String {
    let script =
        world.script("wait", "#!/bin/sh\necho begun\nuntil test -e \"$1\"; do sleep 0.1; done\necho ended\n");
    let go = world.file("go").display().to_string();
    let rsl = format!("&(executable={script})(arguments={go}){more}");
    let job = world.run("globusrun", ["-b", "-q", "-r", world.contact(), &rsl]).job_contact();
    world.until_status(&job, "ACTIVE");
    job
}

fn a_running_job_tells_one_more_client(world: &World) {
    let job = waiting_job(world, "");
    let rsl = format!("&(restart={job})");
    let second = world.start("globusrun", ["-r", world.contact(), &rsl]);
    // Only then the job may end, or there is nothing left to restart; what the stock client prints comes at its end.
    if world.client == Kind::Ours {
        second.wait_for("submission successful");
    } else {
        std::thread::sleep(std::time::Duration::from_secs(3));
    }
    world.write("go", "");
    ends_well(&second.finish());
}

/// The stock job manager sends it to the old places as well, and the job fails when they are gone.
mod output_goes_to_the_client_that_came_last {
    use e2e::{
        Kind::{Ours, Stock},
        world::play,
    };

    #[test]
    fn stock_to_ours() {
        play(Stock, Ours, super::output_to_the_last_client);
    }

    #[test]
    fn ours_to_ours() {
        play(Ours, Ours, super::output_to_the_last_client);
    }
}

fn output_to_the_last_client(world: &World) {
    // Nobody listens at port 9.
    let job = waiting_job(world, "(stdout=https://localhost:9/x)");
    let rsl = format!("&(restart={job})");
    let second = world.start("globusrun", ["-o", "-r", world.contact(), &rsl]);
    std::thread::sleep(std::time::Duration::from_secs(3));
    world.write("go", "");
    second.finish().is(0, "begun\nended\n", "");
}

fn a_stopped_job_runs_on_and_is_taken_up(world: &World) {
    let job = waiting_job(world, "");
    world.run("globusrun", ["-stop-manager", &job]).is(0, "", "");
    world.run("globusrun", ["-status", &job]).is(0, "ACTIVE\n", "");
    let refused = world.run("globusrun", ["-k", &job]);
    assert_eq!((refused.code, &*refused.stderr), (94, "Error canceling job\n"), "{refused:#?}");
    world.write("go", "");
    ends_well(&restart(world, &job, ""));
}

fn who_waits_for_a_job_hears_that_it_is_let_go(world: &World) {
    let script = world.script(
        "tell",
        "#!/bin/sh\necho $GLOBUS_GRAM_JOB_CONTACT >\"$1.new\"; mv \"$1.new\" \"$1\"\nuntil test -e \"$2\"; do sleep 0.1; done\n",
    );
    let (contact, go) = (world.file("contact").display().to_string(), world.file("go").display().to_string());
    let rsl = format!("&(executable={script})(arguments={contact} {go})");
    let waiting = world.start("globusrun", ["-q", "-r", world.contact(), &rsl]);
    let deadline = std::time::Instant::now() + e2e::command::DEADLINE;
    while !world.file("contact").exists() {
        assert!(std::time::Instant::now() < deadline, "the job does not start");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let job = world.read("contact").trim().to_owned();
    world.until_status(&job, "ACTIVE");
    world.run("globusrun", ["-stop-manager", &job]).is(0, "", "");
    let out = waiting.finish();
    let why = "GRAM Job failed because the job manager was sent a stop signal (job is still running) (error code 130)";
    assert_eq!((out.code, out.stderr.lines().next()), (130, Some(why)), "{out:#?}");
    world.write("go", "");
}

fn operations_on_a_job_that_is_not_known(world: &World) {
    let job = waiting_job(world, "");
    let path: Vec<&str> = job.splitn(4, '/').collect();
    let unknown = format!("https://{}/1/2/", path.get(2).copied().unwrap_or_default());
    world.run("globusrun", ["-status", &unknown]).is(0, "DONE\n", "");
    world.run("globusrun", ["-kill", &unknown]).is(156, "", "Error canceling job\n");
    world.run("globusrun", ["-refresh-proxy", &unknown]).is(10, "", "");
    let stopped = world.run("globusrun", ["-stop-manager", &unknown]);
    assert_eq!(stopped.code, 156, "{stopped:#?}");
    assert!(stopped.stderr.starts_with("Error stopping job manager: the job contact string"), "{stopped:#?}");
    world.write("go", "");
}

/// Somebody is registered who does not send the second commit.
fn a_job_that_nobody_collects_is_parked(world: &World) {
    let alice = world.speaker(&world.pki.alice);
    let reply = alice.submit(world.contact(), "&(executable=/bin/true)(two_phase=5)(expiration=60)");
    let job = reply.field("job-manager-url").unwrap_or_default().to_owned();
    // Nobody is there, which makes no difference.
    assert_eq!(alice.ask(&job, "register 1048575 https://localhost:9/").number("failure-code"), 0);
    assert_eq!(alice.ask(&job, "signal 5 commit").number("failure-code"), 0);
    alice.ask_until(&job, |reply| reply.number("status") == 8);
    // Parked, it takes no first commit; before, it does.
    let deadline = std::time::Instant::now() + e2e::command::DEADLINE;
    while alice.ask(&job, "signal 5 commit").number("failure-code") != 94 {
        assert!(std::time::Instant::now() < deadline, "it is never parked");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert_eq!(alice.ask(&job, "status").number("status"), 8, "still told");
    assert_eq!(alice.ask(&job, "cancel").number("failure-code"), 94);
    assert_eq!(alice.ask(&job, "signal 10 commit").number("failure-code"), 0, "still taken");
    let gone = alice.ask_until(&job, |reply| reply.number("failure-code") != 0);
    assert_eq!(gone.number("failure-code"), 156);
}

/// Parked, and not collected for as long as the request says.
#[test]
fn a_parked_job_expires() {
    let Some(world) = World::new(Kind::Ours, Kind::Ours, &e2e::world::Setup::default()) else { return };
    let alice = world.speaker(&world.pki.alice);
    let reply = alice.submit(world.contact(), "&(executable=/bin/true)(two_phase=2)(expiration=2)");
    let job = reply.field("job-manager-url").unwrap_or_default().to_owned();
    alice.ask(&job, "register 1048575 https://localhost:9/");
    alice.ask(&job, "signal 5 commit");
    let gone = alice.ask_until(&job, |reply| reply.number("failure-code") != 0);
    assert_eq!((gone.number("status"), gone.number("failure-code")), (0, 156));
}

fn what_could_not_be_fetched_is_fetched_again(world: &World) {
    let alice = world.speaker(&world.pki.alice);
    let (input, result) =
        (world.file("input").display().to_string(), world.file("result").display().to_string());
    let staged = world.file("staged").display().to_string();
    let rsl = format!(
        "&(executable=/bin/cp)(arguments={staged} {result})(two_phase=60)(file_stage_in=(file://{input} {staged}))"
    );
    let reply = alice.submit(world.contact(), &rsl);
    assert_eq!(reply.number("status"), 110, "{reply:?}");
    let job = reply.field("job-manager-url").unwrap_or_default().to_owned();
    alice.ask(&job, "signal 5 commit");
    let failed = alice.ask_until(&job, |reply| reply.number("status") == 4);
    assert_eq!(failed.number("job-failure-code"), 135, "{failed:?}");

    world.write("input", "there now");
    let again = restart(world, &job, "");
    ends_well(&again);
    assert!(again.stdout.contains("STATE_STAGE_IN"), "{again:#?}");
    assert_eq!(world.read("result"), "there now");
    // The client has committed the end, too.
    assert_eq!(alice.ask(&job, "status").number("failure-code"), 156);
}

fn refusals(world: &World) {
    let alice = world.speaker(&world.pki.alice);
    let code = |rsl: &str| alice.submit(world.contact(), rsl).number("status");
    assert_eq!(code("&(restart=nonsense)"), 113);
    assert_eq!(code("&(restart=(https://localhost:1/1/2/))"), 113);
    assert_eq!(code("&(restart=https://localhost:1/1/2/)"), 121);
    assert_eq!(code("&(restart=https://localhost:1/1/2/)(executable=/bin/true)"), 140);
    let finished = world.run("globusrun", ["-b", "-q", "-r", world.contact(), "&(executable=/bin/true)"]);
    let finished = finished.job_contact();
    alice.ask_until(&finished, |reply| reply.number("status") != 2 && reply.number("status") != 32);
    assert_eq!(code(&format!("&(restart={finished})")), 121);
}

/// Where the stock job manager makes an empty file.
#[test]
fn what_could_not_be_sent_is_sent_to_the_new_place() {
    let Some(world) = World::new(Kind::Ours, Kind::Ours, &e2e::world::Setup::default()) else { return };
    let alice = world.speaker(&world.pki.alice);
    let missing = world.file("nosuch/out").display().to_string();
    let rsl = format!("&(executable=/bin/echo)(arguments=said)(two_phase=60)(stdout=({missing}))");
    let job = alice.submit(world.contact(), &rsl).field("job-manager-url").unwrap_or_default().to_owned();
    alice.ask(&job, "signal 5 commit");
    let failed = alice.ask_until(&job, |reply| reply.number("status") == 4);
    assert_eq!(failed.number("job-failure-code"), 73, "{failed:?}");

    let mut command = world.gridiron();
    let place = world.file("out").display().to_string();
    command.args(["restart", &job, "-r", world.contact(), "--stdout", &place, "--wait"]);
    let again = e2e::command::run(command).succeeded();
    assert!(again.stdout.contains("DONE"), "{again:#?}");
    assert_eq!(world.read("out"), "said\n");
}

/// The one thing a job manager that died has lost is its port; the job's path is enough.
#[test]
fn a_restart_right_after_the_manager_died() {
    let Some(user) = User::new(Kind::Ours) else { return };
    user.proxy_init(&user.pki.alice, &[]);
    let folder = user.temporary().join("site");
    fs::create_dir(&folder).unwrap();
    let mut site = MortalSite::start(&folder, &user.pki);
    let go = user.file("go").display().to_string();
    let script = user.script("wait", "#!/bin/sh\nuntil test -e \"$1\"; do sleep 0.1; done\n");
    let rsl = format!("&(executable={script})(arguments={go})");
    let job = user.run("globusrun", ["-b", "-q", "-r", site.contact(), &rsl]).job_contact();
    user.until_status(&job, "ACTIVE");
    assert_eq!(site.kill(&[Role::JobManager]), 1);
    let rsl = format!("&(restart={})", job.replacen(site.contact(), "old.example.org:1", 1));
    let second = user.start("globusrun", ["-r", site.contact(), &rsl]);
    second.wait_for("submission successful");
    user.write("go", "");
    ends_well(&second.finish());
}
