//! What `globusrun` was asked to do: the command line, checked, before anything happens.

use super::OPTIONS;
use crate::classic::options::{OptionError, Order, Parsed, parse};
use gram::JobContact;
use gsi::DelegationMode;
use rsl::{Operator, Spec};
use std::{ffi::OsString, os::unix::ffi::OsStrExt, path::Path};

/// One thing to do.
pub(super) enum Action {
    Help,
    Usage,
    Version,
    Versions,
    ParseOnly,
    Ping(String),
    ServiceVersion(String),
    Kill(JobContact),
    Status(JobContact),
    Renew(JobContact, DelegationMode),
    StopManager(JobContact),
    Submit(Box<Submission>),
}

/// A job to submit.
pub(in crate::classic) struct Submission {
    /// Where; parsed only when it is used, as the original does.
    pub(in crate::classic) contact: String,
    /// The job.
    pub(in crate::classic) spec: Spec,
    /// No progress text.
    pub(in crate::classic) quiet: bool,
    /// The file server that runs beside the job.
    pub(in crate::classic) gass: Option<gass::Access>,
    /// Whether and when to leave before the job has ended.
    pub(in crate::classic) batch: Batch,
    /// What SIGINT means.
    pub(in crate::classic) interrupt: Interrupt,
    /// What to delegate.
    pub(in crate::classic) delegation: DelegationMode,
    /// Check only.
    pub(in crate::classic) dry_run: bool,
}

/// When to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::classic) enum Batch {
    /// At the end of the job.
    Attached,
    /// Once it is submitted to the scheduler.
    Submitted,
    /// At the reply.
    Fast,
}

/// What SIGINT means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::classic) enum Interrupt {
    /// The job is cancelled.
    CancelsJob,
    /// Only this program ends.
    LeavesJob,
}

/// Why the command line is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// One argument is wrong.
    Argument { position: usize, text: String, reason: String },
    /// The whole makes no sense.
    Usage(String),
    /// RSL, but not a boolean.
    NotAJob,
    /// RSL for several services.
    MultiRequest,
}

impl Action {
    /// Decides what is asked.
    pub(super) fn parse(arguments: &[OsString]) -> Result<Self, Refusal> {
        let parsed = parse(OPTIONS, Order::Mixed, arguments).map_err(|error| match error {
            OptionError::Unknown { position, text } => Refusal::Argument { position, text, reason: "unknown option".into() },
            OptionError::MissingValue { position, text } => {
                Refusal::Argument { position, text, reason: "not enough arguments".into() }
            }
        })?;
        match parsed.names().find(|name| ["-help", "-usage", "-version", "-versions"].contains(name)) {
            Some("-help") => return Ok(Self::Help),
            Some("-usage") => return Ok(Self::Usage),
            Some("-version") => return Ok(Self::Version),
            Some(_) => return Ok(Self::Versions),
            None => {}
        }
        let delegation = if parsed.has("-full-proxy") { DelegationMode::Full } else { DelegationMode::Limited };
        if let Some(job) = job_id(&parsed, "-kill")? {
            return Ok(Self::Kill(job));
        }
        if let Some(job) = job_id(&parsed, "-status")? {
            return Ok(Self::Status(job));
        }
        if let Some(job) = job_id(&parsed, "-refresh-proxy")? {
            return Ok(Self::Renew(job, delegation));
        }
        if let Some(job) = job_id(&parsed, "-stop-manager")? {
            return Ok(Self::StopManager(job));
        }
        let contact = parsed.text("-resource");
        let contact_for = |what: &str| {
            contact.clone().ok_or_else(|| Refusal::Usage(format!("no resource manager contact specified for {what}")))
        };
        if parsed.has("-authenticate-only") {
            return Ok(Self::Ping(contact_for("authentication test")?));
        }
        if parsed.has("-job-manager-version") {
            return Ok(Self::ServiceVersion(contact_for("version check")?));
        }
        let spec = request(&parsed)?;
        if parsed.has("-parse") {
            return Ok(Self::ParseOnly);
        }
        match &spec {
            Spec::Boolean(Operator::Multi, _) => return Err(Refusal::MultiRequest),
            Spec::Boolean(..) => {}
            Spec::Relation(_) => return Err(Refusal::NotAJob),
        }
        let Some(contact) = contact else {
            return Err(Refusal::Usage("no resource manager contact".into()));
        };
        let gass = access(&parsed);
        Ok(Self::Submit(Box::new(Submission {
            contact,
            spec,
            quiet: parsed.has("-quiet") || gass.is_some(),
            batch: batch(&parsed),
            gass,
            interrupt: if parsed.has("-no-interrupt") { Interrupt::LeavesJob } else { Interrupt::CancelsJob },
            delegation,
            dry_run: parsed.has("-dryrun"),
        })))
    }
}

fn batch(parsed: &Parsed) -> Batch {
    if parsed.has("-fast-batch") {
        Batch::Fast
    } else if parsed.has("-batch") {
        Batch::Submitted
    } else {
        Batch::Attached
    }
}

/// `-w` implies `-s`, which implies `-o`. In batch mode nobody is there to receive output: only reading is left.
fn access(parsed: &Parsed) -> Option<gass::Access> {
    let write = parsed.has("-write-allow");
    let read = write || parsed.has("-server");
    let output = read || parsed.has("-output-enable");
    let attached = batch(parsed) == Batch::Attached;
    output.then_some(gass::Access { read, write: write && attached, stdout: attached, stderr: attached })
}

fn job_id(parsed: &Parsed, option: &str) -> Result<Option<JobContact>, Refusal> {
    let Some(text) = parsed.text(option) else { return Ok(None) };
    match text.parse() {
        Ok(contact) => Ok(Some(contact)),
        Err(_) => Err(Refusal::Argument {
            position: parsed.position(option),
            text,
            reason: "invalid format of job ID".into(),
        }),
    }
}

/// The RSL, from the file or the one operand.
fn request(parsed: &Parsed) -> Result<Spec, Refusal> {
    let source = match (parsed.value("-file"), parsed.operands.as_slice()) {
        (Some(file), []) => read(parsed.position("-file"), Path::new(file))?,
        (None, [text]) => text.as_bytes().to_vec(),
        (None, []) => return Err(Refusal::Usage("must specify a request string or request file".into())),
        _ => return Err(Refusal::Usage("too many request strings specified".into())),
    };
    rsl::parse(&source).map_err(|error| {
        Refusal::Usage(format!("cannot parse RSL {}\n\n{}", source.escape_ascii(), error.underline(&source)))
    })
}

fn read(position: usize, file: &Path) -> Result<Vec<u8>, Refusal> {
    let text = file.display().to_string();
    let wrong = |reason: String| Refusal::Argument { position, text: text.clone(), reason };
    let metadata = std::fs::metadata(file).map_err(|error| wrong(plain(&error)))?;
    if !metadata.is_file() {
        return Err(Refusal::Usage(format!("not a regular file: {text}")));
    }
    std::fs::read(file).map_err(|error| wrong(plain(&error)))
}

/// The system's words without Rust's "(os error 2)".
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(words: &[&str]) -> Result<Action, Refusal> {
        Action::parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn submission(words: &[&str]) -> Submission {
        match act(words) {
            Ok(Action::Submit(submission)) => *submission,
            Ok(_) => panic!("not a submission"),
            Err(refusal) => panic!("{refusal:?}"),
        }
    }

    const JOB: &str = "&(executable=/bin/true)";

    #[test]
    fn gass_options_imply_each_other_and_quiet() {
        for (option, read, write) in [("-o", false, false), ("-s", true, false), ("-w", true, true)] {
            let submission = submission(&[option, "-r", "h", JOB]);
            assert!(submission.quiet);
            let access = submission.gass.unwrap();
            assert_eq!((access.read, access.write, access.stdout, access.stderr), (read, write, true, true));
        }
        let access = submission(&["-b", "-w", "-r", "h", JOB]).gass.unwrap();
        assert_eq!((access.read, access.write, access.stdout), (true, false, false));
    }

    #[test]
    fn refusals_are_those_of_the_original() {
        let usage = |text: &str| Err::<(), _>(Refusal::Usage(text.into()));
        assert_eq!(act(&[JOB]).map(drop), usage("no resource manager contact"));
        assert_eq!(act(&["-r", "h"]).map(drop), usage("must specify a request string or request file"));
        assert_eq!(act(&["-r", "h", JOB, "x"]).map(drop), usage("too many request strings specified"));
        assert_eq!(act(&["-r", "h", "executable=a"]).map(drop), Err(Refusal::NotAJob));
        assert_eq!(act(&["-r", "h", "+(&(executable=a))"]).map(drop), Err(Refusal::MultiRequest));
        assert_eq!(
            act(&["-status", "foo"]).map(drop),
            Err(Refusal::Argument { position: 2, text: "foo".into(), reason: "invalid format of job ID".into() })
        );
        assert_eq!(
            act(&["-f", "/nonexistent", "-r", "h"]).map(drop),
            Err(Refusal::Argument {
                position: 2,
                text: "/nonexistent".into(),
                reason: "No such file or directory".into()
            })
        );
    }
}
