//! Edits compared with the stock scripts, on files they do not damage.

use crate::site::{stock, text};
use gsi::Subject;
use gsi::gridmap::edit::GridmapText;

/// Adds or deletes with the stock script; None when it is not installed.
fn edit(script: &str, before: &str, subject: &str, accounts: &[&str]) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("map");
    std::fs::write(&path, before).unwrap();
    let output = stock(script)?
        .args(["-f", "map", "-dn", subject, "-ln"])
        .args(accounts)
        .current_dir(&directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    Some(std::fs::read_to_string(path).unwrap())
}

fn names(accounts: &[&str]) -> Vec<String> {
    accounts.iter().map(|account| (*account).to_owned()).collect()
}

fn sorted_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

const BEFORE: &str = "\"/O=Grid/CN=a\" root,nobody\n\"/O=Grid/CN=b c\" daemon\n";

#[test]
fn adding_leaves_what_the_stock_script_leaves() {
    for (subject, accounts) in [
        ("/O=Grid/CN=a", &["bin"][..]),
        ("/O=Grid/CN=a", &["root"]),
        ("/O=Grid/CN=a", &["nobody", "sys"]),
        ("/O=Grid/CN=b c", &["root", "bin"]),
        ("/O=Grid/CN=New One", &["root", "bin"]),
    ] {
        let Some(expected) = edit("grid-mapfile-add-entry", BEFORE, subject, accounts) else { return };
        let mut ours = GridmapText::new(BEFORE);
        ours.add(&Subject::new(subject), &names(accounts)).unwrap();
        // The script moves the line it changes to the end; ours stays where it was.
        assert_eq!(
            sorted_lines(&String::from_utf8_lossy(ours.as_bytes())),
            sorted_lines(&expected),
            "{subject}"
        );
    }
}

#[test]
fn deleting_leaves_what_the_stock_script_leaves() {
    for (subject, accounts) in [
        ("/O=Grid/CN=a", &["nobody"][..]),
        ("/O=Grid/CN=a", &["root", "nobody"]),
        ("/O=Grid/CN=b c", &["daemon"]),
    ] {
        let Some(expected) = edit("grid-mapfile-delete-entry", BEFORE, subject, accounts) else { return };
        let mut ours = GridmapText::new(BEFORE);
        ours.remove(&Subject::new(subject), &names(accounts));
        assert_eq!(String::from_utf8_lossy(ours.as_bytes()), expected, "{subject} {accounts:?}");
    }
}
