//! The `gridiron-launcher` program. `gridiron serve`, started by root, runs it.

use std::{
    io::{Write as _, stdout},
    process::ExitCode,
};

use launcher::{
    Failure, run, serve,
    settings::{self, Role},
};

const HELP: &str = "\
Starts job managers, each as its account, for a gatekeeper that has no privileges.

Nobody types its command line: root runs gridiron serve, which reads the site file and becomes this program.
It is not set-user-id, and of no use to anybody but root.

Usage:
  gridiron-launcher listen OPTIONS             wait for the gatekeeper's requests; started by gridiron serve
  gridiron-launcher manager ACCOUNT OPTIONS    become the account's job manager; started by listen
  gridiron-launcher gatekeeper OPTIONS         become the gatekeeper; started by listen

Example: gridiron serve --config /etc/gridiron/gridiron.toml
";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--help" || first == "-h") {
        let _ = stdout().write_all(HELP.as_bytes());
        return ExitCode::SUCCESS;
    }
    match settings::parse(&arguments).and_then(carry_out) {
        Ok(code) => code,
        Err(failure) => {
            launcher::log(format_args!("{failure}"));
            ExitCode::FAILURE
        }
    }
}

fn carry_out(role: Role) -> Result<ExitCode, Failure> {
    match role {
        Role::Listen(settings) => serve::run(settings),
        Role::Manager(account, settings) => Err(run::manager(&account, &settings)),
        Role::Gatekeeper(settings) => Err(run::gatekeeper(&settings)),
    }
}
