//! Whatever is unknown, misspelt or missing, the message names it and says what would be right.

use e2e::{
    Finished, command,
    user::{gridiron, temporary_folder},
};
use std::{fs, path::Path, process::Command};

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

/// Fails, and says all of these words: as its result when it was asked to check, else on standard error.
#[track_caller]
fn fails_saying(out: &Finished, words: &[&str]) {
    assert_ne!(out.code, 0, "{out:#?}");
    let said = out.stdout.clone() + &out.stderr;
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {out:#?}");
    }
}

#[test]
fn misspelt_command_and_option() {
    let folder = temporary_folder();
    fails_saying(&ours(folder.path(), &["sumbit"]), &["sumbit", "submit"]);
    fails_saying(&ours(folder.path(), &["demo", "--kepe"]), &["--kepe", "--keep"]);
}

#[test]
fn misspelt_attribute_in_a_request() {
    let folder = temporary_folder();
    fs::write(folder.path().join("job.rsl"), "&(executable=/bin/echo)\n (exeutable=x)\n").unwrap();
    fails_saying(
        &ours(folder.path(), &["rsl", "check", "job.rsl"]),
        &["line 2", "exeutable", "^^^^", "executable"],
    );
}

#[test]
fn request_that_does_not_parse_is_shown_where() {
    let folder = temporary_folder();
    fs::write(folder.path().join("job.rsl"), "&(executable=/bin/echo)\n (count 4)\n").unwrap();
    fails_saying(&ours(folder.path(), &["rsl", "check", "job.rsl"]), &["(count 4)", "^", "line 2"]);
}

#[test]
fn misspelt_configuration() {
    let folder = temporary_folder();
    let made = ours(folder.path(), &["init", "--ca", "--host", "localhost", "site"]);
    assert_eq!(made.code, 0, "{made:#?}");
    let file = folder.path().join("site").join("gridiron.toml");
    let good = fs::read_to_string(&file).unwrap();

    fs::write(&file, good.replacen("[gatekeeper]\n", "[gatekeeper]\nlisten_on = \"[::]:1\"\n", 1)).unwrap();
    fails_saying(
        &ours(folder.path(), &["check", "--config", "site/gridiron.toml"]),
        &["listen_on", "listen"],
    );

    fs::write(&file, good.replace("[jobmanager]", "[job_manager]")).unwrap();
    fails_saying(
        &ours(folder.path(), &["check", "--config", "site/gridiron.toml"]),
        &["job_manager", "jobmanager"],
    );

    fs::write(&file, good + "\n[service.batch]\nscheduler = \"frok\"\n").unwrap();
    fails_saying(&ours(folder.path(), &["check", "--config", "site/gridiron.toml"]), &["frok", "fork"]);
}

#[test]
fn missing_files() {
    let folder = temporary_folder();
    fails_saying(
        &ours(folder.path(), &["check", "--config", "nosuch.toml"]),
        &["nosuch.toml", "gridiron init"],
    );
    fails_saying(
        &ours(folder.path(), &["proxy", "init", "--cert", "nosuchcert.pem", "--key", "nosuchkey.pem"]),
        &["nosuchcert.pem"],
    );
    fails_saying(&ours(folder.path(), &["rsl", "check", "nosuch.rsl"]), &["nosuch.rsl"]);
    // No contact, no proxy: each says what to do.
    fails_saying(&ours(folder.path(), &["run", "/bin/true"]), &["-r", "GRIDIRON_CONTACT"]);
    fails_saying(&ours(folder.path(), &["run", "-r", "localhost:1", "/bin/true"]), &["proxy init"]);
}

#[test]
fn every_command_has_help_with_an_example() {
    let folder = temporary_folder();
    let all = ours(folder.path(), &["--help"]);
    let commands = all.ok().lines().skip_while(|line| *line != "Commands:").skip(1);
    let names: Vec<&str> = commands
        .take_while(|line| !line.is_empty())
        // A longer indentation is the rest of a folded description.
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.contains(&"demo") && names.contains(&"submit"), "{names:?}");
    for name in names.into_iter().filter(|name| *name != "help") {
        let help = ours(folder.path(), &[name, "--help"]);
        assert!(help.ok().contains("Example") || help.stdout.contains("Commands:"), "{help:#?}");
    }
}
