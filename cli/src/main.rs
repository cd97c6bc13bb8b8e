//! The `gridiron` program: one file per command in `commands/`; called by a classic name (argv[0]) or as
//! `gridiron classic NAME …` it behaves like that Globus tool, see `classic/`.

mod classic;
mod commands;
mod exit;
mod failure;
mod job;
mod logging;
mod proxy;
mod runtime;
mod session;
mod site;
mod ui;

use std::{ffi::OsString, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let called_as = arguments.next().unwrap_or_else(|| OsString::from("gridiron"));
    if let Some(tool) =
        Path::new(&called_as).file_name().and_then(|name| classic::lookup(&name.to_string_lossy()))
    {
        return tool(arguments.collect());
    }
    commands::main(called_as, arguments.collect())
}
