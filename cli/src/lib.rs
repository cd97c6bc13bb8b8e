//! Everything the `gridiron` program does: one file per command in `commands/`. Called by a classic name (argv[0]), or as
//! `gridiron classic NAME …`, it behaves like that Globus tool: `classic/`.
//!
//! Decisions and I/O shared by both: `job/` (submit and watch), `proxy`, `site/` (the site file), `session` (whose
//! credential). Only `ui` prints.

#![allow(
    rustdoc::broken_intra_doc_links,
    rustdoc::invalid_html_tags,
    reason = "the comments of clap arguments are help texts for a terminal: `host[:port]`, `/tmp/x509up_u<uid>`"
)]

pub mod bundle;
pub mod cache;
pub mod classic;
pub mod commands;
mod copying;
pub mod demo;
pub mod exit;
pub mod failure;
pub mod job;
pub mod logging;
pub mod processes;
pub mod proxy;
pub mod runtime;
pub mod session;
pub mod site;
pub mod ui;

use std::{ffi::OsString, path::Path, process::ExitCode};

/// Runs the program this process was called as.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let called_as = arguments.next().unwrap_or_else(|| OsString::from("gridiron"));
    if let Some(tool) =
        Path::new(&called_as).file_name().and_then(|name| classic::lookup(&name.to_string_lossy()))
    {
        return tool.run(&arguments.collect::<Vec<_>>());
    }
    commands::main(arguments.collect())
}
