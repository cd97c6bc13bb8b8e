//! Both versions of TLS, on every connection of a job: request, control, call-backs and files.

use e2e::{
    Kind::{self, Ours, Stock},
    Running, World, need,
    world::Setup,
};
use std::process::Command;

const MIN: &str = "GLOBUS_GSSAPI_MIN_TLS_PROTOCOL";
const MAX: &str = "GLOBUS_GSSAPI_MAX_TLS_PROTOCOL";
const TLS_1_2: &str = "TLS1_2_VERSION";
const TLS_1_3: &str = "TLS1_3_VERSION";

/// One job with files both ways, by a user who speaks only this version.
fn user_speaks(version: &str, client: Kind, server: Kind) {
    let Some(world) = World::new(client, server, &Setup::default()) else { return };
    let speaking = |program: &str, arguments: &[&str]| {
        let mut command: Command = world.command(program);
        command.env(MIN, version).env(MAX, version).args(arguments);
        Running::start(command, None).finish()
    };
    speaking("globusrun", &["-a", "-r", world.contact()]).is(
        0,
        "\nGRAM Authentication test successful\n",
        "",
    );
    world.write("input", "through\n");
    let arguments = [world.contact(), "-stdin", "-s", "input", "/bin/cat"];
    speaking("globus-job-run", &arguments).is(0, "through\n", "");
    let out = speaking(
        "globusrun",
        &["-b", "-q", "-r", world.contact(), "&(executable=/bin/sleep)(arguments=300)"],
    );
    let job = out.job_contact();
    speaking("globusrun", &["-status", &job]).is(0, "ACTIVE\n", "");
    speaking("globusrun", &["-k", &job]).is(0, "", "");
}

/// One job with files both ways, at a stock site that speaks only this version.
fn site_speaks(version: &str, client: Kind) {
    need!("globus-gatekeeper");
    let site_environment = vec![(MIN, version.to_owned()), (MAX, version.to_owned())];
    let setup = Setup { site_environment, ..Setup::default() };
    let Some(world) = World::new(client, Stock, &setup) else { return };
    world.write("input", "through\n");
    let arguments = [world.contact(), "-stdin", "-s", "input", "/bin/cat"];
    world.run("globus-job-run", arguments).is(0, "through\n", "");
}

mod stock_user {
    use super::*;

    #[test]
    fn tls_1_2_to_stock() {
        user_speaks(TLS_1_2, Stock, Stock);
    }

    #[test]
    fn tls_1_3_to_stock() {
        user_speaks(TLS_1_3, Stock, Stock);
    }

    #[test]
    fn tls_1_2_to_ours() {
        user_speaks(TLS_1_2, Stock, Ours);
    }

    #[test]
    fn tls_1_3_to_ours() {
        user_speaks(TLS_1_3, Stock, Ours);
    }
}

mod stock_site {
    use super::*;

    #[test]
    fn tls_1_2_from_stock() {
        site_speaks(TLS_1_2, Stock);
    }

    #[test]
    fn tls_1_3_from_stock() {
        site_speaks(TLS_1_3, Stock);
    }

    #[test]
    fn tls_1_2_from_ours() {
        site_speaks(TLS_1_2, Ours);
    }

    #[test]
    fn tls_1_3_from_ours() {
        site_speaks(TLS_1_3, Ours);
    }
}
