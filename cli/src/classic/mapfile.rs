//! `grid-mapfile-add-entry`, `-delete-entry` and `-check-consistency`: the classic way to keep a grid-mapfile.

use super::{
    Original, Program,
    options::{Opt, OptionError, Order, Parsed, flag, parse, valued},
    pages,
    terminal::{err, out, prompt},
};
use gsi::{
    Gridmap, Subject,
    gridmap::edit::{Added, GridmapText},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::PathBuf,
    process::ExitCode,
};

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
    summary: "take accounts away from a subject, and the subject out of the file with the last of them",
    synopsis: "[-help] [-dn <DN>] [-ln <local name>] [-d] [-f file]",
    options: &[HELP, VERSION, DN, LN, DRY_RUN, MAPFILE],
    notes: "Both -dn and -ln are needed; `gridiron gridmap remove` takes out a whole subject. The file before the change stays beside it, as FILE.old.",
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

/// The original's exit code for a file without a byte.
const EMPTY: u8 = 2;

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
fn edit(program: &'static Program, arguments: &[OsString]) -> Result<Edit, ExitCode> {
    let parsed = parse(program.options, Order::Mixed, arguments).map_err(|error| match &error {
        OptionError::Unknown { text, .. } => {
            refused(program, &format!("Unknown option: {}", text.trim_start_matches('-')))
        }
        OptionError::MissingValue { text, .. } => {
            refused(program, &format!("Option {} requires an argument", text.trim_start_matches('-')))
        }
    })?;
    if let Some(code) = program.page_asked_for(&parsed) {
        return Err(code);
    }
    // `-ln a b c`: what follows the first account are operands here.
    let mut accounts: Vec<String> =
        parsed.values("-ln").map(|name| name.to_string_lossy().into_owned()).collect();
    accounts.extend(parsed.operands.iter().map(|name| name.to_string_lossy().into_owned()));
    match parsed.text("-dn") {
        Some(subject) if !accounts.is_empty() => Ok(Edit {
            file: mapfile(&parsed)
                .ok_or_else(|| program.usage_error("no grid-mapfile named: use -f FILE"))?,
            subject: Subject::new(subject),
            accounts,
            dry_run: parsed.has("-dryrun"),
            force: parsed.has("-force"),
        }),
        _ => Err(refused(program, "")),
    }
}

/// What is wrong with the command line: the one tool shows its syntax, the other all of its help. Gives exit code 1.
fn refused(program: &'static Program, message: &str) -> ExitCode {
    if program.original == Original::Script {
        return program.bare_refusal(message);
    }
    if message.is_empty() {
        out("Error: -ln needs a list of user login names");
    } else {
        err(message);
    }
    err(pages::help(program));
    ExitCode::FAILURE
}

fn mapfile(parsed: &Parsed) -> Option<PathBuf> {
    parsed.value("-mapfile").map(PathBuf::from).or_else(gsi::gridmap::default_path)
}

fn add(arguments: &[OsString]) -> ExitCode {
    let edit = match edit(&ADD, arguments) {
        Ok(edit) => edit,
        Err(code) => return code,
    };
    out(format_args!("Modifying {} ...", edit.file.display()));
    let unknown: Vec<&String> =
        edit.accounts.iter().filter(|name| !edit.force && !is_account(name)).collect();
    if edit.dry_run {
        announce(&edit, &unknown);
    }
    if !unknown.is_empty() {
        out(format_args!("entry not added because the LN(s) is/are not legitimate: {unknown:?}"));
        return ExitCode::FAILURE;
    }
    let added = GridmapText::read(&edit.file).and_then(|mut text| {
        let added = text.add(&edit.subject, &edit.accounts)?;
        Ok((text, added))
    });
    let (text, added) = match added {
        Ok(done) => done,
        Err(error) => return failed(&error),
    };
    if let Added::Extended { line, .. } | Added::Unchanged { line, .. } = &added {
        out(format_args!("DN {} already exists\nUpdating entry to {line}", edit.subject));
    } else if let (Added::New { line }, true) = (&added, edit.dry_run) {
        out(format_args!("Appending new entry {line}"));
    }
    if edit.dry_run {
        out("Since ( dryrun, -d ) option was used no actions were carried out");
        return ExitCode::SUCCESS;
    }
    if let Err(error) = text.write(&edit.file, true) {
        return failed(&error);
    }
    match &added {
        Added::New { line } => out(format_args!("New entry:\n{line}\n(1) entry added")),
        Added::Extended { line, added, .. } => {
            let ignored: Vec<String> =
                edit.accounts.iter().filter(|name| !added.contains(name)).cloned().collect();
            let ignored = match ignored.as_slice() {
                [] => String::new(),
                ignored => format!(", already present and ignored: {}", ignored.join(" ")),
            };
            out(format_args!(
                "(added mappings: {}{ignored})\nUpdated entry:{line}\n(1) entry modified",
                added.join(" ")
            ));
        }
        Added::Unchanged { .. } => out(format_args!(
            "No changes were made - already present and ignored: {}",
            edit.accounts.join(" ")
        )),
    }
    ExitCode::SUCCESS
}

/// What `-dryrun` says of the accounts.
fn announce(edit: &Edit, unknown: &[&String]) {
    out(format_args!(
        "Verifying that Local Name(s)=({}) are legitimate local accounts.",
        edit.accounts.join(" ")
    ));
    for name in edit.accounts.iter().filter(|_| !edit.force) {
        let does = if unknown.contains(&name) { "does *NOT* exist" } else { "does exist" };
        out(format_args!("Checking ln(s)={name}\nLocal Name={name} {does}"));
    }
    if unknown.is_empty() {
        out(format_args!(
            "Local Name(s)=({}) is/are valid. Requested entry will be added.",
            edit.accounts.join(" ")
        ));
    }
}

fn delete(arguments: &[OsString]) -> ExitCode {
    let edit = match edit(&DELETE, arguments) {
        Ok(edit) => edit,
        Err(code) => return code,
    };
    if !edit.file.exists() {
        err(format_args!("The gridmap file {} does not exist.", edit.file.display()));
        return ExitCode::FAILURE;
    }
    out(format_args!("Modifying {} ...", edit.file.display()));
    let mut text = match GridmapText::read(&edit.file) {
        Ok(text) => text,
        Err(error) => return failed(&error),
    };
    if edit.dry_run {
        out(format_args!(
            "Searching for entries containing the Distinguished Name and any of the Local Name(s)\n\"{}\" {}",
            edit.subject,
            edit.accounts.join(" ")
        ));
    }
    let removed = text.remove(&edit.subject, &edit.accounts);
    for line in &removed.changed {
        out(format_args!("Current entry: {line}"));
    }
    for _ in &removed.lines {
        out(format_args!("No local mappings remained, deleting entry: \"{}\" ", edit.subject));
    }
    let count = removed.accounts.len();
    if edit.dry_run {
        let entries = if count == 1 { "entry" } else { "entries" };
        out(format_args!(
            "{count} {entries} would have been deleted\nSince the dryrun option was used, no actions were carried out"
        ));
        return ExitCode::SUCCESS;
    }
    if count == 0 {
        out("ERROR: No such entry/mapping exists");
        return ExitCode::FAILURE;
    }
    if let Err(error) = text.write(&edit.file, true) {
        return failed(&error);
    }
    let ignored = edit.accounts.len().saturating_sub(count);
    out(format_args!("({count}) mapping(s) removed, ({ignored}) not present and ignored"));
    ExitCode::SUCCESS
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
    let file = std::path::absolute(&file).unwrap_or(file);
    out(format_args!("Checking {} grid mapfile", file.display()));
    prompt("Verifying grid mapfile existence...");
    let map = match std::fs::read(&file) {
        Ok(text) if text.is_empty() => {
            out(format_args!("\nGrid mapfile {} is empty", file.display()));
            return ExitCode::from(EMPTY);
        }
        Ok(text) => Gridmap::parse(&text),
        Err(error) => {
            out(format_args!("ERROR: {} file is not readable: {error}", file.display()));
            return ExitCode::FAILURE;
        }
    };
    out("OK");
    let duplicates = duplicates(&map);
    let malformed = malformed(&map, &duplicates);
    let duplicates: Vec<String> = duplicates.into_values().collect();
    let what = if malformed.is_empty() { "duplicate(s)" } else { "duplicate or malformed line(s)" };
    let sound = [
        report("Checking for duplicate entries...", &[duplicates, malformed].concat(), what),
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

/// Subjects with more than one line, of which only the first counts: what is said of the others, by line.
fn duplicates(map: &Gridmap) -> BTreeMap<usize, String> {
    let mut seen = BTreeSet::new();
    let again =
        map.entries().iter().filter(|entry| !seen.insert(entry.subject.normalized().to_ascii_lowercase()));
    let described = again.map(|entry| {
        let accounts = entry.accounts.join(",");
        let text = format!("Found duplicate entry: \"{}\" {accounts} (line {})", entry.subject, entry.line);
        (entry.line, text)
    });
    described.collect()
}

/// Lines with any other mistake.
fn malformed(map: &Gridmap, duplicates: &BTreeMap<usize, String>) -> Vec<String> {
    let problems = map.problems().iter().filter(|(line, _)| !duplicates.contains_key(line));
    problems.map(|(line, problem)| format!("line {line}: {problem}")).collect()
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
    fn malformed_lines_are_no_duplicates() {
        let map = Gridmap::parse(b"\"/O=x/CN=y root\n\"/O=x/CN=z\" root\n");
        assert!(duplicates(&map).is_empty());
        let found = malformed(&map, &BTreeMap::new());
        assert!(found.len() == 1 && found[0].starts_with("line 1: "), "{found:?}");
    }

    #[test]
    fn duplicates_and_unknown_accounts_are_found_by_line() {
        let map = Gridmap::parse(
            b"\"/O=x/CN=y\" root\n\"/o=X/cn=Y\" daemon\n\"/O=x/CN=z\" no-such-user-here,root\n",
        );
        let found = duplicates(&map);
        assert_eq!(found[&2], "Found duplicate entry: \"/o=X/cn=Y\" daemon (line 2)");
        assert_eq!((found.len(), malformed(&map, &found).len()), (1, 0));
        let unknown = unknown_accounts(&map);
        assert_eq!(unknown, ["no-such-user-here is not a valid local username (line 3)"]);
    }
}
