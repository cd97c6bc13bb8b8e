//! The files of a job besides its program and its streams: what the request says of them, and how far each file has come on its
//! way. Most jobs have none of either, so a job holds both behind an option.

use crate::octets::Octets;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a request says of files beyond executable, stdin, stdout and stderr (rsl.md §8). Paths are as written; relative ones are
/// below the job's working directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Staging {
    /// `file_stage_in`: URL → path, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stage_in: Vec<FilePair>,
    /// `file_stage_in_shared`: URL → path of a link to the cached file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stage_in_shared: Vec<FilePair>,
    /// `file_stage_out`: path → URL.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stage_out: Vec<FilePair>,
    /// `file_clean_up`: removed when the job is over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clean_up: Vec<Octets>,
    /// The job's own scratch directory, absolute. Its name is chosen and stored before it is made, so that it is always found again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scratch: Option<Octets>,
}

/// One entry of a staging list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePair {
    /// First element.
    pub from: Octets,
    /// Second element.
    pub to: Octets,
}

/// Which of a job's files; numbers count the entries of a list from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FileRole {
    /** `executable` */
    Executable,
    /** `stdin` */
    Stdin,
    /** an entry of `file_stage_in` */
    StageIn(u16),
    /** an entry of `file_stage_in_shared` */
    StageInShared(u16),
    /** a destination of `stderr` */
    Stderr(u16),
    /** a destination of `stdout` */
    Stdout(u16),
    /** an entry of `file_stage_out` */
    StageOut(u16),
}

impl FileRole {
    /// The attribute that asks for it.
    pub fn attribute(self) -> &'static str {
        match self {
            Self::Executable => "executable",
            Self::Stdin => "stdin",
            Self::StageIn(_) => "file_stage_in",
            Self::StageInShared(_) => "file_stage_in_shared",
            Self::Stderr(_) => "stderr",
            Self::Stdout(_) => "stdout",
            Self::StageOut(_) => "file_stage_out",
        }
    }

    /// Which entry of its list; 0 for what is no list.
    pub fn number(self) -> u16 {
        match self {
            Self::Executable | Self::Stdin => 0,
            Self::StageIn(number)
            | Self::StageInShared(number)
            | Self::Stderr(number)
            | Self::Stdout(number)
            | Self::StageOut(number) => number,
        }
    }

    /// It is moved before the job starts.
    pub fn is_input(self) -> bool {
        matches!(self, Self::Executable | Self::Stdin | Self::StageIn(_) | Self::StageInShared(_))
    }
}

/// How far a job's files are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Each file that has been tried, in the order of first attempts.
    pub files: Vec<FileProgress>,
    /// `file_clean_up` and the scratch directory have been dealt with, and must not be again: the user may have new files of the
    /// same names.
    pub cleaned: bool,
}

/// How far one file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileProgress {
    /// Which.
    pub role: FileRole,
    /// Where it stands.
    pub stage: FileStage,
    /// Attempts so far, the present one included.
    pub attempts: u32,
    /// When it came to stand there.
    pub since: Timestamp,
    /// How long the latest attempt took, once it is over, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<u64>,
    /// Why the latest attempt that failed did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// Where a file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileStage {
    /// Being moved.
    Moving,
    /// An attempt has failed; another one follows.
    Waiting,
    /// There, whole.
    Done {
        /** its size */
        bytes: u64,
    },
    /// Given up.
    Failed,
}

impl Progress {
    /// Notes where a file stands now.
    pub fn note(&mut self, file: FileProgress) {
        match self.files.iter_mut().find(|known| known.role == file.role) {
            // Why it had to be tried again stays known.
            Some(known) => {
                let attempt = file.since.duration_since(known.since).as_millis();
                let took = (known.stage == FileStage::Moving && file.stage != FileStage::Moving)
                    .then(|| u64::try_from(attempt).unwrap_or_default());
                let trouble = file.trouble.or(known.trouble.take());
                *known = FileProgress { trouble, took: took.or(known.took), ..file };
            }
            None => self.files.push(file),
        }
    }

    /// The file is where it should be.
    pub fn is_done(&self, role: FileRole) -> bool {
        self.files.iter().any(|file| file.role == role && matches!(file.stage, FileStage::Done { .. }))
    }

    /// Forgets files that have to be moved once more, as they are to go elsewhere now.
    pub fn forget(&mut self, concerned: impl Fn(FileRole) -> bool) {
        self.files.retain(|file| !concerned(file.role));
    }

    /// Forgets files that had been moved: what was only in the machine's memory is gone when it lost power.
    pub fn forget_files(&mut self) {
        self.files.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(role: FileRole, stage: FileStage, trouble: Option<&str>) -> FileProgress {
        FileProgress {
            role,
            stage,
            attempts: 1,
            since: Timestamp::UNIX_EPOCH,
            took: None,
            trouble: trouble.map(Into::into),
        }
    }

    #[test]
    fn one_record_a_file_with_its_last_trouble() {
        let mut progress = Progress::default();
        progress.note(file(FileRole::StageIn(0), FileStage::Waiting, Some("refused")));
        progress.note(file(FileRole::StageIn(1), FileStage::Moving, None));
        progress.note(file(FileRole::StageIn(0), FileStage::Done { bytes: 3 }, None));
        assert_eq!(progress.files.len(), 2);
        assert_eq!(progress.files[0].trouble.as_deref(), Some("refused"));
        assert!(progress.is_done(FileRole::StageIn(0)) && !progress.is_done(FileRole::StageIn(1)));
    }

    #[test]
    fn how_long_an_attempt_took() {
        let at = |millisecond, stage| FileProgress {
            since: Timestamp::from_millisecond(millisecond).unwrap(),
            ..file(FileRole::Stdin, stage, None)
        };
        let mut progress = Progress::default();
        progress.note(at(1000, FileStage::Moving));
        assert_eq!(progress.files[0].took, None);
        progress.note(at(1200, FileStage::Waiting));
        progress.note(at(9000, FileStage::Moving));
        assert_eq!(progress.files[0].took, Some(200), "that of the attempt before");
        progress.note(at(9700, FileStage::Done { bytes: 1 }));
        assert_eq!(progress.files[0].took, Some(700));
    }

    #[test]
    fn the_record_of_a_file_is_small() {
        let done =
            serde_json::to_string(&file(FileRole::StageOut(7), FileStage::Done { bytes: 1 << 30 }, None))
                .unwrap();
        assert!(done.len() < 120, "{} bytes: {done}", done.len());
    }
}
