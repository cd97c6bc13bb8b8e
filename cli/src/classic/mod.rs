//! The classic Globus names: options, output and exit codes of the originals, over the modules of `job/` and `proxy`.

use std::{ffi::OsString, process::ExitCode};

/// A classic tool: takes the arguments after the program's name.
pub type Tool = fn(Vec<OsString>) -> ExitCode;

/// The tool of that name, `None` for names that are not classic.
pub fn lookup(_name: &str) -> Option<Tool> {
    None
}

/// Definitions of all classic tools, for man pages and completions.
pub fn definitions() -> Vec<clap::Command> {
    Vec::new()
}
