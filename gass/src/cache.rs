//! The URL-keyed file cache on disk (gass.md §8), as far as job output in it needs: making an empty entry under a tag, and
//! removing what a tag holds. The layout is that of the stock `globus-gass-cache`, which reads and cleans what we write.
//!
//! ```text
//! <cache>/global/<U>/url, data             the name, and the content
//! <cache>/local/<T>/tag                    the tag
//! <cache>/local/<T>/<U>/tag, data, data.*  links to both; one data.* per reference
//! ```
//!
//! Everything is made for the owner alone; stock leaves what its umask allows.

use md5::{Digest as _, Md5};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// Directory levels of a new cache.
const DEFAULT_LEVELS: usize = 2;
/// Levels of a cache that was made before the setting existed.
const OLD_LEVELS: usize = 4;
/// Longest configuration file read, in bytes.
const MAX_CONFIG: u64 = 64 * 1024;
/// Longest name or tag, in bytes.
const MAX_NAME: usize = 64 * 1024;

/// A cache directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
    levels: usize,
}

/// The cache could not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// A file or directory of the cache.
    #[error("GASS cache: {}: {source}", path.display())]
    Io {
        /** which */
        path: PathBuf,
        /** what the system said */
        source: io::Error,
    },
    /// `config` says something this program does not know.
    #[error("GASS cache: {}: `{line}` is not supported; type=normal and levels=0 to 4 are", path.display())]
    Config {
        /** the file */
        path: PathBuf,
        /** the line */
        line: String,
    },
    /// Another program is filling or changing the entry.
    #[error("GASS cache: the entry for {0} is locked by another program")]
    Locked(String),
    /// A name of more than 64 KiB.
    #[error("GASS cache: a name of {0} bytes is too long")]
    NameTooLong(usize),
}

impl Cache {
    /// Opens a cache, making it when there is none.
    pub fn open(root: &Path) -> Result<Self, CacheError> {
        let is_old = root.join("global").is_dir();
        for part in ["global", "local", "tmp"] {
            make_directory(&root.join(part))?;
        }
        let config = root.join("config");
        let text = match File::open(&config) {
            Ok(file) => io::read_to_string(io::Read::take(file, MAX_CONFIG)).map_err(at(&config))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let levels = if is_old { OLD_LEVELS } else { DEFAULT_LEVELS };
                let text = format!("type=normal\nlevels={levels}\n");
                let cache = Self { root: root.to_owned(), levels };
                cache.place(&config, text.as_bytes())?;
                return Ok(cache);
            }
            Err(source) => return Err(CacheError::Io { path: config, source }),
        };
        Ok(Self { root: root.to_owned(), levels: levels(&text, &config)? })
    }

    /// Makes an empty entry, ready for use, and gives the file's path; an entry that is there already is left as it is.
    pub fn create(&self, url: &str, tag: &str) -> Result<PathBuf, CacheError> {
        let longest = url.len().max(tag.len());
        if longest > MAX_NAME {
            return Err(CacheError::NameTooLong(longest));
        }
        let (url_name, tag_name) = (mangle(url, self.levels), mangle(tag, self.levels));
        let global = self.root.join("global").join(&url_name);
        let of_tag = self.root.join("local").join(&tag_name);
        let local = of_tag.join(&url_name);
        let path = local.join("data");
        if path.exists() {
            return Ok(path);
        }
        make_directory(&global)?;
        make_directory(&local)?;
        self.place(&of_tag.join("tag"), tag.as_bytes())?;
        link(&of_tag.join("tag"), &local.join("tag"))?;
        self.place(&global.join("url"), url.as_bytes())?;
        let data = global.join("data");
        if !data.exists() && has_reference(&global)? {
            return Err(CacheError::Locked(url.to_owned()));
        }
        self.place(&data, b"")?;
        link(&data, &local.join(format!("data.{}", unique())))?;
        link(&data, &path)?;
        Ok(path)
    }

    /// Removes every entry of a tag, and the content that no other tag holds. An unknown tag is fine.
    pub fn remove_tag(&self, tag: &str) -> Result<(), CacheError> {
        let locals = self.root.join("local");
        let of_tag = locals.join(mangle(tag, self.levels));
        let mut entries = Vec::new();
        find_entries(&of_tag, self.levels.max(1) + 1, &mut entries)?;
        for local in &entries {
            let Ok(url_name) = local.strip_prefix(&of_tag) else { continue };
            remove_directory(local)?;
            let globals = self.root.join("global");
            let global = globals.join(url_name);
            let data = global.join("data");
            if fs::metadata(&data).is_ok_and(|data| data.nlink() == 1) {
                remove_directory(&global)?;
                prune(&global, &globals);
            }
        }
        remove_directory(&of_tag)?;
        prune(&of_tag, &locals);
        Ok(())
    }

    /// Puts a file in place with this content, unless one is there: written elsewhere and linked, so nobody meets half a file.
    fn place(&self, path: &Path, content: &[u8]) -> Result<(), CacheError> {
        if path.exists() {
            return Ok(());
        }
        let unfinished = self.root.join("tmp").join(unique());
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(at(&unfinished))?;
        let written = file.write_all(content).map_err(at(&unfinished)).and_then(|()| link(&unfinished, path));
        fs::remove_file(&unfinished).map_err(at(&unfinished))?;
        written
    }
}

/// `md5/` and the digest in hex, with a `/` after each of the first `levels − 1` bytes.
fn mangle(text: &str, levels: usize) -> PathBuf {
    let digest = Md5::digest(text.as_bytes());
    let mut name = String::from("md5/");
    for (index, byte) in digest.iter().enumerate() {
        name.push_str(&format!("{byte:02x}"));
        if index + 1 < levels {
            name.push('/');
        }
    }
    name.into()
}

/// Reads `config`; lines may stand there twice. No `levels`: made before the setting existed.
fn levels(text: &str, path: &Path) -> Result<usize, CacheError> {
    let mut levels = OLD_LEVELS;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
            Some(("type", "normal")) => {}
            Some(("levels", value)) if matches!(value.parse(), Ok(0..=4_usize)) => {
                levels = value.parse().unwrap_or(OLD_LEVELS);
            }
            _ => return Err(CacheError::Config { path: path.to_owned(), line: line.to_owned() }),
        }
    }
    Ok(levels)
}

/// `<host>_<pid>_<count>`: the stock form, with a count where stock has the thread.
fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}_{:x}_{count:x}", host.trim(), std::process::id())
}

fn has_reference(directory: &Path) -> Result<bool, CacheError> {
    let mut names = fs::read_dir(directory).map_err(at(directory))?.filter_map(Result::ok);
    Ok(names.any(|entry| entry.file_name().to_string_lossy().starts_with("data.")))
}

/// The directories at this depth below `directory` that hold entries.
fn find_entries(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), CacheError> {
    let names = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(at(directory))?,
    };
    for entry in names {
        let entry = entry.map_err(at(directory))?;
        if !entry.file_type().map_err(at(directory))?.is_dir() {
            continue;
        }
        if depth == 1 {
            found.push(entry.path());
        } else {
            find_entries(&entry.path(), depth - 1, found)?;
        }
    }
    Ok(())
}

fn make_directory(path: &Path) -> Result<(), CacheError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))
}

fn remove_directory(path: &Path) -> Result<(), CacheError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

/// Removes the parents that have become empty, up to `top`; one that is in use again stays.
fn prune(path: &Path, top: &Path) {
    for parent in path.ancestors().skip(1).take_while(|parent| *parent != top) {
        if fs::remove_dir(parent).is_err() {
            return;
        }
    }
}

/// A hard link; one that is there already will do.
fn link(from: &Path, to: &Path) -> Result<(), CacheError> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(at(to)(error)),
        _ => Ok(()),
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> CacheError {
    let path = path.to_owned();
    move |source| CacheError::Io { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const URL: &str = "x-gass-cache://https://vm:1/2/3/stdout";

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
            assert_eq!(mangle(text, levels), Path::new(name), "{text} {levels}");
        }
    }

    #[test]
    fn an_entry_comes_and_goes_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("cache");
        let cache = Cache::open(&root).unwrap();
        let path = cache.create(URL, "mine").unwrap();
        fs::write(&path, b"output").unwrap();
        assert_eq!(cache.create(URL, "mine").unwrap(), path, "again is the same entry");
        let other = cache.create(URL, "other").unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"output", "tags share the content");

        cache.remove_tag("mine").unwrap();
        assert!(!path.exists());
        assert_eq!(fs::read(&other).unwrap(), b"output");
        cache.remove_tag("other").unwrap();
        cache.remove_tag("other").unwrap();
        for part in ["global", "local", "tmp"] {
            assert_eq!(fs::read_dir(root.join(part)).unwrap().count(), 0, "{part}");
        }
    }

    #[test]
    fn configurations() {
        let read = |text: &str| levels(text, Path::new("config"));
        assert_eq!(read("type=normal\nlevels=2\ntype=normal\nlevels=2\n").unwrap(), 2);
        assert_eq!(read("type=normal\n").unwrap(), 4);
        for bad in ["type=flat", "levels=5", "levels=x", "what"] {
            assert!(matches!(read(bad), Err(CacheError::Config { .. })), "{bad}");
        }
    }

    #[test]
    fn a_locked_entry_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let global = folder.path().join("global").join(mangle(URL, 2));
        make_directory(&global).unwrap();
        fs::write(global.join("data.somebody"), b"").unwrap();
        assert!(matches!(cache.create(URL, "t"), Err(CacheError::Locked(_))));
    }

    #[test]
    fn names_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        assert!(matches!(cache.create(&"x".repeat(MAX_NAME + 1), "t"), Err(CacheError::NameTooLong(_))));
    }

    /// Runs the stock program; None where it is not installed.
    fn stock(root: &Path, arguments: &[&str]) -> Option<(bool, String)> {
        let output = Command::new("globus-gass-cache")
            .args(arguments)
            .env("GLOBUS_GASS_CACHE_DEFAULT", root)
            .output()
            .ok()?;
        Some((output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned()))
    }

    #[test]
    fn the_stock_program_finds_and_cleans_what_we_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("cache");
        let path = Cache::open(&root).unwrap().create(URL, "anExtraTag").unwrap();
        fs::write(&path, b"hello\n").unwrap();
        let Some((found, shown)) = stock(&root, &["-query", "-t", "anExtraTag", URL]) else {
            eprintln!("skipped: globus-gass-cache is not installed");
            return;
        };
        assert!(found);
        assert_eq!(shown, path.to_string_lossy());
        let (listed, list) = stock(&root, &["-list"]).unwrap();
        assert!(listed && list.contains(URL), "{list}");
        let (cleaned, _) = stock(&root, &["-cleanup-url", URL]).unwrap();
        assert!(cleaned);
        assert!(!path.exists());
    }

    #[test]
    fn we_clean_what_the_stock_program_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("cache");
        let Some((added, _)) = stock(&root, &["-add", "-t", "T", "-n", URL, "file:///dev/null"]) else {
            eprintln!("skipped: globus-gass-cache is not installed");
            return;
        };
        assert!(added);
        let cache = Cache::open(&root).unwrap();
        let path = cache.create(URL, "T").unwrap();
        assert_eq!(stock(&root, &["-query", "-t", "T", URL]).unwrap().1, path.to_string_lossy());
        cache.remove_tag("T").unwrap();
        assert_eq!(fs::read_dir(root.join("global")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(root.join("local")).unwrap().count(), 0);
    }
}
