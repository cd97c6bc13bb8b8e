//! The small C program `judge.c`, through which the stock library is asked.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the small C program, or says why not.
pub(crate) fn build(directory: &Path) -> Result<PathBuf, String> {
    let flags = Command::new("pkg-config")
        .args(["--cflags", "--libs", "globus-rsl", "globus-common"])
        .output()
        .map_err(|error| format!("pkg-config does not start: {error}"))?;
    if !flags.status.success() {
        return Err("the package libglobus-rsl-dev is absent".to_owned());
    }
    let program = directory.join("judge");
    let built = Command::new("cc")
        .args(["-O2", "-o"])
        .arg(&program)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stock/judge.c"))
        .args(String::from_utf8_lossy(&flags.stdout).split_whitespace())
        .output()
        .map_err(|error| format!("cc does not start: {error}"))?;
    assert!(built.status.success(), "cc: {}", String::from_utf8_lossy(&built.stderr));
    Ok(program)
}
