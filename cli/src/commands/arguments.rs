//! Arguments that several commands share: where to submit, what to run, which job.

use crate::{
    exit::Exit,
    failure::Failure,
    job::{
        command::{self, CommandLine},
        record, request,
    },
    ui::Ui,
};
use gram::{JobContact, ResourceContact};
use gsi::DelegationMode;
use rsl::Spec;
use std::path::{Path, PathBuf};

/// The variable that names the default resource.
pub const CONTACT_VARIABLE: &str = "GRIDIRON_CONTACT";

/// `-r CONTACT`.
#[derive(Debug, clap::Args)]
pub struct Resource {
    /// Where to run: host[:port][/service][:subject] [env: GRIDIRON_CONTACT]
    #[arg(short = 'r', long, value_name = "CONTACT")]
    resource: Option<String>,
}

impl Resource {
    /// The contact given, else this one, else that of the environment.
    pub fn contact_or(&self, known: Option<ResourceContact>) -> Result<ResourceContact, Failure> {
        match known {
            Some(known) if self.resource.is_none() => Ok(known),
            _ => self.contact(),
        }
    }

    /// The contact given, or that of the environment.
    pub fn contact(&self) -> Result<ResourceContact, Failure> {
        let text = self.resource.clone().or_else(|| std::env::var(CONTACT_VARIABLE).ok());
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Err(Failure::new(Exit::Usage, "no resource given")
                .try_this(format!("-r host[:port][/service], or set {CONTACT_VARIABLE}")));
        };
        text.parse().map_err(|error| {
            Failure::new(Exit::Input, format!("{text} is not a resource contact: {error}"))
                .try_this("host[:port][/service][:subject], e.g. grid.example.org:2119/jobmanager-fork")
        })
    }
}

/// What to run, as RSL or as a command.
#[derive(Debug, clap::Args)]
pub struct Request {
    /// Resource
    #[command(flatten)]
    pub resource: Resource,
    /// Read the request (RSL) from this file; `submit` takes several
    #[arg(short, long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["rsl", "command"])]
    pub file: Vec<PathBuf>,
    /// The request itself, e.g. '&(executable=/bin/date)'
    #[arg(long, value_name = "RSL", conflicts_with = "command")]
    rsl: Option<String>,
    /// Processes
    #[arg(short = 'n', long, value_name = "N", conflicts_with_all = ["file", "rsl"])]
    count: Option<u32>,
    /// Environment variable of the job; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE", conflicts_with_all = ["file", "rsl"])]
    env: Vec<String>,
    /// Working directory there
    #[arg(short, long, value_name = "DIR", conflicts_with_all = ["file", "rsl"])]
    directory: Option<PathBuf>,
    /// A file of this machine as the job's standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "rsl"])]
    stdin: Option<PathBuf>,
    /// COMMAND is a file of this machine: send it there first
    #[arg(long, conflicts_with_all = ["file", "rsl"])]
    stage: bool,
    /// Longest run time
    #[arg(short = 't', long, value_name = "MINUTES", conflicts_with_all = ["file", "rsl"])]
    max_wall_time: Option<u32>,
    /// More RSL relations, e.g. '(queue=long)'
    #[arg(short = 'x', long, value_name = "RSL", conflicts_with_all = ["file", "rsl"])]
    extra: Option<String>,
    /// Only check whether the site would take the job
    #[arg(long)]
    pub dry_run: bool,
    /// Delegate a full proxy instead of a limited one (a limited one cannot submit further jobs)
    #[arg(short = 'D', long)]
    full_proxy: bool,
    /// Program to run there, and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Request {
    /// The request as a specification.
    pub fn spec(&self) -> Result<Spec, Failure> {
        match (self.file.as_slice(), &self.rsl) {
            ([file], _) => read(file),
            ([], Some(text)) => Ok(request::parse(text.as_bytes())?),
            ([], None) => self.command_spec(),
            (_, _) => Err(Failure::new(Exit::Usage, "several requests, but only one can be run")
                .try_this("gridiron submit -f FILE…")),
        }
    }

    fn command_spec(&self) -> Result<Spec, Failure> {
        let Some((executable, arguments)) = self.command.split_first() else {
            return Err(Failure::new(Exit::Usage, "nothing to run")
                .try_this("a command, --rsl '&(executable=…)', or -f FILE; see --help"));
        };
        let mut environment = Vec::new();
        for pair in &self.env {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| Failure::new(Exit::Usage, format!("--env {pair}: write NAME=VALUE")))?;
            environment.push((name.to_owned(), value.to_owned()));
        }
        let extra = match &self.extra {
            Some(text) if text.trim_start().starts_with('&') => Some(request::parse(text.as_bytes())?),
            Some(text) => Some(request::parse(format!("&{text}").as_bytes())?),
            None => None,
        };
        let local = |path: &PathBuf| {
            std::fs::canonicalize(path)
                .map_err(|error| Failure::local(format!("cannot find {}", path.display()), &error))
        };
        let executable = if self.stage { local(&executable.into())? } else { executable.into() };
        Ok(command::spec(CommandLine {
            executable,
            stage: self.stage,
            arguments: arguments.to_vec(),
            environment,
            directory: self.directory.clone(),
            stdin: self.stdin.as_ref().map(local).transpose()?,
            count: self.count,
            max_wall_time: self.max_wall_time,
            extra,
        }))
    }

    /// The job reads files of this machine, so the embedded server must allow it.
    pub fn reads_local_files(&self) -> bool {
        self.stage || self.stdin.is_some()
    }

    /// What is delegated.
    pub fn delegation(&self) -> DelegationMode {
        if self.full_proxy { DelegationMode::Full } else { DelegationMode::Limited }
    }
}

/// Reads a request from a file.
pub fn read(file: &Path) -> Result<Spec, Failure> {
    let text = std::fs::read(file)
        .map_err(|error| Failure::local(format!("cannot read {}", file.display()), &error))?;
    Ok(request::parse(&text)?)
}

/// Parses job contacts.
pub fn jobs(texts: &[String]) -> Result<Vec<JobContact>, Failure> {
    texts.iter().map(|text| job(text)).collect()
}

/// The jobs recorded here by `submit`; what cannot be read is left out.
pub fn recorded_jobs(ui: &Ui) -> Result<Vec<String>, Failure> {
    let records = record::read()?.into_iter();
    let jobs: Vec<String> = records.map(|record| record.job).filter(|text| job(text).is_ok()).collect();
    if jobs.is_empty() {
        ui.note("no jobs: gridiron submit starts one");
    }
    Ok(jobs)
}

/// Parses a job contact.
pub fn job(text: &str) -> Result<JobContact, Failure> {
    text.parse().map_err(|error| {
        Failure::new(Exit::Input, format!("{text} is not a job contact: {error}"))
            .try_this("https://host:port/number/number/, as printed by: gridiron list")
    })
}
