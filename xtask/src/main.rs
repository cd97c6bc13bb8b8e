//! The project's own chores, run as `cargo xtask <chore>`.
//!
//! - [`check`] is `cargo xtask test`, the one test command: what a developer runs before a commit and what CI runs.
//! - [`peers`] installs the Debian packages the end-to-end tests talk to.
//! - [`step`] runs one command and counts the tests it reports; [`summary`] adds them up.
#![expect(clippy::print_stdout, reason = "a chore's output is for the person at the terminal")]

mod check;
mod peers;
mod step;
mod summary;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

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
    /// Install the Debian peers of the end-to-end tests that are missing
    Peers,
    /// Write man pages and shell completions to target/man and target/completions
    Man,
}

fn main() -> ExitCode {
    let passed = match Arguments::parse().chore {
        Chore::Test(options) => check::run(&options),
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

/// The program writes its own pages from the definitions that parse its command line.
fn manual_pages() -> bool {
    let pages = step::cargo(["run", "--quiet", "--package", "gridiron", "--", "man", "target/man"]);
    let completions =
        step::cargo(["run", "--quiet", "--package", "gridiron", "--", "completions", "target/completions"]);
    [pages, completions].into_iter().all(|mut command| command.status().is_ok_and(|status| status.success()))
}
