//! How a file is opened.

use super::FileError;

/// What is wanted of a file; as the flags of `open(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) append: bool,
    pub(super) create: bool,
    pub(super) truncate: bool,
}

/// What comes of it for a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Read,
    Write { truncate: bool },
    Append,
}

impl Options {
    /// To read (`r`).
    pub fn read() -> Self {
        Self { read: true, ..Self::default() }
    }

    /// To write from the start, without what was there (`w`).
    pub fn write() -> Self {
        Self { write: true, create: true, truncate: true, ..Self::default() }
    }

    /// To write at the end (`a`).
    pub fn append() -> Self {
        Self { write: true, create: true, append: true, ..Self::default() }
    }

    /// To read and change what is there (`r+`).
    pub fn update() -> Self {
        Self { read: true, write: true, ..Self::default() }
    }

    /// What is not there is made, empty.
    #[must_use]
    pub fn create(mut self) -> Self {
        self.create = true;
        self
    }

    /// What was there goes.
    #[must_use]
    pub fn truncate(mut self) -> Self {
        self.truncate = true;
        self
    }

    /// The mode of `fopen(3)`: r, w, a, r+, w+, a+; a `b` means nothing.
    ///
    /// # Errors
    /// [`FileError::Rejected`] for another text.
    pub fn parse(mode: &str) -> Result<Self, FileError> {
        match mode.replace('b', "").as_str() {
            "r" => Ok(Self::read()),
            "w" => Ok(Self::write()),
            "a" => Ok(Self::append()),
            "r+" => Ok(Self::update()),
            "w+" => Ok(Self::update().create().truncate()),
            "a+" => Ok(Self { read: true, ..Self::append() }),
            _ => Err(FileError::Rejected("the mode is none of r, w, a, r+, w+ and a+")),
        }
    }

    /// Sorts out combinations that cannot be: a server's file can be read, replaced or appended to, nothing in between.
    pub(super) fn mode(&self) -> Result<Mode, FileError> {
        match *self {
            Self { append: true, read: true, .. } => {
                Err(FileError::Rejected("a file that is appended to cannot be read"))
            }
            Self { append: true, truncate: true, .. } => {
                Err(FileError::Rejected("a file that is appended to cannot be truncated"))
            }
            Self { truncate: true, write: false, .. } => {
                Err(FileError::Rejected("a file that is only read cannot be truncated"))
            }
            Self { append: true, .. } => Ok(Mode::Append),
            Self { write: true, truncate, .. } => Ok(Mode::Write { truncate }),
            Self { read: true, .. } => Ok(Mode::Read),
            _ => Err(FileError::Rejected("neither reading nor writing was asked for")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        let mode = |text: &str| Options::parse(text).and_then(|options| options.mode());
        assert_eq!(mode("rb").unwrap(), Mode::Read);
        assert_eq!(mode("w").unwrap(), Mode::Write { truncate: true });
        assert_eq!(mode("r+").unwrap(), Mode::Write { truncate: false });
        assert_eq!(mode("w+").unwrap(), Mode::Write { truncate: true });
        assert_eq!(mode("a").unwrap(), Mode::Append);
        for bad in ["a+", "x", ""] {
            assert!(matches!(mode(bad), Err(FileError::Rejected(_))), "{bad}");
        }
    }

    #[test]
    fn combinations_that_cannot_be() {
        for bad in [
            Options::default(),
            Options::read().truncate(),
            Options::append().truncate(),
            Options { read: true, ..Options::append() },
        ] {
            assert!(matches!(bad.mode(), Err(FileError::Rejected(_))), "{bad:?}");
        }
    }
}
