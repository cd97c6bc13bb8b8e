//! `grid-proxy-destroy`: removes proxies.

use super::{
    Original, Program,
    options::{Opt, OptionError, Order, flag, parse},
    terminal::err,
};
use crate::proxy;
use rustix::process::geteuid;
use std::{
    ffi::OsString,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The program.
pub(super) const PROGRAM: Program = Program {
    name: "grid-proxy-destroy",
    summary: "remove your proxy, or the proxy files named",
    synopsis: "[-help][-dryrun][-default][-all][--] [file1...]",
    options: OPTIONS,
    notes: "",
    example: "grid-proxy-destroy",
    original: Original::Compiled,
    run,
};

const OPTIONS: &[Opt] = &[
    flag(&["-help", "-usage"], "show this page"),
    flag(&["-version"], "show the version"),
    flag(&["-debug"], "say more about what is wrong"),
    flag(&["-dryrun"], "only say what would be removed"),
    flag(&["-default"], "remove the default proxy too"),
    flag(&["-all"], "remove the default proxy and all delegated ones beside it"),
];

/// How delegated proxy files are called.
const DELEGATED: &str = "x509up_p";

fn run(arguments: &[OsString]) -> ExitCode {
    let parsed = match parse(OPTIONS, Order::OptionsFirst, arguments) {
        Ok(parsed) => parsed,
        Err(OptionError::Unknown { text, .. }) => {
            return PROGRAM.option_error(&format!("option {text} : unknown option"));
        }
        Err(error) => return PROGRAM.option_error(&error.describe()),
    };
    if let Some(code) = PROGRAM.page_asked_for(&parsed) {
        return code;
    }
    let mut files: Vec<PathBuf> = parsed.operands.iter().map(PathBuf::from).collect();
    if files.is_empty() || parsed.has("-default") || parsed.has("-all") {
        let default = gsi::credential::default_proxy_path();
        if !default.is_file() {
            err(format_args!(
                "\nERROR: Proxy file doesn't exist or has bad permissions\n       {} is not a file\n\nUse -debug for further information.",
                default.display()
            ));
            return ExitCode::FAILURE;
        }
        if parsed.has("-all") {
            files.extend(delegated_beside(&default));
        }
        files.push(default);
    }
    let mut code = ExitCode::SUCCESS;
    for file in files {
        if parsed.has("-dryrun") {
            err(format_args!("Would remove {}", file.display()));
        } else if let Err(failure) = proxy::destroy(&file) {
            err(format_args!("\nERROR: {failure}"));
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// Our own delegated proxies in the directory of the default one.
fn delegated_beside(default: &Path) -> Vec<PathBuf> {
    let Some(Ok(entries)) = default.parent().map(std::fs::read_dir) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(DELEGATED))
        .filter(|entry| entry.metadata().is_ok_and(|file| file.is_file() && file.uid() == geteuid().as_raw()))
        .map(|entry| entry.path())
        .collect()
}
