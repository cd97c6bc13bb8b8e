//! Running jobs while the user waits: `globusrun` and `globus-job-run`.

use e2e::{World, matrix};

matrix!(authenticates, says_hello, three_processes);

fn authenticates(world: &World) {
    let out = world.run("globusrun", ["-a", "-r", world.contact()]);
    out.is(0, "\nGRAM Authentication test successful\n", "");
}

fn says_hello(world: &World) {
    world.run("globus-job-run", [world.contact(), "/bin/echo", "hello"]).is(0, "hello\n", "");
}

fn three_processes(world: &World) {
    world.run("globus-job-run", [world.contact(), "-np", "3", "/bin/echo", "x"]).is(0, "x\nx\nx\n", "");
}
