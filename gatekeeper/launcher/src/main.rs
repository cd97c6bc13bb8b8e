//! The `gridiron-launcher` program. `gridiron serve`, started by root, runs it.

use std::process::ExitCode;

use launcher::{
    Failure, run, serve,
    settings::{self, Role},
};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
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
