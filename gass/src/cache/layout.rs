//! Where things lie in a cache directory (gass.md §8), in its two types.
//!
//! ```text
//! normal                                   flat
//! <cache>/config                           <cache>/config
//! <cache>/global/<U>/url, data             <cache>/global_<U>_url, …_data
//! <cache>/local/<T>/tag                    <cache>/local_<T>_tag
//! <cache>/local/<T>/<U>/tag, data, data.*  <cache>/local_<T>_<U>_tag, …_data, …_data.*
//! ```
//!
//! `<U>` and `<T>` are `md5/` and the digest of URL and tag in hex, with a `/` after each of the first `levels − 1` bytes, and
//! `_` for each `/` in a flat cache. What is a directory in a normal cache is a name without content there: an empty file for
//! those that hold an entry, nothing at all for the others.
//!
//! Everything is made for the owner alone; stock leaves what its umask allows.

use super::error::{CacheError, at};
use md5::{Digest as _, Md5};
use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

/// Directory levels of a new cache.
const DEFAULT_LEVELS: usize = 2;
/// Levels of a cache that was made before the setting existed.
const OLD_LEVELS: usize = 4;
/// Longest configuration file read, in bytes.
const MAX_CONFIG: u64 = 64 * 1024;
/// Longest `url` or `tag` file read, in bytes.
pub(super) const MAX_NAME: usize = 64 * 1024;
/// What every mangled name starts with.
const SCHEME: &str = "md5";
/// Hex digits of a digest.
const DIGITS: usize = 32;

/// How directories are represented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// As directories.
    Normal,
    /// As parts of file names, for file systems without hard links between directories (AFS).
    Flat,
}

impl Type {
    /// As `config` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Flat => "flat",
        }
    }
}

/// The names of a cache's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
    kind: Type,
    levels: usize,
}

impl Layout {
    /// Reads how a cache is laid out, making it when there is none.
    pub(super) fn open(root: &Path) -> Result<Self, CacheError> {
        let config = root.join("config");
        let file = match File::open(&config) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::create(root, &config),
            other => other.map_err(at(&config))?,
        };
        let mut text = String::new();
        file.take(MAX_CONFIG).read_to_string(&mut text).map_err(at(&config))?;
        let (kind, levels) = parse(&text, &config)?;
        let layout = Self { root: root.to_owned(), kind, levels };
        layout.make_roots()?;
        Ok(layout)
    }

    fn create(root: &Path, config: &Path) -> Result<Self, CacheError> {
        let levels = if root.join("global").is_dir() { OLD_LEVELS } else { DEFAULT_LEVELS };
        make_folder(root)?;
        let mut layout = Self { root: root.to_owned(), kind: Type::Normal, levels };
        layout.make_roots()?;
        if !can_link_between_folders(root)? {
            layout.kind = Type::Flat;
            for part in ["global", "local", "tmp"] {
                fs::remove_dir(root.join(part)).map_err(at(root))?;
            }
            layout.make_roots()?;
        }
        let text = format!("type={}\nlevels={levels}\n", layout.kind.name());
        layout.place(config, text.as_bytes())?;
        // Whoever came first has decided.
        let text = fs::read_to_string(config).map_err(at(config))?;
        (layout.kind, layout.levels) = parse(&text, config)?;
        Ok(layout)
    }

    fn make_roots(&self) -> Result<(), CacheError> {
        for part in ["global", "local", "tmp"] {
            let path = self.root.join(part);
            if !path.exists() {
                self.make(&path)?;
            }
        }
        Ok(())
    }

    /// The cache's own directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How directories are represented.
    pub fn kind(&self) -> Type {
        self.kind
    }

    /// Where contents are.
    pub fn globals(&self) -> PathBuf {
        self.root.join("global")
    }

    /// Where tags are.
    pub fn locals(&self) -> PathBuf {
        self.root.join("local")
    }

    /// Where unfinished things are.
    pub fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// The directory of a URL's content.
    pub fn global(&self, url: &str) -> PathBuf {
        self.file(&self.globals(), &self.mangle(url))
    }

    /// The directory of a tag.
    pub fn local(&self, tag: &str) -> PathBuf {
        self.file(&self.locals(), &self.mangle(tag))
    }

    /// The directory of a URL under a tag.
    pub fn entry(&self, tag: &str, url: &str) -> PathBuf {
        self.file(&self.local(tag), &self.mangle(url))
    }

    /// A name in a directory of the cache.
    pub(super) fn file(&self, directory: &Path, name: &str) -> PathBuf {
        match self.kind {
            Type::Normal => directory.join(name),
            Type::Flat => {
                let mut path = OsString::from(directory);
                path.push("_");
                path.push(name);
                path.into()
            }
        }
    }

    /// The mangled form of a URL or tag, as it is printed and as it stands in paths.
    pub fn mangle(&self, text: &str) -> String {
        let separator = self.separator();
        let mut name = format!("{SCHEME}{separator}");
        for (index, byte) in Md5::digest(text.as_bytes()).iter().enumerate() {
            name.push_str(&format!("{byte:02x}"));
            if index + 1 < self.levels {
                name.push(separator);
            }
        }
        name
    }

    fn separator(&self) -> char {
        match self.kind {
            Type::Normal => '/',
            Type::Flat => '_',
        }
    }

    /// Makes a directory that holds an entry, with its parents.
    pub(super) fn make(&self, directory: &Path) -> Result<(), CacheError> {
        match self.kind {
            Type::Normal => make_folder(directory),
            Type::Flat => {
                let file =
                    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(directory);
                file.map(drop).map_err(at(directory))
            }
        }
    }

    /// The names in a directory that holds an entry; none when there is no such directory.
    pub(super) fn names(&self, directory: &Path) -> Result<Vec<String>, CacheError> {
        match self.kind {
            Type::Normal => names_in(directory),
            Type::Flat => {
                let prefix = format!("{}_", name_of(directory));
                let names = names_in(&self.root)?;
                Ok(names.iter().filter_map(|name| name.strip_prefix(&prefix)).map(str::to_owned).collect())
            }
        }
    }

    /// Removes a directory, and those above it, up to the cache's main ones, as far as they are empty.
    pub(super) fn prune(&self, directory: &Path) -> Result<(), CacheError> {
        match self.kind {
            Type::Normal => {
                let tops = [self.globals(), self.locals()];
                for path in directory.ancestors().take_while(|path| path.starts_with(&self.root)) {
                    // One that is in use again stays.
                    if tops.iter().any(|top| top == path) || !removed(fs::remove_dir(path)) {
                        return Ok(());
                    }
                }
                Ok(())
            }
            Type::Flat if self.names(directory)?.is_empty() => remove(directory),
            Type::Flat => Ok(()),
        }
    }

    /// The mangled names of what is directly below `globals()`, `locals()`, or the directory of a tag.
    pub(super) fn mangled_in(&self, directory: &Path) -> Result<Vec<String>, CacheError> {
        let mut found = Vec::new();
        match self.kind {
            Type::Normal => {
                let mut folders = vec![SCHEME.to_owned()];
                for _ in 0..self.levels.max(1) {
                    let mut below = Vec::new();
                    for folder in &folders {
                        let names = names_in(&directory.join(folder))?;
                        below.extend(names.into_iter().map(|name| format!("{folder}/{name}")));
                    }
                    folders = below;
                }
                found = folders;
            }
            Type::Flat => {
                let prefix = format!("{}_", name_of(directory));
                let length = SCHEME.len() + 1 + DIGITS + self.levels.max(1) - 1;
                for name in names_in(&self.root)? {
                    if let Some(mangled) = name.strip_prefix(&prefix).and_then(|rest| rest.get(..length)) {
                        found.push(mangled.to_owned());
                    }
                }
                found.sort_unstable();
                found.dedup();
            }
        }
        found.retain(|name| self.is_mangled(name));
        Ok(found)
    }

    fn is_mangled(&self, name: &str) -> bool {
        let Some(digest) = name.strip_prefix(SCHEME) else { return false };
        let digits = digest.chars().filter(char::is_ascii_hexdigit).count();
        digits == DIGITS && digest.chars().all(|c| c.is_ascii_hexdigit() || c == self.separator())
    }

    /// Puts a file in place with this content, unless one is there: written elsewhere and linked, so nobody meets half a file.
    pub(super) fn place(&self, path: &Path, content: &[u8]) -> Result<(), CacheError> {
        if path.exists() {
            return Ok(());
        }
        let unfinished = self.file(&self.temporary(), &super::owner::Owner::new().to_string());
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
        let written = file
            .and_then(|mut file| file.write_all(content))
            .map_err(at(&unfinished))
            .and_then(|()| link(&unfinished, path));
        remove(&unfinished)?;
        written
    }
}

/// Type and levels of a `config`; lines may stand there twice. No `levels`: made before the setting existed.
fn parse(text: &str, path: &Path) -> Result<(Type, usize), CacheError> {
    let (mut kind, mut levels) = (Type::Normal, OLD_LEVELS);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
            Some(("type", "normal")) => kind = Type::Normal,
            Some(("type", "flat")) => kind = Type::Flat,
            Some(("levels", value)) if matches!(value.parse(), Ok(0..=4_usize)) => {
                levels = value.parse().unwrap_or(OLD_LEVELS);
            }
            _ => {
                return Err(CacheError::Config {
                    path: path.to_owned(),
                    line: line.chars().take(200).collect(),
                    known: "type=normal, type=flat and levels=0 to 4 are",
                });
            }
        }
    }
    Ok((kind, levels))
}

/// Whether a file can have links in two directories.
fn can_link_between_folders(root: &Path) -> Result<bool, CacheError> {
    let name = super::owner::Owner::new().to_string();
    let (file, other) = (root.join("tmp").join(&name), root.join(&name));
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file);
    made.map_err(at(&file))?;
    let linked = fs::hard_link(&file, &other);
    remove(&file)?;
    match linked {
        Ok(()) => remove(&other).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => Ok(false),
        Err(error) => Err(at(&other)(error)),
    }
}

fn make_folder(path: &Path) -> Result<(), CacheError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))
}

fn names_in(folder: &Path) -> Result<Vec<String>, CacheError> {
    let names = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        other => other.map_err(at(folder))?,
    };
    let mut found = Vec::new();
    for name in names {
        // Names that are not text are none of ours.
        found.extend(name.map_err(at(folder))?.file_name().into_string().ok());
    }
    Ok(found)
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned()).unwrap_or_default()
}

/// Whether it is gone now.
fn removed(result: io::Result<()>) -> bool {
    match result {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// A hard link; one that is there already will do.
pub(super) fn link(from: &Path, to: &Path) -> Result<(), CacheError> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(at(to)(error)),
        _ => Ok(()),
    }
}

/// Removes a file; one that is gone already will do.
pub(super) fn remove(path: &Path) -> Result<(), CacheError> {
    let result = fs::remove_file(path);
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

/// The text of a `url` or `tag` file; None when there is none.
pub(super) fn read_name(path: &Path) -> Result<Option<String>, CacheError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(at(path))?,
    };
    let mut text = Vec::new();
    file.take(MAX_NAME as u64).read_to_end(&mut text).map_err(at(path))?;
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_configuration_is_read_or_refused(text in "((type|levels|x)=?(normal|flat|[0-9]{0,2})?\\PC?\n?){0,4}") {
            if let Ok((_, levels)) = parse(&text, Path::new("config")) {
                prop_assert!(levels <= 4);
            }
        }
    }

    fn layout(kind: Type, levels: usize) -> Layout {
        Layout { root: "/c".into(), kind, levels }
    }

    /// Values of gass.md §8, read off a stock cache.
    #[test]
    fn mangled_names() {
        for (text, levels, name) in [
            ("https://vm:30501/data/hello.txt", 2, "md5/eb/67eed259cf9759545663728119db7d"),
            ("TAG1", 2, "md5/b2/4a391e7a942c8ba29ed4a8fbbfbc02"),
            ("null", 2, "md5/37/a6259cc0c1dae299a7866489dff0bd"),
            ("x-gass-cache://job1/dev/out", 2, "md5/14/fc0a61f9ad33a0f34c62a39669b77a"),
            ("u", 1, "md5/7b774effe4a349c6dd82ad4f4f21d34c"),
            ("u", 0, "md5/7b774effe4a349c6dd82ad4f4f21d34c"),
            ("u", 3, "md5/7b/77/4effe4a349c6dd82ad4f4f21d34c"),
            ("u", 4, "md5/7b/77/4e/ffe4a349c6dd82ad4f4f21d34c"),
        ] {
            let layout = layout(Type::Normal, levels);
            assert_eq!(layout.mangle(text), name, "{text} {levels}");
            assert!(layout.is_mangled(name));
        }
        let flat = layout(Type::Flat, 2);
        assert_eq!(flat.mangle("TAG1"), "md5_b2_4a391e7a942c8ba29ed4a8fbbfbc02");
        assert_eq!(
            flat.file(&flat.entry("TAG1", "u"), "data"),
            Path::new(
                "/c/local_md5_b2_4a391e7a942c8ba29ed4a8fbbfbc02_md5_7b_774effe4a349c6dd82ad4f4f21d34c_data"
            )
        );
    }

    #[test]
    fn configurations() {
        let read = |text: &str| parse(text, Path::new("config"));
        assert_eq!(read("type=normal\nlevels=2\ntype=normal\nlevels=2\n").unwrap(), (Type::Normal, 2));
        assert_eq!(read("type=normal\n").unwrap(), (Type::Normal, 4));
        assert_eq!(read("type=flat\nlevels=0\n").unwrap(), (Type::Flat, 0));
        for bad in ["type=round", "levels=5", "levels=x", "what"] {
            assert!(matches!(read(bad), Err(CacheError::Config { .. })), "{bad}");
        }
    }

    #[test]
    fn what_is_made_is_found_and_pruned() {
        for kind in [Type::Normal, Type::Flat] {
            for levels in 0..=4 {
                let folder = tempfile::tempdir().unwrap();
                fs::write(folder.path().join("config"), format!("type={}\nlevels={levels}\n", kind.name()))
                    .unwrap();
                let layout = Layout::open(folder.path()).unwrap();
                let entry = layout.entry("t", "u");
                layout.make(&entry).unwrap();
                fs::write(layout.file(&entry, "data"), "x").unwrap();
                assert_eq!(layout.mangled_in(&layout.locals()).unwrap(), [layout.mangle("t")]);
                assert_eq!(layout.mangled_in(&layout.local("t")).unwrap(), [layout.mangle("u")]);
                assert!(layout.mangled_in(&layout.globals()).unwrap().is_empty());
                assert_eq!(layout.names(&entry).unwrap(), ["data"]);
                layout.prune(&entry).unwrap();
                assert_eq!(layout.names(&entry).unwrap(), ["data"], "what holds something stays");
                remove(&layout.file(&entry, "data")).unwrap();
                layout.prune(&entry).unwrap();
                assert!(!entry.exists());
                assert!(layout.mangled_in(&layout.locals()).unwrap().is_empty());
                assert!(layout.locals().exists());
            }
        }
    }

    #[test]
    fn everything_is_private() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::open(&folder.path().join("new/cache")).unwrap();
        assert_eq!(fs::metadata(layout.root()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(layout.root().join("config")).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(layout.temporary()).unwrap().mode() & 0o777, 0o700);
    }
}
