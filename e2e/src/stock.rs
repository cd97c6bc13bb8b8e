//! Which stock programs are installed here, and skipping what needs those that are not.

use std::{
    env,
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    thread,
};

/// Names the file that skipped tests append their reason to, one line each; set by `cargo xtask test`.
const SKIPS: &str = "GRIDIRON_E2E_SKIPS";

/// What a stock site needs.
pub const SITE: &[&str] =
    &["globus-gatekeeper", "globus-job-manager", "globus-url-copy", "globus-gass-cache", "perl"];

/// What a stock user needs.
pub const CLIENT: &[&str] = &["globusrun", "globus-job-run", "grid-proxy-init", "grid-cert-info"];

/// The program's file: on the PATH, or where Debian keeps daemons.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// The stock program's file. Call it only after [`missing`] has said that nothing is.
#[track_caller]
pub fn program(program: &str) -> PathBuf {
    find(program).unwrap_or_else(|| panic!("{program} is not installed"))
}

/// The programs of the list that are not installed.
pub fn missing(programs: &[&'static str]) -> Vec<&'static str> {
    programs.iter().copied().filter(|program| find(program).is_none()).collect()
}

/// Says that the running test is skipped, and why, where a person and `cargo xtask test` see it.
#[expect(clippy::print_stderr, reason = "a test speaks to the person who runs it")]
pub fn skip(reason: &str) {
    // libtest names a test's thread after the test.
    let test = thread::current().name().unwrap_or("test").to_owned();
    eprintln!("SKIPPED {test}: {reason}");
    let Some(path) = env::var_os(SKIPS) else { return };
    // One short append is atomic, so tests in several processes do not mix their lines.
    let file = OpenOptions::new().append(true).create(true).open(Path::new(&path));
    if let Ok(mut file) = file {
        file.write_all(format!("{test}: {reason}\n").as_bytes()).ok();
    }
}

/// Returns from the test, counted as skipped, unless every one of these stock programs is installed.
#[macro_export]
macro_rules! need {
    ($($program:expr),+ $(,)?) => {
        let missing = $crate::stock::missing(&[$($program),+]);
        if !missing.is_empty() {
            $crate::stock::skip(&format!("not installed: {}", missing.join(" ")));
            return;
        }
    };
}
