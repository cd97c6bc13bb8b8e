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
use rsl::{Relation, Spec, attribute, evaluate::Symbols};
use std::path::{Path, PathBuf};

mod files;
#[cfg(test)]
mod tests;
mod update;

pub use update::{StdioUpdate, read_update};

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
    /// Gatekeeper's host, port and certificate subject; with an empty host, its symbols are not defined.
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
    /// What its scratch directory is called, should it get one.
    pub scratch_name: String,
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
        /** what is to change */
        update: Box<StdioUpdate>,
    },
}

/// Reads a request.
pub fn read(text: &[u8], around: &Surroundings) -> Result<Request, Failure> {
    let spec = parsed(text)?;
    let canonical = Octets::from(rsl::print::print(&spec).unwrap_or_default());
    let (spec, scratch) = files::evaluate(&spec, symbols(around), around)?;
    if let Some(restart) = spec.first("restart") {
        attribute::check(&spec, attribute::Request::Restart, &around.scheduler)?;
        let key = restart_key(restart)?;
        ignored(&spec)?;
        return Ok(Request::Restart { key, update: Box::new(update::update(&spec)?) });
    }
    attribute::check(&spec, attribute::Request::Submit, &around.scheduler)?;
    Ok(Request::Submit { spec: Box::new(job(&spec, around, scratch)?), canonical })
}

/// The text as a tree with canonical names.
fn parsed(text: &[u8]) -> Result<Spec, Failure> {
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
    Ok(rsl::evaluate::canonicalise(&spec))
}

impl From<attribute::Violation> for Failure {
    fn from(violation: attribute::Violation) -> Self {
        Failure::new(GramError(violation.code), violation.message)
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
    if !host.is_empty() {
        define("GLOBUS_GATEKEEPER_HOST", host.as_bytes());
        define("GLOBUS_GATEKEEPER_PORT", port.to_string().as_bytes());
        define("GLOBUS_GATEKEEPER_SUBJECT", subject.as_bytes());
    }
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

fn restart_key(relation: &Relation) -> Result<JobKey, Failure> {
    let text = text(relation)?;
    let contact: gram::JobContact = text.parse().map_err(|error| {
        Failure::new(GramError::RSL_RESTART, format!("restart: `{text}` is not a job contact: {error}"))
    })?;
    Ok(JobKey { high: contact.high, low: contact.low })
}

/// Of several relations of one name the scheduler sees the last, while stdio, two_phase and their like look at the first
/// (rsl.md §9, duplicates).
fn job(spec: &Spec, around: &Surroundings, scratch: Option<Octets>) -> Result<JobSpec, Failure> {
    username(spec, around)?;
    ignored(spec)?;
    let directory = directory(spec, &around.home)?;
    Ok(JobSpec {
        executable: executable(spec, &directory)?,
        arguments: octets(spec.last("arguments").map(attribute::list).transpose()?.unwrap_or_default()),
        environment: environment(spec)?,
        library_path: match spec.last("librarypath") {
            Some(relation) => octets(attribute::list(relation)?),
            None => vec![Octets::from(around.globus_location.join("lib"))],
        },
        stdin: stdin(spec, &directory)?,
        stdout: output(spec.first("stdout"), GramError::OPENING_STDOUT, &directory)?,
        stderr: output(spec.first("stderr"), GramError::OPENING_STDERR, &directory)?,
        staging: files::staging(spec, scratch)?,
        directory: directory.into(),
        count: count(spec)?,
        job_type: job_type(spec),
        max_wall_time: max_wall_time(spec)?,
        two_phase: two_phase(spec)?,
        expiration: spec
            .first("expiration")
            .and_then(|relation| attribute::integer(relation).ok())
            .and_then(|seconds| u32::try_from(seconds).ok())
            .unwrap_or(EXPIRATION_DEFAULT),
        gass_cache: gass_cache(spec, &around.home)?,
        remote_io_url: spec.first("remoteiourl").map(text).transpose()?,
        save_description: spec.last("savejobdescription").map(attribute::flag).transpose()?.unwrap_or(false),
        dry_run: spec.last("dryrun").map(attribute::flag).transpose()?.unwrap_or(false),
    })
}

fn octets(texts: Vec<&[u8]>) -> Vec<Octets> {
    texts.into_iter().map(|text| Octets::from(text.to_vec())).collect()
}

/// One text that must be readable as such: a name, a URL.
fn text(relation: &Relation) -> Result<String, Failure> {
    Ok(String::from_utf8_lossy(attribute::text(relation)?).into_owned())
}

/// Says of an attribute what it is and what would be right.
fn wrong(code: GramError, name: &str, value: &Octets, right: &str) -> Failure {
    Failure::new(code, format!("attribute `{name}` is `{}`, but must be {right}", value.lossy()))
}

fn username(spec: &Spec, around: &Surroundings) -> Result<(), Failure> {
    let Some(relation) = spec.first("username") else { return Ok(()) };
    let name = text(relation)?;
    if name == around.logname {
        return Ok(());
    }
    Err(Failure::new(
        GramError::INVALID_USER_NAME,
        format!("attribute `username` is `{name}`, but the job would run as `{}`", around.logname),
    ))
}

/// Attributes without an effect here whose values are checked all the same.
fn ignored(spec: &Spec) -> Result<(), Failure> {
    if let Some(relation) = spec.first("proxytimeout") {
        attribute::integer(relation)?;
    }
    if let Some(relation) = spec.first("loglevel") {
        const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
        let value = text(relation)?;
        if !value.split('|').all(|level| LEVELS.contains(&level)) {
            let right = "levels out of TRACE, DEBUG, INFO, WARN, ERROR and FATAL, joined by |";
            return Err(wrong(GramError::INVALID_ATTR, "loglevel", &value.as_str().into(), right));
        }
    }
    Ok(())
}

fn directory(spec: &Spec, home: &Path) -> Result<PathBuf, Failure> {
    let Some(relation) = spec.last("directory") else { return Ok(home.to_owned()) };
    let path = Octets::from(attribute::text(relation)?.to_vec());
    if path.as_bytes().is_empty() {
        return Err(wrong(GramError::BAD_DIRECTORY, "directory", &path, "the path of a directory"));
    }
    Ok(home.join(path.as_path()))
}

/// Where the GASS cache is unless the request says otherwise.
pub fn default_cache(home: &Path) -> PathBuf {
    home.join(".globus/.gass_cache")
}

fn gass_cache(spec: &Spec, home: &Path) -> Result<Octets, Failure> {
    let Some(relation) = spec.first("gasscache") else { return Ok(home.join(".globus/.gass_cache").into()) };
    let path = Octets::from(attribute::text(relation)?.to_vec());
    if path.as_bytes().is_empty() {
        return Err(wrong(GramError::RSL_GASS_CACHE, "gass_cache", &path, "the path of a directory"));
    }
    Ok(home.join(path.as_path()).into())
}

fn executable(spec: &Spec, directory: &Path) -> Result<Input, Failure> {
    let Some(relation) = spec.last("executable") else {
        return Err(Failure::new(GramError::UNDEFINED_EXE, "attribute `executable` is missing"));
    };
    let path = Octets::from(attribute::text(relation)?.to_vec());
    if path.as_bytes().is_empty() {
        return Err(wrong(GramError::RSL_EXECUTABLE, "executable", &path, "the path or URL of a program"));
    }
    input("executable", &path, directory, GramError::EXECUTABLE_NOT_FOUND, GramError::STAGING_EXECUTABLE)
}

fn stdin(spec: &Spec, directory: &Path) -> Result<Input, Failure> {
    let path = match spec.first("stdin") {
        Some(relation) => Octets::from(attribute::text(relation)?.to_vec()),
        None => Octets::default(),
    };
    if path.as_bytes().is_empty() {
        return Ok(Input::File("/dev/null".into()));
    }
    input("stdin", &path, directory, GramError::STDIN_NOT_FOUND, GramError::STAGING_STDIN)
}

/// A path below the directory, or an http(s) URL. A file: URL is no file name here, as in stock: error `missing`.
fn input(
    name: &str,
    value: &Octets,
    directory: &Path,
    missing: GramError,
    unfetchable: GramError,
) -> Result<Input, Failure> {
    match scheme(value) {
        None => Ok(Input::File(directory.join(value.as_path()).into())),
        Some("file") => Err(wrong(missing, name, value, "a path without file:, or an https URL")),
        Some("https" | "http") => Ok(Input::Url(transferable(name, value, unfetchable)?)),
        Some(_) => Err(wrong(unfetchable, name, value, "a path or an https or http URL")),
    }
}

/// The forms of rsl.md §9. A single file or cache entry is written by the job itself.
fn output(relation: Option<&Relation>, unwritable: GramError, directory: &Path) -> Result<Output, Failure> {
    let Some(relation) = relation else { return Ok(Output::File("/dev/null".into())) };
    let name = String::from_utf8_lossy(&relation.name);
    let mut destinations = attribute::destinations(relation)?
        .into_iter()
        .map(|place| destination(&name, place, unwritable, directory))
        .collect::<Result<Vec<_>, _>>()?;
    // A list of one in parentheses is a list all the same: copied when the job has ended.
    let alone = matches!(relation.values.first(), Some(rsl::Value::Literal(_)));
    Ok(match destinations.pop() {
        Some(Destination::File(path)) if alone => Output::File(path),
        Some(Destination::Cache(entry)) if alone => Output::Cache(entry),
        last => {
            destinations.extend(last);
            Output::Deliver(destinations)
        }
    })
}

fn destination(
    name: &str,
    place: attribute::Destination<'_>,
    unwritable: GramError,
    directory: &Path,
) -> Result<Destination, Failure> {
    let target = Octets::from(place.target.to_vec());
    match scheme(&target) {
        Some("x-gass-cache") => Ok(Destination::Cache(CacheEntry {
            url: target.lossy().into_owned(),
            tag: place.tag.map(|tag| String::from_utf8_lossy(tag).into_owned()),
        })),
        None if target.as_bytes().is_empty() => Err(wrong(unwritable, name, &target, "a path or a URL")),
        None => Ok(Destination::File(directory.join(target.as_path()).into())),
        Some("https" | "http" | "file") => Ok(Destination::Url(transferable(name, &target, unwritable)?)),
        Some(_) => Err(wrong(unwritable, name, &target, "a path or an https, http or file URL")),
    }
}

/// The scheme when the value is a URL: letters, digits, `+`, `-`, `.` before `://`; `file:` needs no slashes. None: a path.
fn scheme(value: &Octets) -> Option<&str> {
    let bytes = value.as_bytes();
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    let (scheme, rest) = bytes.split_at_checked(colon)?;
    let scheme = std::str::from_utf8(scheme).ok()?;
    let starts_well = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
    let goes_on_well = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_url = rest.starts_with(b"://") || scheme == "file";
    (starts_well && goes_on_well && is_url).then_some(scheme)
}

/// A URL that the transfer client will understand.
fn transferable(name: &str, value: &Octets, code: GramError) -> Result<String, Failure> {
    let url = value.lossy().into_owned();
    match url.parse::<gass::Url>() {
        Ok(_) => Ok(url),
        Err(error) => Err(Failure::new(code, format!("attribute `{name}`: {error}"))),
    }
}

fn environment(spec: &Spec) -> Result<Vec<(Octets, Octets)>, Failure> {
    let Some(relation) = spec.last("environment") else { return Ok(Vec::new()) };
    attribute::pairs(relation)?
        .into_iter()
        .map(|(name, value)| {
            let name = Octets::from(name.to_vec());
            if name.as_bytes().is_empty() || name.as_bytes().contains(&b'=') {
                let right = "pairs whose names are not empty and have no =";
                return Err(wrong(GramError::RSL_ENVIRONMENT, "environment", &name, right));
            }
            Ok((name, value.to_vec().into()))
        })
        .collect()
}

fn count(spec: &Spec) -> Result<u32, Failure> {
    let Some(relation) = spec.last("count") else { return Ok(1) };
    let count = attribute::integer(relation)?;
    u32::try_from(count).ok().filter(|count| *count > 0).ok_or_else(|| {
        let shown = Octets::from(count.to_string().as_str());
        wrong(GramError::SUBMIT_UNKNOWN, "count", &shown, "the number of processes, at least 1")
    })
}

/// The words are checked already.
fn job_type(spec: &Spec) -> JobType {
    match spec.last("jobtype").map(attribute::text) {
        Some(Ok(b"single")) => JobType::Single,
        Some(Ok(b"mpi")) => JobType::Mpi,
        Some(Ok(b"condor")) => JobType::Condor,
        _ => JobType::Multiple,
    }
}

/// Minutes; 0 leaves the limit to the scheduler, as leaving the attribute out does.
fn max_wall_time(spec: &Spec) -> Result<Option<u32>, Failure> {
    let Some(relation) = spec.last("maxwalltime") else { return Ok(None) };
    let minutes = attribute::integer(relation)?;
    match u32::try_from(minutes) {
        Ok(0) => Ok(None),
        Ok(minutes) => Ok(Some(minutes)),
        Err(_) => {
            let shown = Octets::from(minutes.to_string().as_str());
            Err(wrong(GramError::INVALID_MAX_WALL_TIME, "max_wall_time", &shown, "a number of minutes"))
        }
    }
}

fn two_phase(spec: &Spec) -> Result<Option<u32>, Failure> {
    let Some(relation) = spec.first("twophase") else { return Ok(None) };
    match text(relation)?.as_str() {
        "yes" => Ok(Some(TWO_PHASE_DEFAULT)),
        "no" => Ok(None),
        other => match other.parse() {
            Ok(0) => Ok(None),
            Ok(seconds) => Ok(Some(seconds)),
            Err(_) => {
                let right = "a number of seconds, yes or no";
                Err(wrong(GramError::RSL_TWO_PHASE_COMMIT, "two_phase", &other.into(), right))
            }
        },
    }
}
