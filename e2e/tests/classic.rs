//! The classic names, side by side with the stock programs on the same files: what they print, where, and how they exit.
//!
//! Help texts are our own words, so they are compared by the options they explain.

use e2e::{Finished, Kind, User, need};
use std::{collections::BTreeSet, fs};

/// A stock user and one of ours, with the same files in folders of their own.
struct Pair {
    stock: User,
    ours: User,
}

impl Pair {
    fn new() -> Option<Self> {
        Some(Self { stock: User::new(Kind::Stock)?, ours: User::new(Kind::Ours)? })
    }

    /// Gives both the same file.
    fn write(&self, name: &str, content: &str) {
        self.stock.write(name, content);
        self.ours.write(name, content);
    }

    /// Gives both the same proxy, made by the stock tool.
    fn share_proxy(&self) {
        self.stock.proxy_init(&self.stock.pki.alice, &[]);
        fs::copy(self.stock.file("proxy"), self.ours.file("proxy")).map(drop).unwrap_or_default();
        assert!(self.ours.file("proxy").exists());
    }

    fn run(&self, line: &[&str]) -> (Finished, Finished) {
        let [program, arguments @ ..] = line else { return Default::default() };
        (self.stock.run(program, arguments), self.ours.run(program, arguments))
    }

    /// What a user has printed, with the names of the user's own folders taken out.
    fn plain(user: &User, text: &str) -> String {
        text.replace(&user.file("").display().to_string(), "<folder>/")
            .replace("/usr/sbin/grid-mapfile", "grid-mapfile")
            .replace("/usr/bin/g", "g")
            // Perl's opinion of the stock script.
            .lines()
            .filter(|line| !line.starts_with("Use of uninitialized value"))
            .map(|line| format!("{line}\n"))
            .collect()
    }

    /// Runs each command line with both, and reports those that differ in status, output or error output.
    fn same(&self, lines: &[&[&str]]) {
        let mut different = Vec::new();
        for line in lines {
            let (stock, ours) = self.run(line);
            let seen = |user: &User, out: &Finished| {
                (out.code, Self::plain(user, &out.stdout), Self::plain(user, &out.stderr))
            };
            let (stock, ours) = (seen(&self.stock, &stock), seen(&self.ours, &ours));
            if stock != ours {
                different.push(format!("{line:?}\n  stock {stock:?}\n  ours  {ours:?}"));
            }
        }
        assert!(
            different.is_empty(),
            "{} of {} differ:\n{}",
            different.len(),
            lines.len(),
            different.join("\n")
        );
    }

    /// Runs each command line with both, and reports those that differ in status, or in which streams are used.
    fn same_status(&self, lines: &[&[&str]]) {
        let mut different = Vec::new();
        for line in lines {
            let (stock, ours) = self.run(line);
            let seen = |user: &User, out: &Finished| {
                (out.code, !out.stdout.is_empty(), !Self::plain(user, &out.stderr).is_empty())
            };
            if seen(&self.stock, &stock) != seen(&self.ours, &ours) {
                let show = |out: &Finished| format!("{} {:?} {:?}", out.code, out.stdout, out.stderr);
                different.push(format!("{line:?}\n  stock {}\n  ours  {}", show(&stock), show(&ours)));
            }
        }
        assert!(
            different.is_empty(),
            "{} of {} differ:\n{}",
            different.len(),
            lines.len(),
            different.join("\n")
        );
    }
}

const PROGRAMS: &[&str] = &[
    "globusrun",
    "globus-job-run",
    "globus-job-submit",
    "globus-job-status",
    "globus-job-get-output",
    "globus-job-cancel",
    "globus-job-clean",
    "grid-proxy-init",
    "grid-proxy-info",
    "grid-proxy-destroy",
    "grid-cert-info",
    "grid-mapfile-add-entry",
    "grid-mapfile-delete-entry",
    "grid-mapfile-check-consistency",
];

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
        assert_eq!(ours.code, 0, "{ours:#?}");
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
    let mut lines: Vec<[&str; 2]> = Vec::new();
    for program in PROGRAMS {
        lines.extend([[program, "-help"], [program, "-usage"]]);
        // These three print nothing, or a warning of the perl interpreter, which is no example to follow.
        if !["globus-job-run", "globus-job-submit", "grid-mapfile-check-consistency"].contains(program) {
            lines.push([program, "-version"]);
        }
    }
    pair.same_status(&lines.iter().map(<[&str; 2]>::as_slice).collect::<Vec<_>>());
}

#[test]
fn wrong_command_lines_end_alike() {
    let Some(pair) = Pair::new() else { return };
    pair.share_proxy();
    // The stock consistency check goes on with the default gridmap after an option that it does not know.
    let programs = PROGRAMS.iter().filter(|program| **program != "grid-mapfile-check-consistency");
    let mut lines: Vec<Vec<&str>> = programs.map(|program| vec![*program, "-nosuchoption"]).collect();
    lines.extend([
        vec!["globusrun"],
        vec!["globusrun", "-r", "host"],
        vec!["globusrun", "-r"],
        vec!["globusrun", "&(executable=a)"],
        vec!["globusrun", "-r", "host", "&(executable=a)", "extra"],
        vec!["globusrun", "-r", "host", "&(executable=a"],
        vec!["globusrun", "-r", "host", "executable=a"],
        vec!["globusrun", "-r", "host", "+(&(executable=a))"],
        vec!["globusrun", "-f", "nosuchfile", "-r", "host"],
        vec!["globusrun", "-k", "foo"],
        vec!["globusrun", "-status", "foo"],
        vec!["globusrun", "-a"],
        vec!["globusrun", "-b", "-s"],
        vec!["globus-job-run"],
        vec!["globus-job-run", "host"],
        vec!["globus-job-run", "host", "-np"],
        vec!["globus-job-run", "host", "-np", "0", "ls"],
        vec!["globus-job-run", "host", "-np", "x", "ls"],
        vec!["globus-job-run", "host", "-stdin"],
        vec!["globus-job-run", "host", "-nosuchoption", "ls"],
        vec!["globus-job-submit"],
        vec!["globus-job-submit", "host"],
        vec!["globus-job-status"],
        vec!["globus-job-status", "foo"],
        vec!["globus-job-get-output"],
        vec!["globus-job-get-output", "-out", "-err", "https://h:1/1/1/"],
        vec!["globus-job-get-output", "-t", "1", "-f", "1", "https://h:1/1/1/"],
        vec!["globus-job-cancel"],
        vec!["globus-job-clean"],
        vec!["grid-proxy-init", "-valid", "x"],
        vec!["grid-proxy-init", "-cert", "nosuchfile", "-key", "nosuchfile"],
        vec!["grid-proxy-info", "-file", "nosuchfile"],
        vec!["grid-proxy-destroy", "nosuchfile"],
        vec!["grid-cert-info", "-file", "nosuchfile"],
        vec!["grid-mapfile-add-entry"],
        vec!["grid-mapfile-add-entry", "-dn", "/CN=x"],
    ]);
    pair.same_status(&lines.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

#[test]
fn the_same_things_are_said_of_a_proxy() {
    let Some(pair) = Pair::new() else { return };
    pair.share_proxy();
    pair.same(&[
        &["grid-proxy-info", "-subject"],
        &["grid-proxy-info", "-issuer"],
        &["grid-proxy-info", "-identity"],
        &["grid-proxy-info", "-type"],
        &["grid-proxy-info", "-strength"],
        &["grid-proxy-info", "-path"],
        &["grid-proxy-info", "-s", "-i", "-identity"],
        &["grid-proxy-info", "-exists"],
        &["grid-proxy-info", "-e", "-h", "1"],
        &["grid-proxy-info", "-e", "-h", "100"],
        &["grid-proxy-info", "-e", "-valid", "1:30"],
        &["grid-proxy-info", "-e", "-b", "2048"],
        &["grid-proxy-info", "-e", "-b", "4096"],
    ]);
    pair.same_status(&[&["grid-proxy-info", "-text"], &["grid-proxy-info", "-file", "nosuchfile"]]);
    // Seconds pass between the two.
    let without_time = |user: &User, out: &Finished| {
        Pair::plain(user, &out.stdout)
            .lines()
            .filter(|line| !line.starts_with("timeleft"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    for line in [&["grid-proxy-info"][..], &["grid-proxy-info", "-all"], &["grid-proxy-info", "-rfc2253"]] {
        let (stock, ours) = pair.run(line);
        assert_eq!(without_time(&pair.stock, &stock), without_time(&pair.ours, &ours), "{line:?}");
    }
}

#[test]
fn proxies_of_either_make_are_alike_to_both() {
    let Some(pair) = Pair::new() else { return };
    let kinds: [&[&str]; 7] = [
        &[],
        &["-rfc", "-limited"],
        &["-draft"],
        &["-draft", "-limited"],
        &["-old"],
        &["-old", "-limited"],
        &["-independent"],
    ];
    for options in kinds {
        for (maker, other) in [(&pair.stock, &pair.ours), (&pair.ours, &pair.stock)] {
            maker.proxy_init(&maker.pki.carol, options);
            let proxy = maker.file("proxy").display().to_string();
            let seen = [maker, other].map(|user| {
                user.run("grid-proxy-info", ["-file", &proxy, "-type", "-identity", "-strength"])
                    .ok()
                    .to_owned()
            });
            assert_eq!(seen[0], seen[1], "{options:?} made by {:?}", maker.client);
        }
        let types =
            [&pair.stock, &pair.ours].map(|user| user.run("grid-proxy-info", ["-type"]).ok().to_owned());
        assert_eq!(types[0], types[1], "{options:?}");
    }
}

#[test]
fn proxy_init_talks_alike() {
    let Some(pair) = Pair::new() else { return };
    let talk = |user: &User, options: &[&str]| {
        let alice = &user.pki.alice;
        let (certificate, key) = (alice.certificate.display().to_string(), alice.key.display().to_string());
        let mut arguments = vec!["-cert", &certificate, "-key", &key];
        arguments.extend(options);
        let out = user.run("grid-proxy-init", arguments);
        // How many dots a key takes is chance, and so is the second in which it ends.
        let lines = out.stdout.lines().map(|line| match line.split_once("valid until:") {
            Some((label, _)) => format!("{label}valid until:"),
            None => line.replace(['.', '+', '*'], ""),
        });
        (out.code, lines.collect::<Vec<_>>(), Pair::plain(user, &out.stderr))
    };
    for options in [&[][..], &["-q"], &["-limited"], &["-valid", "1:00"], &["-hours", "2"], &["-verify"]] {
        assert_eq!(talk(&pair.stock, options), talk(&pair.ours, options), "{options:?}");
    }
}

#[test]
fn proxies_are_destroyed_alike() {
    let Some(pair) = Pair::new() else { return };
    pair.share_proxy();
    pair.same(&[&["grid-proxy-destroy", "-dryrun"], &["grid-proxy-destroy"]]);
    pair.same_status(&[&["grid-proxy-destroy"]]);
    for user in [&pair.stock, &pair.ours] {
        assert!(!user.file("proxy").exists(), "{:?}", user.client);
    }
}

#[test]
fn the_same_things_are_said_of_a_certificate() {
    need!("grid-cert-info");
    let Some(pair) = Pair::new() else { return };
    let file = pair.stock.pki.alice.certificate.display().to_string();
    let option = |option: &'static str| {
        ["grid-cert-info".to_owned(), "-file".to_owned(), file.clone(), option.to_owned()]
    };
    let lines = ["-subject", "-issuer", "-startdate", "-enddate", "-issuerhash", "-subjecthash"].map(option);
    let lines: Vec<Vec<&str>> = lines.iter().map(|line| line.iter().map(String::as_str).collect()).collect();
    pair.same(&lines.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

#[test]
fn gridmaps_are_edited_alike() {
    need!("grid-mapfile-add-entry");
    let Some(pair) = Pair::new() else { return };
    let account = e2e::world::account();
    pair.write("map", "# kept\n\"/O=Grid/CN=Ann\" root\n");
    let add = |dn: &'static str, names: &[&str]| {
        let mut line = vec!["grid-mapfile-add-entry", "-f", "map", "-dn", dn, "-ln"];
        line.extend(names);
        line.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let delete = |arguments: &[&str]| {
        let mut line = vec!["grid-mapfile-delete-entry", "-f", "map"];
        line.extend(arguments);
        line.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let check = vec!["grid-mapfile-check-consistency".to_owned(), "-f".to_owned(), "map".to_owned()];
    let steps = [
        add("/O=Grid/CN=Bob Brown", &[&account]),
        check.clone(),
        add("/O=Grid/CN=Bob Brown", &[&account]),
        add("/O=Grid/CN=Ann", &["daemon"]),
        add("/O=Grid/CN=Carl", &["no-such-account"]),
        check.clone(),
        delete(&["-dn", "/O=Grid/CN=Ann", "-ln", "daemon"]),
        check,
    ];
    for step in &steps {
        let line: Vec<&str> = step.iter().map(String::as_str).collect();
        pair.same_status(&[&line]);
        // The stock tools move the line they change to the end and lose comments; ours leave both alone (docs/gsi.md).
        let entries = |user: &User| {
            let text = user.read("map");
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<BTreeSet<_>>()
        };
        assert_eq!(entries(&pair.stock), entries(&pair.ours), "after {line:?}");
        assert!(pair.ours.read("map").starts_with("# kept\n"), "after {line:?}");
    }
}

#[test]
fn requests_are_written_alike() {
    let Some(pair) = Pair::new() else { return };
    pair.share_proxy();
    // Blanks outside of quotes are each program's own.
    let dense = |text: &str| {
        let mut quoted = false;
        text.chars()
            .filter(|character| {
                quoted ^= *character == '"';
                quoted || !character.is_whitespace()
            })
            .collect::<String>()
    };
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
    for line in lines {
        let (stock, ours) = pair.run(line);
        let seen = |user: &User, out: &Finished| (out.code, dense(&Pair::plain(user, &out.stdout)));
        assert_eq!(seen(&pair.stock, &stock), seen(&pair.ours, &ours), "{line:?}");
    }
}
