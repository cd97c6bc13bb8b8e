//! URLs as GASS reads them (gass.md §1).

/// A parsed URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Url {
    /** https or http */
    Http {
        /** https */
        secure: bool,
        /** host */
        host: String,
        /** port */
        port: u16,
        /** as written, starts with `/` */
        path: String,
    },
    /** file: */
    File(std::path::PathBuf),
    /** x-gass-cache: and its name */
    Cache(String),
}

impl std::str::FromStr for Url {
    type Err = crate::GassError;
    fn from_str(_s: &str) -> Result<Self, Self::Err> {
        todo!()
    }
}
