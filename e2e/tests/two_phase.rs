//! Two-phase commit as `globusrun` does it.

use e2e::{World, matrix};

matrix!(commits_by_itself, commits_in_batch, yes_means_a_minute, no_means_off);

fn commits_by_itself(world: &World) {
    world.job("&(executable=/bin/echo)(arguments=committed)(two_phase=30)").is(0, "committed\n", "");
}

fn commits_in_batch(world: &World) {
    let rsl = "&(executable=/bin/sleep)(arguments=300)(two_phase=30)";
    let job = world.run("globusrun", ["-b", "-q", "-r", world.contact(), rsl]).job_contact();
    world.until_status(&job, "ACTIVE");
    world.run("globusrun", ["-k", &job]).is(0, "", "");
}

fn yes_means_a_minute(world: &World) {
    world.job("&(executable=/bin/echo)(arguments=committed)(two_phase=yes)").is(0, "committed\n", "");
}

fn no_means_off(world: &World) {
    world.job("&(executable=/bin/echo)(arguments=plain)(two_phase=no)").is(0, "plain\n", "");
    world.job("&(executable=/bin/echo)(arguments=plain)(two_phase=0)").is(0, "plain\n", "");
}
