//! Staging (gass.md §7, rsl.md §9): what a job needs is there before it starts, its results are where they should be afterwards, and
//! nothing else is left; with the states and numbers that stock sites tell.

#![allow(clippy::expect_used, clippy::panic, reason = "the helpers of a test fail as tests do")]

mod deaths;
mod web;

use e2e::{Finished, Kind, User, World, matrix};
use std::{
    fs,
    path::{Path, PathBuf},
};
use web::Web;

matrix!(
    inputs_are_there_and_outputs_come,
    states_are_told_when_there_are_lists,
    streams_and_lists_go_last_first,
    a_second_job_shares_what_the_first_has_fetched,
    a_job_that_fails_is_cleaned_and_not_staged_out,
    numbers_of_inputs,
    numbers_of_outputs,
    numbers_of_shapes,
    the_client_says_which_file,
    the_scratch_directory_comes_and_goes,
    the_remote_io_url_is_in_a_file,
    output_to_many_places,
);

/// A folder of the job's own, below the test's.
fn folder(world: &World) -> PathBuf {
    folder_of(world)
}

fn folder_of(user: &User) -> PathBuf {
    let folder = user.temporary().join("job");
    fs::create_dir_all(&folder).expect("writable");
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("it is there").flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The states in the order in which `globusrun` tells them, each once.
fn states(out: &Finished) -> Vec<&str> {
    let told = out.stdout.lines().filter_map(|line| line.strip_prefix("GLOBUS_GRAM_PROTOCOL_JOB_STATE_"));
    let mut states: Vec<_> = told.collect();
    states.dedup();
    states
}

fn run(world: &World, rsl: &str) -> Finished {
    world.run("globusrun", ["-r", world.contact(), rsl])
}

fn inputs_are_there_and_outputs_come(world: &World) {
    let (web, folder) = (Web::start(), folder(world));
    let (program, one, shared) = (
        web.put("/program", "#!/bin/sh\ncat; cat one local shared ../absolute; echo done > result; umask\n"),
        web.put("/one", "1\n"),
        web.put("/shared", "shared\n"),
    );
    let stdin = web.put("/stdin", "from stdin\n");
    let local = world.write("mine", "local\n");
    let absolute = world.temporary().join("absolute").display().to_string();
    let rsl = format!(
        "&(directory={dir})(executable={program})(stdin={stdin})(stdout={out})\
         (file_stage_in=({one} one)(file://{local} local)({one} {absolute}))\
         (file_stage_in_shared=({shared} shared))\
         (file_stage_out=(result {result})(file://{dir}/one file://{dir}/copy))(file_clean_up={dir}/local)",
        dir = folder.display(),
        out = web.url("/out"),
        result = web.url("/result"),
    );
    let out = run(world, &rsl);
    assert_eq!((out.code, states(&out)), (0, vec!["STAGE_IN", "ACTIVE", "STAGE_OUT", "DONE"]), "{out:#?}");
    let said = web.file("/out").unwrap_or_default();
    assert!(said.starts_with("from stdin\n1\nlocal\nshared\n1\n"), "{said}");
    assert_eq!(web.file("/result").as_deref(), Some("done\n"));
    // The link stays and leads nowhere: what it led to was the job's.
    assert_eq!(names(&folder), ["copy", "one", "result", "shared"]);
    // The client hears of the end before the job's files go.
    let begun = std::time::Instant::now();
    while fs::read(folder.join("shared")).is_ok() {
        assert!(begun.elapsed() < e2e::command::DEADLINE, "the shared file stays");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn states_are_told_when_there_are_lists(world: &World) {
    let (web, folder) = (Web::start(), folder(world));
    let (one, dir) = (web.put("/one", "1\n"), folder.display());
    let to = web.url("/to");
    for (relations, expected) in [
        (format!("(stdout={to})"), vec!["ACTIVE", "DONE"]),
        (format!("(scratch_dir={dir})(file_clean_up={dir}/x)"), vec!["ACTIVE", "DONE"]),
        (format!("(file_stage_in=({one} x))"), vec!["STAGE_IN", "ACTIVE", "DONE"]),
        (format!("(file_stage_in_shared=({one} y))"), vec!["STAGE_IN", "ACTIVE", "DONE"]),
        (format!("(stdin={one})"), vec!["STAGE_IN", "ACTIVE", "DONE"]),
        (format!("(file_stage_out=(x {to}))"), vec!["ACTIVE", "STAGE_OUT", "DONE"]),
        (format!("(file_stage_out=(nothing {to}))"), vec!["ACTIVE", "STAGE_OUT", "FAILED"]),
    ] {
        let rsl = format!("&(executable=/bin/touch)(arguments=x)(directory={dir}){relations}");
        let out = run(world, &rsl);
        assert_eq!(states(&out), expected, "{rsl} {out:#?}");
    }
}

/// Of several entries the last goes first, and at stock sites stderr before stdout; ours sends streams while the job runs, each at its
/// own pace.
fn streams_and_lists_go_last_first(world: &World) {
    let (web, folder) = (Web::start(), folder(world));
    web.put("/a", "a");
    web.put("/b", "b");
    let url = |path| web.url(path);
    let rsl = format!(
        "&(directory={})(executable=/bin/sh)(arguments=-c 'cat same; echo no >&2')\
         (file_stage_in=({a} same)({b} same))\
         (stdout=({})({}))(stderr=({})({}))(file_stage_out=(same {to})(/etc/hostname {to}))",
        folder.display(),
        url("/out1"),
        url("/out2"),
        url("/err1"),
        url("/err2"),
        a = url("/a"),
        b = url("/b"),
        to = url("/to"),
    );
    let out = run(world, &rsl);
    assert_eq!(out.code, 0, "{out:#?}");
    let mut requests = web.requests();
    let mut streams: Vec<_> = requests.drain(2..requests.len() - 2).collect();
    assert_eq!(requests, ["GET /b", "GET /a", "PUT /to", "PUT /to"]);
    let expected = ["PUT /err2", "PUT /err1", "PUT /out2", "PUT /out1"];
    if world.server == Kind::Ours {
        streams.sort_by_key(|request| expected.iter().position(|known| known == request));
    }
    assert_eq!(streams, expected);
    assert_eq!(web.file("/out1").as_deref(), Some("a"), "the first entry is the last");
    assert_eq!(web.file("/to").as_deref(), Some("a"));
}

fn a_second_job_shares_what_the_first_has_fetched(world: &World) {
    let (web, folder) = (Web::start(), folder(world));
    let program = web.put("/program", "#!/bin/sh\necho ran >> book; while [ ! -e go ]; do sleep 0.1; done\n");
    let rsl = format!("&(directory={})(executable={program})", folder.display());
    let first = world.start("globusrun", ["-r", world.contact(), &rsl]);
    web.wait_for("GET /program", 0);
    let job = world.run("globusrun", ["-b", "-q", "-r", world.contact(), &rsl]).job_contact();
    world.until_status(&job, "ACTIVE");
    fs::write(folder.join("go"), "").expect("writable");
    assert_eq!(first.finish().code, 0);
    world.until_status(&job, "DONE");
    assert_eq!(web.requests(), ["GET /program"], "one copy serves both");
    assert_eq!(fs::read_to_string(folder.join("book")).ok().as_deref(), Some("ran\nran\n"));
}

fn a_job_that_fails_is_cleaned_and_not_staged_out(world: &World) {
    let (web, folder) = (Web::start(), folder(world));
    let dir = folder.display();
    fs::write(folder.join("mine"), "").expect("writable");
    let (one, missing, to) = (web.put("/one", "1\n"), web.url("/missing"), web.url("/to"));
    let rsl = format!(
        "&(directory={dir})(executable={one})(stdin={missing})(scratch_dir={dir})(file_clean_up={dir}/mine)\
         (file_stage_out=(one {to}))"
    );
    let out = run(world, &rsl);
    assert_eq!((out.code, states(&out)), (44, vec!["STAGE_IN", "FAILED"]), "{out:#?}");
    assert_eq!(web.requests(), ["GET /one", "GET /missing"]);
    // What is removed is removed after the client has been told.
    let deadline = std::time::Instant::now() + e2e::command::DEADLINE;
    while !names(&folder).is_empty() {
        assert!(std::time::Instant::now() < deadline, "left: {:?}", names(&folder));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Submits each; reports all that did not end with their number and state.
#[track_caller]
fn all_fail(world: &World, cases: &[(String, i32)]) {
    let mut wrong = Vec::new();
    for (rsl, code) in cases {
        let out = run(world, rsl);
        let told = out.stderr.contains(&format!("(error code {code})"));
        if out.code != *code || !told {
            wrong.push(format!("{rsl}: expected {code}, got {} {}{}", out.code, out.stdout, out.stderr));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn numbers_of_inputs(world: &World) {
    let (web, folder) = (Web::start(), folder(world));
    let (one, missing, dir) = (web.put("/one", "1\n"), web.url("/missing"), folder.display());
    fs::create_dir(folder.join("folder")).expect("writable");
    let job = |relations: &str| format!("&(directory={dir})(executable=/bin/true){relations}");
    let nowhere = "https://localhost:1/x";
    all_fail(
        world,
        &[
            (format!("&(executable={missing})"), 43),
            (format!("&(executable={nowhere})"), 43),
            (job(&format!("(stdin={missing})")), 44),
            (job(&format!("(stdin={nowhere})")), 44),
            (job(&format!("(file_stage_in=({missing} x))")), 135),
            (job(&format!("(file_stage_in=({nowhere} x))")), 135),
            (job("(file_stage_in=(file:///nonexistent x))"), 135),
            (job("(file_stage_in=(nosuch://vm/x x))"), 135),
            (job(&format!("(file_stage_in=({one} no/such/folder))")), 135),
            (job(&format!("(file_stage_in=({one} folder))")), 135),
            (job(&format!("(file_stage_in_shared=({missing} x))")), 135),
            (job(&format!("(file_stage_in_shared=({nowhere} x))")), 135),
            (job("(stdin=file:///etc/hostname)"), 11),
            ("&(executable=file:///bin/true)".to_owned(), 5),
            (format!("&(executable={one})(directory={dir}/none)"), 4),
        ],
    );
    assert_eq!(names(&folder), ["folder"], "nothing has a name before it is whole");
}

fn numbers_of_outputs(world: &World) {
    let (web, folder) = (Web::start(), folder(world));
    web.refuse("PUT /refused", 403, usize::MAX);
    let (refused, nowhere, dir) = (web.url("/refused"), "https://localhost:1/x", folder.display());
    let job = |relations: &str| format!("&(directory={dir})(executable=/bin/echo)(arguments=x){relations}");
    // The stock job manager sends both streams with one command and calls any failure stdout's.
    let stderr = if world.server == Kind::Stock { 73 } else { 74 };
    all_fail(
        world,
        &[
            (job(&format!("(stdout={refused})")), 73),
            (job(&format!("(stdout={nowhere})")), 73),
            (job(&format!("(stdout=(/dev/null)({refused}))")), 73),
            (job(&format!("(stderr={refused})")), stderr),
            (job(&format!("(stderr={nowhere})")), stderr),
            (job("(stdout=(/dev/null/x)(/dev/null))"), 73),
            (job(&format!("(file_stage_out=(/etc/hostname {refused}))")), 155),
            (job(&format!("(file_stage_out=(/etc/hostname {nowhere}))")), 155),
            (job(&format!("(file_stage_out=(missing {}))", web.url("/x"))), 155),
            (job("(file_stage_out=(/etc/hostname file:///dev/null/x))"), 155),
            (job("(file_stage_out=(/etc/hostname x-gass-cache://x))"), 155),
        ],
    );
}

fn numbers_of_shapes(world: &World) {
    let ours = world.server == Kind::Ours;
    let mut cases = vec![
        ("(file_stage_in=a b)", 141),
        ("(file_stage_in=(a))", 141),
        ("(file_stage_in=(a b c))", 141),
        ("(file_stage_in_shared=a)", 142),
        ("(file_stage_in_shared=(a b c))", 142),
        ("(file_stage_out=(/a))", 143),
        ("(file_stage_out=a b)", 143),
        ("(scratch_dir=(a))", 146),
        ("(scratch_dir=/dev/null/x)", 136),
        ("(scratch_dir=/nonexistent)", 136),
        ("(gass_cache=/dev/null/x)", 149),
        ("(gass_cache=(a))", 137),
        ("(remote_io_url=(a))", 127),
        ("(save_state=maybe)", 150),
        ("(save_state=(a))", 112),
        ("(proxy_timeout=abc)", 153),
        ("(loglevel=BAD)", 159),
        ("(arguments=$(SCRATCH_DIRECTORY))", 39),
    ];
    // Not looked at by stock before the job is over, and not even then told.
    if ours {
        cases.push(("(file_clean_up=(a))", 145));
    }
    let cases: Vec<_> = cases
        .into_iter()
        .map(|(relation, code)| (format!("&(executable=/bin/true){relation}"), code))
        .collect();
    all_fail(world, &cases);
}

/// The client makes its sentence of what the call-back says: type, source and destination.
fn the_client_says_which_file(world: &World) {
    let (web, folder) = (Web::start(), folder(world));
    let (missing, dir) = (web.url("/missing"), folder.display());
    for (rsl, code, words) in [
        (format!("&(executable={missing})"), 43, format!("stage in executable from {missing} ")),
        (format!("&(executable=/bin/true)(stdin={missing})"), 44, format!("stage in stdin from {missing} ")),
        (
            format!("&(executable=/bin/true)(directory={dir})(file_stage_in=({missing} x))"),
            135,
            format!("stage in a file from {missing} to x"),
        ),
    ] {
        let out = run(world, &rsl);
        assert!(out.code == code && out.stderr.contains(&words), "{words}: {out:#?}");
    }
}

fn the_scratch_directory_comes_and_goes(world: &World) {
    let (web, folder) = (Web::start(), folder(world));
    let (one, dir) = (web.put("/one", "1\n"), folder.display());
    let rsl = format!(
        "&(scratch_dir={dir})(directory=$(SCRATCH_DIRECTORY))(executable=/bin/sh)\
         (arguments=-c 'pwd; echo $SCRATCH_DIRECTORY; stat -c %a .; cat in; mkdir -p deep/er; touch deep/er/file')\
         (file_stage_in=({one} $(SCRATCH_DIRECTORY)/in))(stdout={out})",
        out = web.url("/out"),
    );
    let out = run(world, &rsl);
    assert_eq!(out.code, 0, "{out:#?}");
    let said = web.file("/out").unwrap_or_default();
    let lines: Vec<_> = said.lines().collect();
    let [pwd, variable, mode, content] = lines.as_slice() else { panic!("{said}") };
    let name = pwd.strip_prefix(&format!("{dir}/gram_scratch_")).unwrap_or_default();
    assert_eq!((name.len(), *mode, *content), (6, "700", "1"), "{said}");
    assert_eq!(pwd, variable);
    let deadline = std::time::Instant::now() + e2e::command::DEADLINE;
    while !names(&folder).is_empty() {
        assert!(std::time::Instant::now() < deadline, "left: {:?}", names(&folder));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn the_remote_io_url_is_in_a_file(world: &World) {
    let web = Web::start();
    let rsl = format!(
        "&(executable=/bin/sh)(arguments=-c 'basename $GLOBUS_REMOTE_IO_URL; cat $GLOBUS_REMOTE_IO_URL')\
         (remote_io_url=https://vm:1/there)(stdout={})",
        web.url("/out")
    );
    assert_eq!(run(world, &rsl).code, 0);
    assert_eq!(web.file("/out").as_deref(), Some("remote_io_file\nhttps://vm:1/there\n"));
}

/// One stream to a URL, a file and an entry of the cache; with a tag of its own that entry outlives the job.
fn output_to_many_places(world: &World) {
    let (web, folder) = (Web::start(), folder(world));
    let (dir, cache) = (folder.display(), world.temporary().join("cache").display().to_string());
    let name = "x-gass-cache://kept/out";
    let rsl = format!(
        "&(executable=/bin/echo)(arguments=hello)(gass_cache={cache})(directory={dir})\
         (stdout=({})(file://{dir}/file)({name} mine))",
        web.url("/out")
    );
    let out = run(world, &rsl);
    if world.server == Kind::Stock {
        // It takes the tag for no tag of its own here, and the entry goes with the job.
        assert_eq!(out.code, 0, "{out:#?}");
        return;
    }
    assert_eq!(out.code, 0, "{out:#?}");
    assert_eq!(web.file("/out").as_deref(), Some("hello\n"));
    assert_eq!(fs::read_to_string(folder.join("file")).ok().as_deref(), Some("hello\n"));
    e2e::need!("globus-gass-cache");
    let mut query = world.at_home(std::process::Command::new(e2e::stock::program("globus-gass-cache")));
    query.args(["-query", "-t", "mine", name]).env("GLOBUS_GASS_CACHE_DEFAULT", &cache);
    let path = e2e::command::run(query);
    assert_eq!(fs::read_to_string(path.ok().trim()).ok().as_deref(), Some("hello\n"));
}
