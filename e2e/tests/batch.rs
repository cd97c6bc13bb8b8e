//! Jobs that go on without the user: `-b`, `-F`, `-status`, `-k`, and the `globus-job-*` commands.

use e2e::{Kind, World, matrix};

matrix!(
    batch_prints_the_contact_when_submitted,
    fast_batch_prints_the_contact_at_once,
    cancel,
    a_finished_job_is_done,
    status_of_a_job_on_a_dead_site_is_done,
    submit_status_output_clean,
    submit_with_separate_standard_error,
    tail_of_the_output,
    submit_cancel,
    cancel_asks_first,
    clean_stops_a_running_job,
);

/// What `-status` prints of a cancelled job: the stock site has forgotten it, which clients show as DONE (gram.md §7);
/// ours tells the truth for some minutes more.
fn after_cancel(world: &World) -> &'static str {
    match world.server {
        Kind::Stock => "DONE\n",
        Kind::Ours => "FAILED\n",
    }
}

const SLEEP: &str = "&(executable=/bin/sleep)(arguments=300)";

fn batch_prints_the_contact_when_submitted(world: &World) {
    let out = world.run("globusrun", ["-b", "-r", world.contact(), SLEEP]);
    let job = out.job_contact();
    let expected = format!(
        "globus_gram_client_callback_allow successful\nGRAM Job submission successful\n{job}\n\
         GLOBUS_GRAM_PROTOCOL_JOB_STATE_ACTIVE\n"
    );
    out.is(0, &expected, "");
    world.run("globusrun", ["-status", &job]).is(0, "ACTIVE\n", "");
    world.run("globusrun", ["-k", &job]).is(0, "", "");
}

fn fast_batch_prints_the_contact_at_once(world: &World) {
    let out = world.run("globusrun", ["-F", "-r", world.contact(), SLEEP]);
    let job = out.job_contact();
    let expected =
        format!("globus_gram_client_callback_allow successful\nGRAM Job submission successful\n{job}\n");
    // Whether the first call-back is seen before the client leaves is chance.
    assert_eq!(out.ok().replace("GLOBUS_GRAM_PROTOCOL_JOB_STATE_ACTIVE\n", ""), expected);
    world.until_status(&job, "ACTIVE");
    world.run("globusrun", ["-k", &job]).is(0, "", "");
}

fn cancel(world: &World) {
    let out = world.run("globusrun", ["-b", "-q", "-r", world.contact(), SLEEP]);
    let job = out.job_contact();
    world.run("globusrun", ["-k", &job]).is(0, "", "");
    world.run("globusrun", ["-status", &job]).is(0, after_cancel(world), "");
    // Whoever has forgotten the job cannot cancel it; whoever knows that it has ended has nothing to do.
    let again = world.run("globusrun", ["-k", &job]);
    assert_eq!(again.code != 0, world.server == Kind::Stock, "{again:#?}");
}

fn a_finished_job_is_done(world: &World) {
    let out = world.run("globusrun", ["-b", "-q", "-r", world.contact(), "&(executable=/bin/true)"]);
    world.until_status(&out.job_contact(), "DONE");
}

fn status_of_a_job_on_a_dead_site_is_done(world: &World) {
    // Port 1 of this machine: nobody listens there.
    let job = format!("https://{}:1/1/1/", e2e::pki::host_name());
    world.run("globusrun", ["-status", &job]).is(0, "DONE\n", "");
}

/// Submits a shell command with `globus-job-submit`, which prints the contact and nothing else.
fn submit(world: &World, command: &str) -> String {
    let out = world.run("globus-job-submit", [world.contact(), "/bin/sh", "-c", command]);
    let job = out.job_contact();
    out.is(0, &format!("{job}\n"), "");
    job
}

fn submit_status_output_clean(world: &World) {
    let job = submit(world, "echo out; echo err >&2");
    world.until_job_status(&job, "DONE");
    world.run("globus-job-get-output", ["-r", world.contact(), &job]).is(0, "out\n", "");
    world.run("globus-job-get-output", ["-r", world.contact(), &job]).is(0, "out\n", "");
    world.run("globus-job-clean", ["-f", "-r", world.contact(), &job]).is(0, "\nCleanup successful.\n\n", "");
    let gone = world.run("globus-job-get-output", ["-r", world.contact(), &job]);
    gone.is(1, "", &format!("Error locating stdout for job {job}\n"));
}

fn submit_with_separate_standard_error(world: &World) {
    let job = submit(world, "echo out; echo err >&2");
    world.until_job_status(&job, "DONE");
    world.run("globus-job-get-output", ["-r", world.contact(), "-err", &job]).is(0, "err\n", "");
}

fn tail_of_the_output(world: &World) {
    let job = submit(world, "seq 20");
    world.until_job_status(&job, "DONE");
    world.run("globus-job-get-output", ["-r", world.contact(), "-t", "2", &job]).is(0, "19\n20\n", "");
}

fn submit_cancel(world: &World) {
    let job = submit(world, "sleep 300");
    world.until_job_status(&job, "ACTIVE");
    let out = world.run("globus-job-cancel", ["-f", &job]);
    assert!(out.ok().starts_with("\nJob canceled.\nNOTE: "), "{out:#?}");
    world.run("globus-job-status", [&job]).is(0, after_cancel(world), "");
    world.run("globus-job-cancel", ["-q", &job]).is(0, "", "");
}

fn cancel_asks_first(world: &World) {
    let job = submit(world, "sleep 300");
    world.until_job_status(&job, "ACTIVE");
    let out = world.run_with_input("globus-job-cancel", [&job], "n\n");
    assert!(out.stdout.contains("Y/N") || out.stdout.contains("y/n"), "{out:#?}");
    world.run("globus-job-status", [&job]).is(0, "ACTIVE\n", "");
    world.run_with_input("globus-job-cancel", [&job], "Y\n");
    world.run("globus-job-status", [&job]).is(0, after_cancel(world), "");
}

fn clean_stops_a_running_job(world: &World) {
    let job = submit(world, "sleep 300");
    world.until_job_status(&job, "ACTIVE");
    world.run("globus-job-clean", ["-f", "-r", world.contact(), &job]).is(0, "\nCleanup successful.\n\n", "");
    world.run("globus-job-status", [&job]).is(0, after_cancel(world), "");
}
