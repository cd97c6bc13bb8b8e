//! The attributes of a job (rsl.md §8, §10): names, types, when valid, and the GRAM error number of each mistake.
//!
//! [`check()`] judges a whole request as the validation files of a stock job manager would. The readers ([`text`],
//! [`integer`], [`list`] …) then take the value out of one relation, and fail with that attribute's own number.

mod check;
mod read;
mod table;

pub use check::check;
pub use read::{Destination, Pair, destinations, flag, integer, list, pairs, text};
pub use table::{Attribute, Kind, find, known};

use crate::Place;

/// The kind of request an attribute may stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// A new job.
    Submit,
    /// Taking over a job.
    Restart,
    /// Signal 7: new destinations for the output of a running job.
    StdioUpdate,
}

impl Request {
    /// GRAM error number of an attribute that has no place in this kind of request. Stock job managers answer 48
    /// ([`BAD_RSL`]) in place of the last one.
    fn misplaced_code(self) -> u16 {
        match self {
            Self::Submit => 138,
            Self::Restart => 140,
            Self::StdioUpdate => 139,
        }
    }

    /// For messages: "valid in …".
    fn describe(self) -> &'static str {
        match self {
            Self::Submit => "a new job",
            Self::Restart => "the restart of a job",
            Self::StdioUpdate => "an update of a job's output",
        }
    }
}

/// A request that breaks a rule, with the number the GRAM peer gets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Violation {
    /// GRAM error number.
    pub code: u16,
    /// Canonical attribute name; empty when the request as a whole is wrong.
    pub attribute: String,
    /// Names the thing, says what would be right.
    pub message: String,
    /// Of the attribute, where there is one.
    pub place: Place,
}

impl Violation {
    /// The message, and the line of the text it is about; `source` is what the request was parsed from.
    pub fn underline(&self, source: &[u8]) -> String {
        self.place.underline(source, &self.message)
    }
}

/// GRAM error number of a request whose shape is not a job's: syntax errors, other booleans than `&`, other operators
/// than `=`.
pub const BAD_RSL: u16 = 48;
/// GRAM error number of an attribute the service does not know.
pub const UNKNOWN_ATTRIBUTE: u16 = 1;
