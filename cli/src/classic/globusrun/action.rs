//! What `globusrun` was asked to do: the command line, checked, before anything happens.

use super::OPTIONS;
use crate::{
    classic::options::{OptionError, Order, Parsed, parse},
    job::{Interrupt, Serving, Wait},
};
use gram::JobContact;
use gsi::DelegationMode;
use rsl::{Operator, Spec};
use std::{ffi::OsString, os::unix::ffi::OsStrExt, path::Path};

/// What a job ID that is not one is told.
pub(super) const BAD_JOB_ID: &str = "invalid format of job ID";

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
    pub(in crate::classic) serving: Option<Serving>,
    /// When to leave.
    pub(in crate::classic) wait: Wait,
    /// What SIGINT means.
    pub(in crate::classic) interrupt: Interrupt,
    /// What to delegate.
    pub(in crate::classic) delegation: DelegationMode,
    /// Check only.
    pub(in crate::classic) dry_run: bool,
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
            OptionError::Unknown { position, text } => {
                Refusal::Argument { position, text, reason: "unknown option".into() }
            }
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
        let delegation =
            if parsed.has("-full-proxy") { DelegationMode::Full } else { DelegationMode::Limited };
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
            contact
                .clone()
                .ok_or_else(|| Refusal::Usage(format!("no resource manager contact specified for {what}")))
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
        let serving = serving(&parsed);
        Ok(Self::Submit(Box::new(Submission {
            contact,
            spec,
            quiet: parsed.has("-quiet") || serving.is_some(),
            serving,
            wait: wait(&parsed),
            interrupt: if parsed.has("-no-interrupt") { Interrupt::LeaveJob } else { Interrupt::CancelJob },
            delegation,
            dry_run: parsed.has("-dryrun"),
        })))
    }
}

fn wait(parsed: &Parsed) -> Wait {
    if parsed.has("-fast-batch") {
        Wait::Reply
    } else if parsed.has("-batch") {
        Wait::Submitted
    } else {
        Wait::End
    }
}

fn serving(parsed: &Parsed) -> Option<Serving> {
    [("-write-allow", Serving::Write), ("-server", Serving::Read), ("-output-enable", Serving::Output)]
        .into_iter()
        .find_map(|(option, serving)| parsed.has(option).then_some(serving))
}

fn job_id(parsed: &Parsed, option: &str) -> Result<Option<JobContact>, Refusal> {
    let Some(text) = parsed.text(option) else { return Ok(None) };
    match text.parse() {
        Ok(contact) => Ok(Some(contact)),
        Err(_) => {
            Err(Refusal::Argument { position: parsed.position(option), text, reason: BAD_JOB_ID.into() })
        }
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
    fn serving_is_quiet_and_the_widest_option_wins() {
        for (options, serving) in
            [(&["-o"][..], Serving::Output), (&["-s", "-o"], Serving::Read), (&["-s", "-w"], Serving::Write)]
        {
            let submission = submission(&[options, &["-r", "h", JOB]].concat());
            assert!(submission.quiet);
            assert_eq!(submission.serving, Some(serving));
        }
        assert!(!submission(&["-r", "h", JOB]).quiet);
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
            Err(Refusal::Argument {
                position: 2,
                text: "foo".into(),
                reason: "invalid format of job ID".into()
            })
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
