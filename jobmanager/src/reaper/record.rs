//! One line of the journal: what happened to a job, as text. No I/O here.
//!
//! ```text
//! gridiron-reaper 1 5d1b1c6e-…             first line: version and boot id
//! anchor 411 99120 412                     a reaper began: its anchor's pid and start time, its own pid
//! intent 7.9 2 3600                        job 7.9, two processes, an hour ("-": no limit)
//! started 7.9 0 413 99133 413              rank 0 is pid 413, started at tick 99133, in process group 413
//! exited 7.9 0 exit 3                      or "signal 9", or "unknown"
//! ending 7.9 limit                         told to end: "cancel", or "limit" (wall time)
//! suspended 7.9 · resumed 7.9              stopped and continued
//! lost 7.9                                 ranks not started above may have run, and nobody can know
//! dropped 7.9                              never started
//! forgotten 7.9                            the job manager needs it no more
//! ```

use std::{fmt, str::FromStr, time::Duration};

use crate::launch::JobKey;

/// A process, told apart from a later one of the same pid by when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProcessId {
    /// Never 0.
    pub pid: u32,
    /// Clock ticks after boot, field 22 of `/proc/PID/stat`.
    pub start: u64,
}

/// How one process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /** by itself, with this code */
    Exited(u8),
    /** by this signal */
    Signaled(u8),
    /** ended where nobody could see it */
    Unknown,
}

/// Why a job was told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /** the job manager asked */
    Cancel,
    /** its wall time was up */
    Limit,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A reaper began its work.
    Anchor {
        /** parent of the reaper and heir of its jobs */
        anchor: ProcessId,
        /** the reaper */
        reaper: u32,
    },
    /// A job is about to be started.
    Intent {
        /** which */
        key: JobKey,
        /** how many ranks it has */
        processes: u32,
        /** wall time */
        limit: Option<Duration>,
    },
    /// The next rank has been started.
    Started {
        /** which job */
        key: JobKey,
        /** position; ranks are started in order */
        rank: u32,
        /** the process */
        process: ProcessId,
        /** its process group */
        group: u32,
    },
    /// A rank has ended.
    Exited {
        /** which job */
        key: JobKey,
        /** which rank */
        rank: u32,
        /** how */
        status: ExitStatus,
    },
    /// The job has been told to end.
    Ending(JobKey, Ending),
    /// The job has been stopped.
    Suspended(JobKey),
    /// The job has been continued.
    Resumed(JobKey),
    /// What became of the ranks not started cannot be known.
    Lost(JobKey),
    /// Nothing of the job runs or has run to its end.
    Dropped(JobKey),
    /// The end is on the job manager's own disk.
    Forgotten(JobKey),
}

/// A line that is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a journal record")]
pub struct RecordError;

impl fmt::Display for Record {
    /// The line without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Record::Anchor { anchor, reaper } => {
                write!(f, "anchor {} {} {reaper}", anchor.pid, anchor.start)
            }
            Record::Intent { key, processes, limit: Some(limit) } => {
                write!(f, "intent {key} {processes} {}", limit.as_secs())
            }
            Record::Intent { key, processes, limit: None } => write!(f, "intent {key} {processes} -"),
            Record::Started { key, rank, process, group } => {
                write!(f, "started {key} {rank} {} {} {group}", process.pid, process.start)
            }
            Record::Exited { key, rank, status } => match status {
                ExitStatus::Exited(code) => write!(f, "exited {key} {rank} exit {code}"),
                ExitStatus::Signaled(signal) => write!(f, "exited {key} {rank} signal {signal}"),
                ExitStatus::Unknown => write!(f, "exited {key} {rank} unknown"),
            },
            Record::Ending(key, Ending::Cancel) => write!(f, "ending {key} cancel"),
            Record::Ending(key, Ending::Limit) => write!(f, "ending {key} limit"),
            Record::Suspended(key) => write!(f, "suspended {key}"),
            Record::Resumed(key) => write!(f, "resumed {key}"),
            Record::Lost(key) => write!(f, "lost {key}"),
            Record::Dropped(key) => write!(f, "dropped {key}"),
            Record::Forgotten(key) => write!(f, "forgotten {key}"),
        }
    }
}

impl FromStr for Record {
    type Err = RecordError;

    fn from_str(line: &str) -> Result<Record, RecordError> {
        let mut words = Words(line.split(' '));
        let record = match words.text()? {
            "anchor" => Record::Anchor { anchor: words.process()?, reaper: words.pid()? },
            "intent" => Record::Intent {
                key: words.key()?,
                processes: words.number()?,
                limit: match words.text()? {
                    "-" => None,
                    seconds => Some(Duration::from_secs(seconds.parse().map_err(|_| RecordError)?)),
                },
            },
            "started" => Record::Started {
                key: words.key()?,
                rank: words.number()?,
                process: words.process()?,
                group: words.pid()?,
            },
            "exited" => Record::Exited {
                key: words.key()?,
                rank: words.number()?,
                status: match words.text()? {
                    "exit" => ExitStatus::Exited(words.number()?),
                    "signal" => ExitStatus::Signaled(words.number()?),
                    "unknown" => ExitStatus::Unknown,
                    _ => return Err(RecordError),
                },
            },
            "ending" => {
                let key = words.key()?;
                match words.text()? {
                    "cancel" => Record::Ending(key, Ending::Cancel),
                    "limit" => Record::Ending(key, Ending::Limit),
                    _ => return Err(RecordError),
                }
            }
            "suspended" => Record::Suspended(words.key()?),
            "resumed" => Record::Resumed(words.key()?),
            "lost" => Record::Lost(words.key()?),
            "dropped" => Record::Dropped(words.key()?),
            "forgotten" => Record::Forgotten(words.key()?),
            _ => return Err(RecordError),
        };
        if words.0.next().is_some() { Err(RecordError) } else { Ok(record) }
    }
}

struct Words<'a>(std::str::Split<'a, char>);

impl<'a> Words<'a> {
    fn text(&mut self) -> Result<&'a str, RecordError> {
        self.0.next().ok_or(RecordError)
    }

    fn number<T: FromStr>(&mut self) -> Result<T, RecordError> {
        self.text()?.parse().map_err(|_| RecordError)
    }

    fn pid(&mut self) -> Result<u32, RecordError> {
        let pid = self.number()?;
        if pid == 0 { Err(RecordError) } else { Ok(pid) }
    }

    fn process(&mut self) -> Result<ProcessId, RecordError> {
        Ok(ProcessId { pid: self.pid()?, start: self.number()? })
    }

    fn key(&mut self) -> Result<JobKey, RecordError> {
        let (high, low) = self.text()?.split_once('.').ok_or(RecordError)?;
        Ok(JobKey {
            high: high.parse().map_err(|_| RecordError)?,
            low: low.parse().map_err(|_| RecordError)?,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::{option, prelude::*};

    use super::*;

    pub(crate) fn record() -> impl Strategy<Value = Record> {
        let key = || (0..4u64, 0..4u64).prop_map(|(high, low)| JobKey { high, low });
        let process = || (1..u32::MAX, any::<u64>()).prop_map(|(pid, start)| ProcessId { pid, start });
        let status = prop_oneof![
            any::<u8>().prop_map(ExitStatus::Exited),
            any::<u8>().prop_map(ExitStatus::Signaled),
            Just(ExitStatus::Unknown)
        ];
        prop_oneof![
            (process(), 1..u32::MAX).prop_map(|(anchor, reaper)| Record::Anchor { anchor, reaper }),
            (key(), 0..5u32, option::of(any::<u64>().prop_map(Duration::from_secs)))
                .prop_map(|(key, processes, limit)| Record::Intent { key, processes, limit }),
            (key(), 0..5u32, process(), 1..u32::MAX)
                .prop_map(|(key, rank, process, group)| Record::Started { key, rank, process, group }),
            (key(), 0..5u32, status).prop_map(|(key, rank, status)| Record::Exited { key, rank, status }),
            key().prop_map(|key| Record::Ending(key, Ending::Cancel)),
            key().prop_map(|key| Record::Ending(key, Ending::Limit)),
            key().prop_map(Record::Suspended),
            key().prop_map(Record::Resumed),
            key().prop_map(Record::Lost),
            key().prop_map(Record::Dropped),
            key().prop_map(Record::Forgotten),
        ]
    }

    proptest! {
        #[test]
        fn a_record_survives(record in record()) {
            prop_assert_eq!(record.to_string().parse::<Record>(), Ok(record));
        }

        #[test]
        fn any_text_is_a_record_or_an_error(line in "[a-z0-9 .-]{0,40}|\\PC*") {
            if let Ok(record) = line.parse::<Record>() {
                prop_assert_eq!(record.to_string().parse::<Record>(), Ok(record));
            }
        }
    }

    #[test]
    fn pid_zero_means_everybody_and_is_refused() {
        for line in ["started 1.2 0 0 5 5", "started 1.2 0 5 5 0", "anchor 0 1 1", "anchor 1 1 0"] {
            assert_eq!(line.parse::<Record>(), Err(RecordError), "{line}");
        }
    }
}
