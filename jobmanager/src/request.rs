//! From RSL text to a typed job (rsl.md §7-§9): parse → canonicalise → evaluate → check the attributes → check each value.
//! Pure: what only the machine can tell (does the executable exist?) is the scheduler's check.
//!
//! Every refusal is a [`Failure`] with the GRAM number of rsl.md §8 and a message that names the attribute.

use crate::{
    job::{CacheEntry, Destination, Failure, Input, JobSpec, Output},
    launch::{JobKey, JobType},
    octets::Octets,
};
use gram::GramError;
use rsl::{Operator, Relation, Spec, Value, attribute, evaluate::Symbols};
use std::path::{Path, PathBuf};

mod value;

#[cfg(test)]
mod tests;

/// Longest RSL text: the GRAM message limit (gram.md §3).
pub const MAX_RSL: usize = 64_000;
/// `two_phase=yes`, in seconds (gram.md §12).
const TWO_PHASE_DEFAULT: u32 = 60;
/// How long an uncommitted finished job is kept unless the RSL says otherwise, in seconds (rsl.md §8).
const EXPIRATION_DEFAULT: u32 = 14_400;

/// What a request is read against: the account, the site, and the job-to-be.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Home directory of the account.
    pub home: PathBuf,
    /// Name of the account.
    pub logname: String,
    /// The client's identity in one-line form.
    pub identity: String,
    /// GLOBUS_LOCATION.
    pub globus_location: PathBuf,
    /// Gatekeeper's host, port and certificate subject.
    pub gatekeeper: (String, u32, String),
    /// What this machine is.
    pub machine: MachineFacts,
    /// Scheduler adapter.
    pub scheduler: String,
    /// The job's key.
    pub key: JobKey,
    /// The job's contact.
    pub contact: String,
    /// The job's own directory.
    pub job_directory: PathBuf,
}

/// `uname`-like facts, as substitutions.
#[derive(Debug, Clone, Default)]
pub struct MachineFacts {
    /// GLOBUS_HOST_OSNAME, `Linux`.
    pub os_name: String,
    /// GLOBUS_HOST_OSVERSION, the kernel release.
    pub os_version: String,
    /// GLOBUS_HOST_CPUTYPE, `x86_64`.
    pub cpu_type: String,
    /// GLOBUS_HOST_MANUFACTURER, `pc`.
    pub manufacturer: String,
}

/// A request that may be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A new job.
    Submit {
        /** the job */
        spec: Box<JobSpec>,
        /** the request in canonical form */
        canonical: Octets,
    },
    /// Take over the job with this key.
    Restart {
        /** which */
        key: JobKey,
    },
}

/// Reads a request.
pub fn read(text: &[u8], around: &Surroundings) -> Result<Request, Failure> {
    if text.len() > MAX_RSL {
        return Err(Failure::new(
            GramError::INVALID_REQUEST,
            format!("the RSL has {} bytes, at most {MAX_RSL} are accepted", text.len()),
        ));
    }
    if text.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0) {
        return Err(Failure::new(GramError::ZERO_LENGTH_RSL, "the RSL is empty"));
    }
    let spec = rsl::parse(text).map_err(|error| {
        Failure::new(GramError::BAD_RSL, format!("RSL syntax error {error}\n{}", error.underline(text)))
    })?;
    let spec = rsl::evaluate::canonicalise(&spec);
    let canonical = Octets::from(rsl::print::print(&spec).unwrap_or_default());
    let spec = rsl::evaluate::evaluate(&spec, &symbols(around))
        .map_err(|error| Failure::new(GramError::RSL_EVALUATION_FAILED, error.message))?;
    let relations = relations(&spec)?;
    let restart = first(&relations, "restart");
    let kind = if restart.is_some() { attribute::Request::Restart } else { attribute::Request::Submit };
    attribute::check(&spec, kind, &around.scheduler)
        .map_err(|violation| Failure::new(GramError(violation.code), violation.message))?;
    match restart {
        Some(relation) => Ok(Request::Restart { key: restart_key(relation)? }),
        None => Ok(Request::Submit { spec: Box::new(job(&relations, around)?), canonical }),
    }
}

/// The predefined symbols (rsl.md §6).
fn symbols(around: &Surroundings) -> Symbols {
    let job_file = |name: &str| Octets::from(around.job_directory.join(name)).as_bytes().to_vec();
    let (host, port, subject) = &around.gatekeeper;
    let mut symbols = Symbols::new();
    let mut define = |name: &str, value: &[u8]| {
        symbols.insert(name.as_bytes().to_vec(), value.to_vec());
    };
    define("HOME", Octets::from(around.home.clone()).as_bytes());
    define("LOGNAME", around.logname.as_bytes());
    define("GLOBUS_ID", around.identity.as_bytes());
    define("GLOBUS_LOCATION", Octets::from(around.globus_location.clone()).as_bytes());
    define("GLOBUS_GATEKEEPER_HOST", host.as_bytes());
    define("GLOBUS_GATEKEEPER_PORT", port.to_string().as_bytes());
    define("GLOBUS_GATEKEEPER_SUBJECT", subject.as_bytes());
    define("GLOBUS_HOST_OSNAME", around.machine.os_name.as_bytes());
    define("GLOBUS_HOST_OSVERSION", around.machine.os_version.as_bytes());
    define("GLOBUS_HOST_CPUTYPE", around.machine.cpu_type.as_bytes());
    define("GLOBUS_HOST_MANUFACTURER", around.machine.manufacturer.as_bytes());
    define("GLOBUS_GRAM_JOB_CONTACT", around.contact.as_bytes());
    define("GLOBUS_GRAM_JOB_ID", around.key.to_string().as_bytes());
    define("GLOBUS_CACHED_STDOUT", &job_file("stdout"));
    define("GLOBUS_CACHED_STDERR", &job_file("stderr"));
    symbols
}

/// The relations of a job request; anything else than one `&` of relations is error 48.
fn relations(spec: &Spec) -> Result<Vec<&Relation>, Failure> {
    let bad = |message: &str| Failure::new(GramError::BAD_RSL, message);
    let Spec::Boolean(Operator::And, operands) = spec else {
        return Err(bad("a job request is one conjunction: &(attribute = value)…"));
    };
    operands
        .iter()
        .map(|operand| match operand {
            Spec::Relation(relation) => Ok(relation),
            Spec::Boolean(..) => Err(bad("a job request has no nested &, | or +")),
        })
        .collect()
}

/// The first relation of a name, which is what stdio, two_phase and restart look at (rsl.md §9, duplicates).
fn first<'a>(relations: &[&'a Relation], name: &str) -> Option<&'a Relation> {
    relations.iter().find(|relation| relation.name == name.as_bytes()).copied()
}

/// The last relation of a name, which is what the scheduler sees.
fn last<'a>(relations: &[&'a Relation], name: &str) -> Option<&'a Relation> {
    relations.iter().rev().find(|relation| relation.name == name.as_bytes()).copied()
}

fn restart_key(relation: &Relation) -> Result<JobKey, Failure> {
    let text = value::text(relation, GramError::RSL_RESTART)?;
    let contact: gram::JobContact = text.parse().map_err(|error| {
        Failure::new(GramError::RSL_RESTART, format!("restart: {text:?} is not a job contact: {error}"))
    })?;
    Ok(JobKey { high: contact.high, low: contact.low })
}

fn job(relations: &[&Relation], around: &Surroundings) -> Result<JobSpec, Failure> {
    not_yet(relations)?;
    username(relations, around)?;
    ignored(relations)?;
    let directory = match last(relations, "directory") {
        Some(relation) => directory(relation, &around.home)?,
        None => around.home.clone(),
    };
    Ok(JobSpec {
        executable: executable(relations, &directory)?,
        arguments: match last(relations, "arguments") {
            Some(relation) => value::literals(relation, GramError::RSL_ARGUMENTS)?,
            None => Vec::new(),
        },
        environment: match last(relations, "environment") {
            Some(relation) => environment(relation)?,
            None => Vec::new(),
        },
        library_path: match last(relations, "librarypath") {
            Some(relation) => value::literals(relation, GramError::RSL_SCHEDULER_SPECIFIC)?,
            None => vec![Octets::from(around.globus_location.join("lib"))],
        },
        stdin: stdin(relations, &directory)?,
        stdout: output(relations, &STDOUT, &directory)?,
        stderr: output(relations, &STDERR, &directory)?,
        directory: directory.into(),
        count: count(relations)?,
        job_type: job_type(relations)?,
        max_wall_time: max_wall_time(relations)?,
        two_phase: two_phase(relations)?,
        expiration: first(relations, "expiration")
            .and_then(|relation| value::text(relation, GramError::SUCCESS).ok())
            .and_then(|text| text.parse().ok())
            .unwrap_or(EXPIRATION_DEFAULT),
        gass_cache: match first(relations, "gasscache") {
            Some(relation) => {
                around.home.join(value::path(relation, GramError::RSL_GASS_CACHE)?.as_path()).into()
            }
            None => around.home.join(".globus/.gass_cache").into(),
        },
        remote_io_url: match first(relations, "remoteiourl") {
            Some(relation) => Some(value::text(relation, GramError::RSL_REMOTE_IO_URL)?),
            None => None,
        },
        dry_run: match last(relations, "dryrun") {
            Some(relation) => value::text(relation, GramError::RSL_DRYRUN)? == "yes",
            None => false,
        },
    })
}

/// Attributes this job manager knows but does not serve yet: malformed ones get their own number, the rest 36.
fn not_yet(relations: &[&Relation]) -> Result<(), Failure> {
    for relation in relations {
        match relation.name.as_slice() {
            b"filestagein" => value::pairs(relation, GramError::RSL_FILE_STAGE_IN).map(drop)?,
            b"filestageinshared" => value::pairs(relation, GramError::RSL_FILE_STAGE_IN_SHARED).map(drop)?,
            b"filestageout" => value::pairs(relation, GramError::RSL_FILE_STAGE_OUT).map(drop)?,
            b"filecleanup" => value::literals(relation, GramError::RSL_FILE_CLEANUP).map(drop)?,
            b"scratchdir" => value::path(relation, GramError::RSL_SCRATCH).map(drop)?,
            _ => continue,
        }
        return Err(Failure::new(
            GramError::UNSUPPORTED_PARAMETER,
            format!("the RSL attribute \"{}\" is not supported by this service yet", value::name(relation)),
        ));
    }
    Ok(())
}

fn username(relations: &[&Relation], around: &Surroundings) -> Result<(), Failure> {
    let Some(relation) = first(relations, "username") else { return Ok(()) };
    let name = value::text(relation, GramError::RSL_USER_NAME)?;
    if name == around.logname {
        return Ok(());
    }
    Err(Failure::new(
        GramError::INVALID_USER_NAME,
        format!("username: the job would run as {}, not as {name}", around.logname),
    ))
}

/// Attributes without an effect here whose values are checked all the same.
fn ignored(relations: &[&Relation]) -> Result<(), Failure> {
    if let Some(relation) = first(relations, "proxytimeout") {
        let text = value::text(relation, GramError::RSL_PROXY_TIMEOUT)?;
        if text.parse::<i64>().is_err() {
            return Err(value::wrong(relation, GramError::RSL_PROXY_TIMEOUT, "a number of seconds"));
        }
    }
    if let Some(relation) = first(relations, "loglevel") {
        const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
        let text = value::text(relation, GramError::INVALID_ATTR)?;
        if !text.split('|').all(|level| LEVELS.contains(&level)) {
            let right = "levels out of TRACE DEBUG INFO WARN ERROR FATAL, joined by |";
            return Err(value::wrong(relation, GramError::INVALID_ATTR, right));
        }
    }
    Ok(())
}

fn directory(relation: &Relation, home: &Path) -> Result<PathBuf, Failure> {
    let path = value::literal(relation, GramError::RSL_DIRECTORY)?;
    if path.as_bytes().is_empty() {
        return Err(value::wrong(relation, GramError::BAD_DIRECTORY, "a directory"));
    }
    Ok(home.join(path.as_path()))
}

fn executable(relations: &[&Relation], directory: &Path) -> Result<Input, Failure> {
    let Some(relation) = last(relations, "executable") else {
        return Err(Failure::new(GramError::UNDEFINED_EXE, "the RSL names no executable"));
    };
    let path = value::path(relation, GramError::RSL_EXECUTABLE)?;
    input(relation, &path, directory, GramError::EXECUTABLE_NOT_FOUND, GramError::STAGING_EXECUTABLE)
}

fn stdin(relations: &[&Relation], directory: &Path) -> Result<Input, Failure> {
    let Some(relation) = first(relations, "stdin") else {
        return Ok(Input::File("/dev/null".into()));
    };
    let path = value::literal(relation, GramError::RSL_STDIN)?;
    if path.as_bytes().is_empty() {
        return Ok(Input::File("/dev/null".into()));
    }
    input(relation, &path, directory, GramError::STDIN_NOT_FOUND, GramError::STAGING_STDIN)
}

/// A path below the directory, or an http(s) URL. A file: URL is no file name here, as in stock: error `missing`.
fn input(
    relation: &Relation,
    value: &Octets,
    directory: &Path,
    missing: GramError,
    unfetchable: GramError,
) -> Result<Input, Failure> {
    match value::scheme(value) {
        None => Ok(Input::File(directory.join(value.as_path()).into())),
        Some("file") => Err(value::wrong(relation, missing, "a plain path or an https URL")),
        Some("https" | "http") => {
            let url = value.lossy().into_owned();
            value::check_url(relation, &url, unfetchable)?;
            Ok(Input::Url(url))
        }
        Some(_) => Err(value::wrong(relation, unfetchable, "a path or an https or http URL")),
    }
}

/// The two output attributes, and what their mistakes are called.
struct Stream {
    name: &'static str,
    malformed: GramError,
    unwritable: GramError,
}
const STDOUT: Stream =
    Stream { name: "stdout", malformed: GramError::RSL_STDOUT, unwritable: GramError::OPENING_STDOUT };
const STDERR: Stream =
    Stream { name: "stderr", malformed: GramError::RSL_STDERR, unwritable: GramError::OPENING_STDERR };

/// The forms of rsl.md §9.
fn output(relations: &[&Relation], stream: &Stream, directory: &Path) -> Result<Output, Failure> {
    let Some(relation) = first(relations, stream.name) else {
        return Ok(Output::File("/dev/null".into()));
    };
    if let Some(destination) = destination(relation, &relation.values, stream, directory)? {
        return Ok(match destination {
            Destination::File(path) => Output::File(path),
            Destination::Cache(entry) => Output::Cache(entry),
            Destination::Url(url) => Output::Deliver(vec![Destination::Url(url)]),
        });
    }
    relation
        .values
        .iter()
        .map(|value| match value {
            Value::Sequence(parts) => destination(relation, parts, stream, directory)?
                .ok_or_else(|| wrong_output(relation, stream)),
            _ => Err(wrong_output(relation, stream)),
        })
        .collect::<Result<Vec<_>, _>>()
        .map(Output::Deliver)
}

fn wrong_output(relation: &Relation, stream: &Stream) -> Failure {
    let right = "a path, a URL, an x-gass-cache URL with a tag, or several of these, each in parentheses";
    value::wrong(relation, stream.malformed, right)
}

/// One destination: `path`, `URL` or `x-gass-cache-URL tag`. None: something else.
fn destination(
    relation: &Relation,
    parts: &[Value],
    stream: &Stream,
    directory: &Path,
) -> Result<Option<Destination>, Failure> {
    let (place, tag) = match parts {
        [Value::Literal(place)] => (Octets::from(place.clone()), None),
        [Value::Literal(place), Value::Literal(tag)] => {
            (Octets::from(place.clone()), Some(String::from_utf8_lossy(tag).into_owned()))
        }
        _ => return Ok(None),
    };
    let url = || place.lossy().into_owned();
    match (value::scheme(&place), tag) {
        (Some("x-gass-cache"), tag) => Ok(Some(Destination::Cache(CacheEntry { url: url(), tag }))),
        (_, Some(_)) => Ok(None),
        (None, None) if place.as_bytes().is_empty() => Ok(None),
        (None, None) => Ok(Some(Destination::File(directory.join(place.as_path()).into()))),
        (Some("https" | "http" | "file"), None) => {
            value::check_url(relation, &url(), stream.unwritable)?;
            Ok(Some(Destination::Url(url())))
        }
        (Some(_), None) => {
            Err(value::wrong(relation, stream.unwritable, "a path or an https, http or file URL"))
        }
    }
}

fn environment(relation: &Relation) -> Result<Vec<(Octets, Octets)>, Failure> {
    let pairs = value::pairs(relation, GramError::RSL_ENVIRONMENT)?;
    let nameless = |(name, _): &(Octets, Octets)| name.as_bytes().is_empty() || name.as_bytes().contains(&b'=');
    if pairs.iter().any(nameless) {
        return Err(value::wrong(relation, GramError::RSL_ENVIRONMENT, "pairs of a name without = and a value"));
    }
    Ok(pairs)
}

fn count(relations: &[&Relation]) -> Result<u32, Failure> {
    let Some(relation) = last(relations, "count") else { return Ok(1) };
    let text = value::text(relation, GramError::RSL_COUNT)?;
    match text.parse::<i64>() {
        Err(_) => Err(value::wrong(relation, GramError::INVALID_COUNT, "a whole number")),
        Ok(count) => u32::try_from(count).ok().filter(|count| *count > 0).ok_or_else(|| {
            value::wrong(relation, GramError::SUBMIT_UNKNOWN, "the number of processes, at least 1")
        }),
    }
}

fn job_type(relations: &[&Relation]) -> Result<JobType, Failure> {
    let Some(relation) = last(relations, "jobtype") else { return Ok(JobType::Multiple) };
    match value::text(relation, GramError::RSL_JOBTYPE)?.as_str() {
        "single" => Ok(JobType::Single),
        "multiple" => Ok(JobType::Multiple),
        "mpi" => Ok(JobType::Mpi),
        "condor" => Ok(JobType::Condor),
        _ => Err(value::wrong(relation, GramError::INVALID_JOBTYPE, "single, multiple, mpi or condor")),
    }
}

/// Minutes; 0 leaves the limit to the scheduler, as leaving the attribute out does.
fn max_wall_time(relations: &[&Relation]) -> Result<Option<u32>, Failure> {
    let Some(relation) = last(relations, "maxwalltime") else { return Ok(None) };
    let text = value::text(relation, GramError::RSL_MAX_WALL_TIME)?;
    let minutes: u32 = text
        .parse()
        .map_err(|_| value::wrong(relation, GramError::INVALID_MAX_WALL_TIME, "a number of minutes"))?;
    Ok(Some(minutes).filter(|minutes| *minutes > 0))
}

fn two_phase(relations: &[&Relation]) -> Result<Option<u32>, Failure> {
    let Some(relation) = first(relations, "twophase") else { return Ok(None) };
    let code = GramError::RSL_TWO_PHASE_COMMIT;
    match value::text(relation, code)?.as_str() {
        "yes" => Ok(Some(TWO_PHASE_DEFAULT)),
        "no" => Ok(None),
        text => match text.parse() {
            Ok(0) => Ok(None),
            Ok(seconds) => Ok(Some(seconds)),
            Err(_) => Err(value::wrong(relation, code, "a number of seconds, yes or no")),
        },
    }
}
