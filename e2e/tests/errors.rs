//! Every error number that a request to a fork site can bring (rsl.md §9, gram.md §6.4), as clients show it: the
//! number in the message, and as the exit status.
//!
//! Texts are each program's own. Whether it says that the *submission* or the *job* failed tells when the site found
//! out: the stock one accepts first and asks the scheduler adapter later, ours may know at once.

#![allow(clippy::expect_used, reason = "a test harness fails by panicking")]

use e2e::{Finished, Kind, World, matrix, world::Setup};

matrix!(
    wrong_values,
    wrong_shapes,
    wrong_files,
    wrong_urls,
    wrong_requests,
    not_looked_at,
    names_the_unknown_attribute,
    names_the_wrong_value,
    wrong_services,
    broken_service,
    too_large,
    nobody_listens,
    unknown_user,
    account_of_somebody_else,
);

/// What a failed client printed: its exit status if the error number in its message is the same, else -1. 0: nothing
/// went wrong, and nothing was said.
fn number(out: &Finished) -> i32 {
    let told = out.stderr.split_once("(error code ").and_then(|(_, rest)| rest.split_once(')'));
    let told = told.and_then(|(number, _)| number.parse().ok());
    let failed = out.stderr.starts_with("GRAM Job ") && out.stderr.contains("failed because ");
    let silent = out.code == 0 && out.stderr.is_empty();
    if silent || (failed && told == Some(out.code)) { out.code } else { -1 }
}

/// Submits each request; reports all that did not end with their number.
fn all_fail(world: &World, requests: &[(String, i32)]) {
    let mut wrong = Vec::new();
    for (rsl, expected) in requests {
        let out = world.run("globusrun", ["-q", "-r", world.contact(), rsl]);
        if number(&out) != *expected {
            wrong.push(format!(
                "{rsl}: expected {expected}, got {} {:?} {:?}",
                out.code, out.stdout, out.stderr
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), requests.len(), wrong.join("\n"));
}

/// Requests that are in order but for one relation.
fn relations(cases: &[(&str, i32)]) -> Vec<(String, i32)> {
    cases.iter().map(|(relation, code)| (format!("&(executable=/bin/true)({relation})"), *code)).collect()
}

fn wrong_values(world: &World) {
    let cases = [
        ("count=abc", 14),
        ("count=2.0", 14),
        ("count=\"2 \"", 14),
        ("count=a b", 14),
        ("count=0", 126),
        ("count=-1", 126),
        ("job_type=bogus", 19),
        ("job_type=condor", 26),
        ("job_type=mpi", 26),
        // Stock takes any part of the list of job types for one of them, and then has no use for it.
        ("job_type=mul", if world.server == Kind::Stock { 26 } else { 19 }),
        ("gram_my_job=bogus", 20),
        ("dry_run=maybe", 134),
        ("two_phase=abc", 114),
        ("save_state=maybe", 150),
        ("proxy_timeout=abc", 153),
        ("loglevel=BAD", 159),
        ("stdout_position=0", 138),
        ("restartcontacts=yes", 138),
        ("foo=1", 1),
        ("start_time=1", 1),
        ("directory=\"\"", 4),
        ("restart=https://localhost:1/1/1/", 140),
    ];
    all_fail(world, &relations(&cases));
}

fn wrong_shapes(world: &World) {
    let cases = [
        ("arguments=(a b)", 50),
        ("directory=a b", 52),
        ("dry_run=(a)", 53),
        ("dry_run=a b", 53),
        ("environment=A", 54),
        ("environment=(A)", 54),
        ("environment=(A B C)", 54),
        ("executable=(a)", 55),
        ("job_type=(a)", 57),
        ("stderr=a b", 63),
        ("stdin=a b", 64),
        ("stdout=a b", 65),
        ("stdout=(a b)", 65),
        ("save_state=(a)", 112),
        ("two_phase=(a)", 114),
        ("remote_io_url=(a)", 127),
        ("gass_cache=(a)", 137),
        ("file_stage_in=a b", 141),
        ("file_stage_in_shared=a", 142),
        ("file_stage_out=(/a)", 143),
        ("scratch_dir=(a)", 146),
        ("proxy_timeout=(a)", 153),
    ];
    all_fail(world, &relations(&cases));
}

/// `/dev/null/x` can neither exist nor be made, not even by root.
fn wrong_files(world: &World) {
    let cases = [
        ("stdin=/dev/null/x", 11),
        ("stdout=/dev/null/x", 73),
        ("stderr=/dev/null/x", 74),
        ("directory=/dev/null/x", 4),
        ("scratch_dir=/dev/null/x", 136),
        ("gass_cache=/dev/null/x", 149),
    ];
    let mut requests = relations(&cases);
    let executables = [("/dev/null/x", 5), ("/etc/passwd", 72), ("/tmp", 72), ("\"\"", 55), ("a b", 55)];
    requests.extend(executables.map(|(executable, code)| (format!("&(executable={executable})"), code)));
    all_fail(world, &requests);
}

/// Nobody listens on port 1.
fn wrong_urls(world: &World) {
    let cases = [
        ("stdin=https://localhost:1/x", 44),
        ("stdout=https://localhost:1/x", 73),
        // The stock job manager sends both streams with one command and calls any failure stdout's.
        ("stderr=https://localhost:1/x", if world.server == Kind::Stock { 73 } else { 74 }),
        ("file_stage_in=(https://localhost:1/x /dev/null/x)", 135),
        ("file_stage_out=(/etc/hostname https://localhost:1/x)", 155),
    ];
    let mut requests = relations(&cases);
    requests.push(("&(executable=https://localhost:1/x)".to_owned(), 43));
    all_fail(world, &requests);
}

fn wrong_requests(world: &World) {
    let cases = [
        ("&(count=1)", 81),
        ("|(executable=/bin/true)(executable=/bin/false)", 48),
        ("&(executable!=x)", 48),
        ("&(executable=/bin/true)(count>1)", 48),
        ("&(executable=/bin/true)(directory=$(UNDEFINED))", 39),
        // Defaults are in the language as published; stock evaluates none, not even an unneeded one.
        ("&(executable=/bin/true)(directory=$(HOME def))", if world.server == Kind::Stock { 39 } else { 0 }),
        ("&(executable=/bin/true)(rsl_substitution=A)", 39),
        ("&(executable=/bin/true)(stdout=$(A))(rsl_substitution=(A /dev/null))", 39),
        // Its top is in order, or the client would not send it; stock sites crash, and their client sees 10.
        ("&(&(executable=/bin/true))", if world.server == Kind::Stock { 10 } else { 48 }),
        ("&(restart=not-a-contact)", 113),
        ("&(restart=https://localhost:1/1/1/)", 121),
    ];
    all_fail(world, &cases.map(|(rsl, code)| (rsl.to_owned(), code)));
}

/// What a fork site cannot use it does not look at (rsl.md §9).
fn not_looked_at(world: &World) {
    let rsl = "&(executable=/bin/echo)(arguments=fine)(max_time=abc)(max_cpu_time=-4)(min_memory=abc)\
               (max_memory=abc)(queue=any)(project=any)(host_count=abc)(expiration=abc)(save_state=yes)\
               (gram_my_job=independent)(proxy_timeout=60)";
    world.job(rsl).is(0, "fine\n", "");
    // Our fork scheduler keeps to max_wall_time, so it has to understand it.
    let timed = world.job("&(executable=/bin/true)(max_wall_time=abc)");
    assert_eq!(timed.code, if world.server == Kind::Ours { 102 } else { 0 }, "{timed:#?}");
}

fn names_the_unknown_attribute(world: &World) {
    let out = world.run("globusrun", ["-q", "-r", world.contact(), "&(exeutable=/bin/true)"]);
    assert_eq!(number(&out), 1, "{out:#?}");
    assert!(out.stderr.contains("exeutable"), "{out:#?}");
    if world.server == Kind::Ours {
        assert!(out.stderr.contains("executable"), "says what would be right: {out:#?}");
    }
}

fn names_the_wrong_value(world: &World) {
    let rsl = "&(executable=/bin/true)(job_type=singel)";
    let out = world.run("globusrun", ["-q", "-r", world.contact(), rsl]);
    assert_eq!(number(&out), 19, "{out:#?}");
    assert!(out.stderr.contains("singel") && out.stderr.contains("single"), "{out:#?}");
}

fn wrong_services(world: &World) {
    for service in ["nosuch", "jobmanager-nosuch"] {
        let contact = world.service(service);
        assert_eq!(number(&world.run("globus-job-run", [&*contact, "/bin/true"])), 93);
        let ping = world.run("globusrun", ["-a", "-r", &contact]);
        assert_eq!((ping.code, &*ping.stderr), (1, ""), "{ping:#?}");
        assert!(ping.stdout.starts_with("\nGRAM Authentication test failure: "), "{ping:#?}");
    }
}

/// A service whose definition cannot be used.
fn broken_service(world: &World) {
    let contact = world.service("jobmanager-broken");
    assert_eq!(number(&world.run("globus-job-run", [&*contact, "/bin/true"])), 47);
}

/// A request above the 64,000 bytes that a gatekeeper reads.
fn too_large(world: &World) {
    world.write("large.rsl", &format!("&(executable=/bin/true)(arguments={})", "x".repeat(70_000)));
    assert_eq!(number(&world.run("globusrun", ["-q", "-r", world.contact(), "-f", "large.rsl"])), 10);
}

fn nobody_listens(world: &World) {
    assert_eq!(number(&world.run("globus-job-run", ["localhost:1", "/bin/true"])), 12);
    assert_eq!(number(&world.run("globus-job-run", ["no-such-host.invalid", "/bin/true"])), 12);
}

fn unknown_user(world: &World) {
    world.proxy_init(&world.pki.mallory, &[]);
    assert_eq!(number(&world.run("globus-job-run", [world.contact(), "/bin/true"])), 7);
    let ping = world.run("globusrun", ["-a", "-r", world.contact()]);
    assert_eq!(ping.code, 1, "{ping:#?}");
}

fn account_of_somebody_else(world: &World) {
    let mine = format!("&(executable=/bin/true)(username={})", e2e::world::account());
    world.run("globusrun", ["-q", "-r", world.contact(), &mine]).is(0, "", "");
    let other = "&(executable=/bin/true)(username=nobody)";
    assert_eq!(number(&world.run("globusrun", ["-q", "-r", world.contact(), other])), 7);
}

/// A site that lets nobody in for a while.
mod nologin {
    use super::{Kind, Setup, World, number};
    use e2e::Kind::{Ours, Stock};
    use std::fs;

    fn play(client: Kind, server: Kind) {
        let folder = e2e::user::temporary_folder();
        fs::create_dir(folder.path().join("etc")).expect("writable");
        let location = folder.path().display().to_string();
        let setup = Setup { site_environment: vec![("GLOBUS_LOCATION", location)], ..Setup::default() };
        let Some(world) = World::new(client, server, &setup) else { return };
        let file = folder.path().join("etc/globus-nologin");
        fs::write(&file, "").expect("writable");
        let code = number(&world.run("globus-job-run", [world.contact(), "/bin/true"]));
        // The connection is closed at once, and what a client makes of that depends on how far it had come.
        assert!([7, 10, 12].contains(&code), "{code}");
        fs::remove_file(&file).expect("it was written");
        world.run("globusrun", ["-a", "-r", world.contact()]).is(
            0,
            "\nGRAM Authentication test successful\n",
            "",
        );
    }

    #[test]
    fn stock_to_stock() {
        play(Stock, Stock);
    }

    #[test]
    fn stock_to_ours() {
        play(Stock, Ours);
    }

    #[test]
    fn ours_to_ours() {
        play(Ours, Ours);
    }
}

/// A user whom the gridmap sends to an account that does not exist.
mod unknown_account {
    use super::{Kind, Setup, World, number};
    use e2e::Kind::{Ours, Stock};

    fn play(client: Kind, server: Kind) {
        let mallory = e2e::pki::Pki::shared().mallory.subject;
        let setup =
            Setup { gridmap_lines: vec![format!("\"{mallory}\" no-such-account")], ..Setup::default() };
        let Some(world) = World::new(client, server, &setup) else { return };
        world.proxy_init(&world.pki.mallory, &[]);
        // The stock gatekeeper breaks off with 500, which clients show as 47 or, for some, as 7.
        let code = number(&world.run("globus-job-run", [world.contact(), "/bin/true"]));
        assert!([7, 47].contains(&code), "{code}");
    }

    #[test]
    fn stock_to_stock() {
        play(Stock, Stock);
    }

    #[test]
    fn stock_to_ours() {
        play(Stock, Ours);
    }

    #[test]
    fn ours_to_ours() {
        play(Ours, Ours);
    }
}
