//! The page `deploy/README.md`, followed under a real systemd that is booted for it.

use e2e::{command::Running, need, stock, user::temporary_folder};
use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/units");
/// How long systemd may take to start.
const BOOT: Duration = Duration::from_secs(60);

/// A process of the booted system's first process's namespaces, in its root directory.
fn inside(init: u32) -> Command {
    let mut command = Command::new(stock::program("nsenter"));
    let root = format!("--root=/proc/{init}/root");
    command.args(["--target", &init.to_string(), "-p", "-m", "-C", "-n", "-u", &root, "--wd=/"]);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// The one child of `unshare`, once it is systemd.
fn init_of(unshare: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).ok()?;
    let init = children.split_whitespace().next()?.parse().ok()?;
    let name = fs::read_to_string(format!("/proc/{init}/comm")).ok()?;
    (name.trim() == "systemd").then_some(init)
}

fn is_up(init: u32) -> bool {
    let mut command = inside(init);
    command.args(["systemctl", "is-system-running"]);
    ["running", "degraded"].contains(&command_output(command).trim())
}

fn command_output(mut command: Command) -> String {
    let output = command.output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Why systemd cannot be booted here; asked of the machine, not guessed.
fn obstacle() -> Option<String> {
    let mut command = Command::new(stock::program("unshare"));
    command.args(["-p", "-m", "-C", "-n", "-u", "-f", "mount", "-t", "proc", "proc", "/proc"]);
    let output = command.output().unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

#[test]
fn a_site_lives_under_systemd() {
    need!(
        "systemd-analyze",
        "unshare",
        "nsenter",
        "ip",
        "globus-job-run",
        "globus-job-submit",
        "grid-proxy-init"
    );
    if let Some(reason) = obstacle() {
        return stock::skip(&format!("systemd cannot be booted here: {reason}"));
    }
    let folder = temporary_folder();
    let programs = e2e::user::gridiron();
    let mut boot = Command::new(stock::program("unshare"));
    boot.args(["-p", "-m", "-C", "-n", "-u", "-f", "--kill-child", "--propagation", "private"]);
    boot.arg(format!("{SCRIPTS}/boot.sh")).arg(folder.path());
    boot.arg(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()).arg(programs.parent().unwrap());
    let booted = Running::start(boot, None);

    let begun = Instant::now();
    let init = loop {
        if let Some(init) = init_of(booted.id()).filter(|&init| is_up(init)) {
            break init;
        }
        assert!(begun.elapsed() < BOOT, "systemd does not start:\n{}", booted.errors_so_far());
        std::thread::sleep(Duration::from_millis(100));
    };
    let mut visit = inside(init);
    visit.arg("/srv/repository/e2e/tests/units/visit.sh");
    let visited = e2e::command::run(visit);
    if visited.code != 0 {
        let mut journal = inside(init);
        journal.args(["journalctl", "--no-pager", "--lines=60"]);
        panic!("{visited:#?}\n{}", command_output(journal));
    }
    let expected = "\
/O=Grid/CN=Alice mapped to alice
/etc/gridiron/gridiron.toml: ok
a job runs as alice
after gridiron-launcher's restart: job ACTIVE, served
after gridiron's restart: job ACTIVE, served
after the reload: served
after its death: job ACTIVE, served
gatekeeper's account: gridiron
gridiron ended with success
gridiron-launcher ended with success
";
    assert_eq!(visited.stdout, expected, "{}", visited.stderr);
}
