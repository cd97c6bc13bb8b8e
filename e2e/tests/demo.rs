//! `gridiron demo`: needs nothing but the program, and is a site for stock clients when it is kept.

use e2e::{
    Finished, Kind, User, command, processes,
    user::{gridiron, temporary_folder},
};
use std::{fs, path::Path, process::Command};

/// Our program in a clean environment, with everything temporary below `dir`.
fn ours(dir: &Path, arguments: &[&str]) -> Finished {
    let mut command = Command::new(gridiron());
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("TMPDIR", dir)
        .env("HOME", dir)
        .current_dir(dir);
    command::run(command)
}

#[test]
fn shows_a_job_and_cleans_up() {
    let folder = temporary_folder();
    let out = ours(folder.path(), &["demo"]);
    assert_eq!(out.code, 0, "{out:#?}");
    let said = out.stdout.clone() + &out.stderr;
    for state in ["ACTIVE", "DONE"] {
        assert!(said.to_uppercase().contains(state), "no {state} in {out:#?}");
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    // Three on a quiet machine.
    assert!(out.took.as_secs() < 100, "it takes seconds: {:?}", out.took);
}

#[test]
fn refuses_a_folder_that_is_not_empty() {
    let folder = temporary_folder();
    fs::create_dir(folder.path().join("d")).unwrap();
    fs::write(folder.path().join("d").join("thesis.tex"), "years of work").unwrap();
    let out = ours(folder.path(), &["demo", "--dir", "d"]);
    assert_ne!(out.code, 0, "{out:#?}");
    assert_eq!(fs::read_to_string(folder.path().join("d").join("thesis.tex")).unwrap(), "years of work");
}

/// The `export NAME=value` lines of env.sh, as a shell reads them.
fn environment(file: &Path) -> Vec<(String, String)> {
    // The contact comes last.
    let names = ["X509_CERT_DIR", "X509_USER_PROXY", "GRIDIRON_CONTACT"];
    let print: String = names.iter().map(|name| format!("printf '%s\\n' \"${name}\"; ")).collect();
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!(". {} && {print}", file.display())).env_clear();
    let out = command::run(shell);
    names.iter().map(|name| (*name).to_owned()).zip(out.ok().lines().map(str::to_owned)).collect()
}

/// Keeps a demo, runs the user's commands at it, and stops it.
fn kept(client: Kind) {
    let Some(user) = User::new(client) else { return };
    let folder = temporary_folder();
    let site = folder.path().join("d");
    let out = ours(folder.path(), &["demo", "--keep", "--dir", "d"]);
    assert_eq!(out.code, 0, "{out:#?}");
    let environment = environment(&site.join("env.sh"));
    let contact = environment.iter().map(|(_, value)| value.clone()).next_back().unwrap_or_default();
    let run = |program: &str, arguments: &[&str]| {
        let mut command = user.command(program);
        command.args(arguments).env_remove("GLOBUS_HOSTNAME").envs(environment.iter().cloned());
        command::run(command)
    };

    run("globusrun", &["-a", "-r", &contact]).is(0, "\nGRAM Authentication test successful\n", "");
    run("globus-job-run", &[&contact, "/bin/echo", "hello"]).is(0, "hello\n", "");
    let job = run("globusrun", &["-b", "-q", "-r", &contact, "&(executable=/bin/sleep)(arguments=300)"])
        .job_contact();
    run("globusrun", &["-status", &job]).is(0, "ACTIVE\n", "");

    let stopped = ours(folder.path(), &["demo", "--stop", "--dir", "d"]);
    assert_eq!(stopped.code, 0, "{stopped:#?}");
    assert!(!site.exists(), "the folder is gone");
    assert_eq!(processes::count_naming(&site), 0, "no process is left, not even the job");
}

#[test]
fn kept_for_stock_clients() {
    kept(Kind::Stock);
}

#[test]
fn kept_for_our_clients() {
    kept(Kind::Ours);
}

#[test]
fn stopping_what_is_not_a_demo_touches_nothing() {
    let folder = temporary_folder();
    fs::create_dir(folder.path().join("d")).unwrap();
    fs::write(folder.path().join("d").join("thesis.tex"), "years of work").unwrap();
    let out = ours(folder.path(), &["demo", "--stop", "--dir", "d"]);
    assert_ne!(out.code, 0, "{out:#?}");
    assert!(folder.path().join("d").join("thesis.tex").exists());
}
