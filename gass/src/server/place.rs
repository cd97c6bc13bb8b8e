//! Where a file is: opening it, and the directory it is in, so that a confined server cannot be led out.
//!
//! A confined place is a path below an open directory. The kernel follows it with `openat2`: neither `..`, nor a symbolic
//! link, nor one of the magic links of `/proc` leads out of the directory, whatever changes meanwhile. Where the
//! kernel has no `openat2`, each part of the path is opened on its own and no link is followed at all.
//!
//! Everything here blocks, for an instant, on the file system.

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, statat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// How often a confined path is tried again when something in it was renamed meanwhile.
const ATTEMPTS: usize = 16;

/// A name of a file that may or may not exist.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// Anywhere this account can go; relative paths start in the working directory.
    Anywhere(PathBuf),
    /// Below an open directory, which nothing leads out of.
    Beneath(Arc<OwnedFd>, PathBuf),
}

/// The directory of a file, open, and the file's name in it: one part, neither `.` nor `..`.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) directory: OwnedFd,
    pub(super) name: OsString,
}

impl Place {
    /// Opens what is there. Devices and pipes do not block.
    pub(super) fn open(&self, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        Ok(match self {
            Self::Anywhere(path) => openat(rustix::fs::CWD, path, flags, Mode::empty())?,
            Self::Beneath(base, path) => beneath(base.as_fd(), path, flags, Mode::empty())?,
        })
    }

    /// Opens or makes a file whose end all writing goes to.
    pub(super) fn open_to_append(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOCTTY;
        let mode = Mode::from_raw_mode(0o666);
        Ok(match self {
            Self::Anywhere(path) => openat(rustix::fs::CWD, path, flags, mode)?,
            Self::Beneath(base, path) => {
                let file = beneath(base.as_fd(), path, flags | OFlags::NONBLOCK, mode)?;
                if FileType::from_raw_mode(stat(&file)?.st_mode) != FileType::RegularFile {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
                file
            }
        })
    }

    /// The directory the file is in, or is to be in.
    ///
    /// # Errors
    /// [`io::ErrorKind::IsADirectory`] for a path that can only be a directory's.
    pub(super) fn slot(&self) -> io::Result<Slot> {
        let (parent, name) = split(self.path()).ok_or(io::ErrorKind::IsADirectory)?;
        let parent = match self {
            Self::Anywhere(_) => Self::Anywhere(parent),
            Self::Beneath(base, _) => Self::Beneath(Arc::clone(base), parent),
        };
        Ok(Slot { directory: parent.open(OFlags::RDONLY | OFlags::DIRECTORY)?, name })
    }

    /// The same file without a symbolic link as its last part, so that writing changes what the link points to. A confined
    /// place cannot be followed like this, and stays.
    pub(super) fn followed(self) -> Self {
        match self {
            Self::Anywhere(path) => Self::Anywhere(std::fs::canonicalize(&path).unwrap_or(path)),
            confined @ Self::Beneath(..) => confined,
        }
    }

    /// The same place, written as if it were a file.
    pub(super) fn without_slash(&self) -> Self {
        let bare = |path: &Path| path.components().as_path().to_owned();
        match self {
            Self::Anywhere(path) => Self::Anywhere(bare(path)),
            Self::Beneath(base, path) => Self::Beneath(Arc::clone(base), bare(path)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Anywhere(path) | Self::Beneath(_, path) => path,
        }
    }
}

impl Slot {
    /// What has this name now, without following a link.
    pub(super) fn stat(&self) -> io::Result<Option<Stat>> {
        match statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The directory and the last part; none for `/`, for what ends with a slash, and for `.` and `..`.
fn split(path: &Path) -> Option<(PathBuf, OsString)> {
    if path.as_os_str().as_bytes().ends_with(b"/") {
        return None;
    }
    let name = path.file_name()?;
    // `file_name` takes `a/.` for `a`.
    if !path.as_os_str().as_bytes().ends_with(name.as_bytes()) {
        return None;
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some((parent.to_owned(), name.to_owned()))
}

/// Whether the kernel confines paths itself (Linux 5.6, and no filter in front of it).
static KERNEL_CONFINES: LazyLock<bool> = LazyLock::new(|| {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let confines = openat2(rustix::fs::CWD, ".", flags, Mode::empty(), CONFINED).is_ok();
    if !confines {
        tracing::warn!("this kernel has no openat2: symbolic links in exported directories are not followed");
    }
    confines
});

const CONFINED: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

fn beneath(base: BorrowedFd<'_>, path: &Path, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
    if *KERNEL_CONFINES { by_kernel(base, path, flags, mode) } else { by_hand(base, path, flags, mode) }
}

fn by_kernel(base: BorrowedFd<'_>, path: &Path, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let mut result = Err(Errno::AGAIN);
    for _ in 0..ATTEMPTS {
        result = openat2(base, path, flags, mode, CONFINED);
        if !matches!(result, Err(Errno::AGAIN | Errno::INTR)) {
            break;
        }
    }
    result
}

/// Part by part, following nothing.
fn by_hand(base: BorrowedFd<'_>, path: &Path, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
    let mut parts: Vec<&OsStr> = Vec::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => parts.push(name),
            Component::RootDir | Component::ParentDir | Component::Prefix(_) => return Err(Errno::XDEV),
        }
    }
    let last = parts.pop().unwrap_or(OsStr::new("."));
    let walk = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut directory: Option<OwnedFd> = None;
    for part in parts {
        let here = directory.as_ref().map_or(base, AsFd::as_fd);
        directory = Some(openat(here, part, walk, Mode::empty())?);
    }
    openat(directory.as_ref().map_or(base, AsFd::as_fd), last, flags | OFlags::NOFOLLOW, mode)
}

/// What an open file is.
pub(super) fn stat(file: &impl AsFd) -> io::Result<Stat> {
    Ok(fstat(file)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    struct World {
        folder: tempfile::TempDir,
        base: Arc<OwnedFd>,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().join("root");
            fs::create_dir_all(root.join("below")).unwrap();
            fs::write(folder.path().join("secret"), "secret").unwrap();
            fs::write(root.join("file"), "file").unwrap();
            fs::write(root.join("below/file"), "below").unwrap();
            symlink(folder.path().join("secret"), root.join("absolute")).unwrap();
            symlink("../secret", root.join("relative")).unwrap();
            symlink("..", root.join("up")).unwrap();
            symlink("/proc/self/cwd", root.join("magic")).unwrap();
            symlink("below/file", root.join("inside")).unwrap();
            symlink("endless", root.join("endless")).unwrap();
            let base = fs::File::open(&root).unwrap();
            Self { folder, base: Arc::new(base.into()) }
        }

        fn by_kernel(&self, path: &str) -> rustix::io::Result<String> {
            by_kernel(self.base.as_fd(), Path::new(path), OFlags::RDONLY, Mode::empty()).map(content)
        }

        fn by_hand(&self, path: &str) -> rustix::io::Result<String> {
            by_hand(self.base.as_fd(), Path::new(path), OFlags::RDONLY, Mode::empty()).map(content)
        }
    }

    fn content(file: OwnedFd) -> String {
        std::io::read_to_string(fs::File::from(file)).unwrap_or_default()
    }

    #[test]
    fn nothing_leads_out_of_an_exported_directory() {
        let world = World::new();
        let outside = format!("{}/secret", world.folder.path().display());
        for path in [
            "..",
            "../secret",
            "below/../../secret",
            "./../secret",
            "absolute",
            "relative",
            "up/secret",
            "up/root/file",
            "magic/etc/passwd",
            "endless",
            "/etc/passwd",
            &outside,
        ] {
            assert!(world.by_hand(path).is_err(), "{path}");
            if *KERNEL_CONFINES {
                assert!(world.by_kernel(path).is_err(), "{path}");
            }
        }
    }

    #[test]
    fn what_is_inside_is_found() {
        let world = World::new();
        for (path, expected) in [("file", "file"), ("./below//file", "below"), ("below/file", "below")] {
            assert_eq!(world.by_hand(path).unwrap(), expected, "{path}");
            if *KERNEL_CONFINES {
                assert_eq!(world.by_kernel(path).unwrap(), expected, "{path}");
            }
        }
        if *KERNEL_CONFINES {
            assert_eq!(world.by_kernel("inside").unwrap(), "below", "links that stay inside are followed");
        }
        assert_eq!(world.by_hand("inside").unwrap_err(), Errno::LOOP);
        assert!(world.by_hand("").is_ok() && world.by_hand("missing").is_err());
    }

    /// An exported /proc would lead anywhere through its magic links.
    #[test]
    fn proc_leads_nowhere() {
        let base = fs::File::open("/proc").unwrap();
        for path in ["self/root/etc/passwd", "self/cwd", "self/exe", "self/fd/0"] {
            let flags = OFlags::RDONLY | OFlags::NONBLOCK;
            assert!(by_hand(base.as_fd(), Path::new(path), flags, Mode::empty()).is_err(), "{path}");
            assert!(beneath(base.as_fd(), Path::new(path), flags, Mode::empty()).is_err(), "{path}");
        }
    }

    #[test]
    fn slots() {
        for (path, expected) in [
            ("/a/b", Some(("/a", "b"))),
            ("b", Some((".", "b"))),
            ("/b", Some(("/", "b"))),
            ("/", None),
            ("/a/", None),
            ("/a/.", None),
            ("/a/..", None),
            ("..", None),
            ("", None),
        ] {
            let expected = expected.map(|(parent, name)| (PathBuf::from(parent), OsString::from(name)));
            assert_eq!(split(Path::new(path)), expected, "{path}");
        }
    }
}
