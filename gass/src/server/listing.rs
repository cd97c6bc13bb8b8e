//! Directory listings, as JSON for programs and as a plain page for people. They are made while they are sent: only the
//! names are held, so that a directory of a million files costs megabytes and no more.

use super::body::Body;
use super::reply::{self, Failed};
use super::wish::Form;
use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Response, StatusCode};
use jiff::Timestamp;
use rustix::fs::{AtFlags, Dir, FileType, statat};
use serde::Serialize;
use std::ffi::CString;
use std::fmt::Write;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// What temporary files of transfers begin with; listings leave them out.
pub(super) const TEMPORARY: &str = ".gass-";

/// Most entries listed.
pub(super) const MAX_ENTRIES: usize = 1_000_000;

/// Entries made at a time.
const AT_ONCE: usize = 256;

/// One entry, in the stable shape of the JSON form (docs/gass.md).
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Entry {
    /// For people: what is not UTF-8 is replaced.
    name: String,
    /// For the URL: percent-encoded, directories with a slash behind.
    href: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
}

/// The reply that lists an open directory; `path` is that of its URL.
pub(super) async fn reply(
    directory: File,
    path: &str,
    form: Form,
    reads: bool,
) -> Result<Response<Body>, Failed> {
    if !reads {
        return Ok(describe(Body::empty(), form));
    }
    let names = spawn_blocking(move || names(&directory).map(|names| (directory, names)));
    let (directory, names) = names.await.map_err(io::Error::other)??;
    let page = Page { form, path: path.to_owned() };
    let (sender, blocks) = mpsc::channel(1);
    tokio::spawn(async move { make(page, directory, names, &sender).await });
    Ok(describe(Body::Made(blocks), form))
}

/// The reply that lists the exported directories.
pub(super) fn exports(paths: &[PathBuf], form: Form) -> Response<Body> {
    let page = Page { form, path: "/".to_owned() };
    let mut text = page.start();
    for (index, path) in paths.iter().enumerate() {
        let name = path.as_os_str().as_bytes();
        let name = name.strip_prefix(b"/").unwrap_or(name);
        page.entry(&mut text, index == 0, &Entry::directory(name));
    }
    page.end(&mut text);
    describe(Body::text(text.into()), form)
}

fn describe(body: Body, form: Form) -> Response<Body> {
    let mut reply = reply::with_body(StatusCode::OK, body);
    let kind = match form {
        Form::Json => "application/json",
        Form::Html => "text/html; charset=utf-8",
    };
    reply::set(&mut reply, CONTENT_TYPE, kind);
    reply
}

/// All names, sorted.
fn names(directory: &File) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") || name.to_bytes().starts_with(TEMPORARY.as_bytes()) {
            continue;
        }
        if names.len() == MAX_ENTRIES {
            return Err(io::Error::other(format!("more than {MAX_ENTRIES} entries")));
        }
        names.push(name.to_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// Sends the page block by block; ends early when nobody takes it.
async fn make(page: Page, directory: File, names: Vec<CString>, blocks: &mpsc::Sender<io::Result<Bytes>>) {
    let mut text = page.start();
    let mut state = (directory, names.into_iter(), true);
    loop {
        let form = page.clone();
        let made = spawn_blocking(move || {
            let (directory, names, first) = &mut state;
            for name in names.by_ref().take(AT_ONCE) {
                // Gone meanwhile, or not a name any more: not an entry.
                if let Some(entry) = Entry::of(directory, &name) {
                    form.entry(&mut text, std::mem::take(first), &entry);
                }
            }
            (state, text)
        });
        let Ok((next, mut block)) = made.await else { return };
        let ended = next.1.len() == 0;
        if ended {
            page.end(&mut block);
        }
        if (!block.is_empty() && blocks.send(Ok(block.into())).await.is_err()) || ended {
            return;
        }
        state = next;
        text = String::new();
    }
}

impl Entry {
    fn of(directory: &File, name: &CString) -> Option<Self> {
        let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => "file",
            FileType::Directory => return Some(Self::directory(name.to_bytes())),
            FileType::Symlink => "link",
            _ => "other",
        };
        let modified = Timestamp::new(stat.st_mtime, i32::try_from(stat.st_mtime_nsec).ok()?).ok();
        Some(Self {
            name: String::from_utf8_lossy(name.to_bytes()).into_owned(),
            href: href(name.to_bytes()),
            kind,
            size: u64::try_from(stat.st_size).ok().filter(|_| kind == "file"),
            modified: modified.map(|time| time.to_string()),
        })
    }

    fn directory(name: &[u8]) -> Self {
        Self {
            name: String::from_utf8_lossy(name).into_owned(),
            href: href(name) + "/",
            kind: "directory",
            size: None,
            modified: None,
        }
    }
}

/// What a name is in a URL: all but letters, digits and a few signs as `%xx`.
fn href(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for &byte in name {
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/' | b'+' | b'=' | b',')
        {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02x}");
        }
    }
    text
}

/// A listing of one URL path in one form.
#[derive(Debug, Clone)]
struct Page {
    form: Form,
    path: String,
}

impl Page {
    fn start(&self) -> String {
        match self.form {
            Form::Json => format!("{{\"path\":{},\"entries\":[\n", json(&self.path)),
            Form::Html => {
                let title = escape(&self.path);
                let base = self.base();
                let up = if base == "/" { "" } else { "<a href=\"../\">../</a>\n" };
                format!(
                    "<!DOCTYPE html>\n<html><head><title>{title}</title><base href=\"{}\"></head><body>\n<h1>{title}</h1>\n<pre>\n{up}",
                    escape(&base)
                )
            }
        }
    }

    /// Links count from here, also when the slash at the end was left out.
    fn base(&self) -> String {
        if self.path.ends_with('/') { self.path.clone() } else { format!("{}/", self.path) }
    }

    fn entry(&self, text: &mut String, first: bool, entry: &Entry) {
        match self.form {
            Form::Json => {
                if !first {
                    text.push_str(",\n");
                }
                text.push_str(&json(entry));
            }
            Form::Html => {
                let slash = if entry.kind == "directory" { "/" } else { "" };
                let size = entry.size.map(|size| size.to_string()).unwrap_or_default();
                let modified = entry.modified.as_deref().and_then(|time| time.get(..19)).unwrap_or_default();
                let _ = writeln!(
                    text,
                    "<a href=\"./{}\">{}{slash}</a>  {size}  {modified}",
                    entry.href,
                    escape(&entry.name)
                );
            }
        }
    }

    fn end(&self, text: &mut String) {
        text.push_str(match self.form {
            Form::Json => "\n]}\n",
            Form::Html => "</pre>\n</body></html>\n",
        });
    }
}

/// Strings and our own plain structs always have a JSON form.
fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Names are foreign: none may become part of the page.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            control if control.is_control() => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use std::os::unix::ffi::OsStringExt;
    use std::path::Path;

    async fn page(folder: &Path, form: Form) -> String {
        let reply = reply(File::open(folder).unwrap(), "/data/a b", form, true).await.unwrap();
        String::from_utf8(reply.into_body().collect().await.unwrap().to_bytes().into()).unwrap()
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("dir")).unwrap();
        std::fs::write(folder.path().join("<b>&\"c'"), "12345").unwrap();
        std::fs::write(folder.path().join(std::ffi::OsString::from_vec(b"\xff".to_vec())), "").unwrap();
        std::fs::write(folder.path().join(".gass-1"), "").unwrap();
        std::os::unix::fs::symlink("dir", folder.path().join("link")).unwrap();
        folder
    }

    #[tokio::test]
    async fn json_for_programs() {
        let folder = folder();
        let text = page(folder.path(), Form::Json).await;
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["path"], "/data/a b");
        let seen: Vec<(&str, &str, Option<u64>)> = value["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| (e["href"].as_str().unwrap(), e["kind"].as_str().unwrap(), e["size"].as_u64()))
            .collect();
        assert_eq!(
            seen,
            [
                ("%3cb%3e%26%22c%27", "file", Some(5)),
                ("dir/", "directory", None),
                ("link", "link", None),
                ("%ff", "file", Some(0)),
            ]
        );
        assert_eq!(value["entries"][0]["name"], "<b>&\"c'");
        assert!(value["entries"][0]["modified"].as_str().unwrap().parse::<Timestamp>().is_ok());
    }

    #[tokio::test]
    async fn names_cannot_become_part_of_the_page() {
        let folder = folder();
        let text = page(folder.path(), Form::Html).await;
        assert!(!text.contains("<b>") && text.contains("&lt;b&gt;&amp;&quot;c&#39;"), "{text}");
        assert!(text.contains("href=\"./dir/\"") && text.contains("<base href=\"/data/a b/\">"), "{text}");
    }

    #[tokio::test]
    async fn large_directories_come_in_blocks() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..(2 * AT_ONCE + 1) {
            std::fs::write(folder.path().join(number.to_string()), "").unwrap();
        }
        let value: serde_json::Value = serde_json::from_str(&page(folder.path(), Form::Json).await).unwrap();
        assert_eq!(value["entries"].as_array().unwrap().len(), 2 * AT_ONCE + 1);
        let empty = tempfile::tempdir().unwrap();
        let value: serde_json::Value = serde_json::from_str(&page(empty.path(), Form::Json).await).unwrap();
        assert_eq!(value["entries"].as_array().unwrap().len(), 0);
    }

    #[test]
    fn exported_directories_are_listed() {
        let reply = exports(&["/data".into(), "/home/ann".into()], Form::Json);
        let Body::Text(Some(text)) = reply.into_body() else { panic!("a text") };
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["entries"][1]["href"], "home/ann/");
    }
}
