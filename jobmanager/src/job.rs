//! A job: what was asked for, where it stands, whom to tell. This record is what the store keeps.

mod files;

pub use files::{FilePair, FileProgress, FileRole, FileStage, Progress, Staging};

use crate::{
    launch::{JobKey, JobType},
    octets::Octets,
    scheduler::SchedulerId,
    timeline::Timeline,
};
use gram::{GramError, JobState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One job of this account, from the request to the moment it is forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The two numbers of its contact.
    pub key: JobKey,
    /// The contact as the client was told it. After a restart of the manager the port may differ, the path never does.
    pub contact: String,
    /// Who asked, and how.
    pub origin: Origin,
    /// What is to be done.
    pub spec: JobSpec,
    /// Where the job stands in the state machine.
    pub phase: Phase,
    /// The state a client is told.
    #[serde(with = "state_number")]
    pub state: JobState,
    /// Why the job failed; set at the latest when `state` becomes FAILED.
    pub failure: Option<Failure>,
    /// Exit code, once it is known.
    pub exit_code: Option<i32>,
    /// The scheduler's id, once it has the job.
    pub scheduler_id: Option<SchedulerId>,
    /// Registered call-back contacts, in order of registration.
    pub contacts: Vec<Registration>,
    /// How many updates the contacts have been sent so far; numbers the next one.
    pub updates: u32,
    /// What has happened to it.
    #[serde(default, skip_serializing_if = "Timeline::is_empty")]
    pub timeline: Timeline,
    /// The owner's credential ends soon or has ended (gram.md §13): the contacts have been told so, and no file is moved until
    /// there is another. The job itself runs on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lapsed: bool,
    /// Streams that were given other destinations when the job had been started: where the job itself writes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirected: Option<Box<Redirected>>,
    /// How far its files are; None before the first is moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Box<Progress>>,
    /// The tag of its cache entries, once that is no longer the contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_tag: Option<Box<str>>,
}

/// What the job was started with, for each stream whose destination has changed since.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirected {
    /// Standard output; None: as it is in the request.
    pub stdout: Option<Output>,
    /// Standard error.
    pub stderr: Option<Output>,
}

/// Where a job came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// One id from connection to job to scheduler, in every log line.
    pub request_id: String,
    /// The owner: identity in one-line form. Only this identity may query or control the job.
    pub identity: String,
    /// Service as asked for (`jobmanager-fork`).
    pub service: String,
    /// Scheduler adapter (`fork`).
    pub scheduler: String,
    /// Peer address of the gatekeeper's connection.
    pub client_address: String,
    /// The request in canonical form, names canonicalised.
    pub rsl: Octets,
    /// When it was accepted.
    pub created: Timestamp,
}

/// A job request, checked and typed: the result of `request.rs`. Paths are absolute unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Program.
    pub executable: Input,
    /// argv[1…].
    pub arguments: Vec<Octets>,
    /// The user's own pairs, in order; the last of duplicates wins.
    pub environment: Vec<(Octets, Octets)>,
    /// Entries for LD_LIBRARY_PATH.
    pub library_path: Vec<Octets>,
    /// Working directory.
    pub directory: Octets,
    /// Standard input.
    pub stdin: Input,
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
    /// Number of processes, at least 1.
    pub count: u32,
    /// What `count` means.
    pub job_type: JobType,
    /// Minutes; None: no limit.
    pub max_wall_time: Option<u32>,
    /// Seconds to wait for each commit; None: no two-phase commit.
    pub two_phase: Option<u32>,
    /// Seconds a finished, uncommitted two-phase job is kept.
    pub expiration: u32,
    /// GASS cache directory.
    pub gass_cache: Octets,
    /// Goes to a file whose path the job gets as GLOBUS_REMOTE_IO_URL.
    pub remote_io_url: Option<String>,
    /// Only check, run nothing.
    pub dry_run: bool,
    /// Write down what the scheduler gets, for the user to read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub save_description: bool,
    /// Files beyond the above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staging: Option<Box<Staging>>,
}

/// Where a file that the job reads comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// A file that is there already.
    File(Octets),
    /// Fetched into the GASS cache before the job starts.
    Url(String),
}

/// Where an output stream goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// The job writes there itself.
    File(Octets),
    /// The job writes into an entry of the GASS cache.
    Cache(CacheEntry),
    /// Written to the job directory and sent to each of these when the job has ended.
    Deliver(Vec<Destination>),
}

/// An entry of the GASS cache (gass.md §8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheEntry {
    /// `x-gass-cache://…`, the entry's name.
    pub url: String,
    /// None: the job's contact, which means that the entry goes with the job.
    pub tag: Option<String>,
}

/// One receiver of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Destination {
    /// https, http or file URL.
    Url(String),
    /// A local file.
    File(Octets),
    /// The GASS cache.
    Cache(CacheEntry),
}

impl std::fmt::Display for Destination {
    /// The path, or the URL without its tag.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url),
            Self::File(path) => f.write_str(&path.lossy()),
            Self::Cache(entry) => f.write_str(&entry.url),
        }
    }
}

/// Where a job stands. Each variant holds what only that place needs; `machine.rs` is the only writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Two-phase: accepted, waiting for the commit signal until then.
    Uncommitted {
        /** a commit later than this is too late */
        deadline: Timestamp,
    },
    /// What the job needs is being made ready: its scratch directory, and the files that are fetched.
    StagingIn,
    /// Handed to the scheduler, which has not answered yet.
    Submitting,
    /// The scheduler has it.
    Submitted,
    /// The scheduler is asked to end it; its end is awaited.
    Cancelling,
    /// Over for the scheduler; output is being delivered.
    Delivering {
        /** what the job becomes when everything is delivered */
        then: Verdict,
    },
    /// The job has run well and its output is out; `file_stage_out` is under way.
    StagingOut,
    /// Two-phase: over and told, waiting for the client's second commit until then.
    Uncollected {
        /** parked after this */
        deadline: Timestamp,
    },
    /// Two-phase: the second commit did not come in time; kept for it a good while longer.
    Parked {
        /** forgotten after this */
        expires: Timestamp,
    },
    /// The client sent STOP_MANAGER: the job runs on, its contacts hear nothing more.
    Stopped {
        /** set when the scheduler reported the job's end: forgotten after this */
        expires: Option<Timestamp>,
    },
    /// Nothing left to do; kept a little so that late questions get a true answer.
    Over {
        /** forgotten after this */
        until: Timestamp,
    },
}

/// How a job ends once its output is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// DONE.
    Done,
    /// FAILED, for the reason in the job's `failure`.
    Failed,
}

/// Why a job failed, as clients are told (gram.md §10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} (error {})", code.0)]
pub struct Failure {
    /// GRAM error number.
    #[serde(with = "error_number")]
    pub code: GramError,
    /// gt3-failure-type: which input or output it was about.
    pub kind: Option<FailureKind>,
    /// gt3-failure-message.
    pub message: String,
    /// gt3-failure-source.
    pub source_url: Option<String>,
    /// gt3-failure-destination.
    pub destination: Option<String>,
}

impl Failure {
    /// A failure with its number and text only.
    pub fn new(code: GramError, message: impl Into<String>) -> Self {
        Self { code, kind: None, message: message.into(), source_url: None, destination: None }
    }
}

/// gt3-failure-type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /** `executable` */
    Executable,
    /** `stdin` */
    Stdin,
    /** `file_stage_in` or `file_stage_in_shared` */
    FileStageIn,
    /** `file_stage_out`, or output that could not be sent */
    FileStageOut,
}

impl FailureKind {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Executable => "executable",
            Self::Stdin => "stdin",
            Self::FileStageIn => "filestagein",
            Self::FileStageOut => "filestageout",
        }
    }
}

/// A call-back contact of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// As the client wrote it.
    pub url: String,
    /// States it wants to hear of (bits of [`gram::StateMask`]).
    pub mask: u32,
    /// An update that no answer from the contact proves to have arrived; sent again after a restart.
    pub owed: Option<Notice>,
}

/// What one state update says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// State.
    #[serde(with = "state_number")]
    pub state: JobState,
    /// Failure number; also 111, 130 or 131 with a state of FAILED while the job itself goes on.
    #[serde(with = "error_number")]
    pub failure: GramError,
    /// Counts the updates of this job, so that a late answer to an earlier one changes nothing.
    pub number: u32,
}

impl JobSpec {
    /// Something must be fetched before the job can start. Exactly then clients are told STAGE_IN.
    pub fn needs_fetching(&self) -> bool {
        let lists = self.staging.as_ref();
        matches!(self.executable, Input::Url(_))
            || matches!(self.stdin, Input::Url(_))
            || lists.is_some_and(|lists| !lists.stage_in.is_empty() || !lists.stage_in_shared.is_empty())
    }

    /// Something must be made or fetched before the job can start.
    pub fn needs_preparing(&self) -> bool {
        self.needs_fetching() || self.scratch().is_some()
    }

    /// The job's own scratch directory.
    pub fn scratch(&self) -> Option<&Octets> {
        self.staging.as_ref()?.scratch.as_ref()
    }

    /// Files are staged out when the job has ended well. Exactly then clients are told STAGE_OUT.
    pub fn stages_out(&self) -> bool {
        self.staging.as_ref().is_some_and(|lists| !lists.stage_out.is_empty())
    }

    /// More is to be removed than what is the job manager's own.
    pub fn cleans_up(&self) -> bool {
        self.staging.as_ref().is_some_and(|lists| !lists.clean_up.is_empty() || lists.scratch.is_some())
    }

    /// A path of a staging list, relative ones below the working directory.
    pub fn resolve(&self, path: &Octets) -> PathBuf {
        self.directory.as_path().join(path.as_path())
    }

    /// Something must be sent when the job has ended.
    pub fn needs_delivery(&self) -> bool {
        matches!(self.stdout, Output::Deliver(_)) || matches!(self.stderr, Output::Deliver(_))
    }

    /// Output goes to a URL, and can go there while the job runs.
    pub fn streams(&self) -> bool {
        [&self.stdout, &self.stderr].into_iter().any(|output| match output {
            Output::Deliver(to) => to.iter().any(|destination| matches!(destination, Destination::Url(_))),
            Output::File(_) | Output::Cache(_) => false,
        })
    }

    /// The GASS cache is used: by a stream, or for what is fetched.
    pub fn uses_cache(&self) -> bool {
        self.fetches_to_cache() || self.cache_entries().next().is_some()
    }

    /// Something is fetched into the GASS cache.
    pub fn fetches_to_cache(&self) -> bool {
        matches!(self.executable, Input::Url(_))
            || matches!(self.stdin, Input::Url(_))
            || self.staging.as_ref().is_some_and(|lists| !lists.stage_in_shared.is_empty())
    }

    /// The cache entries of both streams.
    pub fn cache_entries(&self) -> impl Iterator<Item = &CacheEntry> {
        [&self.stdout, &self.stderr].into_iter().flat_map(Output::cache_entries)
    }
}

impl Output {
    fn cache_entries(&self) -> impl Iterator<Item = &CacheEntry> {
        let (own, delivered) = match self {
            Self::File(_) => (None, &[][..]),
            Self::Cache(entry) => (Some(entry), &[][..]),
            Self::Deliver(destinations) => (None, destinations.as_slice()),
        };
        own.into_iter().chain(delivered.iter().filter_map(|destination| match destination {
            Destination::Cache(entry) => Some(entry),
            Destination::Url(_) | Destination::File(_) => None,
        }))
    }
}

impl Job {
    /// DONE or FAILED.
    pub fn is_terminal(&self) -> bool {
        self.state.is_terminal()
    }

    /// Its processes may still write output, or have yet to begin.
    pub fn may_write(&self) -> bool {
        match self.phase {
            Phase::Uncommitted { .. }
            | Phase::StagingIn
            | Phase::Submitting
            | Phase::Submitted
            | Phase::Cancelling
            | Phase::Stopped { expires: None } => true,
            Phase::Delivering { .. }
            | Phase::StagingOut
            | Phase::Uncollected { .. }
            | Phase::Parked { .. }
            | Phase::Stopped { expires: Some(_) }
            | Phase::Over { .. } => false,
        }
    }

    /// Nobody waits for anything any more: the manager may exit.
    pub fn is_settled(&self) -> bool {
        match self.phase {
            Phase::Over { .. } => true,
            // The reaper keeps the end of a stopped job; a later manager learns it.
            Phase::Stopped { .. } => true,
            Phase::Uncommitted { .. }
            | Phase::StagingIn
            | Phase::Submitting
            | Phase::Submitted
            | Phase::Cancelling
            | Phase::Delivering { .. }
            | Phase::StagingOut
            | Phase::Uncollected { .. }
            | Phase::Parked { .. } => false,
        }
    }

    /// The cache entries of both streams, those that were replaced included.
    pub fn cache_entries(&self) -> impl Iterator<Item = &CacheEntry> {
        let replaced = self.redirected.iter().flat_map(|was| was.stdout.iter().chain(&was.stderr));
        self.spec.cache_entries().chain(replaced.flat_map(Output::cache_entries))
    }

    /// Where the job itself writes its standard output; it goes from there to where the request says.
    pub fn stdout_as_started(&self) -> &Output {
        self.redirected.as_ref().and_then(|was| was.stdout.as_ref()).unwrap_or(&self.spec.stdout)
    }

    /// As [`Job::stdout_as_started`], for standard error.
    pub fn stderr_as_started(&self) -> &Output {
        self.redirected.as_ref().and_then(|was| was.stderr.as_ref()).unwrap_or(&self.spec.stderr)
    }

    /// The tag of its cache entries.
    pub fn cache_tag(&self) -> &str {
        self.cache_tag.as_deref().unwrap_or(&self.contact)
    }

    /// Gives it another contact, for clients that come from now on. Its cache entries keep their tag.
    pub fn move_to(&mut self, contact: String) {
        if contact != self.contact {
            let old = std::mem::replace(&mut self.contact, contact);
            self.cache_tag.get_or_insert_with(|| old.into());
        }
    }

    /// This file is where it should be.
    pub fn has_moved(&self, role: FileRole) -> bool {
        self.progress.as_ref().is_some_and(|progress| progress.is_done(role))
    }

    /// Where a file comes from and goes to, as the request has it; empty for what it does not name.
    pub fn ends_of(&self, role: FileRole) -> (String, String) {
        let number = usize::from(role.number());
        let input = |input: &Input| match input {
            Input::Url(url) => (url.clone(), String::new()),
            Input::File(path) => (path.lossy().into_owned(), String::new()),
        };
        let output = |output: &Output| match output {
            Output::Deliver(destinations) => {
                (String::new(), destinations.get(number).map(Destination::to_string).unwrap_or_default())
            }
            Output::File(_) | Output::Cache(_) => Default::default(),
        };
        let pair = |list: fn(&Staging) -> &Vec<FilePair>| {
            let pair = self.spec.staging.as_ref().and_then(|staging| list(staging).get(number));
            pair.map(|pair| (pair.from.lossy().into_owned(), pair.to.lossy().into_owned()))
                .unwrap_or_default()
        };
        match role {
            FileRole::Executable => input(&self.spec.executable),
            FileRole::Stdin => input(&self.spec.stdin),
            FileRole::Stderr(_) => output(&self.spec.stderr),
            FileRole::Stdout(_) => output(&self.spec.stdout),
            FileRole::StageIn(_) => pair(|staging| &staging.stage_in),
            FileRole::StageInShared(_) => pair(|staging| &staging.stage_in_shared),
            FileRole::StageOut(_) => pair(|staging| &staging.stage_out),
        }
    }

    /// What its submitter is told: 0, or 110 when a commit must follow.
    pub fn accepted_with(&self) -> GramError {
        if self.spec.two_phase.is_some() { GramError::WAITING_FOR_COMMIT } else { GramError::SUCCESS }
    }

    /// The error number of the job, 0 when it has not failed.
    pub fn failure_code(&self) -> GramError {
        self.failure.as_ref().map_or(GramError::SUCCESS, |failure| failure.code)
    }
}

/// States are stored as their protocol numbers.
mod state_number {
    use super::JobState;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(state: &JobState, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(state.value())
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<JobState, D::Error> {
        let number = u32::deserialize(deserializer)?;
        JobState::from_value(number).ok_or_else(|| D::Error::custom(format!("{number} is not a job state")))
    }
}

/// Errors are stored as their protocol numbers.
mod error_number {
    use super::GramError;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(error: &GramError, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(error.0)
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<GramError, D::Error> {
        u16::deserialize(deserializer).map(GramError)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small job for tests: `/bin/true`, no two-phase commit, one contact.
    pub(crate) fn sample() -> Job {
        Job {
            key: JobKey { high: 16_986_273_921_231_433_411, low: 72_057_598_265_938_833 },
            contact: "https://vm:40001/16986273921231433411/72057598265938833/".into(),
            origin: Origin {
                request_id: "r1".into(),
                identity: "/O=Grid/CN=Alice".into(),
                service: "jobmanager-fork".into(),
                scheduler: "fork".into(),
                client_address: "127.0.0.1:5".into(),
                rsl: "&(\"executable\" = \"/bin/true\" )".into(),
                created: Timestamp::UNIX_EPOCH,
            },
            spec: JobSpec {
                executable: Input::File("/bin/true".into()),
                arguments: vec!["a".into(), Octets::from(vec![0xff])],
                environment: vec![("A".into(), "1".into())],
                library_path: vec!["/usr/lib".into()],
                directory: "/tmp".into(),
                stdin: Input::File("/dev/null".into()),
                stdout: Output::File("/dev/null".into()),
                stderr: Output::Deliver(vec![Destination::Url("https://vm:1/dev/stderr".into())]),
                count: 1,
                job_type: JobType::Multiple,
                max_wall_time: None,
                two_phase: None,
                expiration: 14400,
                gass_cache: "/home/alice/.globus/.gass_cache".into(),
                remote_io_url: None,
                dry_run: false,
                save_description: false,
                staging: None,
            },
            phase: Phase::Submitting,
            state: JobState::Unsubmitted,
            failure: None,
            exit_code: None,
            scheduler_id: None,
            contacts: vec![Registration { url: "https://vm:2/".into(), mask: 0xF_FFFF, owed: None }],
            updates: 0,
            timeline: Timeline::default(),
            lapsed: false,
            redirected: None,
            progress: None,
            cache_tag: None,
        }
    }

    /// Sites upgrade under live jobs: what the first version stored lacks every later field.
    #[test]
    fn a_record_of_the_first_version_is_read() {
        let mut stored = serde_json::to_value(sample()).unwrap();
        for field in ["progress", "cache_tag"] {
            assert!(stored.get(field).is_none(), "{field} is stored although there is none");
        }
        for field in ["staging", "save_description"] {
            assert!(stored["spec"].get(field).is_none(), "{field} is stored although there is none");
        }
        stored["phase"] = serde_json::json!("StagingIn");
        let job: Job = serde_json::from_value(stored).unwrap();
        assert_eq!((job.phase, job.progress, job.spec.staging), (Phase::StagingIn, None, None));
    }

    #[test]
    fn cache_entries_keep_their_tag_when_the_contact_changes() {
        let mut job = sample();
        let first = job.contact.clone();
        job.move_to(first.clone());
        assert_eq!((job.cache_tag(), &job.cache_tag), (first.as_str(), &None));
        job.move_to("https://vm:2/1/2/".into());
        job.move_to("https://vm:3/1/2/".into());
        assert_eq!((job.contact.as_str(), job.cache_tag()), ("https://vm:3/1/2/", first.as_str()));
    }

    #[test]
    fn a_job_survives_the_store() {
        let mut job = sample();
        job.failure = Some(Failure::new(GramError(5), "the executable /x does not exist"));
        job.phase = Phase::Over { until: Timestamp::from_second(5).unwrap() };
        let json = serde_json::to_string(&job).unwrap();
        assert_eq!(serde_json::from_str::<Job>(&json).unwrap(), job);
        assert!(json.len() < 2000, "{} bytes", json.len());
    }
}
