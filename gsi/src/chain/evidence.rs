//! What a chain check went by: which file, and which line of it, let a certificate pass.

use super::ChainError;
use crate::Subject;
use jiff::Timestamp;
use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that spoke for a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// The CA at its end is trusted, for lying in this file.
    Root {
        /// The CA.
        subject: Subject,
        /// Its certificate.
        path: PathBuf,
    },
    /// A signing policy lets a CA sign this name.
    Policy {
        /// The name.
        subject: Subject,
        /// The policy.
        path: PathBuf,
        /// The line of the right that grants it.
        line: usize,
    },
    /// A revocation list that is in force does not list the certificate.
    NotRevoked {
        /// Subject of the certificate.
        subject: Subject,
        /// The list.
        path: PathBuf,
        /// When the next one is due.
        next_update: Option<Timestamp>,
    },
    /// Its CA has no revocation list here, so nothing could be revoked.
    NoList {
        /// Subject of the certificate.
        subject: Subject,
        /// Its CA.
        authority: Subject,
    },
    /// Something that a stricter site would refuse.
    Tolerated(ChainError),
}

impl Evidence {
    /// The file, and the line of it where one decided.
    pub fn place(&self) -> Option<(&Path, Option<usize>)> {
        match self {
            Self::Root { path, .. } | Self::NotRevoked { path, .. } => Some((path, None)),
            Self::Policy { path, line, .. } => Some((path, Some(*line))),
            Self::NoList { .. } => None,
            Self::Tolerated(error) => error.place(),
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root { subject, .. } => write!(f, "the CA {subject} is trusted"),
            Self::Policy { subject, .. } => write!(f, "its signing policy allows {subject}"),
            Self::NotRevoked { subject, next_update: Some(next), .. } => {
                write!(f, "{subject} is not revoked (list in force until {next})")
            }
            Self::NotRevoked { subject, next_update: None, .. } => write!(f, "{subject} is not revoked"),
            Self::NoList { subject, authority } => {
                write!(f, "{subject}: {authority} has no revocation list here")
            }
            Self::Tolerated(error) => write!(f, "tolerated by this site: {error}"),
        }
    }
}
