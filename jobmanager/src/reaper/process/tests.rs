use std::{os::unix::fs::PermissionsExt, sync::Arc};

use rustix::process::{Pid, WaitOptions, waitpid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT};

use super::*;

fn command(dir: &Path, script: &str) -> Command {
    Command {
        executable: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: vec![("A".into(), "b c".into())],
        directory: dir.into(),
        stdin: "/dev/null".into(),
        stdout: "out".into(),
        stderr: "err".into(),
        processes: 1,
        limit: None,
    }
}

fn run(command: &Command) -> String {
    let pid = Pid::from_raw(spawn(command, None).unwrap().cast_signed()).unwrap();
    let (_, status) = waitpid(Some(pid), WaitOptions::empty()).unwrap().unwrap();
    assert_eq!(status.exit_status(), Some(0));
    std::fs::read_to_string(command.directory.join("out")).unwrap()
}

fn stage(command: &Command) -> Stage {
    let refusal = spawn(command, None).unwrap_err();
    assert!(refusal.message.len() > 20, "{refusal}");
    refusal.stage
}

#[test]
fn the_job_gets_what_was_asked_for_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    let mut env = command(&path, "");
    (env.executable, env.arguments) = ("/usr/bin/env".into(), Vec::new());
    assert_eq!(run(&env), "A=b c\n");
    // Appends to what is there.
    env.environment.clear();
    assert_eq!(run(&env), "A=b c\n");

    std::fs::remove_file(path.join("out")).unwrap();
    std::fs::write(path.join("in"), "from stdin\n").unwrap();
    let mut job = command(&path, "/bin/cat; pwd; cut -d' ' -f5 /proc/$$/stat; echo $$; echo oops >&2");
    job.stdin = "in".into();
    job.environment = vec![("PATH".into(), "/usr/bin:/bin".into())];
    let out = run(&job);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..2], ["from stdin", path.to_str().unwrap()]);
    assert_eq!(lines[2], lines[3], "leads its own process group");
    assert_eq!(std::fs::read_to_string(path.join("err")).unwrap(), "oops\n");
}

#[test]
fn no_descriptor_leaks_and_no_signal_is_blocked_or_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let _mine = File::open("/dev/null").unwrap();
    // What the test itself was given by a careless parent; the reaper does the same when it begins.
    close_fds::CloseFdsBuilder::new().cloexecfrom(3);
    for signal in [SIGHUP, SIGINT, SIGQUIT] {
        signal_hook::flag::register(signal, Arc::default()).unwrap();
    }
    let mut job = command(dir.path(), "");
    job.executable = "/bin/ls".into();
    job.arguments = vec!["/proc/self/fd".into()];
    // 3 is ls's own, of the directory it lists.
    assert_eq!(run(&job), "0\n1\n2\n3\n");
    std::fs::remove_file(dir.path().join("out")).unwrap();
    job.executable = "/bin/grep".into();
    job.arguments = vec!["Sig[BI]".into(), "/proc/self/status".into()];
    // The C library leaves 32 and 33 ignored, which are its own and which it takes back in the new program.
    let own = 3 << 31;
    for line in run(&job).lines() {
        let (_, signals) = line.split_once('\t').unwrap();
        assert_eq!(u64::from_str_radix(signals, 16).unwrap() & !own, 0, "{line}");
    }
}

#[test]
fn each_step_that_fails_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let good = command(dir.path(), "true");
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let with = |change: &dyn Fn(&mut Command)| {
        let mut command = good.clone();
        change(&mut command);
        stage(&command)
    };
    assert_eq!(with(&|c| c.directory = "/nonexistent".into()), Stage::Directory);
    assert_eq!(with(&|c| c.directory.clone_from(&file)), Stage::Directory);
    assert_eq!(with(&|c| c.executable = "/nonexistent".into()), Stage::Executable);
    assert_eq!(with(&|c| c.executable = "sh".into()), Stage::Executable);
    assert_eq!(with(&|c| c.executable.clone_from(&file)), Stage::Permission);
    assert_eq!(with(&|c| c.executable = "/tmp".into()), Stage::Permission);
    assert_eq!(with(&|c| c.stdin = "/nonexistent".into()), Stage::Stdin);
    assert_eq!(with(&|c| c.stdin = "/tmp".into()), Stage::Stdin);
    assert_eq!(with(&|c| c.stdout = "/nonexistent/x".into()), Stage::Stdout);
    assert_eq!(with(&|c| c.stderr = "/tmp".into()), Stage::Stderr);
    assert_eq!(with(&|c| c.arguments.push("x".repeat(200_000).into())), Stage::Arguments);
    assert_eq!(with(&|c| c.arguments.push("a\0b".into())), Stage::Arguments);
}

#[test]
fn a_script_without_an_interpreter_line_is_the_shells() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    std::fs::write(&script, "echo hello $1 $0\n").unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o700)).unwrap();
    let mut job = command(dir.path(), "");
    job.executable.clone_from(&script);
    job.arguments = vec!["you".into()];
    assert_eq!(run(&job), format!("hello you {}\n", script.display()));
    // A missing interpreter is a missing program.
    std::fs::write(&script, "#!/nonexistent\n").unwrap();
    assert_eq!(stage(&job), Stage::Executable);
}

#[test]
fn a_fifo_does_not_hold_up_the_reaper() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let mut job = command(dir.path(), "true");
    job.stdin.clone_from(&fifo);
    run(&job);
    (job.stdin, job.stdout) = ("/dev/null".into(), fifo);
    assert_eq!(stage(&job), Stage::Stdout);
}
