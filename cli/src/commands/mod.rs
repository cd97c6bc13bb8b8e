//! The command line: its definition, and the way from arguments to a command's file.

use std::{ffi::OsString, process::ExitCode};

/// Runs `gridiron`.
pub fn main(_arguments: Vec<OsString>) -> ExitCode {
    ExitCode::SUCCESS
}
