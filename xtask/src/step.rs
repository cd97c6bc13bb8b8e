//! Running one command of the test command, its output passed through and counted.

use crate::summary::{Counts, Outcome};
use std::{
    env,
    ffi::OsStr,
    io::{BufRead, BufReader, Write, stdout},
    process::{Command, Stdio},
    thread,
};

/// The cargo that runs us, so that a chosen toolchain stays chosen; output uncoloured when it goes into a file.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// Whether `cargo <subcommand>` exists here.
pub(crate) fn has_cargo(subcommand: &str) -> bool {
    cargo([subcommand, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs the command to its end; what it prints goes to our output line by line and is counted on the way.
pub(crate) fn counted(mut command: Command) -> (Outcome, Counts) {
    let mut counts = Counts::default();
    let mut child = match command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => {
            println!("cannot start {}: {error}", command.get_program().display());
            return (Outcome::Failed, counts);
        }
    };
    let errors = child.stderr.take();
    // nextest reports on standard error, libtest on standard output: both are read, at once, so that neither blocks.
    let reader = thread::spawn(move || errors.map(pass_through).unwrap_or_default());
    for line in child.stdout.take().map(pass_through).unwrap_or_default() {
        counts.read(&line);
    }
    for line in reader.join().unwrap_or_default() {
        counts.read(&line);
    }
    let passed = child.wait().is_ok_and(|status| status.success());
    (if passed { Outcome::Passed } else { Outcome::Failed }, counts)
}

/// Prints each line as it comes, and returns those that a runner's closing line could be.
fn pass_through(stream: impl std::io::Read) -> Vec<String> {
    let mut kept = Vec::new();
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        let mut out = stdout().lock();
        // A closed terminal is no reason to stop testing.
        writeln!(out, "{line}").ok();
        if line.contains("Summary") || line.starts_with("test result:") || line.starts_with("fuzz ") {
            kept.push(line.into_owned());
        }
    }
    kept
}
