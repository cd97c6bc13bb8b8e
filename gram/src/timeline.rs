//! What a job manager of ours tells a job's owner about the job's life (docs/protocol-extensions.md): where it stands and since
//! when, everything that has happened to it, its files, its credential. As data; [`crate::wire::timeline`] has the message.
//!
//! In JSON names are in kebab-case and times in UTC (RFC 3339). What a later version adds reads as `other` here.

use crate::{GramError, JobState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of the shape of a [`Timeline`].
pub const VERSION: u32 = 1;

/// A job and its life so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// [`VERSION`].
    pub version: u32,
    /// Its contact.
    pub job: String,
    /// When this was told, by the job manager's clock, as all times here.
    pub now: Timestamp,
    /// The state that clients are told.
    #[serde(with = "state_name")]
    pub state: JobState,
    /// Where it really is.
    pub phase: Place,
    /// When the phase ends by itself.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Who asked for it, how, and when.
    pub origin: Origin,
    /// The scheduler's id of it.
    #[serde(default)]
    pub scheduler_id: Option<String>,
    /// What its program ended with.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// Why it failed.
    #[serde(default)]
    pub failure: Option<Trouble>,
    /// The credential that acts for it.
    pub credential: Lease,
    /// Its files that have been moved, or been tried to.
    #[serde(default)]
    pub files: Vec<File>,
    /// Files left out for want of room.
    #[serde(default)]
    pub files_left_out: usize,
    /// Where its output goes when it has ended.
    #[serde(default)]
    pub destinations: Vec<String>,
    /// Who is told of its states.
    #[serde(default)]
    pub contacts: Vec<Contact>,
    /// What has happened, oldest first.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Events between the first ones and the last ones that are not kept any more.
    #[serde(default)]
    pub events_left_out: u32,
}

/// Where a job came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The id in every log line and in the audit.
    pub request: String,
    /// The owner.
    pub identity: String,
    /// The service asked for.
    pub service: String,
    /// The scheduler behind it.
    pub scheduler: String,
    /// Address of the client.
    pub client: String,
    /// When it was accepted.
    pub created: Timestamp,
    /// Whether it wants commits, and so many seconds each.
    #[serde(default)]
    pub two_phase: Option<u32>,
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Waiting for the client's commit.
    Uncommitted,
    /// Its files are being fetched.
    StagingIn,
    /// Being handed to the scheduler.
    Submitting,
    /// The scheduler has it.
    Submitted,
    /// Being ended.
    Cancelling,
    /// Has run; its output is being delivered.
    Delivering,
    /// Has run; its files are being sent.
    StagingOut,
    /// Over and told; waiting for the client's second commit.
    Uncollected,
    /// The second commit did not come in time.
    Parked,
    /// The client has told the job manager to leave it alone.
    Stopped,
    /// Nothing left to do.
    Over,
    /** something a later version knows */
    #[serde(other)]
    Other,
}

/// An error number with what was said about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// GRAM error number.
    pub code: u16,
    /// What went wrong.
    pub text: String,
    /// Which input or output it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The URL or file that could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The URL or file that could not be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
}

impl Trouble {
    /// Without files.
    pub fn new(code: GramError, text: impl Into<String>) -> Self {
        Self { code: code.0, text: text.into(), kind: None, source: None, destination: None }
    }
}

/// The delegated credential of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// When it ends; None: there is none.
    pub until: Option<Timestamp>,
    /// It has ended, or does so soon: nothing is fetched or sent until there is another.
    #[serde(default)]
    pub lapsed: bool,
}

/// One file on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// What of the request asks for it: `executable`, `file_stage_in` …
    pub attribute: String,
    /// Where it comes from; empty: from the job.
    pub from: String,
    /// Where it goes; empty: to the job.
    pub to: String,
    /// How far it is.
    pub stage: FileStage,
    /// Its size, once it is done.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// How long the last attempt took, once it is over, in milliseconds.
    #[serde(default)]
    pub milliseconds: Option<u64>,
    /// Attempts so far.
    pub tries: u32,
    /// When it came to stand there.
    pub since: Timestamp,
    /// Why the latest attempt that failed did.
    #[serde(default)]
    pub trouble: Option<String>,
}

impl File {
    /// Bytes a second of the attempt that brought it.
    pub fn rate(&self) -> Option<u64> {
        let (bytes, milliseconds) = (self.bytes?, self.milliseconds?);
        bytes.saturating_mul(1000).checked_div(milliseconds)
    }
}

/// How far a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileStage {
    /// Being moved.
    Moving,
    /// An attempt has failed, another one follows.
    Waiting,
    /// There.
    Done,
    /// Given up.
    Failed,
    /** something a later version knows */
    #[serde(other)]
    Other,
}

/// A call-back contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The URL.
    pub url: String,
    /// The latest update has not been confirmed.
    pub owed: bool,
}

/// Something that has happened to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When; the first time, when it has happened several times running.
    pub at: Timestamp,
    /// How often running.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub times: u32,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum What {
    /// The job was taken.
    Accepted,
    /// It has come to another place, or its state is another.
    Reached {
        /** where it is now */
        phase: Place,
        /** its state now */
        #[serde(with = "state_name")]
        state: JobState,
    },
    /// The scheduler has it.
    Scheduled {
        /** by this name */
        id: String,
    },
    /// Its program has ended.
    Exited {
        /** with this code */
        code: i32,
    },
    /// Its owner has asked for something.
    Asked {
        /** `cancel`, or a signal's name */
        query: String,
        /** the error number of the refusal, 0 when it was granted */
        #[serde(default, skip_serializing_if = "is_zero")]
        refused: u16,
    },
    /// Something failed that is not what the job failed for.
    Trouble(Box<Trouble>),
    /// A call-back contact has been given up.
    CallbackGivenUp {
        /** which */
        contact: String,
    },
    /// The credential ends, or has ended.
    CredentialEnds,
    /// There is a new credential.
    CredentialRenewed,
    /// A job manager has been started and has found the job in its store.
    Resumed,
    /** something a later version knows */
    #[serde(other)]
    Other,
}

fn once() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_once(times: &u32) -> bool {
    *times == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(code: &u16) -> bool {
    *code == 0
}

/// States by their names.
mod state_name {
    use super::JobState;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(state: &JobState, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(state.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<JobState, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = JobState::ALL.into_iter().find(|state| state.name() == name);
        known.ok_or_else(|| D::Error::custom(format!("{name:?} is not a job state")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_short_line_and_reads_back() {
        let reached = What::Reached { phase: Place::StagingIn, state: JobState::StageIn };
        let events = [
            (What::Accepted, r#"{"at":"1970-01-01T00:00:00Z","what":"accepted"}"#),
            (
                reached,
                r#"{"at":"1970-01-01T00:00:00Z","what":"reached","phase":"staging-in","state":"STAGE_IN"}"#,
            ),
            (
                What::Asked { query: "cancel".into(), refused: 94 },
                r#"{"at":"1970-01-01T00:00:00Z","what":"asked","query":"cancel","refused":94}"#,
            ),
            (
                What::Trouble(Box::new(Trouble::new(GramError(73), "no"))),
                r#"{"at":"1970-01-01T00:00:00Z","what":"trouble","code":73,"text":"no"}"#,
            ),
        ];
        for (what, json) in events {
            let event = Event { at: Timestamp::UNIX_EPOCH, times: 1, what };
            assert_eq!(serde_json::to_string(&event).unwrap(), json);
            assert_eq!(serde_json::from_str::<Event>(json).unwrap(), event);
        }
    }

    #[test]
    fn what_a_later_version_tells_is_other() {
        let text = r#"{"at":"1970-01-01T00:00:00Z","what":"teleported","to":"mars","times":2}"#;
        let event: Event = serde_json::from_str(text).unwrap();
        assert_eq!((event.what, event.times), (What::Other, 2));
        assert_eq!(serde_json::from_str::<Place>("\"mars\"").unwrap(), Place::Other);
        assert!(
            serde_json::from_str::<Event>(
                r#"{"at":"1970-01-01T00:00:00Z","what":"reached","phase":"over","state":"X"}"#
            )
            .is_err()
        );
    }

    #[test]
    fn rates() {
        let mut file = File {
            attribute: "stdin".into(),
            from: String::new(),
            to: String::new(),
            stage: FileStage::Done,
            bytes: Some(3_000_000),
            milliseconds: Some(1500),
            tries: 1,
            since: Timestamp::UNIX_EPOCH,
            trouble: None,
        };
        assert_eq!(file.rate(), Some(2_000_000));
        file.milliseconds = Some(0);
        assert_eq!(file.rate(), None);
    }
}
