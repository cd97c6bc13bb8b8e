//! The classic names, side by side with the stock programs on the same files: what they print, where, and how they exit.
//!
//! Help texts are our own words, so they are compared by the options they explain.

mod credentials;
mod gridmaps;
mod pair;

use e2e::{Finished, User, user::CLASSIC as PROGRAMS};
use pair::Pair;
use std::collections::BTreeSet;

/// The words of a help text that look like options: `-np`, `[-l|-s]`, `-m[axtime]` without its bracket.
fn options(help: &str) -> BTreeSet<String> {
    help.split(|character: char| character.is_whitespace() || "[]|(),<>".contains(character))
        .filter_map(|word| word.strip_prefix('-'))
        .map(|word| word.trim_start_matches('-').trim_end_matches(['.', ':', '"']))
        .filter(|word| word.starts_with(|first: char| first.is_ascii_alphabetic()))
        .filter(|word| {
            word.chars().all(|character| character.is_ascii_alphanumeric() || "-_".contains(character))
        })
        .map(|word| format!("-{word}"))
        .collect()
}

#[test]
fn help_explains_every_option_of_the_original() {
    let Some(pair) = Pair::new() else { return };
    for program in PROGRAMS {
        let (stock, ours) = pair.run(&[program, "-help"]);
        // Mostly 0; globus-url-copy and globus-gass-cache-destroy end with 1.
        assert_eq!(ours.code, stock.code, "{ours:#?}");
        let mut known = options(&(stock.stdout + &stock.stderr));
        known.remove("-resource-manger"); // a slip of the pen in the stock text
        if program.starts_with("globus-job-") {
            known.remove("-file"); // explained, but refused by the original
        }
        let explained = options(&(ours.stdout.clone() + &ours.stderr));
        let missing: Vec<&String> = known.difference(&explained).collect();
        assert!(
            missing.is_empty(),
            "{program} -help does not explain {missing:?}:\n{}{}",
            ours.stdout,
            ours.stderr
        );
    }
}

#[test]
fn help_and_version_go_where_the_original_puts_them() {
    let Some(pair) = Pair::new() else { return };
    // Without it, the stock globus-gass-server begins with a warning.
    pair.share_proxy();
    let (mut lines, mut versions): (Vec<[&str; 2]>, Vec<[&str; 2]>) = Default::default();
    // The stock globus-gass-cache-destroy knows no such options: its help is a failure.
    for program in PROGRAMS.iter().filter(|program| **program != "globus-gass-cache-destroy") {
        lines.extend([[*program, "-help"], [*program, "-usage"]]);
        // These three print nothing, or a warning of the perl interpreter, which is no example to follow.
        if !["globus-job-run", "globus-job-submit", "grid-mapfile-check-consistency"].contains(program) {
            // The proxy tools print the name of their package.
            let named = !program.starts_with("grid-proxy-");
            if named { &mut versions } else { &mut lines }.push([program, "-version"]);
        }
    }
    for line in &versions {
        let (stock, ours) = pair.run(line);
        // `<name>: <number>`; the numbers are each maker's own.
        let numberless = |user: &User, out: &Finished| {
            [&out.stdout, &out.stderr].map(|text| {
                Pair::plain(user, text).replace(|letter: char| letter.is_ascii_digit() || letter == '.', "")
            })
        };
        assert_eq!(stock.code, ours.code, "{line:?}");
        assert_eq!(numberless(&pair.stock, &stock), numberless(&pair.ours, &ours), "{line:?}");
    }
    pair.same_status(&lines.iter().map(<[&str; 2]>::as_slice).collect::<Vec<_>>());
}

#[test]
fn wrong_command_lines_are_answered_alike() {
    let Some(pair) = Pair::new() else { return };
    pair.share_proxy();
    // The stock consistency check goes on with the default gridmap after an option that it does not know; of
    // grid-mapfile-delete-entry see below.
    let programs = PROGRAMS
        .iter()
        .filter(|program| !["grid-mapfile-check-consistency", "grid-mapfile-delete-entry"].contains(program));
    let mut lines: Vec<Vec<&str>> = programs.map(|program| vec![*program, "-nosuchoption"]).collect();
    lines.extend([
        vec!["globusrun"],
        vec!["globusrun", "-r", "host"],
        vec!["globusrun", "-r"],
        vec!["globusrun", "&(executable=a)"],
        vec!["globusrun", "-r", "host", "&(executable=a)", "extra"],
        vec!["globusrun", "-r", "host", "executable=a"],
        vec!["globusrun", "-r", "host", "+(&(executable=a))"],
        vec!["globusrun", "-f", "nosuchfile", "-r", "host"],
        vec!["globusrun", "-k", "foo"],
        vec!["globusrun", "-status", "foo"],
        vec!["globusrun", "-b", "-s"],
        vec!["globus-job-run"],
        vec!["globus-job-run", "host"],
        vec!["globus-job-run", "host", "-np"],
        vec!["globus-job-run", "host", "-np", "0", "ls"],
        vec!["globus-job-run", "host", "-np", "x", "ls"],
        vec!["globus-job-run", "host", "-stdin"],
        vec!["globus-job-run", "host", "-nosuchoption", "ls"],
        vec!["globus-job-run", "-file", "arguments"],
        vec!["globus-job-run", "-dumprsl", "-file", "arguments"],
        vec!["globus-job-run", "host", "-file", "arguments"],
        vec!["globus-job-submit"],
        vec!["globus-job-submit", "host"],
        vec!["globus-job-submit", "-file", "arguments"],
        vec!["globus-job-status"],
        vec!["globus-job-status", "foo"],
        vec!["globus-job-get-output"],
        vec!["globus-job-get-output", "-out", "-err", "https://h:1/1/1/"],
        vec!["globus-job-get-output", "-t", "1", "-f", "1", "https://h:1/1/1/"],
        vec!["globus-job-cancel"],
        vec!["globus-job-clean"],
        vec!["grid-proxy-init", "extra"],
        vec!["grid-proxy-init", "-valid", "x"],
        vec!["grid-proxy-init", "-valid", "1:70"],
        vec!["grid-proxy-init", "-path-length", "x"],
        vec!["grid-proxy-init", "-path-length", "-1"],
        vec!["grid-proxy-init", "-old", "-rfc"],
        vec!["grid-proxy-init", "-draft", "-old"],
        vec!["grid-proxy-init", "-limited", "-independent"],
        vec!["grid-proxy-info", "extra"],
        vec!["grid-proxy-info", "-valid", "1:00"],
        vec!["grid-proxy-info", "-exists", "-valid", "1"],
        vec!["grid-proxy-info", "-exists", "-valid", "1:70"],
        vec!["grid-proxy-destroy", "nosuchfile"],
        vec!["grid-cert-info", "extra"],
        vec!["grid-cert-info", "-file", "nosuchfile"],
        vec!["globus-url-copy"],
        vec!["globus-url-copy", "a"],
        vec!["globus-url-copy", "a", "b", "c"],
        vec!["globus-url-copy", "a", "b", "-v"],
        vec!["globus-url-copy", "nosuchfile", "b"],
        vec!["globus-url-copy", "foo://x", "file:///y"],
        vec!["globus-url-copy", "-f"],
        vec!["globus-url-copy", "-f", "arguments", "a", "b"],
        vec!["globus-url-copy", "-p", "x", "a", "b"],
        vec!["globus-url-copy", "-cc", "x", "a", "b"],
        vec!["globus-url-copy", "-off", "x", "a", "b"],
        vec!["globus-url-copy", "-rst-retries", "x", "a", "b"],
        vec!["globus-url-copy", "-t", "x", "a", "b"],
        vec!["globus-url-copy", "nosuchdir/", "b/"],
        vec!["globus-url-copy", "nosuchfile*", "b/"],
        vec!["grid-mapfile-add-entry"],
        vec!["grid-mapfile-add-entry", "-dn", "/CN=x"],
        vec!["grid-mapfile-delete-entry", "-f", "nosuchfile", "-dn", "/CN=x", "-ln", "root"],
    ]);
    pair.same(&lines.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

/// Where ours say more, or in better words (docs/observed.md), the streams and the exit status are those of the stock
/// tools all the same.
#[test]
fn wrong_command_lines_with_better_answers_end_alike() {
    let Some(pair) = Pair::new() else { return };
    pair.share_proxy();
    pair.write("junk", "junk\n");
    pair.same_status(&[
        &["globusrun", "-r", "host", "&(executable=a"],
        &["globusrun", "-a"],
        &["globus-job-run", "host", "-x", "&(a=", "ls"],
        &["grid-proxy-init", "-bits", "1000"],
        &["grid-proxy-init", "-bits", "x"],
        &["grid-proxy-init", "-bits"],
        &["grid-proxy-init", "-cert", "nosuchfile", "-key", "nosuchfile"],
        &["grid-proxy-init", "-certdir", "nosuchdirectory"],
        &["grid-proxy-info", "-file", "nosuchfile"],
        &["grid-proxy-info", "-file", "junk"],
        &["grid-proxy-info", "-file"],
        &["grid-cert-info", "-file", "junk"],
        &["grid-cert-info", "-file"],
        &["grid-mapfile-delete-entry", "-nosuchoption"],
        &["grid-mapfile-delete-entry", "-f", "map", "-dn", "/CN=x"],
        &["grid-mapfile-delete-entry", "-f", "map", "-ln", "root"],
    ]);
    let refused = pair.ours.run("grid-proxy-init", ["-bits", "1024"]);
    assert!(refused.code == 1 && refused.stderr.contains("one of 2048,3072,4096,8192"), "{refused:#?}");
}

#[test]
fn requests_are_written_alike() {
    let Some(pair) = Pair::new() else { return };
    pair.share_proxy();
    let lines: [&[&str]; 6] = [
        &["globus-job-run", "-dumprsl", "host", "/bin/echo", "two words", "a\"b", "it's", "$(HOME)/x"],
        &[
            "globus-job-run",
            "-dumprsl",
            "host",
            "-np",
            "3",
            "-env",
            "A=1",
            "-env",
            "B=two words",
            "-dir",
            "/tmp",
            "ls",
            "-l",
        ],
        &[
            "globus-job-run",
            "-dumprsl",
            "host",
            "-stdin",
            "-s",
            "in",
            "-stdout",
            "-l",
            "out",
            "-stderr",
            "err",
            "-s",
            "ls",
        ],
        &[
            "globus-job-run",
            "-dumprsl",
            "host",
            "-x",
            "&(a=b)",
            "-m",
            "5",
            "-p",
            "x",
            "-q",
            "y",
            "-host-count",
            "2",
            "ls",
        ],
        &["globus-job-run", "-dumprsl", "host", "ls", "--", "-np"],
        &[
            "globus-job-submit",
            "-dumprsl",
            "host",
            "-count",
            "2",
            "-maxtime",
            "9",
            "-project",
            "x",
            "-queue",
            "y",
            "ls",
        ],
    ];
    pair.same(&lines);
}
