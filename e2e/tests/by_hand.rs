//! What no client says, or not at that moment: broken requests, signals, commits that do not come, strangers.

use e2e::{
    Kind, World,
    by_hand::{Delegation, post},
    sites,
};

sites!(
    ping_by_hand,
    broken_requests_to_the_gatekeeper,
    incomplete_job_requests,
    job_request_without_delegation,
    commit_that_does_not_come,
    commit_by_hand,
    commit_extended,
    cancel_instead_of_commit,
    end_of_a_two_phase_job,
    queries,
    broken_queries,
    signals,
    call_back_contacts,
    strangers_learn_nothing,
);

const SLEEP: &str = "&(executable=/bin/sleep)(arguments=300)";

/// gram.md §11.
const ACTIVE: i64 = 2;
const FAILED: i64 = 4;
const DONE: i64 = 8;
const UNSUBMITTED: i64 = 32;

/// What becomes of a job that has ended, with this failure, when nobody has to collect it: the stock site forgets it,
/// ours tells how it ended for some minutes more.
#[track_caller]
fn is_over(world: &World, job: &str, failure: i64) {
    let alice = world.speaker(&world.pki.alice);
    if world.server == Kind::Ours {
        let over = alice.ask(job, "status");
        assert_eq!((over.number("status"), over.number("job-failure-code")), (FAILED, failure), "{over:?}");
        return;
    }
    let gone = alice.ask_until(job, |reply| reply.number("failure-code") != 0);
    assert_eq!((gone.number("status"), gone.number("failure-code")), (0, 156), "{gone:?}");
}

/// Submits; returns the job contact and checks the reply's status.
#[track_caller]
fn submit(world: &World, rsl: &str, status: i64) -> String {
    let reply = world.speaker(&world.pki.alice).submit(world.contact(), rsl);
    assert_eq!((reply.status, reply.number("status")), (200, status), "{reply:?}");
    reply.field("job-manager-url").unwrap_or_default().to_owned()
}

/// A job that runs.
#[track_caller]
fn active(world: &World, rsl: &str) -> String {
    let job = submit(world, rsl, 0);
    world.speaker(&world.pki.alice).ask_until(&job, |reply| reply.number("status") == ACTIVE);
    job
}

fn ping_by_hand(world: &World) {
    let alice = world.speaker(&world.pki.alice);
    let ping =
        |uri: &str| alice.tell_gatekeeper(world.contact(), Delegation::None, post(uri, "").as_bytes()).status;
    assert_eq!(ping("ping/jobmanager"), 200);
    assert_eq!(ping("ping/nosuch"), 404);
    // The slash in front makes it a service named "ping/jobmanager".
    assert_eq!(ping("/ping/jobmanager"), 404);
}

fn broken_requests_to_the_gatekeeper(world: &World) {
    let alice = world.speaker(&world.pki.alice);
    let tell = |request: &str| alice.tell_gatekeeper(world.contact(), Delegation::None, request.as_bytes());
    // The stock gatekeeper closes without a reply; ours may say why.
    for broken in
        ["GET /jobmanager HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "nonsense\r\nContent-Length: 0\r\n\r\n"]
    {
        let status = tell(broken).status;
        assert!([0, 403].contains(&status), "{broken:?}: {status}");
    }
    assert_eq!(tell(&post("/a/b", "")).status, 404);
    assert_eq!(tell(&post(&format!("/{}", "x".repeat(300)), "")).status, 404);
    // Only the request line and the length are looked at.
    assert_eq!(tell("POST ping/jobmanager HTTP/9.9\r\nContent-Length: 0\r\n\r\n").status, 200);
    let too_large = tell(&post("/jobmanager", &"x".repeat(64001)));
    assert_eq!((too_large.status, too_large.number("status")), (200, 10), "{too_large:?}");
}

fn incomplete_job_requests(world: &World) {
    let alice = world.speaker(&world.pki.alice);
    let tell = |body: &str| {
        let reply =
            alice.tell_gatekeeper(world.contact(), Delegation::Full, post("/jobmanager", body).as_bytes());
        assert_eq!(reply.status, 200, "{body:?}: {reply:?}");
        reply.number("status")
    };
    let lines = [
        "protocol-version: 2\r\n",
        "job-state-mask: 1048575\r\n",
        "callback-url: \"\"\r\n",
        "rsl: \"&(count=1)\"\r\n",
    ];
    for left_out in lines {
        let body: String = lines.into_iter().filter(|line| *line != left_out).collect();
        assert_eq!(tell(&body), 91, "without {left_out:?}");
    }
    assert_eq!(tell(&lines.concat().replace("version: 2", "version: 3")), 91);
    // All there, in any order, with something unknown and without a closing NUL: it gets as far as the RSL.
    let mut body = lines;
    body.reverse();
    assert_eq!(tell(&format!("x-unknown: \"1\"\r\n{}", body.concat())), 81);
}

fn job_request_without_delegation(world: &World) {
    let body = format!(
        "protocol-version: 2\r\njob-state-mask: 1048575\r\ncallback-url: \"\"\r\nrsl: \"{SLEEP}\"\r\n"
    );
    let alice = world.speaker(&world.pki.alice);
    let reply =
        alice.tell_gatekeeper(world.contact(), Delegation::None, post("/jobmanager", &body).as_bytes());
    // A site may see that before it starts a job manager, or the job manager may (29, no user proxy).
    assert!(reply.status == 400 || reply.number("status") == 29, "{reply:?}");
}

fn commit_that_does_not_come(world: &World) {
    let alice = world.speaker(&world.pki.alice);
    let marker = world.file("marker").display().to_string();
    let job = submit(world, &format!("&(executable=/usr/bin/touch)(arguments={marker})(two_phase=1)"), 110);
    let failed = alice.ask_until(&job, |reply| reply.number("status") != UNSUBMITTED);
    assert_eq!((failed.number("status"), failed.number("job-failure-code")), (FAILED, 111), "{failed:?}");
    assert!(!world.file("marker").exists(), "it never ran");
    is_over(world, &job, 111);
}

fn commit_by_hand(world: &World) {
    let alice = world.speaker(&world.pki.alice);
    let job = submit(world, "&(executable=/bin/sleep)(arguments=300)(two_phase=30)", 110);
    let committed = alice.ask(&job, "signal 5 commit");
    assert_eq!(committed.number("failure-code"), 0, "{committed:?}");
    alice.ask_until(&job, |reply| reply.number("status") == ACTIVE);
    // Again does no harm.
    assert_eq!(alice.ask(&job, "signal 5 commit").number("failure-code"), 0);
    let cancelled = alice.ask(&job, "cancel");
    assert_eq!(
        (cancelled.number("status"), cancelled.number("job-failure-code")),
        (FAILED, 8),
        "{cancelled:?}"
    );
}

/// Long enough that a busy machine gets the signal through in time.
fn commit_extended(world: &World) {
    let alice = world.speaker(&world.pki.alice);
    let start = std::time::Instant::now();
    let job = submit(world, "&(executable=/bin/true)(two_phase=10)", 110);
    assert_eq!(alice.ask(&job, "status").number("status"), UNSUBMITTED);
    assert_eq!(alice.ask(&job, "signal 6 5").number("failure-code"), 0);
    alice.ask_until(&job, |reply| reply.number("status") == FAILED);
    assert!(start.elapsed().as_secs() >= 14, "ten seconds and five more: {:?}", start.elapsed());
}

fn cancel_instead_of_commit(world: &World) {
    let alice = world.speaker(&world.pki.alice);
    let job = submit(world, "&(executable=/bin/true)(two_phase=30)", 110);
    // The stock job manager answers with the state before, and then fails the job.
    assert_eq!(alice.ask(&job, "cancel").number("failure-code"), 0);
    let cancelled = alice.ask_until(&job, |reply| reply.number("status") != UNSUBMITTED);
    assert_eq!(
        (cancelled.number("status"), cancelled.number("job-failure-code")),
        (FAILED, 8),
        "{cancelled:?}"
    );
}

fn end_of_a_two_phase_job(world: &World) {
    let alice = world.speaker(&world.pki.alice);
    let job = submit(world, "&(executable=/bin/true)(two_phase=10)", 110);
    alice.ask(&job, "signal 5 commit");
    let done = alice.ask_until(&job, |reply| reply.number("status") == DONE);
    assert_eq!(done.number("failure-code"), 0, "kept until the end is committed: {done:?}");
    assert_eq!(alice.ask(&job, "signal 10 commit").number("failure-code"), 0);
    let gone = alice.ask_until(&job, |reply| reply.number("failure-code") != 0);
    assert_eq!(gone.number("failure-code"), 156, "{gone:?}");
}

fn queries(world: &World) {
    let alice = world.speaker(&world.pki.alice);
    let job = active(world, SLEEP);
    let status = alice.ask(&job, "status");
    assert_eq!((status.number("failure-code"), status.number("job-failure-code")), (0, 0), "{status:?}");
    assert!(
        status.field("version").is_some(),
        "clients show DONE for a lost job only when there is a version"
    );
    assert_eq!(alice.ask(&job, "status whatever").number("status"), ACTIVE);
    let unknown = alice.ask(&job, "bogus");
    assert_eq!((unknown.number("status"), unknown.number("failure-code")), (FAILED, 92), "{unknown:?}");

    let slashless = job.trim_end_matches('/');
    assert_eq!(alice.ask(slashless, "status").number("failure-code"), 156);
    // A contact as it could be, and is not: its last digit is another.
    let (most, last) = slashless.split_at(slashless.len() - 1);
    let stranger = format!("{most}{}/", if last == "7" { "6" } else { "7" });
    let other = alice.ask(&stranger, "status");
    assert_eq!((other.number("status"), other.number("failure-code")), (0, 156), "{other:?}");
    assert!(other.field("version").is_some(), "{other:?}");

    let cancelled = alice.ask(&job, "cancel");
    assert_eq!((cancelled.number("status"), cancelled.number("failure-code")), (FAILED, 0), "{cancelled:?}");
    assert_eq!(cancelled.number("job-failure-code"), 8, "{cancelled:?}");
    is_over(world, &job, 8);
}

fn broken_queries(world: &World) {
    let alice = world.speaker(&world.pki.alice);
    let job = active(world, SLEEP);
    let path = job.trim_start_matches("https://").split_once('/').map_or("", |(_, path)| path);
    let tell = |body: &str| alice.tell_job_manager(&job, post(&format!("/{path}"), body).as_bytes());
    let unquoted = tell("protocol-version: 2\r\nstatus\r\n");
    assert_eq!(unquoted.number("failure-code"), 92, "{unquoted:?}");
    assert_eq!(tell("\"status\"\r\n").status, 400);
    assert_eq!(tell("protocol-version: 3\r\n\"status\"\r\n").number("failure-code"), 49);
    // Line ends and NUL are not needed, the full URL is as good as the path.
    assert_eq!(tell("protocol-version: 2\r\n\"status\"").number("status"), ACTIVE);
    let url = alice.tell_job_manager(&job, post(&job, "protocol-version: 2\r\n\"status\"\r\n").as_bytes());
    assert_eq!(url.number("status"), ACTIVE, "{url:?}");
    let get = alice.tell_job_manager(&job, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_ne!(get.status, 200, "{get:?}");
    alice.ask(&job, "cancel");
}

fn signals(world: &World) {
    let alice = world.speaker(&world.pki.alice);
    let job = active(world, SLEEP);
    let code = |query: &str| alice.ask(&job, query).number("failure-code");
    // Not in two phases.
    assert_eq!(code("signal 5 commit"), 133);
    assert_eq!(code("signal 6 10"), 133);
    assert_eq!(code("signal 10 commit"), 133);
    assert_eq!(code("signal 99 x"), 108);
    assert_eq!(alice.ask(&job, "signal 2").status, 400);
    if world.server == Kind::Stock {
        // No stock scheduler adapter implements them; ours may.
        assert_eq!(code("signal 2 x"), 27);
    }
    assert_eq!(code("signal 9"), 0);
    // The job runs on, nobody watches it; its last state stays.
    assert_eq!(alice.ask(&job, "status").number("status"), ACTIVE);
}

fn call_back_contacts(world: &World) {
    let alice = world.speaker(&world.pki.alice);
    let job = active(world, SLEEP);
    let contact = "https://localhost:1/";
    assert_eq!(alice.ask(&job, &format!("unregister {contact}")).number("failure-code"), 78);
    assert_eq!(alice.ask(&job, &format!("register 1048575 {contact}")).number("failure-code"), 0);
    assert_eq!(alice.ask(&job, &format!("unregister {contact}")).number("failure-code"), 0);
    assert_eq!(alice.ask(&job, &format!("unregister {contact}")).number("failure-code"), 78);
    assert_eq!(alice.ask(&job, "register 1048575").status, 400);
    alice.ask(&job, "cancel");
}

/// Stock lets anybody in who has a trusted certificate (gram.md §14); we do not follow.
fn strangers_learn_nothing(world: &World) {
    let job = active(world, SLEEP);
    // Carol is mapped to the same account, yet it is not her job.
    for stranger in [&world.pki.mallory, &world.pki.carol] {
        let reply = world.speaker(stranger).ask(&job, "cancel");
        if world.server == Kind::Stock {
            assert_eq!(reply.number("failure-code"), 0, "{reply:?}");
            return;
        }
        assert!(reply.status != 200 || [7, 162].contains(&reply.number("failure-code")), "{reply:?}");
    }
    let alice = world.speaker(&world.pki.alice);
    assert_eq!(alice.ask(&job, "status").number("status"), ACTIVE, "it runs on");
    alice.ask(&job, "cancel");
}
