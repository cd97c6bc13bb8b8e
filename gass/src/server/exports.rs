//! Which files a server has: all that its account can reach, as the stock server, or those below exported directories.

use super::place::Place;
use super::request::{Refusal, Target};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Which tildes stand for home directories; the others are ordinary names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tildes {
    /// `/~/x`: the home directory of the account that serves.
    pub own: bool,
    /// `/~name/x`: that of anybody.
    pub others: bool,
}

/// The files of a server, by the paths of its URLs.
#[derive(Debug, Clone)]
pub struct Files {
    /// None for everything; else those with the longest path first.
    exports: Option<Vec<Export>>,
    pub(super) tildes: Tildes,
}

/// A directory that is served: nothing outside it can be reached through it.
#[derive(Debug, Clone)]
pub struct Export {
    /// The path of its URL: absolute, no `.`, no `..`.
    path: PathBuf,
    /// None for the whole file system under its own name: there is no way out of that.
    directory: Option<Arc<OwnedFd>>,
    writable: bool,
}

/// Why a directory cannot be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// It is not there, not a directory, or not ours to read.
    #[error("cannot export {directory}: {source}", directory = directory.display())]
    Directory {
        /// As given.
        directory: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The path for the URL is not absolute, or has `..` in it.
    #[error("{path:?} cannot be the path of a URL; write /name=DIR, without ..")]
    Path {
        /// As given.
        path: PathBuf,
    },
    /// Two directories would have one path.
    #[error("two directories are exported as {path}", path = path.display())]
    Twice {
        /// The path of the URL.
        path: PathBuf,
    },
}

/// What a URL's path leads to.
#[derive(Debug)]
pub(super) enum Found {
    File(Place),
    /// `/` of a server that does not export it: the list of what it does.
    Exports(Vec<PathBuf>),
}

impl Files {
    /// Everything the account may read or write.
    pub fn everything(tildes: Tildes) -> Self {
        Self { exports: None, tildes }
    }

    /// Only what is below these directories.
    ///
    /// # Errors
    /// [`ExportError::Twice`].
    pub fn exported(mut exports: Vec<Export>, tildes: Tildes) -> Result<Self, ExportError> {
        exports.sort_by(|a, b| {
            let depth = |export: &Export| std::cmp::Reverse(export.path.components().count());
            depth(a).cmp(&depth(b)).then_with(|| a.path.cmp(&b.path))
        });
        let twice = exports.iter().zip(exports.iter().skip(1)).find(|(a, b)| a.path == b.path);
        if let Some((export, _)) = twice {
            return Err(ExportError::Twice { path: export.path.clone() });
        }
        Ok(Self { exports: Some(exports), tildes })
    }

    /// The exported directories; None when everything is served.
    pub fn exports(&self) -> Option<&[Export]> {
        self.exports.as_deref()
    }

    /// Looks a target up; blocks on the user database for tildes.
    pub(super) fn find(&self, target: &Target, writing: bool) -> Result<Found, Refusal> {
        let path = target.resolve(home_directory).ok_or(Refusal::NotFound)?;
        let Some(exports) = &self.exports else { return Ok(Found::File(Place::Anywhere(path))) };
        let path = std::path::absolute(&path).map_err(|_| Refusal::NotFound)?;
        let plain = normal(&path).ok_or(Refusal::NotFound)?;
        let Some(export) = exports.iter().find(|export| plain.starts_with(&export.path)) else {
            let root = plain == Path::new("/");
            let list = || exports.iter().map(|export| export.path.clone()).collect();
            return if root && !writing { Ok(Found::Exports(list())) } else { Err(Refusal::NotFound) };
        };
        if writing && !export.writable {
            return Err(Refusal::NotAllowed("writing there"));
        }
        let Some(directory) = &export.directory else { return Ok(Found::File(Place::Anywhere(path))) };
        let mut below = plain.strip_prefix(&export.path).map_err(|_| Refusal::NotFound)?.to_owned();
        // What can only be a directory must not become a file.
        if path.as_os_str().as_bytes().ends_with(b"/") && below.file_name().is_some() {
            below.push("");
        }
        Ok(Found::File(Place::Beneath(Arc::clone(directory), below)))
    }
}

impl Default for Files {
    /// Everything, tildes expanded.
    fn default() -> Self {
        Self::everything(Tildes { own: true, others: true })
    }
}

impl Export {
    /// `[PATH=]DIR[:ro|:rw]`: a directory, read-only unless `:rw`, as `PATH` in URLs or under its own name.
    ///
    /// # Errors
    /// [`ExportError::Directory`], [`ExportError::Path`].
    pub fn parse(text: &OsStr) -> Result<Self, ExportError> {
        let bytes = text.as_bytes();
        let (rest, writable) = match (bytes.strip_suffix(b":rw"), bytes.strip_suffix(b":ro")) {
            (Some(rest), _) => (rest, true),
            (None, Some(rest)) => (rest, false),
            (None, None) => (bytes, false),
        };
        let os = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
        // A directory with `=` in its name can be written `=DIR`.
        match rest.iter().position(|&byte| byte == b'=') {
            Some(0) => Self::open(None, &os(rest.get(1..).unwrap_or_default()), writable),
            Some(at) => {
                let (path, directory) = rest.split_at(at);
                Self::open(Some(&os(path)), &os(directory.get(1..).unwrap_or_default()), writable)
            }
            None => Self::open(None, &os(rest), writable),
        }
    }

    /// A directory, as `path` in URLs or under its own name. It stays open: what is put in its place later is not served.
    ///
    /// # Errors
    /// [`ExportError::Directory`], [`ExportError::Path`].
    pub fn open(path: Option<&Path>, directory: &Path, writable: bool) -> Result<Self, ExportError> {
        let failed = |source| ExportError::Directory { directory: directory.to_owned(), source };
        let opened = File::open(directory).map_err(failed)?;
        if !opened.metadata().map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        let path = match path {
            Some(path) => normal(path),
            // `..` in a name given on a command line means what it means there.
            None => normal(&std::path::absolute(directory).map_err(failed)?)
                .or_else(|| std::fs::canonicalize(directory).ok()),
        };
        let path = path.ok_or_else(|| ExportError::Path { path: directory.to_owned() })?;
        let root = Path::new("/");
        let whole = path == root && std::fs::canonicalize(directory).is_ok_and(|real| real == root);
        Ok(Self { path, directory: (!whole).then(|| Arc::new(opened.into())), writable })
    }

    /// The path of its URL.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether files can be written.
    pub fn writable(&self) -> bool {
        self.writable
    }
}

/// An absolute path without `.` and doubled slashes; None when it is relative or has `..` in it, which could mean
/// different things in a URL and on a disk with symbolic links.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut parts = path.components();
    if parts.next() != Some(Component::RootDir) {
        return None;
    }
    let mut plain = PathBuf::from("/");
    for part in parts {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => plain.push(name),
            Component::RootDir | Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(plain)
}

/// Ours for None.
fn home_directory(user: Option<&str>) -> Option<PathBuf> {
    match user {
        None => std::env::home_dir(),
        Some(name) => nix::unistd::User::from_name(name).ok().flatten().map(|user| user.dir),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Tildes = Tildes { own: false, others: false };

    fn below(files: &Files, path: &str, writing: bool) -> Result<Option<PathBuf>, Refusal> {
        files.find(&Target::Path(path.into()), writing).map(|found| match found {
            Found::File(place) => Some(place.path().to_owned()),
            Found::Exports(_) => None,
        })
    }

    #[test]
    fn the_longest_path_decides() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().to_str().unwrap();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        let export = |text: String| Export::parse(text.as_ref()).unwrap();
        let exports = vec![
            export(format!("{name}:ro")),
            export(format!("/data={name}:rw")),
            export(format!("/data/in={name}/in")),
        ];
        let files = Files::exported(exports, PLAIN).unwrap();
        let some = |path: &str| Ok(Some(PathBuf::from(path)));
        for (path, expected) in [
            (format!("{name}/x/y"), some("x/y")),
            (format!("{name}//x/./y"), some("x/y")),
            (name.to_owned(), some("")),
            ("/data/x".to_owned(), some("x")),
            ("/data/in/x".to_owned(), some("x")),
            ("/data/inside".to_owned(), some("inside")),
            ("/dat".to_owned(), Err(Refusal::NotFound)),
            ("/etc/passwd".to_owned(), Err(Refusal::NotFound)),
            ("/data/../etc/passwd".to_owned(), Err(Refusal::NotFound)),
            ("/".to_owned(), Ok(None)),
        ] {
            assert_eq!(below(&files, &path, false), expected, "{path}");
        }
        assert!(below(&files, "/data/x", true).is_ok());
        for path in ["/data/in/x", &format!("{name}/x")] {
            assert_eq!(below(&files, path, true), Err(Refusal::NotAllowed("writing there")), "{path}");
        }
        assert_eq!(below(&files, "/", true), Err(Refusal::NotFound));
        // A trailing slash survives, so that `x/` does not become a file.
        let kept = below(&files, "/data/x/", true).unwrap().unwrap();
        assert!(kept.as_os_str().as_bytes().ends_with(b"/"));
    }

    #[test]
    fn bad_exports_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        for text in [
            format!("{name}/missing"),
            format!("{name}/file"),
            format!("x={name}"),
            format!("/a/../b={name}"),
        ] {
            assert!(Export::parse(text.as_ref()).is_err(), "{text}");
        }
        let twice = [format!("/a={name}"), format!("/a/={name}:rw")]
            .map(|text| Export::parse(text.as_ref()).unwrap());
        assert!(matches!(Files::exported(twice.into(), PLAIN), Err(ExportError::Twice { .. })));
    }

    #[test]
    fn the_whole_file_system_is_no_cage() {
        let files = Files::exported(vec![Export::parse("/:ro".as_ref()).unwrap()], PLAIN).unwrap();
        assert!(matches!(
            files.find(&Target::Path("/etc/passwd".into()), false),
            Ok(Found::File(Place::Anywhere(path))) if path == Path::new("/etc/passwd")
        ));
    }
}
