//! `grid-mapfile-add-entry`, `-delete-entry` and `-check-consistency`: the classic way to keep a grid-mapfile.

use super::{
    Original, Program,
    options::{Opt, Order, Parsed, flag, parse, valued},
    terminal::{err, out, prompt},
};
use gsi::{
    Gridmap, Subject,
    gridmap::edit::{Added, GridmapText},
};
use std::{collections::BTreeSet, ffi::OsString, path::PathBuf, process::ExitCode};

/// `grid-mapfile-add-entry`.
pub(super) const ADD: Program = Program {
    name: "grid-mapfile-add-entry",
    summary: "map a subject to local accounts",
    synopsis: "-dn DN -ln LN [-help] [-d] [-f mapfile FILE] [-force]",
    options: &[
        HELP,
        VERSION,
        DN,
        LN,
        DRY_RUN,
        MAPFILE,
        flag(&["-force"], "add accounts that do not exist, too"),
    ],
    notes: "The file before the change stays beside it, as FILE.old.",
    example: "grid-mapfile-add-entry -dn '/O=Grid/CN=Alice' -ln alice",
    original: Original::Script,
    run: add,
};

/// `grid-mapfile-delete-entry`.
pub(super) const DELETE: Program = Program {
    name: "grid-mapfile-delete-entry",
    summary: "take accounts away from a subject, or the subject out of the file",
    synopsis: "[-help] [-dn <DN>] [-ln <local name>] [-d] [-f file]",
    options: &[HELP, VERSION, DN, LN, DRY_RUN, MAPFILE],
    notes: "Without -ln all accounts of the subject go. The file before the change stays beside it, as FILE.old.",
    example: "grid-mapfile-delete-entry -dn '/O=Grid/CN=Alice' -ln alice",
    original: Original::Plain,
    run: delete,
};

/// `grid-mapfile-check-consistency`.
pub(super) const CHECK: Program = Program {
    name: "grid-mapfile-check-consistency",
    summary: "look for duplicate subjects, malformed lines and unknown accounts",
    synopsis: "[-help] [-f file]",
    options: &[
        flag(&["-help", "-usage", "-h"], "show this page"),
        flag(&["-version", "-v"], "show the version"),
        valued(&["-mapfile", "-f", "-file"], "file", "the grid-mapfile"),
    ],
    notes: "",
    example: "grid-mapfile-check-consistency -f /etc/grid-security/grid-mapfile",
    original: Original::Plain,
    run: check,
};

const HELP: Opt = flag(&["-help", "-usage", "-h"], "show this page");
const VERSION: Opt = flag(&["-version", "-v"], "show the version");
const DN: Opt = valued(&["-dn"], "DN", "the subject");
const LN: Opt = valued(&["-ln"], "LN1 [LN2...]", "local accounts");
const DRY_RUN: Opt = flag(&["-dryrun", "-d"], "only say what would be done");
const MAPFILE: Opt = valued(&["-mapfile", "-f"], "file", "the grid-mapfile");

/// The original's exit code for a file with mistakes in it.
const INCONSISTENT: u8 = 4;

/// What both editing tools are told.
struct Edit {
    file: PathBuf,
    subject: Subject,
    accounts: Vec<String>,
    dry_run: bool,
    force: bool,
}

/// Reads the command line of an editing tool; `Err` is the exit code of what has been printed.
fn edit(
    program: &'static Program,
    accounts_required: bool,
    arguments: &[OsString],
) -> Result<Edit, ExitCode> {
    let parsed = parse(program.options, Order::Mixed, arguments)
        .map_err(|error| program.usage_error(&error.describe()))?;
    if let Some(code) = program.page_asked_for(&parsed) {
        return Err(code);
    }
    // `-ln a b c`: what follows the first account are operands here.
    let mut accounts: Vec<String> =
        parsed.values("-ln").map(|name| name.to_string_lossy().into_owned()).collect();
    accounts.extend(parsed.operands.iter().map(|name| name.to_string_lossy().into_owned()));
    match parsed.text("-dn") {
        Some(subject) if !accounts.is_empty() || !accounts_required => Ok(Edit {
            file: mapfile(&parsed)
                .ok_or_else(|| program.usage_error("no grid-mapfile named: use -f FILE"))?,
            subject: Subject::new(subject),
            accounts,
            dry_run: parsed.has("-dryrun"),
            force: parsed.has("-force"),
        }),
        _ => Err(program.syntax_only()),
    }
}

fn mapfile(parsed: &Parsed) -> Option<PathBuf> {
    parsed.value("-mapfile").map(PathBuf::from).or_else(gsi::gridmap::default_path)
}

fn add(arguments: &[OsString]) -> ExitCode {
    let edit = match edit(&ADD, true, arguments) {
        Ok(edit) => edit,
        Err(code) => return code,
    };
    out(format_args!("Modifying {} ...", edit.file.display()));
    let unknown: Vec<&String> =
        edit.accounts.iter().filter(|name| !edit.force && !is_account(name)).collect();
    if !unknown.is_empty() {
        out(format_args!("entry not added because the LN(s) is/are not legitimate: {unknown:?}"));
        return ExitCode::FAILURE;
    }
    let mut text = match GridmapText::read(&edit.file) {
        Ok(text) => text,
        Err(error) => return failed(&error),
    };
    let added = match text.add(&edit.subject, &edit.accounts) {
        Ok(added) => added,
        Err(error) => return failed(&error),
    };
    match &added {
        Added::New { line } => out(format_args!("New entry:\n{line}\n(1) entry added")),
        Added::Extended { line, added, .. } => out(format_args!(
            "DN {} already exists\n(added mappings: {})\nUpdated entry:{line}\n(1) entry modified",
            edit.subject,
            added.join(",")
        )),
        Added::Unchanged { .. } => out(format_args!(
            "DN {} already exists\nNo changes were made - already present and ignored: {}",
            edit.subject,
            edit.accounts.join(",")
        )),
    }
    finish(&edit, &text)
}

fn delete(arguments: &[OsString]) -> ExitCode {
    let edit = match edit(&DELETE, false, arguments) {
        Ok(edit) => edit,
        Err(code) => return code,
    };
    out(format_args!("Modifying {} ...", edit.file.display()));
    let mut text = match GridmapText::read(&edit.file) {
        Ok(text) => text,
        Err(error) => return failed(&error),
    };
    let removed = text.remove(&edit.subject, &edit.accounts);
    if removed.accounts.is_empty() && removed.lines.is_empty() {
        err("ERROR: No such entry/mapping exists");
        return ExitCode::FAILURE;
    }
    for line in &removed.changed {
        out(format_args!("Current entry: {line}"));
    }
    let ignored = edit.accounts.len().saturating_sub(removed.accounts.len());
    out(format_args!("({}) mapping(s) removed, ({ignored}) not present and ignored", removed.accounts.len()));
    finish(&edit, &text)
}

/// Writes the changed file, keeping the old one, unless nothing is to be done.
fn finish(edit: &Edit, text: &GridmapText) -> ExitCode {
    if edit.dry_run {
        out("Since ( dryrun, -d ) option was used no actions were carried out");
        return ExitCode::SUCCESS;
    }
    match text.write(&edit.file, true) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    err(format_args!("ERROR: {error}"));
    ExitCode::FAILURE
}

fn check(arguments: &[OsString]) -> ExitCode {
    let parsed = match parse(CHECK.options, Order::Mixed, arguments) {
        Ok(parsed) => parsed,
        Err(error) => return CHECK.usage_error(&error.describe()),
    };
    if let Some(code) = CHECK.page_asked_for(&parsed) {
        return code;
    }
    let Some(file) = mapfile(&parsed) else {
        return CHECK.usage_error("no grid-mapfile named: use -f FILE");
    };
    out(format_args!("Checking {} grid mapfile", file.display()));
    prompt("Verifying grid mapfile existence...");
    let map = match std::fs::read(&file) {
        Ok(text) => Gridmap::parse(&text),
        Err(error) => {
            out(format_args!("ERROR: {} file is not readable: {error}", file.display()));
            return ExitCode::FAILURE;
        }
    };
    out("OK");
    let sound = [
        report("Checking for duplicate entries...", &duplicates(&map), "duplicate(s)"),
        report("Checking for valid user names...", &unknown_accounts(&map), "invalid username(s)"),
    ];
    match sound.iter().all(|sound| *sound) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(INCONSISTENT),
    }
}

/// Prints a check's outcome; true when there was nothing to complain about.
fn report(check: &str, complaints: &[String], what: &str) -> bool {
    if complaints.is_empty() {
        out(format_args!("{check}OK"));
        return true;
    }
    out(check);
    for complaint in complaints {
        out(format_args!("ERROR: {complaint}"));
    }
    out(format_args!("ERROR: Found {} {what}", complaints.len()));
    false
}

/// Subjects with more than one line, of which only the first counts, and lines that are no entries.
fn duplicates(map: &Gridmap) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let again = map
        .entries()
        .iter()
        .filter(|entry| !seen.insert(entry.subject.normalized().to_ascii_lowercase()))
        .map(|entry| {
            format!(
                "Found duplicate entry: \"{}\" {} (line {})",
                entry.subject,
                entry.accounts.join(","),
                entry.line
            )
        });
    let malformed = map.problems().iter().map(|(line, problem)| format!("line {line}: {problem}"));
    again.chain(malformed).collect()
}

fn unknown_accounts(map: &Gridmap) -> Vec<String> {
    map.entries()
        .iter()
        .flat_map(|entry| entry.accounts.iter().map(move |account| (entry.line, account)))
        .filter(|(_, account)| !account.starts_with('.') && !is_account(account))
        .map(|(line, account)| format!("{account} is not a valid local username (line {line})"))
        .collect()
}

/// Whether the system knows the account.
fn is_account(name: &str) -> bool {
    matches!(nix::unistd::User::from_name(name), Ok(Some(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_and_unknown_accounts_are_found_by_line() {
        let map = Gridmap::parse(
            b"\"/O=x/CN=y\" root\n\"/o=X/cn=Y\" daemon\n\"/O=x/CN=z\" no-such-user-here,root\n",
        );
        let found = duplicates(&map);
        assert!(found.iter().any(|text| text.contains("line 2")), "{found:?}");
        let unknown = unknown_accounts(&map);
        assert_eq!(unknown, ["no-such-user-here is not a valid local username (line 3)"]);
    }
}
