//! docs/jobs.md is true: every command in it is run, in order, by one shell, and what it prints is compared with what the page
//! shows.
//!
//! A line that begins with `$ ` is a command, `> ` goes on with it; the lines up to the next command are what it prints, standard
//! error included. `…` stands for any text within a line, a line that is nothing else for any number of lines. What asks for a
//! state is asked again until the answer is the one shown.

#![allow(clippy::expect_used, clippy::panic, reason = "the helpers of a test fail as tests do")]

use e2e::{
    Kind, User, command, processes,
    user::{gridiron, temporary_folder},
};
use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// The placeholder.
const ANYTHING: &str = "…";
/// Commands that ask for a state, which may come a little later.
const QUESTIONS: [&str; 3] = ["gridiron status", "gridiron explain", "gridiron output"];
/// How long it may be later.
const PATIENCE: Duration = Duration::from_secs(40);

/// A command of the page and what it should print.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    line: usize,
    command: String,
    prints: Vec<String>,
}

/// The commands of all blocks, in order.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut in_block = false;
    for (number, line) in (1..).zip(page.lines()) {
        if line.starts_with("```") {
            in_block = line == "```console";
        } else if !in_block {
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { line: number, command: command.to_owned(), prints: Vec::new() });
        } else if let Some(step) = steps.last_mut() {
            match line.strip_prefix("> ").or((line == ">").then_some("")) {
                Some(more) if step.prints.is_empty() => step.command += &format!("\n{more}"),
                _ => step.prints.push(line.to_owned()),
            }
        }
    }
    steps
}

/// Whether a line is what the page shows.
fn line_fits(shown: &str, line: &str) -> bool {
    let parts: Vec<&str> = shown.split(ANYTHING).collect();
    let [first, middle @ .., last] = parts.as_slice() else { return shown == line };
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

/// Whether all lines are what the page shows.
fn fits(shown: &[String], lines: &[&str]) -> bool {
    match shown {
        [] => lines.is_empty(),
        [any, rest @ ..] if any.trim() == ANYTHING => {
            (0..=lines.len()).any(|skipped| fits(rest, lines.get(skipped..).unwrap_or_default()))
        }
        [one, rest @ ..] => match lines {
            [line, more @ ..] => line_fits(one, line) && fits(rest, more),
            [] => false,
        },
    }
}

/// A guide that fails half way leaves its site running.
struct Leftovers(PathBuf);

impl Drop for Leftovers {
    fn drop(&mut self) {
        processes::kill_all_naming(&self.0);
    }
}

#[test]
fn every_command_of_the_guide_prints_what_it_shows() {
    // For its skips: what is needed is what every user needs.
    let Some(_user) = User::new(Kind::Ours) else { return };
    let folder = temporary_folder();
    let home = folder.path().join("home");
    let _leftovers = Leftovers(home.clone());
    let links = folder.path().join("bin");
    for made in [&home, &links] {
        fs::create_dir(made).expect("writable");
    }
    symlink(gridiron(), links.join("gridiron")).expect("writable");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/jobs.md");
    let steps = steps(&fs::read_to_string(page).expect("the guide is there"));
    assert!(steps.len() > 30, "only {} commands", steps.len());

    let path = env::join_paths(
        [links].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())),
    );
    let mut shell = Command::new("/bin/sh");
    shell
        .env_clear()
        .env("PATH", path.expect("folders without colons"))
        .env("HOME", &home)
        .current_dir(&home);
    shell.env("TMPDIR", folder.path()).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    let mut shell = command::Running::interactive(shell);
    let deadline = Instant::now() + command::DEADLINE * 10;
    let script = folder.path().join("step");
    for (number, step) in steps.iter().enumerate() {
        let begun = Instant::now();
        for attempt in 0.. {
            fs::write(&script, &step.command).expect("writable");
            let output = folder.path().join(format!("printed.{number}.{attempt}"));
            // A word of its own tells that the command is over; `.` keeps variables and background jobs in this shell.
            let over = format!("over-{number}-{attempt}");
            let line =
                format!(". {} </dev/null >{} 2>&1; echo {over} >&2\n", script.display(), output.display());
            shell.send(line.as_bytes());
            shell.wait_for_error(&over);
            let printed = fs::read_to_string(&output).expect("it has been written");
            let lines: Vec<&str> = printed.lines().map(str::trim_end).collect();
            if fits(&step.prints, &lines) {
                break;
            }
            let asks = QUESTIONS.iter().any(|question| step.command.starts_with(question));
            assert!(
                asks && begun.elapsed() < PATIENCE && Instant::now() < deadline,
                "docs/jobs.md:{}: {}\nshows\n{}\nbut it printed\n{printed}",
                step.line,
                step.command,
                step.prints.join("\n")
            );
            thread::sleep(Duration::from_millis(200));
        }
    }
    drop(shell);
    assert_eq!(processes::count_naming(&home), 0, "the guide stops what it has started");
}

#[test]
fn blocks_and_placeholders() {
    let page = "text\n```console\n$ one \\\n> two\n1\n\n$ three\n```\n$ no\n```sh\n$ no\n```\n";
    let found = steps(page);
    assert_eq!(found.len(), 2);
    let first = found.first().expect("two");
    assert_eq!((first.line, first.command.as_str()), (3, "one \\\ntwo"));
    assert_eq!(first.prints, ["1", ""]);

    for (shown, line) in [("a…c", "abc"), ("…", "x"), ("a … b …", "a 1 b 2"), ("same", "same")] {
        assert!(line_fits(shown, line), "{shown} {line}");
    }
    for (shown, line) in [("a…c", "ab"), ("a…b…c", "a c"), ("same", "same "), ("", "x")] {
        assert!(!line_fits(shown, line), "{shown} {line}");
    }
    let shown = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert!(fits(&shown(&["a", "…", "z"]), &["a", "b", "c", "z"]));
    assert!(fits(&shown(&["…"]), &[]));
    assert!(!fits(&shown(&["a", "…", "z"]), &["a", "b"]));
    assert!(!fits(&shown(&[]), &["a"]));
}
