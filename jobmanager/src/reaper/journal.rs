//! The journal file: lines are appended and never changed. What each means is in `record.rs`.
//!
//! Nothing is synced to disk: the journal must survive the death of processes, which the page cache does. When the
//! machine itself goes down its jobs go too, and the boot id in the first line says so afterwards.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::{record::Record, table::Table};

/// First word of a journal.
const MAGIC: &str = "gridiron-reaper";
/// Version of the format.
const VERSION: &str = "1";
/// Largest journal that is read, in bytes: some million jobs not yet forgotten.
pub const MAX_JOURNAL: u64 = 1024 * 1024 * 1024;
/// A journal is written anew when it is longer than this, in bytes, and four times what it was after the last time.
const COMPACT_ABOVE: u64 = 1024 * 1024;

/// What a journal's bytes say.
#[derive(Debug, Default)]
pub struct Replay {
    /// The jobs.
    pub table: Table,
    /// Boot id of the machine when it was begun; None when the first line is not a journal's.
    pub boot: Option<String>,
    /// Lines that are no records or do not fit those before.
    pub damaged: usize,
}

/// Reads a journal. A last line without its end was being written when the reaper died: it never counted.
/// Other damage costs the damaged lines only.
pub fn replay(bytes: &[u8]) -> Replay {
    let mut replay = Replay::default();
    let lines = bytes.get(..whole_lines(bytes)).unwrap_or_default().split_inclusive(|&byte| byte == b'\n');
    for (number, line) in lines.enumerate() {
        let line = std::str::from_utf8(line).unwrap_or_default().trim_end_matches('\n');
        if number == 0 {
            replay.boot = header_boot(line).map(str::to_owned);
            if replay.boot.is_some() {
                continue;
            }
        }
        let fits = line.parse::<Record>().is_ok_and(|record| replay.table.apply(&record).is_ok());
        replay.damaged += usize::from(!fits);
    }
    replay
}

/// How many bytes the whole lines take up.
fn whole_lines(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1)
}

fn header_boot(line: &str) -> Option<&str> {
    line.strip_prefix(MAGIC)?.strip_prefix(' ')?.strip_prefix(VERSION)?.strip_prefix(' ')
}

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    boot: String,
    /// Bytes written in whole lines.
    length: u64,
    /// Length after the last compaction.
    compacted: u64,
    /// The last append failed and may have left part of its line.
    torn: bool,
    line: String,
}

impl Journal {
    /// Reads the journal at `path`, if there is one, and begins a compacted one in its place. Where the disk is too full for
    /// that, the old one is continued, so that a reaper can be replaced at any time.
    pub fn open(path: &Path, boot: &str) -> io::Result<(Journal, Replay)> {
        let mut bytes = Vec::new();
        match File::open(path) {
            Ok(file) => {
                if file.metadata()?.len() > MAX_JOURNAL {
                    return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the reaper's journal"));
                }
                file.take(MAX_JOURNAL).read_to_end(&mut bytes)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut replay = replay(&bytes);
        if replay.boot.as_deref() != Some(boot) {
            replay.table.rebooted();
        }
        let (file, length) = match write_anew(path, boot, &replay.table) {
            // Records of this boot must not stand behind the name of another.
            Err(error) if replay.boot.as_deref() != Some(boot) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "the journal cannot be written anew, the old one is continued");
                continue_old(path, &bytes)?
            }
            Ok(new) => new,
        };
        let (path, boot) = (path.to_owned(), boot.to_owned());
        let journal =
            Journal { path, file, boot, length, compacted: length, torn: false, line: String::new() };
        Ok((journal, replay))
    }

    /// Appends one record. What an error (disk full) leaves of it in the file is cut off before the next one.
    pub fn append(&mut self, record: &Record) -> io::Result<()> {
        use std::fmt::Write as _;
        self.line.clear();
        let _ = writeln!(self.line, "{record}");
        if self.torn {
            self.file.set_len(self.length)?;
        }
        self.torn = true;
        self.file.write_all(self.line.as_bytes())?;
        self.torn = false;
        self.length += self.line.len() as u64;
        Ok(())
    }

    /// Writes the journal anew when most of it is history.
    pub fn compact_if_long(&mut self, table: &Table) -> io::Result<()> {
        if self.length < COMPACT_ABOVE || self.length / 4 < self.compacted {
            return Ok(());
        }
        self.compact(table)
    }

    /// Writes the journal anew; on error the old one stays in use.
    pub fn compact(&mut self, table: &Table) -> io::Result<()> {
        let (file, length) = write_anew(&self.path, &self.boot, table)?;
        (self.file, self.length, self.compacted, self.torn) = (file, length, length, false);
        Ok(())
    }
}

/// The journal as it is, without a line that was being written.
fn continue_old(path: &Path, bytes: &[u8]) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).open(path)?;
    let length = whole_lines(bytes) as u64;
    file.set_len(length)?;
    Ok((file, length))
}

fn write_anew(path: &Path, boot: &str, table: &Table) -> io::Result<(File, u64)> {
    let new = path.with_extension("new");
    write_to(&new, path, boot, table).inspect_err(|_| {
        // What there is of it only takes room.
        let _ = std::fs::remove_file(&new);
    })
}

fn write_to(new: &Path, path: &Path, boot: &str, table: &Table) -> io::Result<(File, u64)> {
    use std::fmt::Write as _;
    let mut text = format!("{MAGIC} {VERSION} {boot}\n");
    for record in table.records() {
        let _ = writeln!(text, "{record}");
    }
    match std::fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(new)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(new, path)?;
    Ok((file, text.len() as u64))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::{launch::JobKey, reaper::table::Phase, scheduler::Outcome};

    const KEY: JobKey = JobKey { high: 1, low: 2 };

    fn lines() -> Vec<Record> {
        ["intent 1.2 1 -", "started 1.2 0 5 6 5", "exited 1.2 0 exit 3"]
            .map(|line| line.parse().unwrap())
            .into()
    }

    #[test]
    fn a_torn_last_line_never_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, _) = Journal::open(&path, "boot").unwrap();
        lines().iter().for_each(|record| journal.append(record).unwrap());
        let whole = std::fs::read(&path).unwrap();
        // Cut anywhere in the last line, the first two still count.
        let last = whole.len() - "exited 1.2 0 exit 3\n".len();
        for cut in last..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, replay) = Journal::open(&path, "boot").unwrap();
            assert_eq!((replay.damaged, replay.table.jobs[&KEY].phase()), (0, Phase::Running));
            // And what is appended afterwards is a line of its own.
            journal.append(&lines()[2]).unwrap();
            let (_, replay) = Journal::open(&path, "boot").unwrap();
            assert_eq!(replay.table.jobs[&KEY].phase(), Phase::Ended(Outcome::Exited { code: 3 }));
        }
    }

    #[test]
    fn damage_in_the_middle_costs_only_itself() {
        let replay = replay(
            b"gridiron-reaper 1 b\nintent 1.2 1 -\n\xff\0\0garbage\nforgotten 9.9\nstarted 1.2 0 5 6 5\n",
        );
        assert_eq!((replay.damaged, replay.boot.as_deref()), (2, Some("b")));
        assert_eq!(replay.table.jobs[&KEY].phase(), Phase::Running);
    }

    #[test]
    fn another_boot_ends_everything() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, _) = Journal::open(&path, "one").unwrap();
        lines()[..2].iter().for_each(|record| journal.append(record).unwrap());
        let (_, replay) = Journal::open(&path, "two").unwrap();
        assert_eq!(replay.table.jobs[&KEY].phase(), Phase::Ended(Outcome::Lost));
        // The new journal says the same without knowing of the old boot.
        let (_, replay) = Journal::open(&path, "two").unwrap();
        assert_eq!(replay.table.jobs[&KEY].phase(), Phase::Ended(Outcome::Lost));
    }

    #[test]
    fn a_full_disk_leaves_whole_lines() {
        // /dev/full cannot be truncated, so the error path is seen on a file that may not grow.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, _) = Journal::open(&path, "boot").unwrap();
        journal.append(&lines()[0]).unwrap();
        let good = std::mem::replace(&mut journal.file, OpenOptions::new().read(true).open(&path).unwrap());
        assert!(journal.append(&lines()[1]).is_err());
        journal.file = good;
        journal.append(&lines()[1]).unwrap();
        assert_eq!(replay(&std::fs::read(&path).unwrap()).table.jobs[&KEY].phase(), Phase::Running);
    }

    #[test]
    fn where_a_new_journal_cannot_be_written_the_old_one_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, _) = Journal::open(&path, "boot").unwrap();
        lines()[..2].iter().for_each(|record| journal.append(record).unwrap());
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend(b"exited 1.2 0 ex");
        std::fs::write(&path, torn).unwrap();
        // A folder in the new one's place stands for the full disk.
        std::fs::create_dir(path.with_extension("new")).unwrap();
        let (mut journal, replay) = Journal::open(&path, "boot").unwrap();
        assert_eq!(replay.table.jobs[&KEY].phase(), Phase::Running);
        journal.append(&lines()[2]).unwrap();
        let replay = super::replay(&std::fs::read(&path).unwrap());
        assert_eq!(
            (replay.damaged, replay.table.jobs[&KEY].phase()),
            (0, Phase::Ended(Outcome::Exited { code: 3 }))
        );
        assert!(Journal::open(&path, "another boot").is_err());
    }

    #[test]
    fn a_long_journal_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, _) = Journal::open(&path, "boot").unwrap();
        let mut table = Table::default();
        for _ in 0..20_000 {
            for record in lines().into_iter().chain([Record::Forgotten(KEY)]) {
                journal.append(&record).unwrap();
                table.apply(&record).unwrap();
            }
            journal.compact_if_long(&table).unwrap();
        }
        assert!(std::fs::metadata(&path).unwrap().len() < COMPACT_ABOVE + 100);
    }

    proptest! {
        #[test]
        fn any_bytes_are_some_journal(bytes in vec(any::<u8>(), 0..300)) {
            replay(&bytes);
        }
    }
}
