//! The unit files in `deploy/systemd`: systemd understands them, and finds the gatekeeper well boxed in.
#![allow(clippy::unwrap_used, reason = "the helpers of tests fail by panicking, as tests do")]

mod booted;

use e2e::{command, need, stock, user::temporary_folder};
use std::{fs, path::Path, process::Command};

/// The worst exposure that `systemd-analyze security` may find, in tenths. It gives 10.0 to a service without any sandbox.
const EXPOSURE: u32 = 20;

/// The units of a folder in `deploy/systemd`, as files that name a program which is there.
fn units(folder: &str, into: &Path) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd").join(folder);
    let mut files = Vec::new();
    for entry in fs::read_dir(root).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        let text = fs::read_to_string(entry.path()).unwrap();
        assert!(text.contains("gridiron"));
        let text =
            text.replace("/usr/bin/gridiron", "/bin/true").replace("%h/.local/bin/gridiron", "/bin/true");
        // There is no manual page to be found before the packages are installed.
        let text: String =
            text.lines().filter(|line| !line.starts_with("Documentation=")).collect::<Vec<_>>().join("\n");
        let file = into.join(entry.file_name());
        fs::write(&file, text + "\n").unwrap();
        files.push(file.display().to_string());
    }
    assert!(!files.is_empty(), "{folder}");
    files
}

fn analyze(arguments: &[&str], files: &[String], folder: &Path) -> e2e::Finished {
    let mut command = Command::new(stock::program("systemd-analyze"));
    command.env("XDG_RUNTIME_DIR", folder); // a user's manager wants one
    command.args(arguments).args(files).env("SYSTEMD_PAGER", "").env("LC_ALL", "C");
    command::run(command)
}

#[test]
fn systemd_understands_them() {
    need!("systemd-analyze");
    for (units_of, manager, count) in [("", "--system", 4), ("user", "--user", 1)] {
        let folder = temporary_folder();
        let files = units(units_of, folder.path());
        assert_eq!(files.len(), count, "{files:?}");
        let verified = analyze(&["verify", manager], &files, folder.path());
        assert!(verified.code == 0 && verified.stderr.is_empty(), "{verified:#?}");
    }
}

#[test]
fn the_gatekeeper_is_boxed_in() {
    need!("systemd-analyze");
    let folder = temporary_folder();
    let files: Vec<String> =
        units("", folder.path()).into_iter().filter(|file| file.ends_with("/gridiron.service")).collect();
    let threshold = format!("--threshold={EXPOSURE}");
    let judged = analyze(&["security", "--offline=true", &threshold], &files, folder.path());
    assert_eq!(judged.code, 0, "{judged:#?}");
}
