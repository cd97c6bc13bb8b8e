//! What a site tells about a job: `gridiron status -v`, `gridiron explain JOB`; and about itself: `gridiron support-bundle`. Jobs of either
//! make of client, at either make of site; a stock one tells the state and no more.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the helpers of a test fail as tests do"
)]

use e2e::{
    Finished, Kind, User, World, command, matrix,
    mortal_site::{MortalSite, Role},
};
use serde_json::Value;
use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

matrix!(a_running_job_is_explained_and_then_a_cancelled_one, the_programs_own_exit_code, a_job_that_failed,);

const SLEEP: &str = "&(executable=/bin/sleep)(arguments=300)";

/// `gridiron` with these arguments, in the user's environment.
#[track_caller]
fn gridiron(user: &User, arguments: &[&str]) -> Finished {
    let mut command = user.gridiron();
    command.args(arguments);
    command::run(command)
}

/// What `status -v --json` tells.
#[track_caller]
fn told(user: &User, job: &str) -> Value {
    let out = gridiron(user, &["status", "-v", "--json", job]).succeeded();
    serde_json::from_str(&out.stdout).unwrap_or_else(|error| panic!("{error}: {out:#?}"))
}

/// Submits in the background; the job goes on without us.
#[track_caller]
fn submit(world: &World, rsl: &str) -> String {
    world.run("globusrun", ["-b", "-q", "-r", world.contact(), rsl]).job_contact()
}

/// The events of one kind.
fn events<'a>(told: &'a Value, what: &str) -> Vec<&'a Value> {
    let events = told["timeline"]["events"].as_array().expect("a time line");
    events.iter().filter(|event| event["what"] == what).collect()
}

/// The states of the time line, each once, in order.
fn states(told: &Value) -> Vec<&str> {
    let mut states: Vec<_> =
        events(told, "reached").iter().filter_map(|event| event["state"].as_str()).collect();
    states.dedup();
    states
}

fn a_running_job_is_explained_and_then_a_cancelled_one(world: &World) {
    let job = submit(world, SLEEP);
    world.until_status(&job, "ACTIVE");
    let running = told(world, &job);
    assert_eq!(running["state"], "ACTIVE");
    let explained = gridiron(world, &["explain", &job]).succeeded().stdout;
    if world.server == Kind::Stock {
        assert!(running["timeline"].is_null());
        assert_eq!(
            explained,
            "It is running.\nIts job manager tells no more than that: it is no Gridiron.\n"
        );
        let out = gridiron(world, &["status", "-v", &job]);
        out.is(0, "ACTIVE\n", "its job manager is no Gridiron: it tells the state and nothing more\n");
    } else {
        assert_eq!(states(&running), ["UNSUBMITTED", "ACTIVE"]);
        let id = running["timeline"]["scheduler_id"].as_str().expect("the scheduler has it");
        assert_eq!(events(&running, "scheduled")[0]["id"], id);
        assert!(explained.starts_with("It has been running since "), "{explained}");
        assert!(explained.contains(&format!("at the scheduler fork as {id}.")), "{explained}");
        let text = gridiron(world, &["status", "-v", &job]).succeeded().stdout;
        assert!(text.starts_with("ACTIVE, with the scheduler\n"), "{text}");
        assert!(text.contains("  owner       /O=") && text.contains("  credential  until "), "{text}");
    }

    world.run("globusrun", ["-k", &job]).is(0, "", "");
    let explained = gridiron(world, &["explain", &job]).succeeded().stdout;
    if world.server == Kind::Stock {
        assert!(explained.contains("does not know it any more"), "{explained}");
    } else {
        let cancelled = told(world, &job);
        assert_eq!(states(&cancelled), ["UNSUBMITTED", "ACTIVE", "FAILED"]);
        assert_eq!(events(&cancelled, "asked")[0]["query"], "cancel");
        assert_eq!(cancelled["timeline"]["failure"]["code"], 8);
        assert!(explained.starts_with("It failed: the user cancelled the job (error 8)"), "{explained}");
    }
}

fn the_programs_own_exit_code(world: &World) {
    let job = submit(world, "&(executable=/bin/sh)(arguments=-c \"exit 3\")");
    world.until_status(&job, "DONE");
    let explained = gridiron(world, &["explain", &job]).succeeded().stdout;
    if world.server == Kind::Ours {
        assert!(explained.contains("ended with exit code 3."), "{explained}");
        let done = told(world, &job);
        assert_eq!(done["exit_code"], 3);
        assert_eq!(events(&done, "exited")[0]["code"], 3);
        assert_eq!(done["timeline"]["phase"], "over");
    }
}

/// Its input is on a server that does not answer: port 1 of this machine. These sites try again for a second only; the guide
/// (`guide.rs`) looks at a job between two tries.
fn a_job_that_failed(world: &World) {
    let url = format!("https://{}:1/input", e2e::pki::host_name());
    let rsl = format!("&(executable=/bin/cat)(stdin={url})");
    let job = world.run("globusrun", ["-F", "-q", "-r", world.contact(), &rsl]).job_contact();
    if world.server == Kind::Stock {
        // It is forgotten as soon as it has failed.
        world.until_status(&job, "DONE");
        return;
    }
    world.until_status(&job, "FAILED");
    let failed = told(world, &job);
    assert_eq!(states(&failed), ["STAGE_IN", "FAILED"]);
    assert_eq!(failed["timeline"]["failure"]["code"], 44);
    let file = &failed["timeline"]["files"][0];
    assert_eq!((&file["attribute"], &file["stage"]), (&"stdin".into(), &"failed".into()));
    assert!(file["tries"].as_u64().is_some_and(|tries| tries > 1), "{file}");
    let explained = gridiron(world, &["explain", &job]).succeeded().stdout;
    assert!(explained.starts_with("It failed: ") && explained.contains("(error 44)"), "{explained}");
    assert!(explained.contains("Of the 1 files it has begun with, 0 are there."), "{explained}");
    assert!(
        explained.contains(&format!("  stdin {url}: given up in ")) && explained.contains("refused"),
        "{explained}"
    );
    assert!(explained.contains("  try: "), "{explained}");
}

/// What stock clients and other people get.
#[test]
fn nobody_but_the_owner_is_told() {
    let Some(world) = World::new(Kind::Ours, Kind::Ours, &e2e::world::Setup::default()) else { return };
    let job = submit(&world, SLEEP);
    let reply = world.speaker(&world.pki.carol).ask(&job, "gridiron-timeline 1");
    assert_eq!((reply.number("status"), reply.number("failure-code")), (4, 7));
    assert!(!reply.body.contains("events"), "{reply:?}");
    let reply = world.speaker(&world.pki.alice).ask(&job, "gridiron-timeline 1");
    assert_eq!((reply.number("failure-code"), reply.number("gridiron-timeline")), (0, 1));
    assert!(reply.body.contains("\"events\":["), "{reply:?}");

    world.proxy_init(&world.pki.carol, &[]);
    let out = gridiron(&world, &["status", "-v", &job]);
    assert!(out.code != 0 && !out.stdout.contains("accepted"), "{out:#?}");
    world.proxy_init(&world.pki.alice, &[]);
    world.run("globusrun", ["-k", &job]).is(0, "", "");
}

/// The time line is where the job is: in the store.
#[test]
fn what_has_happened_survives_the_death_of_everything() {
    let Some(user) = User::new(Kind::Ours) else { return };
    user.proxy_init(&user.pki.alice, &[]);
    let folder = user.temporary().join("site");
    fs::create_dir(&folder).expect("writable");
    let mut site = MortalSite::start(&folder, &user.pki);
    let job = user.run("globusrun", ["-b", "-q", "-r", site.contact(), SLEEP]).job_contact();
    user.until_status(&job, "ACTIVE");
    let before = told(&user, &job);
    assert!(site.kill(&[Role::Gatekeeper, Role::JobManager]) > 0);
    site.serve();
    site.wait_for(Role::JobManager);
    let deadline = Instant::now() + command::DEADLINE;
    let after = loop {
        let after = told(&user, &job);
        if !after["timeline"].is_null() {
            break after;
        }
        assert!(Instant::now() < deadline, "{after}");
    };
    let kept = before["timeline"]["events"].as_array().expect("a list");
    let now = after["timeline"]["events"].as_array().expect("a list");
    assert_eq!(now.get(..kept.len()), Some(kept.as_slice()));
    assert_eq!(now[kept.len()]["what"], "resumed");
    user.run("globusrun", ["-k", &job]).is(0, "", "");
}

#[test]
fn one_question_at_a_time() {
    let Some(user) = User::new(Kind::Ours) else { return };
    for arguments in [&["explain"][..], &["explain", "https://h:1/2/3/", "subject", "/CN=x"]] {
        assert_eq!(gridiron(&user, arguments).code, 2, "{arguments:?}");
    }
    assert_eq!(gridiron(&user, &["explain", "no contact"]).code, 65);
}

/// Everything that helps, nothing that is secret: searched for whatever the site's keys, proxies and jobs hold.
#[test]
fn a_support_bundle_holds_no_secret() {
    let Some(world) = World::new(Kind::Ours, Kind::Ours, &e2e::world::Setup::default()) else { return };
    let rsl = "&(executable=/bin/sleep)(arguments=300)(environment=(SECRET of-the-job))";
    let job = submit(&world, rsl);
    world.until_status(&job, "ACTIVE");
    let site = world.our_site();
    let append = |file: &Path, text: &str| {
        let mut file = fs::OpenOptions::new().append(true).open(file).expect("it is there");
        file.write_all(text.as_bytes()).expect("writable");
    };
    append(&site.file("gridiron.toml"), "\n# once: postgres://audit:of-the-database@db/audit\n");
    let account = e2e::world::account();
    let log = site.file(&format!("state/{account}/jobmanager.log"));
    append(&log, &world.read("proxy"));
    append(&log, "a plain line\n");

    let config = site.file("gridiron.toml").display().to_string();
    let out = gridiron(&world, &["support-bundle", "--config", &config, "--out", "b.tar.gz"]).succeeded();
    assert!(out.stdout.contains("left out:"), "{out:#?}");
    let mode = fs::metadata(world.file("b.tar.gz")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = gridiron(&world, &["support-bundle", "--config", &config, "--out", "b.tar.gz"]);
    assert_ne!(again.code, 0, "it overwrites nothing");

    let mut tar = world.at_home(Command::new("tar"));
    tar.args(["-xzf", "b.tar.gz"]);
    command::run(tar).succeeded();
    let files = files_below(&world.file("b"));
    let text = |name: &str| {
        let found = files.iter().find(|(path, _)| path.ends_with(name));
        found.map(|(_, text)| text.as_str()).unwrap_or_else(|| panic!("no {name}"))
    };
    assert!(text("site/gridiron.toml").contains("postgres://audit:***@db/audit"));
    assert!(text("jobmanager.log").ends_with("a plain line\n"));
    assert!(text("jobs.json").contains(&job) && text("jobs.json").contains("ACTIVE"));
    assert!(text("audit.jsonl").contains(&job));
    assert!(text("certificates.json").contains("certification authority"));
    assert!(
        text("check.txt").contains("jobmanager-broken") && text("limits.txt").contains("handshake_bytes")
    );
    assert!(text("disk.json").contains("bytes_free") && text("versions.json").contains("kernel"));
    let processes: Value = serde_json::from_str(text("processes.json")).expect("JSON");
    let listens = |process: &Value| {
        let sockets = process["sockets"].as_array().expect("a list");
        sockets.iter().any(|socket| socket["state"] == "LISTEN" && socket["kind"] == "tcp")
    };
    let processes = processes.as_array().expect("a list");
    for role in ["serve", "jobmanager"] {
        assert!(processes.iter().any(|process| process["role"] == role && listens(process)), "{role}");
    }
    assert!(processes.iter().any(|process| process["role"] == "job" && process["name"] == "sleep"));
    let manifest: Value = serde_json::from_str(text("manifest.json")).expect("JSON");
    assert_eq!(manifest["files"].as_array().map(Vec::len), Some(files.len() - 1));
    assert!(manifest["left_out"].as_array().is_some_and(|left| left.len() >= 4));

    let key = |path: &Path| fs::read_to_string(path).expect("it is there");
    let mut secrets = vec!["of-the-job".to_owned(), "of-the-database".to_owned(), "PRIVATE KEY".to_owned()];
    let keys = [world.read("proxy"), key(&world.pki.host.key), key(&world.pki.alice.key)];
    // Any line of the base64 would do.
    secrets.extend(keys.iter().flat_map(|key| key.lines()).filter(|line| line.len() > 40).map(str::to_owned));
    for (path, text) in &files {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{secret} in {}", path.display());
        }
    }
    world.run("globusrun", ["-k", &job]).is(0, "", "");
}

/// Every file below a folder with its text.
fn files_below(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            let text = fs::read_to_string(&path).expect("text");
            found.push((path, text));
        }
    }
    found
}
