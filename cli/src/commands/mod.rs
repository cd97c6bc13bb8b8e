//! The command line: its definition, and the way from arguments to a command's file.

pub mod arguments;
pub mod audit;
pub mod ca;
pub mod cache;
pub mod cancel;
pub mod cert;
pub mod check;
pub mod classic;
pub mod clean;
pub mod completions;
pub mod cp;
pub mod demo;
pub mod explain;
pub mod gass;
pub mod gridmap;
pub mod init;
pub mod jobmanager;
pub mod launcher;
pub mod list;
pub mod man;
pub mod output;
pub mod passphrase;
pub mod ping;
pub mod proxy;
pub mod reaper;
pub mod renew;
pub mod restart;
pub mod rsl;
pub mod run;
pub mod serve;
pub mod signal;
pub mod status;
pub mod submit;
pub mod support_bundle;

use crate::{exit::Exit, failure::Failure, logging, ui::Ui};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::{ffi::OsString, process::ExitCode};

/// Grid computing in one program: run jobs on other people's machines, and open yours to them.
///
/// Speaks the protocols of the Globus suite (RSL, GSI, GRAM, GASS), so its commands work with stock Globus gatekeepers
/// and stock Globus clients work with its gatekeeper.
#[derive(Debug, Parser)]
#[command(name = "gridiron", version, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// Print results as JSON, one value per line; errors as JSON on stderr
    #[arg(long, global = true)]
    json: bool,
    /// Log: [json:|text:]FILTER[@FILE], e.g. debug or json:gatekeeper=debug@/var/log/gridiron.log [env: GRIDIRON_LOG]
    #[arg(long, global = true, value_name = "LOG")]
    log: Option<String>,
    /// What to do
    #[command(subcommand)]
    command: Command,
}

/// The commands, in the order of `--help`.
#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Init(init::Args),
    Serve(serve::Args),
    Check(check::Args),
    Audit(audit::Args),
    Explain(explain::Args),
    SupportBundle(support_bundle::Args),
    Run(run::Args),
    Submit(submit::Args),
    Status(status::Args),
    Output(output::Args),
    Cancel(cancel::Args),
    Restart(restart::Args),
    Renew(renew::Args),
    Signal(signal::Args),
    Clean(clean::Args),
    List(list::Args),
    Cache(cache::Args),
    Ping(ping::Args),
    Cp(cp::Args),
    Gass(gass::Args),
    Proxy(proxy::Args),
    Cert(cert::Args),
    Ca(ca::Args),
    Gridmap(gridmap::Args),
    Rsl(rsl::Args),
    Completions(completions::Args),
    Man(man::Args),
    Classic(classic::Args),
    #[command(hide = true)]
    Jobmanager(jobmanager::Args),
    #[command(hide = true)]
    Launcher(launcher::Args),
    #[command(hide = true)]
    Reaper(reaper::Args),
}

/// The whole command line as clap sees it, with the exit codes in its help.
pub fn definition() -> clap::Command {
    let codes: Vec<String> =
        Exit::ALL.iter().map(|(exit, meaning)| format!("  {:>3}  {meaning}", *exit as u8)).collect();
    Cli::command().after_help(format!("Exit codes:\n{}\n\nExample: gridiron demo\n", codes.join("\n")))
}

/// Runs `gridiron` with the arguments after the program's name.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let named = std::iter::once(OsString::from("gridiron")).chain(arguments);
    let parsed = definition().try_get_matches_from(named).and_then(|found| Cli::from_arg_matches(&found));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // --help and --version are "errors" for clap too, printed on stdout.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Success.into() };
        }
    };
    let ui = Ui { json: cli.json };
    match cli.command.run(&ui, cli.log.as_deref()) {
        Ok(code) => code,
        Err(failure) => {
            ui.failure(&failure);
            failure.exit.into()
        }
    }
}

impl Command {
    fn run(self, ui: &Ui, log: Option<&str>) -> Result<ExitCode, Failure> {
        let is_daemon = matches!(self, Command::Serve(_) | Command::Jobmanager(_));
        logging::start(log, if is_daemon { "info" } else { "warn" })?;
        let exit = match self {
            Command::Demo(args) => args.run(ui)?,
            Command::Init(args) => args.run(ui)?,
            Command::Serve(args) => args.run(ui, log)?,
            Command::Check(args) => args.run(ui)?,
            Command::Audit(args) => args.run(ui)?,
            Command::Explain(args) => args.run(ui)?,
            Command::SupportBundle(args) => args.run(ui)?,
            Command::Run(args) => return args.run(ui),
            Command::Submit(args) => args.run(ui)?,
            Command::Status(args) => args.run(ui)?,
            Command::Output(args) => args.run(ui)?,
            Command::Cancel(args) => args.run(ui)?,
            Command::Restart(args) => args.run(ui)?,
            Command::Renew(args) => args.run(ui)?,
            Command::Signal(args) => args.run(ui)?,
            Command::Clean(args) => args.run(ui)?,
            Command::List(args) => args.run(ui)?,
            Command::Cache(args) => args.run(ui)?,
            Command::Ping(args) => args.run(ui)?,
            Command::Cp(args) => args.run(ui)?,
            Command::Gass(args) => args.run(ui)?,
            Command::Proxy(args) => args.run(ui)?,
            Command::Cert(args) => args.run(ui)?,
            Command::Ca(args) => args.run(ui)?,
            Command::Gridmap(args) => args.run(ui)?,
            Command::Rsl(args) => args.run(ui)?,
            Command::Completions(args) => args.run(ui)?,
            Command::Man(args) => args.run(ui)?,
            Command::Classic(args) => return args.run(ui),
            Command::Jobmanager(args) => args.run()?,
            Command::Launcher(args) => args.run()?,
            Command::Reaper(args) => args.run()?,
        };
        Ok(exit.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }

    /// Every command's help shows how to use it.
    #[test]
    fn every_command_has_an_example() {
        fn visit(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            if !command.is_hide_set() && !command.has_subcommands() {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("Example") && help.contains("gridiron "), "no example:{path}");
            }
            command.get_subcommands().for_each(|sub| visit(sub, &path));
        }
        visit(&definition(), "");
    }
}
