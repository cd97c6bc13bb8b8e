//! What is in a directory of a Gridiron server: the JSON that it gives for `GET /dir/` with `Accept: application/json`.
//!
//! ```json
//! {"path": "/dir/", "entries": [{"name": "a b", "href": "a%20b", "kind": "file", "size": 3, "modified": "2026-11-21T22:00:00Z"}]}
//! ```

use crate::url::percent_decode;
use serde::Deserialize;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// Longest listing read, in bytes; some hundred thousand files.
pub const MAX_LISTING: usize = 64 * 1024 * 1024;

/// One file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name: one part of a path, never empty, `.` or `..`.
    pub name: OsString,
    /// What it is.
    pub kind: Kind,
    /// Bytes; of files, where the server knows.
    pub size: Option<u64>,
    /// Last change, RFC 3339, where the server knows.
    pub modified: Option<String>,
}

/// What something in a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; what it leads to is not told.
    Link,
    /// A device, a pipe, and what later servers may come up with.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Page {
    entries: Vec<Raw>,
}

#[derive(Deserialize)]
struct Raw {
    name: String,
    href: Option<String>,
    kind: Kind,
    size: Option<u64>,
    modified: Option<String>,
}

/// Reads a listing.
///
/// # Errors
/// A sentence on what is wrong: no such JSON, or a name that is not one and would lead out of the directory.
pub fn parse(json: &[u8]) -> Result<Vec<Entry>, String> {
    let page: Page =
        serde_json::from_slice(json).map_err(|error| format!("not a directory listing: {error}"))?;
    page.entries
        .into_iter()
        .map(|raw| {
            let name =
                name_of(&raw).ok_or_else(|| format!("the listing contains the name {:?}", raw.name))?;
            Ok(Entry { name, kind: raw.kind, size: raw.size, modified: raw.modified })
        })
        .collect()
}

/// `href` where there is one: only that can be right for a name that is not UTF-8.
fn name_of(raw: &Raw) -> Option<OsString> {
    let name = match &raw.href {
        Some(href) => percent_decode(href.strip_suffix('/').unwrap_or(href).as_bytes())?,
        None => raw.name.clone().into_bytes(),
    };
    let plain =
        !matches!(name.as_slice(), b"" | b"." | b"..") && !name.iter().any(|byte| b"/\0".contains(byte));
    plain.then(|| OsString::from_vec(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn listings() {
        let json = r#"{"path":"/d/","entries":[
            {"name":"a b","href":"a%20b","kind":"file","size":3,"modified":"2026-11-21T22:00:00Z"},
            {"name":"sub","href":"sub/","kind":"directory"},
            {"name":"plain","kind":"link","size":null},
            {"name":"\ufffd","href":"%FF","kind":"socket","more":{}}]}"#;
        let entries = parse(json.as_bytes()).unwrap();
        let seen: Vec<_> =
            entries.iter().map(|entry| (entry.name.as_encoded_bytes(), entry.kind, entry.size)).collect();
        assert_eq!(
            seen,
            [
                (b"a b".as_slice(), Kind::File, Some(3)),
                (b"sub", Kind::Directory, None),
                (b"plain", Kind::Link, None),
                (b"\xff", Kind::Other, None),
            ]
        );
    }

    /// A hostile server must not choose where files are written.
    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for href in ["..", ".", "", "/", "../", "%2e%2e", "a%2fb", "/etc/passwd", "a/b", "%2E%2E/", "a%00"] {
            let json = format!(r#"{{"entries":[{{"name":"x","href":"{href}","kind":"file"}}]}}"#);
            assert!(parse(json.as_bytes()).is_err(), "{href}");
        }
        for name in ["..", "a/b", "/x", "", "\\u0000"] {
            let json = format!(r#"{{"entries":[{{"name":"{name}","kind":"file"}}]}}"#);
            assert!(parse(json.as_bytes()).is_err(), "{name}");
        }
        for json in ["", "{}", "[]", "<html>", r#"{"entries":[{"name":"x"}]}"#] {
            assert!(parse(json.as_bytes()).is_err(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn names_are_single_parts(href in "[ -~]{0,12}") {
            let json = serde_json::json!({"entries": [{"name": "x", "href": href, "kind": "file"}]}).to_string();
            for entry in parse(json.as_bytes()).unwrap_or_default() {
                let path = std::path::Path::new("/d").join(&entry.name);
                prop_assert_eq!(path.parent(), Some(std::path::Path::new("/d")));
                prop_assert!(path.file_name().is_some());
            }
        }

        #[test]
        fn never_panics(json in any::<Vec<u8>>()) {
            let _ = parse(&json);
        }
    }
}
