//! The project's own chores, run as `cargo xtask <chore>`.
//!
//! - [`check`] is `cargo xtask test`, the one test command: what a developer runs before a commit and what CI runs.
//! - [`mod@bench`] is `cargo xtask bench`, speed beside the stock programs.
//! - [`peers`] installs the Debian packages the end-to-end tests talk to.
//! - [`step`] runs one command and counts the tests it reports; [`summary`] adds them up.
#![expect(clippy::print_stdout, reason = "a chore's output is for the person at the terminal")]

mod bench;
mod check;
mod peers;
mod step;
mod summary;

use clap::{Parser, Subcommand};
use std::{fs, path::Path, process::ExitCode};

/// The project's own chores.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Format, lint, document, and run unit, property, end-to-end and fuzz-smoke tests
    Test(check::Options),
    /// Measure ours and the stock programs in turn: `cargo xtask bench gram`, `gass` or `rsl`
    Bench(bench::Options),
    /// Install the Debian peers of the end-to-end tests that are missing
    Peers,
    /// Write man pages and shell completions to target/man and target/completions
    Man,
}

fn main() -> ExitCode {
    let passed = match Arguments::parse().chore {
        Chore::Test(options) => check::run(&options),
        Chore::Bench(options) => bench::run(&options),
        Chore::Peers => {
            let missing = peers::install();
            if !missing.is_empty() {
                println!("still missing: {}", missing.join(" "));
            }
            missing.is_empty()
        }
        Chore::Man => manual_pages(),
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The program writes its own pages and scripts, from the definitions that parse its command line.
fn manual_pages() -> bool {
    let gridiron = |arguments: &[&str]| {
        let mut command = step::cargo(["run", "--quiet", "--package", "gridiron", "--"]);
        command.args(arguments);
        command
    };
    let pages = gridiron(&["man", "target/man"]).status().is_ok_and(|status| status.success());
    let folder = Path::new("target/completions");
    let completions = fs::create_dir_all(folder).is_ok()
        && ["bash", "zsh", "fish"].iter().all(|shell| {
            let script = gridiron(&["completions", shell]).output();
            script.is_ok_and(|script| {
                script.status.success()
                    && fs::write(folder.join(format!("gridiron.{shell}")), script.stdout).is_ok()
            })
        });
    pages && completions
}
