//! `cargo xtask test`: everything that must hold before a commit.

use crate::{
    peers,
    step::{cargo, counted, has_cargo},
    summary::{Counts, Line, Outcome, Summary},
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// End-to-end tests mostly wait for the stock job manager's poll, so more of them run than there are processors.
const END_TO_END_THREADS: &str = "8";

/// Seconds each fuzz target runs in the smoke test.
const FUZZ_SECONDS: &str = "3";

/// What to leave out, for a quick look while working. CI leaves nothing out.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Do not install Debian packages, even when that is possible
    #[arg(long)]
    no_install: bool,
    /// Only the end-to-end tests
    #[arg(long)]
    only_e2e: bool,
    /// Leave out the end-to-end tests
    #[arg(long, conflicts_with = "only_e2e")]
    no_e2e: bool,
}

/// Runs all steps, prints the summary and says whether nothing failed.
pub(crate) fn run(options: &Options) -> bool {
    let start = Instant::now();
    let mut steps = Steps::default();
    if !options.only_e2e {
        steps.local();
    }
    let skips = skip_file();
    if !options.no_e2e {
        if !options.no_install {
            steps.peers();
        }
        steps.end_to_end(&skips);
    }
    if !options.only_e2e {
        steps.fuzz();
    }
    let skipped_tests = fs::read_to_string(&skips).unwrap_or_default().lines().map(str::to_owned).collect();
    let summary = Summary { lines: steps.lines, skipped_tests, took: start.elapsed() };
    println!("{summary}");
    summary.passed()
}

/// Where tests that skip themselves write their reason, one line each; empty at the start of a run.
fn skip_file() -> PathBuf {
    let path = root().join("target").join("e2e-skips.txt");
    fs::remove_file(&path).ok();
    path
}

/// The workspace's root: the folder above this package.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

#[derive(Default)]
struct Steps {
    lines: Vec<Line>,
}

impl Steps {
    fn run(&mut self, name: &'static str, work: impl FnOnce() -> (Outcome, Counts)) {
        println!("\n== {name}");
        let start = Instant::now();
        let (outcome, counts) = work();
        self.lines.push(Line { name, outcome, counts, took: start.elapsed() });
    }

    fn command(&mut self, name: &'static str, command: Command) {
        self.run(name, || counted(command));
    }

    /// A step that needs a part of the Rust tool chain a bare machine may lack.
    fn component(&mut self, name: &'static str, subcommand: &str, command: Command) {
        if has_cargo(subcommand) {
            self.command(name, command);
        } else {
            let reason = format!("cargo {subcommand} is not installed (rustup component add {subcommand})");
            self.run(name, || (Outcome::Skipped(reason), Counts::default()));
        }
    }

    /// What needs nobody else: formatting, lints, documentation, unit and property tests.
    fn local(&mut self) {
        self.component("formatting", "fmt", cargo(["fmt", "--all", "--check"]));
        self.component(
            "lints",
            "clippy",
            cargo([
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--quiet",
                "--",
                "--deny",
                "warnings",
            ]),
        );
        let mut documentation =
            cargo(["doc", "--workspace", "--no-deps", "--document-private-items", "--locked", "--quiet"]);
        // Private items are documented too, so links to them resolve.
        documentation.env("RUSTDOCFLAGS", "--deny warnings --allow rustdoc::private-intra-doc-links");
        self.command("documentation", documentation);
        self.command("unit and property tests", tests(&["--workspace", "--exclude", "e2e"]));
        // nextest does not run the examples in documentation.
        self.command("documented examples", cargo(["test", "--doc", "--workspace", "--locked", "--quiet"]));
    }

    /// The stock programs; without them their tests skip themselves and say so.
    fn peers(&mut self) {
        self.run("stock programs", || {
            let missing = peers::install();
            let outcome = if missing.is_empty() {
                Outcome::Passed
            } else {
                Outcome::Skipped(format!("missing: {}", missing.join(" ")))
            };
            (outcome, Counts::default())
        });
    }

    /// Programs are built first: the end-to-end tests start them and import nothing.
    fn end_to_end(&mut self, skips: &Path) {
        self.command("programs", cargo(["build", "--workspace", "--bins", "--locked", "--quiet"]));
        let mut command = tests(&["--package", "e2e"]);
        command.env("GRIDIRON_E2E_SKIPS", skips);
        if has_cargo("nextest") {
            command.args(["--test-threads", END_TO_END_THREADS]);
        } else {
            command.args(["--", "--test-threads", END_TO_END_THREADS]);
        }
        self.command("end-to-end tests", command);
    }

    /// A few seconds of every decoder under random input.
    fn fuzz(&mut self) {
        let script = root().join("fuzz").join("smoke.sh");
        let compiler =
            Command::new("c++").arg("--version").output().is_ok_and(|output| output.status.success());
        if !compiler {
            let reason = "libFuzzer needs a C++ compiler (apt-get install g++)".to_owned();
            self.run("fuzz smoke", || (Outcome::Skipped(reason), Counts::default()));
            return;
        }
        let mut command = Command::new("sh");
        command.arg(script).arg(FUZZ_SECONDS);
        self.command("fuzz smoke", command);
    }
}

/// The test runner over some packages: nextest where it is installed, else cargo's own. Both run on after a failure.
fn tests(packages: &[&str]) -> Command {
    if has_cargo("nextest") {
        let mut command = cargo(["nextest", "run", "--no-fail-fast", "--locked", "--no-tests", "pass"]);
        command.args(packages);
        command
    } else {
        let mut command = cargo(["test", "--no-fail-fast", "--locked", "--lib", "--bins", "--tests"]);
        command.args(packages);
        command
    }
}
