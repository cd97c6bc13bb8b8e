//! The classic names, side by side with the stock programs on the same files: what they print, where, and how they exit.
//!
//! Help texts are our own words, so they are compared by the options they explain.

use e2e::{Finished, Kind, User, need};
use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

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
            // A comment, which grid-mapfile-delete-entry takes for an entry without a subject.
            .filter(|line| *line != "No local mappings remained, deleting entry: \"\" ")
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
        &["grid-proxy-info", "-text"],
        &["grid-proxy-info", "-exists", "-type", "-text"],
        &["grid-proxy-info", "-exists", "-hours", "100", "-subject"],
        &["grid-proxy-info", "-debug", "-type"],
    ]);
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
    for options in KINDS {
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
    let init = |user: &User, options: &[&str]| {
        let alice = &user.pki.alice;
        let (certificate, key) = (alice.certificate.display().to_string(), alice.key.display().to_string());
        user.run("grid-proxy-init", [&["-cert", &certificate, "-key", &key], options].concat())
    };
    let talk = |user: &User, options: &[&str]| {
        let out = init(user, options);
        // How many dots a key takes is chance, and so is the second in which it ends.
        let lines = out.stdout.lines().map(|line| match line.split_once("valid until:") {
            Some((label, _)) => format!("{label}valid until:"),
            None => line.replace(['.', '+', '*'], ""),
        });
        (out.code, lines.collect::<Vec<_>>(), Pair::plain(user, &out.stderr))
    };
    for options in [
        &[][..],
        &["-q"],
        &["-limited"],
        &["-valid", "1:00"],
        &["-hours", "2"],
        &["-verify"],
        &["-q", "-verify"],
        &["-pwstdin"],
        // Longer than the certificate lasts: a warning.
        &["-hours", "1000"],
        &["-q", "-valid", "1000:00"],
    ] {
        assert_eq!(talk(&pair.stock, options), talk(&pair.ours, options), "{options:?}");
    }
    // No lifetime is that of the certificate, and the last word counts.
    for options in [&["-valid", "0:00"][..], &["-valid", "1:00", "-hours", "0"]] {
        let ends = [&pair.stock, &pair.ours].map(|user| {
            let said = init(user, options).ok().lines().last().map(str::to_owned);
            assert!(user.run("grid-proxy-info", ["-exists", "-hours", "24"]).code == 0, "{options:?}");
            said
        });
        assert_eq!(ends[0], ends[1], "{options:?}");
    }
    for options in [&["-debug"][..], &["-debug", "-verify"]] {
        let said = [&pair.stock, &pair.ours].map(|user| Pair::plain(user, &init(user, options).stderr));
        assert_eq!(said[0], said[1], "{options:?}");
    }
}

#[test]
fn proxies_are_destroyed_alike() {
    let Some(pair) = Pair::new() else { return };
    pair.share_proxy();
    pair.same(&[
        &["grid-proxy-destroy", "-dryrun"],
        &["grid-proxy-destroy", "-dryrun", "nosuchfile", "proxy"],
        &["grid-proxy-destroy", "-debug", "-dryrun"],
        &["grid-proxy-destroy"],
    ]);
    pair.same_status(&[&["grid-proxy-destroy"]]);
    for user in [&pair.stock, &pair.ours] {
        assert!(!user.file("proxy").exists(), "{:?}", user.client);
    }
}

/// Every kind of proxy, by the options of `grid-proxy-init` that make it.
const KINDS: [&[&str]; 9] = [
    &[],
    &["-rfc", "-limited"],
    &["-rfc", "-path-length", "3"],
    &["-independent"],
    &["-draft"],
    &["-draft", "-limited"],
    &["-draft", "-path-length", "0"],
    &["-old"],
    &["-old", "-limited"],
];

#[test]
fn the_same_things_are_said_of_a_certificate() {
    need!("grid-cert-info");
    let Some(pair) = Pair::new() else { return };
    let pki = &pair.stock.pki;
    let authority = fs::read_dir(&pki.trust).unwrap().map(|entry| entry.unwrap().path());
    let authority = authority.filter(|path| path.extension().is_some_and(|end| end == "0")).min().unwrap();
    let elliptic = elliptic_certificate(&pair.stock);
    let options: [&[&str]; 13] = [
        &[],
        &["-all"],
        &["-rfc2253"],
        &["-subject"],
        &["-s", "-i"],
        &["-issuer"],
        &["-subject", "-rfc2253"],
        &["-startdate"],
        &["-enddate"],
        &["-sd", "-ed", "-all"],
        &["-issuerhash"],
        &["-ih"],
        &["-subjecthash"],
    ];
    for file in [&pki.host.certificate, &pki.alice.certificate, &pki.carol.certificate, &authority, &elliptic]
    {
        let file = file.display().to_string();
        let lines = options.map(|options| [&["grid-cert-info", "-file", &*file][..], options].concat());
        pair.same(&lines.each_ref().map(Vec::as_slice));
    }
}

/// A certificate with an elliptic key and most extensions a grid's authority writes.
fn elliptic_certificate(user: &User) -> PathBuf {
    let file = user.file("elliptic.pem");
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-384",
        "-nodes",
        "-days",
        "3",
    ]);
    openssl.args(["-subj", "/DC=org/DC=Gridiron/O=Grid, Inc/CN=host\\/x \"y\"/emailAddress=a@example.org"]);
    for extension in [
        "extendedKeyUsage=serverAuth,clientAuth,1.2.3.4",
        "subjectAltName=DNS:x.example.org,IP:10.0.0.1,IP:2001:db8::1,email:a@example.org,URI:https://x/y,dirName:dn",
        "crlDistributionPoints=URI:http://x/crl.der,URI:ldap://y/z",
        "certificatePolicies=1.2.840.113612.5.2.2.1,1.2.3",
        "authorityInfoAccess=OCSP;URI:http://ocsp/,caIssuers;URI:http://ca/",
        "nsCertType=client,server,email",
        "nsComment=of the tests",
        "1.2.3.4.5=DER:0C026162",
    ] {
        openssl.arg("-addext").arg(extension);
    }
    let section = "[req]\ndistinguished_name=dn\n[dn]\nC=DE\nO=Grid\n";
    openssl.arg("-config").arg(user.write("elliptic.cnf", section));
    openssl.arg("-keyout").arg(user.file("elliptic.key")).arg("-out").arg(&file);
    let made = e2e::command::run(openssl);
    assert_eq!(made.code, 0, "{made:#?}");
    file
}

#[test]
fn every_kind_of_proxy_reads_alike() {
    need!("grid-cert-info");
    let Some(pair) = Pair::new() else { return };
    for options in KINDS {
        pair.stock.proxy_init(&pair.stock.pki.carol, options);
        let file = pair.stock.file("proxy").display().to_string();
        let about = |program, options: &[&'static str]| {
            [&[program, "-file", &file], options].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let lines = [
            about("grid-proxy-info", &["-text"]),
            about("grid-proxy-info", &["-subject", "-issuer", "-identity", "-type", "-strength"]),
            about("grid-proxy-info", &["-subject", "-issuer", "-identity", "-rfc2253"]),
            about("grid-cert-info", &["-all"]),
            about("grid-cert-info", &["-subject", "-issuer"]),
        ];
        let lines = lines.each_ref().map(|line| line.iter().map(String::as_str).collect::<Vec<_>>());
        pair.same(&lines.each_ref().map(Vec::as_slice));
    }
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
        add("/O=Grid/CN=Bob Brown", &[&account, "-dryrun"]),
        add("/O=Grid/CN=Bob Brown", &[&account]),
        check.clone(),
        add("/O=Grid/CN=Bob Brown", &[&account]),
        add("/O=Grid/CN=Ann", &["daemon", "-d"]),
        add("/O=Grid/CN=Ann", &["daemon"]),
        add("/O=Grid/CN=Ann", &["daemon", "bin"]),
        add("/O=Grid/CN=Dora", &["daemon", "bin"]),
        add("/O=Grid/CN=Eve", &["no-such-account", "-force"]),
        delete(&["-dn", "/O=Grid/CN=Nobody", "-ln", "daemon"]),
        delete(&["-dn", "/O=Grid/CN=Ann", "-ln", "nobody"]),
        delete(&["-dn", "/O=Grid/CN=Ann", "-ln", "nobody", "-d"]),
        delete(&["-d", "-dn", "/O=Grid/CN=Dora", "-ln", "bin", "daemon"]),
        delete(&["-dn", "/O=Grid/CN=Ann", "-ln", "daemon"]),
        delete(&["-dn", "/O=Grid/CN=Dora", "-ln", "bin", "daemon"]),
        delete(&["-dn", "/O=Grid/CN=Eve", "-ln", "no-such-account"]),
        check.clone(),
    ];
    // Ours name the account that does not exist, and delete nothing without being told which accounts, as stock.
    let worded_otherwise = [
        add("/O=Grid/CN=Carl", &["no-such-account"]),
        delete(&["-dn", "/O=Grid/CN=Ann"]),
        delete(&["-ln", &account]),
    ];
    for step in steps.iter().chain(&worded_otherwise) {
        let line: Vec<&str> = step.iter().map(String::as_str).collect();
        match worded_otherwise.contains(step) {
            true => pair.same_status(&[&line]),
            false => pair.same(&[&line]),
        }
        // The stock tools move the line they change to the end and lose comments; ours leave both alone (docs/gsi.md).
        let entries = |user: &User| {
            let text = user.read("map");
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<BTreeSet<_>>()
        };
        assert_eq!(entries(&pair.stock), entries(&pair.ours), "after {line:?}");
        assert!(pair.ours.read("map").starts_with("# kept\n"), "after {line:?}");
    }
    pair.write("map", "");
    pair.same(&[&check.iter().map(String::as_str).collect::<Vec<_>>()]);
}

/// The stock check finds a second line of a subject, and still says that all is well; ours does not (docs/observed.md).
#[test]
fn duplicate_gridmap_lines_are_a_failure_with_ours() {
    need!("grid-mapfile-check-consistency");
    let Some(pair) = Pair::new() else { return };
    pair.write("map", "\"/O=Grid/CN=Ann\" root\n\"/O=Grid/CN=Ann\" daemon\n");
    let (stock, ours) = pair.run(&["grid-mapfile-check-consistency", "-f", "map"]);
    for out in [&stock, &ours] {
        assert!(out.stdout.contains("ERROR: Found duplicate entry: \"/O=Grid/CN=Ann\" daemon"), "{out:#?}");
        assert!(out.stdout.contains("ERROR: Found 1 duplicate(s)"), "{out:#?}");
    }
    assert_eq!((stock.code, ours.code), (0, 4));
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
