//! How far the output of a job has got to one destination, what that means for the next step, and the form in which it
//! survives a restart of the manager. Pure: values in, values out.
//!
//! What a broken connection leaves in doubt decides everything here, because no GASS server says how much of an append has
//! arrived before it has all arrived:
//!
//! * A **file** can be written again as a whole, which puts an end to any doubt. So its position is only believed when the
//!   server has confirmed it, and an append that broke is followed by a PUT of everything.
//! * A **sink** (`/dev/stdout`, `/dev/stderr` of the receiver) takes nothing back. What has been handed to the network
//!   counts as there, so its position is recorded *before* each block: nothing is ever sent to it twice.

use gass::Url;

/// While the job runs, a file in doubt is written again at once only when it is not longer than this, in bytes; a longer
/// one is written when the job has ended.
pub const MAX_REPEATED: u64 = 4 * 1024 * 1024;
/// Longest record of a position, in bytes.
pub const MAX_RECORD: usize = 16 * 1024;
/// What a record begins with: name and version of the format.
const MARK: &str = "gridiron-position-1";

/// What a destination does with data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /** keeps it under a name, and can replace it */
    File,
    /** shows it: nothing can be taken back */
    Sink,
}

impl Kind {
    /// Of an https or http URL (gass.md §1, reserved paths).
    pub fn of(url: &Url) -> Self {
        match url {
            Url::Http { path, .. } if path == "/dev/stdout" || path == "/dev/stderr" => Self::Sink,
            _ => Self::File,
        }
    }
}

/// What is known of the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing has been sent.
    Untouched,
    /// The server has confirmed the position.
    Sure,
    /// Something was under way when the position was written.
    Open,
    /// The server does not append: all that is left goes there in one PUT, when the job has ended.
    Whole,
}

impl Standing {
    const ALL: [(Self, &'static str); 4] =
        [(Self::Untouched, "untouched"), (Self::Sure, "sure"), (Self::Open, "open"), (Self::Whole, "whole")];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(standing, _)| *standing == self).map_or("open", |(_, word)| word)
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(standing, _)| *standing)
    }
}

/// How far one destination has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Bytes that are there. A file that is not [`Standing::Sure`] has an unknown number.
    pub sent: u64,
    /// How well that is known.
    pub standing: Standing,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing until the file grows or the job ends.
    Wait,
    /// Write everything there is so far as a whole (PUT).
    Replace,
    /// Append what comes after the position; at the end perhaps nothing, only to have it confirmed.
    Append,
    /// Everything is there.
    Done,
}

impl Position {
    /// Of a destination that has never been written to.
    pub const START: Self = Self { sent: 0, standing: Standing::Untouched };

    /// The next step for `length` bytes of output, `over` when no more will come.
    pub fn next(self, kind: Kind, length: u64, over: bool) -> Step {
        match kind {
            Kind::File => self.next_of_file(length, over),
            Kind::Sink => self.next_of_sink(length, over),
        }
    }

    fn next_of_file(self, length: u64, over: bool) -> Step {
        let waiting = |step| if over { step } else { Step::Wait };
        match self.standing {
            Standing::Sure if self.sent == length => waiting(Step::Done),
            Standing::Sure if self.sent < length => Step::Append,
            // An empty file is written too, when it is sure to stay empty.
            Standing::Untouched if length == 0 => waiting(Step::Replace),
            Standing::Untouched => Step::Replace,
            // In doubt, or shorter than what is there: the job has truncated its own output.
            Standing::Sure | Standing::Open if length <= MAX_REPEATED => Step::Replace,
            Standing::Sure | Standing::Open | Standing::Whole => waiting(Step::Replace),
        }
    }

    fn next_of_sink(self, length: u64, over: bool) -> Step {
        match self.standing {
            Standing::Whole if !over => Step::Wait,
            Standing::Whole if self.sent == 0 => {
                if length == 0 {
                    Step::Done
                } else {
                    Step::Replace
                }
            }
            _ if self.sent < length => Step::Append,
            _ if !over => Step::Wait,
            // Showing nothing changes nothing, and would cost a connection.
            Standing::Untouched | Standing::Sure => Step::Done,
            Standing::Open | Standing::Whole => Step::Append,
        }
    }

    /// The record: always equally long for one URL, so that it can be written over itself in one go.
    pub fn encode(self, url: &str) -> String {
        format!("{MARK} {:<9} {:020} {url}\n", self.standing.word(), self.sent)
    }

    /// Reads a record. One of another URL says nothing about this one, and one that is no record leaves open what has been
    /// sent; so does one that does not exist, if that is given as empty.
    pub fn decode(record: &[u8], url: &str) -> Self {
        if record.is_empty() {
            return Self::START;
        }
        match read(record) {
            Some((position, named)) if named == url => position,
            Some(_) => Self::START,
            None => Self { sent: 0, standing: Standing::Open },
        }
    }
}

/// The position of a record and the URL it is about.
fn read(record: &[u8]) -> Option<(Position, &str)> {
    let line = Some(record).filter(|record| record.len() <= MAX_RECORD)?.strip_suffix(b"\n")?;
    let rest = std::str::from_utf8(line).ok()?.strip_prefix(MARK)?.strip_prefix(' ')?;
    let (standing, rest) = rest.split_once(' ')?;
    let (sent, url) = rest.trim_start().split_once(' ')?;
    Some((Position { sent: sent.parse().ok()?, standing: Standing::from_word(standing)? }, url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const URL: &str = "https://vm:1/dev/stdout";

    fn at(sent: u64, standing: Standing) -> Position {
        Position { sent, standing }
    }

    #[test]
    fn sinks_are_those_of_the_receiver() {
        for (url, kind) in [
            (URL, Kind::Sink),
            ("http://vm/dev/stderr", Kind::Sink),
            ("https://vm:1/dev/stdout2", Kind::File),
            ("https://vm:1/home/a/out", Kind::File),
        ] {
            assert_eq!(Kind::of(&url.parse().unwrap()), kind, "{url}");
        }
    }

    #[test]
    fn a_file_is_first_replaced_then_appended_to() {
        let next = |position: Position, length, over| position.next(Kind::File, length, over);
        assert_eq!(next(Position::START, 0, false), Step::Wait);
        assert_eq!(next(Position::START, 5, false), Step::Replace);
        assert_eq!(next(Position::START, 0, true), Step::Replace);
        assert_eq!(next(at(5, Standing::Sure), 5, false), Step::Wait);
        assert_eq!(next(at(5, Standing::Sure), 9, false), Step::Append);
        assert_eq!(next(at(9, Standing::Sure), 9, true), Step::Done);
        // The job has truncated its output.
        assert_eq!(next(at(9, Standing::Sure), 3, false), Step::Replace);
    }

    #[test]
    fn a_file_in_doubt_is_replaced() {
        let next = |position: Position, length, over| position.next(Kind::File, length, over);
        assert_eq!(next(at(5, Standing::Open), 9, false), Step::Replace);
        assert_eq!(next(at(5, Standing::Open), MAX_REPEATED + 1, false), Step::Wait);
        assert_eq!(next(at(5, Standing::Open), MAX_REPEATED + 1, true), Step::Replace);
        assert_eq!(next(at(9, Standing::Open), 9, true), Step::Replace);
        assert_eq!(next(at(0, Standing::Whole), 9, false), Step::Wait);
        assert_eq!(next(at(0, Standing::Whole), 9, true), Step::Replace);
    }

    #[test]
    fn a_sink_gets_every_byte_at_most_once() {
        let next = |position: Position, length, over| position.next(Kind::Sink, length, over);
        assert_eq!(next(Position::START, 0, true), Step::Done);
        assert_eq!(next(Position::START, 4, false), Step::Append);
        assert_eq!(next(at(4, Standing::Open), 4, false), Step::Wait);
        // Nothing is left to send, but nobody has confirmed that it was taken.
        assert_eq!(next(at(4, Standing::Open), 4, true), Step::Append);
        assert_eq!(next(at(4, Standing::Sure), 4, true), Step::Done);
        assert_eq!(next(at(0, Standing::Whole), 4, true), Step::Replace);
        assert_eq!(next(at(2, Standing::Whole), 4, true), Step::Append);
        assert_eq!(next(at(9, Standing::Open), 4, false), Step::Wait);
    }

    #[test]
    fn what_is_no_record_leaves_it_open() {
        let unknown = at(0, Standing::Open);
        let whole = at(77, Standing::Sure).encode(URL);
        let torn: String = whole.chars().take(30).collect();
        assert_eq!(Position::decode(b"", URL), Position::START);
        for wrong in ["\n", "gridiron-position-2 sure 1 x\n", "gridiron-position-1 sure\n", &torn, "\0\0\0"] {
            assert_eq!(Position::decode(wrong.as_bytes(), URL), unknown, "{wrong:?}");
        }
        // After STDIO_UPDATE the new destination has got nothing yet.
        assert_eq!(Position::decode(whole.as_bytes(), "https://vm:2/"), Position::START);
        let long = at(7, Standing::Sure).encode(&"x".repeat(MAX_RECORD));
        assert_eq!(Position::decode(long.as_bytes(), &"x".repeat(MAX_RECORD)), unknown);
    }

    proptest! {
        #[test]
        fn records_read_back(sent: u64, which in 0usize..4, url in "https://[a-z]{1,9}:1/[ -~]{0,30}") {
            let position = at(sent, Standing::ALL[which].0);
            let record = position.encode(&url);
            prop_assert_eq!(record.len(), Position::START.encode(&url).len());
            prop_assert_eq!(Position::decode(record.as_bytes(), &url), position);
        }

        #[test]
        fn never_panics(bytes: Vec<u8>, text in "gridiron-position-1 [ -~]{0,60}\n") {
            Position::decode(&bytes, URL);
            Position::decode(text.as_bytes(), URL);
        }

        /// Whatever is known, the end is reached: done, or a step that leads there.
        #[test]
        fn nothing_waits_when_the_job_is_over(sent in 0u64..20, which in 0usize..4, length in 0u64..20, file: bool) {
            let kind = if file { Kind::File } else { Kind::Sink };
            prop_assert_ne!(at(sent, Standing::ALL[which].0).next(kind, length, true), Step::Wait);
        }
    }
}
