//! `globus-gass-cache-destroy`: removes whole caches at services, used or not, by a job at each.

use super::{
    Original, Program, globusrun,
    options::{Opt, Order, flag, parse, valued},
    pages,
    terminal::{err, out},
};
use crate::job::{
    Interrupt, Serving, Wait,
    request::{literal, relation},
};
use gsi::DelegationMode;
use rsl::{Operator, Spec};
use std::{ffi::OsString, path::PathBuf, process::ExitCode};

/// The program.
pub(super) const PROGRAM: Program = Program {
    name: "globus-gass-cache-destroy",
    summary: "remove the GASS caches at services, whoever uses them",
    synopsis: "[ -t <machine> | -f <file> ]",
    options: OPTIONS,
    notes: "Without options the services are those of ~/.globus/my-contacts, one contact a line.",
    example: "globus-gass-cache-destroy -t host.example.org",
    original: Original::Plain,
    run,
};

const OPTIONS: &[Opt] = &[
    valued(&["-t"], "machine", "the cache at this service"),
    valued(&["-f"], "file", "the caches at the services in this file"),
    flag(&["-help", "-usage", "-h"], "show this page"),
];

/// Longest file of contacts read, in bytes.
const MAX_CONTACTS: u64 = 1 << 20;

/// Only what looks like a cache is removed; out of everybody's way first, so that nobody meets half of one.
const SCRIPT: &str = "c=\"${GLOBUS_GASS_CACHE_DEFAULT:-$HOME/.globus/.gass_cache}\"; \
    [ -e \"$c\" ] || exit 0; \
    if [ -f \"$c/config\" ] && [ -e \"$c/global\" ] && [ -e \"$c/local\" ]; then \
    d=\"$c.destroyed.$$\"; mv \"$c\" \"$d\" && rm -rf \"$d\"; \
    else echo \"$c is not a GASS cache: left alone\" >&2; fi";

fn run(arguments: &[OsString]) -> ExitCode {
    let parsed = match parse(OPTIONS, Order::Mixed, arguments) {
        Ok(parsed) if parsed.operands.is_empty() => parsed,
        Ok(parsed) => {
            return unknown(parsed.operands.first().map(|word| word.to_string_lossy()).unwrap_or_default());
        }
        Err(error) => {
            let text = match error {
                super::options::OptionError::Unknown { text, .. }
                | super::options::OptionError::MissingValue { text, .. } => text,
            };
            return unknown(text);
        }
    };
    if parsed.has("-help") {
        out(pages::help(&PROGRAM));
        // To the original, asking for help is a wrong command line.
        return ExitCode::FAILURE;
    }
    let contacts = match (parsed.text("-t"), parsed.value("-f")) {
        (Some(machine), _) => vec![machine],
        (None, Some(file)) => match read(&PathBuf::from(file)) {
            Ok(contacts) => contacts,
            Err(code) => return code,
        },
        (None, None) => match read(&std::env::home_dir().unwrap_or_default().join(".globus/my-contacts")) {
            Ok(contacts) => contacts,
            Err(code) => return code,
        },
    };
    globusrun::drive(async {
        let mut worst = Ok(());
        for contact in contacts {
            if let Err(code) = destroy(&contact).await {
                err(format_args!("{}: {contact}: the cache may still be there", PROGRAM.name));
                worst = Err(code);
            }
        }
        worst
    })
}

fn unknown(text: impl std::fmt::Display) -> ExitCode {
    err(format_args!("Unknown parameter {text}"));
    ExitCode::FAILURE
}

fn read(file: &std::path::Path) -> Result<Vec<String>, ExitCode> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(MAX_CONTACTS).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()),
        Err(error) => {
            err(format_args!("{}: cannot read {}: {error}", PROGRAM.name, file.display()));
            out(pages::help(&PROGRAM));
            Err(ExitCode::FAILURE)
        }
    }
}

async fn destroy(contact: &str) -> Result<(), u8> {
    let arguments = vec![literal("-c"), literal(SCRIPT)];
    globusrun::attempt(globusrun::Submission {
        contact: contact.to_owned(),
        spec: Spec::Boolean(
            Operator::And,
            vec![relation("executable", vec![literal("/bin/sh")]), relation("arguments", arguments)],
        ),
        quiet: true,
        serving: Some(Serving::Output),
        wait: Wait::End,
        interrupt: Interrupt::CancelJob,
        delegation: DelegationMode::Limited,
        dry_run: false,
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path, process::Command};

    /// Runs the job's script on this cache; gives what it says.
    fn destroy_here(cache: &Path) -> String {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SCRIPT]).env("GLOBUS_GASS_CACHE_DEFAULT", cache);
        let output = shell.output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    #[test]
    fn only_a_cache_is_destroyed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a cache");
        gass::Cache::open(&root).unwrap().create("x-gass-cache://x", "t").unwrap();
        assert_eq!(destroy_here(&root), "");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(destroy_here(&root), "", "one that is gone already");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("precious"), "x").unwrap();
        assert!(destroy_here(&root).contains("is not a GASS cache"));
        assert!(root.join("precious").exists());
    }
}
