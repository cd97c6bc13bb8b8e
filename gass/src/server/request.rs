//! What a request asks for, and whether it may (gass.md §1, §4): decided before any file is touched.

use super::Access;
use super::exports::Tildes;
use crate::client::APPEND_PATH;
use crate::url::percent_decode;
use hyper::Method;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// A request that may be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Send the file, or what it is without its content.
    Get(Target),
    /// Replace the file.
    Put(Target),
    /// Say how much of an interrupted upload has been kept.
    Offset(Target),
    /// Add to the file.
    Append(Target),
    /// Make a directory.
    MakeDirectory(Target),
    /// Write to our stdout.
    Stdout,
    /// Write to our stderr.
    Stderr,
    /// End the server.
    Shutdown,
}

/// A file, before tildes are expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// Absolute, or relative to the working directory.
    Path(PathBuf),
    /// Below the home directory of a user (None: of ours).
    Home(Option<String>, PathBuf),
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No such file, or not a path at all.
    NotFound,
    /// Not enabled.
    NotAllowed(&'static str),
    /// No verb of GASS.
    Method,
    /// Data without an announced end: a broken connection would look like the end of the file.
    NoLength,
}

/// What all requests may do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rights {
    pub(super) access: Access,
    /// Ending the server.
    pub(super) shutdown: bool,
    pub(super) tildes: Tildes,
}

/// Decides; `uri` is the request line's path with all that follows it, `resumable` whether the request is part of an
/// upload that survives its connection.
pub(super) fn decide(method: &Method, uri: &str, resumable: bool, rights: Rights) -> Result<Action, Refusal> {
    let Rights { access, shutdown, tildes } = rights;
    let append = uri.strip_prefix(APPEND_PATH).and_then(|rest| rest.strip_prefix('?'));
    let (verb, path) = match (method.as_str(), append) {
        ("GET", _) => (Verb::Read, uri),
        ("HEAD", _) if resumable => (Verb::Offset, uri),
        ("HEAD", _) => (Verb::Read, uri),
        ("PUT", _) => (Verb::Put, uri),
        ("POST", Some(path)) => (Verb::Append, path),
        ("MKCOL", _) => (Verb::MakeDirectory, uri),
        _ => return Err(Refusal::Method),
    };
    let path = percent_decode(path.as_bytes()).ok_or(Refusal::NotFound)?;
    let target = || target(&path, tildes).ok_or(Refusal::NotFound);
    match (verb, path.as_slice()) {
        (Verb::Read, _) if access.read => target().map(Action::Get),
        (Verb::Read, _) => Err(Refusal::NotAllowed("reading files")),
        (Verb::Put | Verb::Append, b"/dev/stdout") if access.stdout => Ok(Action::Stdout),
        (_, b"/dev/stdout") => Err(Refusal::NotAllowed("writing to standard output")),
        (Verb::Put | Verb::Append, b"/dev/stderr") if access.stderr => Ok(Action::Stderr),
        (_, b"/dev/stderr") => Err(Refusal::NotAllowed("writing to standard error")),
        (Verb::Put | Verb::Append, b"/dev/globus_gass_client_shutdown") if shutdown => Ok(Action::Shutdown),
        (_, b"/dev/globus_gass_client_shutdown") => Err(Refusal::NotAllowed("shutting down")),
        _ if !access.write => Err(Refusal::NotAllowed("writing files")),
        (Verb::Put, _) => target().map(Action::Put),
        (Verb::Offset, _) => target().map(Action::Offset),
        (Verb::Append, _) => target().map(Action::Append),
        (Verb::MakeDirectory, _) => target().map(Action::MakeDirectory),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Read,
    Put,
    Offset,
    Append,
    MakeDirectory,
}

fn target(path: &[u8], tildes: Tildes) -> Option<Target> {
    let rest = path.strip_prefix(b"/")?;
    let os = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
    if let Some(relative) = rest.strip_prefix(b"./") {
        let relative: &[u8] = relative.trim_ascii_start();
        let start = relative.iter().position(|&byte| byte != b'/')?;
        return relative.get(start..).map(|relative| Target::Path(os(relative)));
    }
    let Some(user) = rest.strip_prefix(b"~") else { return Some(Target::Path(os(path))) };
    let end = user.iter().position(|&byte| byte == b'/').unwrap_or(user.len());
    let (name, below) = user.split_at(end);
    let below = os(below.get(1..).unwrap_or_default());
    // A tilde that names nobody is an ordinary file name.
    match std::str::from_utf8(name) {
        Ok("") if tildes.own => Some(Target::Home(None, below)),
        Ok(name) if tildes.others && !name.is_empty() && name.bytes().all(is_of_a_user_name) => {
            Some(Target::Home(Some(name.to_owned()), below))
        }
        _ => Some(Target::Path(os(path))),
    }
}

fn is_of_a_user_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

impl Target {
    /// The file, given home directories by user name (None: our own). None when there is no such user.
    pub(super) fn resolve(&self, home: impl FnOnce(Option<&str>) -> Option<PathBuf>) -> Option<PathBuf> {
        match self {
            Self::Path(path) => Some(path.clone()),
            Self::Home(user, below) => {
                // Joining an absolute path would leave the home directory: `/~//etc/passwd`.
                let below = below.as_os_str().as_bytes();
                let start = below.iter().position(|&byte| byte != b'/').unwrap_or(below.len());
                let below = OsString::from_vec(below.get(start..).unwrap_or_default().to_vec());
                home(user.as_deref()).map(|home| home.join(below))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EVERYTHING: Access = Access { read: true, write: true, stdout: true, stderr: true };
    const ALL: Rights = with(EVERYTHING);
    const NONE: Access = Access { read: false, write: false, stdout: false, stderr: false };

    const fn with(access: Access) -> Rights {
        Rights { access, shutdown: false, tildes: Tildes { own: true, others: true } }
    }

    fn mkcol() -> Method {
        Method::from_bytes(b"MKCOL").unwrap()
    }

    fn file(path: &str) -> Target {
        Target::Path(path.into())
    }

    #[test]
    fn verbs_and_paths() {
        let home = |user: Option<&str>, below: &str| Target::Home(user.map(str::to_owned), below.into());
        for (method, uri, expected) in [
            (Method::GET, "/a/b%20c.txt", Ok(Action::Get(file("/a/b c.txt")))),
            (Method::GET, "/f?x=1", Ok(Action::Get(file("/f?x=1")))),
            (Method::GET, "/./x", Ok(Action::Get(file("x")))),
            (Method::GET, "/.//x", Ok(Action::Get(file("x")))),
            (Method::GET, "/.x", Ok(Action::Get(file("/.x")))),
            (Method::GET, "/~/x", Ok(Action::Get(home(None, "x")))),
            (Method::GET, "/~ann/x/y", Ok(Action::Get(home(Some("ann"), "x/y")))),
            (Method::GET, "/~a*b/x", Ok(Action::Get(file("/~a*b/x")))),
            (Method::GET, "/", Ok(Action::Get(file("/")))),
            (Method::HEAD, "/a", Ok(Action::Get(file("/a")))),
            (Method::GET, "/./", Err(Refusal::NotFound)),
            (Method::GET, "/a%00b", Err(Refusal::NotFound)),
            (Method::PUT, "/x/r100k", Ok(Action::Put(file("/x/r100k")))),
            (Method::PUT, "/dev/stdout", Ok(Action::Stdout)),
            (Method::PUT, "/dev/std%6fut", Ok(Action::Stdout)),
            (Method::POST, "/globus-bins/GASSappend?/dev/stderr", Ok(Action::Stderr)),
            (Method::POST, "/globus-bins/GASSappend?/a%20b", Ok(Action::Append(file("/a b")))),
            (Method::POST, "/a", Err(Refusal::Method)),
            (Method::POST, "/globus-bins/GASSappend", Err(Refusal::Method)),
            (mkcol(), "/a/", Ok(Action::MakeDirectory(file("/a/")))),
            (mkcol(), "/dev/stdout", Err(Refusal::NotAllowed("writing to standard output"))),
            (Method::OPTIONS, "*", Err(Refusal::Method)),
            (Method::DELETE, "/a", Err(Refusal::Method)),
            (Method::PUT, "/dev/globus_gass_client_shutdown", Err(Refusal::NotAllowed("shutting down"))),
        ] {
            assert_eq!(decide(&method, uri, false, ALL), expected, "{method} {uri}");
        }
        assert_eq!(decide(&Method::HEAD, "/a", true, ALL), Ok(Action::Offset(file("/a"))));
        let reader = with(Access { read: true, ..NONE });
        assert_eq!(decide(&Method::HEAD, "/a", true, reader), Err(Refusal::NotAllowed("writing files")));
        let stoppable = Rights { shutdown: true, ..with(NONE) };
        let stop = "/dev/globus_gass_client_shutdown";
        assert_eq!(decide(&Method::PUT, stop, false, stoppable), Ok(Action::Shutdown));
    }

    #[test]
    fn tildes_that_are_not_expanded_are_names() {
        for (own, others) in [(true, false), (false, true)] {
            let rights = Rights { tildes: Tildes { own, others }, ..ALL };
            let is_name = |uri: &str| decide(&Method::GET, uri, false, rights) == Ok(Action::Get(file(uri)));
            assert_eq!((is_name("/~/x"), is_name("/~ann/x")), (!own, !others));
        }
    }

    /// The stock server lets files be written when only stdout is enabled (gass.md §11, fault 4).
    #[test]
    fn each_right_is_its_own() {
        let rights: [(&str, Method, Access); 5] = [
            ("/f", Method::GET, Access { read: true, ..NONE }),
            ("/f", Method::PUT, Access { write: true, ..NONE }),
            ("/f/", mkcol(), Access { write: true, ..NONE }),
            ("/dev/stdout", Method::PUT, Access { stdout: true, ..NONE }),
            ("/dev/stderr", Method::PUT, Access { stderr: true, ..NONE }),
        ];
        for (uri, method, needed) in &rights {
            for (_, _, access) in &rights {
                let allowed = decide(method, uri, false, with(*access)).is_ok();
                assert_eq!(allowed, needed == access, "{method} {uri} {access:?}");
            }
        }
    }

    #[test]
    fn tildes_stay_in_the_home_directory() {
        let home = |user: Option<&str>| {
            Some(PathBuf::from(user.map_or("/home/me".to_owned(), |u| format!("/home/{u}"))))
        };
        let resolve = |uri: &str| match decide(&Method::GET, uri, false, ALL) {
            Ok(Action::Get(target)) => target.resolve(home),
            other => panic!("{other:?}"),
        };
        assert_eq!(resolve("/~/x"), Some("/home/me/x".into()));
        assert_eq!(resolve("/~"), Some("/home/me".into()));
        assert_eq!(resolve("/~//etc/passwd"), Some("/home/me/etc/passwd".into()));
        assert_eq!(resolve("/~ann/x"), Some("/home/ann/x".into()));
        assert_eq!(file("/x").resolve(|_| None), Some("/x".into()));
        assert_eq!(Target::Home(Some("nobody".into()), "x".into()).resolve(|_| None), None);
    }

    proptest! {
        #[test]
        fn never_panics(uri in "/[ -~]{0,30}") {
            for method in [Method::GET, Method::PUT, Method::POST] {
                let _ = decide(&method, &uri, true, ALL);
            }
        }
    }
}
