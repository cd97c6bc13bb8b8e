//! Two users with the same files, whose programs are compared.

use e2e::{Finished, Kind, User};
use std::fs;

/// A stock user and one of ours, with the same files in folders of their own.
pub(crate) struct Pair {
    pub(crate) stock: User,
    pub(crate) ours: User,
}

impl Pair {
    pub(crate) fn new() -> Option<Self> {
        Some(Self { stock: User::new(Kind::Stock)?, ours: User::new(Kind::Ours)? })
    }

    /// Gives both the same file.
    pub(crate) fn write(&self, name: &str, content: &str) {
        self.stock.write(name, content);
        self.ours.write(name, content);
    }

    /// Gives both the same proxy, made by the stock tool.
    pub(crate) fn share_proxy(&self) {
        self.stock.proxy_init(&self.stock.pki.alice, &[]);
        fs::copy(self.stock.file("proxy"), self.ours.file("proxy")).map(drop).unwrap_or_default();
        assert!(self.ours.file("proxy").exists());
    }

    pub(crate) fn run(&self, line: &[&str]) -> (Finished, Finished) {
        let [program, arguments @ ..] = line else { return Default::default() };
        (self.stock.run(program, arguments), self.ours.run(program, arguments))
    }

    /// What a user has printed, with the names of the user's own folders taken out.
    pub(crate) fn plain(user: &User, text: &str) -> String {
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
    pub(crate) fn same(&self, lines: &[&[&str]]) {
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
        assert_none(&different, lines.len());
    }

    /// Runs each command line with both, and reports those that differ in status, or in which streams are used.
    pub(crate) fn same_status(&self, lines: &[&[&str]]) {
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
        assert_none(&different, lines.len());
    }
}

#[track_caller]
fn assert_none(different: &[String], of: usize) {
    assert!(different.is_empty(), "{} of {of} differ:\n{}", different.len(), different.join("\n"));
}
