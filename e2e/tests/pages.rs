//! The pages people read are whole: no half-merged text, and every link between them leads somewhere.
#![allow(clippy::expect_used, reason = "the helpers of tests fail by panicking, as tests do")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files under version control that end in one of these.
fn files(patterns: &[&str]) -> Vec<PathBuf> {
    let output = Command::new("git").arg("ls-files").args(patterns).current_dir(root()).output();
    let output = output.expect("git lists files");
    let names = String::from_utf8(output.stdout).expect("names are text");
    let files: Vec<PathBuf> = names.lines().map(|name| root().join(name)).collect();
    assert!(!files.is_empty(), "git knows files like {patterns:?}");
    files
}

#[test]
fn no_merge_was_left_half_done() {
    for file in files(&["*.md", "*.rs", "*.toml", "*.sh", "*.proto", "*.service", "*.socket"]) {
        let text = fs::read_to_string(&file).expect("file is readable");
        let is_marker = |line: &&str| ["<<<<<<< ", ">>>>>>> "].iter().any(|marker| line.starts_with(marker));
        let marker = text.lines().position(|line| is_marker(&line));
        assert_eq!(marker, None, "{} has a line of a conflict (counted from 0)", file.display());
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut links = 0;
    for page in files(&["*.md"]) {
        let text = fs::read_to_string(&page).expect("page is readable");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") || path.contains(char::is_whitespace) {
                continue;
            }
            let linked = page.parent().expect("a page has a folder").join(path);
            assert!(linked.exists(), "{} links to {target}, which is not there", page.display());
            links += 1;
        }
    }
    assert!(links > 5, "links were found: {links}");
}
