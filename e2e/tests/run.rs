//! Running jobs while the user waits: `globusrun` and `globus-job-run`.

use e2e::{Kind, World, matrix};

matrix!(
    authenticates,
    tells_versions,
    says_hello,
    three_processes,
    environment,
    directory,
    standard_input_on_the_site,
    standard_input_from_the_user,
    executable_from_the_user,
    executable_and_input_from_the_user,
    arguments_arrive_as_given,
    standard_error_is_kept_apart,
    large_output_arrives_whole,
    output_to_a_url,
    output_to_a_file_shows_progress,
    request_from_a_file,
    dry_run,
    parses_only,
    exit_status_is_not_a_failure,
    job_environment,
    rsl_variables,
    interrupt_cancels,
    interrupt_leaves_the_job,
);

fn authenticates(world: &World) {
    let out = world.run("globusrun", ["-a", "-r", world.contact()]);
    out.is(0, "\nGRAM Authentication test successful\n", "");
}

/// Version numbers differ from site to site; the lines do not.
fn tells_versions(world: &World) {
    let out = world.run("globusrun", ["-j", "-r", world.contact()]);
    let mut lines = out.ok().lines();
    for label in ["Toolkit version: ", "Job Manager version: "] {
        let version = lines.next().and_then(|line| line.strip_prefix(label));
        assert!(version.is_some_and(|version| !version.is_empty()), "no {label:?}: {out:#?}");
    }
    assert_eq!(lines.next(), None, "{out:#?}");
}

fn says_hello(world: &World) {
    world.run("globus-job-run", [world.contact(), "/bin/echo", "hello"]).is(0, "hello\n", "");
}

fn three_processes(world: &World) {
    world.run("globus-job-run", [world.contact(), "-np", "3", "/bin/echo", "x"]).is(0, "x\nx\nx\n", "");
}

fn environment(world: &World) {
    let print = "/usr/bin/printenv";
    let arguments = [world.contact(), "-env", "A=1", "-env", "B=two words", print, "A", "B"];
    world.run("globus-job-run", arguments).is(0, "1\ntwo words\n", "");
}

fn directory(world: &World) {
    world.run("globus-job-run", [world.contact(), "-dir", "/usr/share", "/bin/pwd"]).is(
        0,
        "/usr/share\n",
        "",
    );
}

fn standard_input_on_the_site(world: &World) {
    let input = world.write("input", "one\ntwo\n");
    world.run("globus-job-run", [world.contact(), "-stdin", "-l", &input, "/bin/cat"]).is(
        0,
        "one\ntwo\n",
        "",
    );
}

fn standard_input_from_the_user(world: &World) {
    world.write("input", "one\ntwo\n");
    world.run("globus-job-run", [world.contact(), "-stdin", "-s", "input", "/bin/cat"]).is(
        0,
        "one\ntwo\n",
        "",
    );
}

fn executable_from_the_user(world: &World) {
    world.script("greet", "#!/bin/sh\necho greetings $1\n");
    world.run("globus-job-run", [world.contact(), "-s", "greet", "Bob"]).is(0, "greetings Bob\n", "");
}

fn executable_and_input_from_the_user(world: &World) {
    world.script("number", "#!/bin/sh\necho $1\ncat -n\n");
    world.write("input", "a\nb\n");
    let arguments = [world.contact(), "-stdin", "-s", "input", "-s", "number", "x"];
    world.run("globus-job-run", arguments).is(0, "x\n     1\ta\n     2\tb\n", "");
}

/// Without empty arguments and backslashes, which the stock shell script loses (docs/observed.md).
fn arguments_arrive_as_given(world: &World) {
    let arguments = [world.contact(), "/usr/bin/printf", "[%s]", "two words", "a\"b", "it's", "*", "-np"];
    world.run("globus-job-run", arguments).is(0, "[two words][a\"b][it's][*][-np]", "");
}

fn standard_error_is_kept_apart(world: &World) {
    let out = world.run("globus-job-run", [world.contact(), "/bin/sh", "-c", "echo out; echo err >&2"]);
    out.is(0, "out\n", "err\n");
}

fn large_output_arrives_whole(world: &World) {
    let out = world.run("globus-job-run", [world.contact(), "/usr/bin/seq", "200000"]);
    let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    assert!(out.ok() == expected, "{} bytes arrived of {}", out.stdout.len(), expected.len());
}

fn output_to_a_url(world: &World) {
    let rsl = format!(
        "&(executable=/bin/echo)(arguments=to a file)(stdout=$(GLOBUSRUN_GASS_URL){})",
        world.file("output").display()
    );
    world.job(&rsl).is(0, "", "");
    assert_eq!(world.read("output"), "to a file\n");
}

fn output_to_a_file_shows_progress(world: &World) {
    let rsl = format!("&(executable=/bin/echo)(arguments=hi)(stdout={})", world.file("output").display());
    let out = world.run("globusrun", ["-r", world.contact(), &rsl]);
    assert_eq!(world.read("output"), "hi\n");
    // A site that knows the exit status says so and the client prints it; the stock fork site does not know it.
    let status = if world.server == Kind::Ours { "exit code: 0\n" } else { "" };
    let progress = format!(
        "globus_gram_client_callback_allow successful\nGRAM Job submission successful\n\
         GLOBUS_GRAM_PROTOCOL_JOB_STATE_ACTIVE\nGLOBUS_GRAM_PROTOCOL_JOB_STATE_DONE\n{status}"
    );
    out.is(0, &progress, "");
    world.run("globusrun", ["-q", "-r", world.contact(), &rsl]).is(0, "", "");
}

fn request_from_a_file(world: &World) {
    world.write(
        "request.rsl",
        "& (* a comment *)\n (executable = /bin/echo)\n (arguments = \"from a\" file)\n",
    );
    world.run("globusrun", ["-s", "-r", world.contact(), "-f", "request.rsl"]).is(0, "from a file\n", "");
}

fn dry_run(world: &World) {
    let marker = world.file("marker").display().to_string();
    let rsl = format!("&(executable=/usr/bin/touch)(arguments={marker})");
    let out = world.run("globusrun", ["-d", "-r", world.contact(), &rsl]);
    out.is(0, "globus_gram_client_callback_allow successful\n", "Dryrun successful\n");
    world.run("globusrun", ["-q", "-d", "-r", world.contact(), &rsl]).is(0, "", "");
    world.run("globusrun", ["-o", "-d", "-r", world.contact(), &rsl]).is(0, "", "");
    let job = [world.contact(), "/usr/bin/touch", &marker];
    let run = |program, option| world.run(program, [&[option][..], &job].concat());
    run("globus-job-run", "-dryrun").is(0, "", "Dryrun successful\n");
    // The stock program also prints a command line of its own making.
    let submitted = run("globus-job-submit", "-dryrun");
    assert_eq!((submitted.code, &*submitted.stderr), (0, "Dryrun successful\n"), "{submitted:#?}");
    assert!(!world.file("marker").exists(), "a dry run runs nothing");
    run("globus-job-run", "-verify").is(0, "", "Dryrun successful\n");
    assert!(world.file("marker").exists(), "then it runs");
}

fn parses_only(world: &World) {
    world.run("globusrun", ["-p", "&(executable=a)"]).is(0, "RSL Parsed Successfully...\n", "");
    let out = world.run("globusrun", ["-p", "&(executable=a"]);
    assert_eq!((out.code, &*out.stdout), (255, ""), "{out:#?}");
    assert!(out.stderr.contains("ERROR: cannot parse RSL &(executable=a"), "{out:#?}");
}

fn exit_status_is_not_a_failure(world: &World) {
    let out = world.run("globus-job-run", [world.contact(), "/bin/false"]);
    assert_eq!((out.code, &*out.stderr), (0, ""), "{out:#?}");
}

/// The variables of gram.md §18, and no other.
fn job_environment(world: &World) {
    let out = world.run("globus-job-run", [world.contact(), "/usr/bin/env"]);
    let mut names: Vec<&str> =
        out.ok().lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    names.sort_unstable();
    // The id under which all logs speak of the request is ours alone.
    names.retain(|name| world.server == Kind::Stock || *name != "GRIDIRON_REQUEST");
    let expected = [
        "GLOBUS_GASS_CACHE_DEFAULT",
        "GLOBUS_GRAM_JOB_CONTACT",
        "GLOBUS_LOCATION",
        "HOME",
        "LD_LIBRARY_PATH",
        "LOGNAME",
        "PATH",
        "X509_CERT_DIR",
        "X509_USER_PROXY",
    ];
    assert_eq!(names, expected, "{}", out.stdout);
}

fn rsl_variables(world: &World) {
    let rsl = "&(rsl_substitution=(GREETING hello))(executable=/bin/echo)\
               (arguments=$(GREETING) $(LOGNAME) $(GLOBUS_ID) $(GLOBUS_HOST_OSNAME) $(GLOBUS_LOCATION))";
    let expected = format!("hello {} {} Linux /usr\n", e2e::world::account(), world.pki.alice.subject);
    world.job(rsl).is(0, &expected, "");
}

/// A job that says that it runs, and then sleeps; the file tells its process id.
fn sleeper(world: &World) -> String {
    let script = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 300", world.file("pid").display());
    format!("&(executable=/bin/sh)(arguments=-c \"{script}\")")
}

fn interrupt_cancels(world: &World) {
    let client = world.start("globusrun", ["-r", world.contact(), &sleeper(world)]);
    let job = world.job_process();
    client.interrupt();
    let out = client.finish();
    assert_eq!(out.code, 8, "{out:#?}");
    assert!(job.ends(), "the job was cancelled");
}

fn interrupt_leaves_the_job(world: &World) {
    let client = world.start("globusrun", ["-n", "-r", world.contact(), &sleeper(world)]);
    let job = world.job_process();
    client.interrupt();
    client.finish();
    assert!(job.runs(), "the job was left alone");
}
