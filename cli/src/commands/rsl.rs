//! `gridiron rsl`: checks and formats requests.

use crate::{
    exit::Exit,
    failure::Failure,
    job::{JobError, request},
    ui::Ui,
};
use rsl::{
    Operator, Spec,
    attribute::{self, Request},
    evaluate::{self, Symbols},
};
use serde_json::json;
use std::{
    io::Read,
    path::{Path, PathBuf},
};

/// The largest request worth reading; gatekeepers take far less.
const MAX_RSL: u64 = 1 << 20;

/// Variables every job manager defines (rsl.md §6), and the one of `run -s`.
const SYMBOLS: [&str; 17] = [
    "HOME",
    "LOGNAME",
    "GLOBUS_ID",
    "GLOBUS_LOCATION",
    "GLOBUS_GATEKEEPER_HOST",
    "GLOBUS_GATEKEEPER_PORT",
    "GLOBUS_GATEKEEPER_SUBJECT",
    "GLOBUS_HOST_OSNAME",
    "GLOBUS_HOST_OSVERSION",
    "GLOBUS_HOST_CPUTYPE",
    "GLOBUS_HOST_MANUFACTURER",
    "GLOBUS_GRAM_JOB_CONTACT",
    "GLOBUS_GRAM_JOB_ID",
    "GLOBUS_CACHED_STDOUT",
    "GLOBUS_CACHED_STDERR",
    "SCRATCH_DIRECTORY",
    "GLOBUSRUN_GASS_URL",
];

/// Check and format job requests (RSL)
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Find mistakes: syntax, variables, attributes
    #[command(after_help = "Example: gridiron rsl check job.rsl")]
    Check {
        /// File with the request; - is standard input
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
        /// Allow the attributes of this scheduler too: fork, pbs, lsf, slurm, sge, condor
        #[arg(long, default_value = "fork")]
        scheduler: String,
    },
    /// Print a request neatly
    #[command(after_help = "Example: gridiron rsl fmt job.rsl --canonical")]
    Fmt {
        /// File with the request; - is standard input
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
        /// On one line, as it travels
        #[arg(long)]
        canonical: bool,
    },
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Check { file, scheduler } => check(ui, &read(&file)?, &scheduler),
            Verb::Fmt { file, canonical } => {
                let spec = request::parse(&read(&file)?)?;
                let text = if canonical { rsl::print::print(&spec) } else { rsl::print::pretty(&spec) };
                let text = text.map_err(|error| JobError::Rsl(error.to_string()))?;
                let text = String::from_utf8_lossy(&text).into_owned();
                ui.result(&json!({ "rsl": text }), &text);
                Ok(Exit::Success)
            }
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let source: std::io::Result<Box<dyn Read>> = if file == Path::new("-") {
        Ok(Box::new(std::io::stdin()))
    } else {
        std::fs::File::open(file).map(|file| Box::new(file) as Box<dyn Read>)
    };
    let mut text = Vec::new();
    source
        .and_then(|source| source.take(MAX_RSL + 1).read_to_end(&mut text))
        .map_err(|error| Failure::local(format!("cannot read {}", file.display()), &error))?;
    if text.len() as u64 > MAX_RSL {
        return Err(Failure::new(Exit::Input, format!("{} is over {MAX_RSL} bytes long", file.display())));
    }
    Ok(text)
}

fn check(ui: &Ui, text: &[u8], scheduler: &str) -> Result<Exit, Failure> {
    let mistakes: Vec<Mistake> = match request::parse(text) {
        Err(error) => vec![Mistake { code: error.code().0, message: error.to_string() }],
        Ok(spec) => jobs(&spec).into_iter().filter_map(|job| judge(job, text, scheduler).err()).collect(),
    };
    if mistakes.is_empty() {
        ui.result(&json!({ "ok": true, "mistakes": [] }), "ok");
        return Ok(Exit::Success);
    }
    let lines: Vec<String> =
        mistakes.iter().map(|mistake| format!("{} (GRAM error {})", mistake.message, mistake.code)).collect();
    ui.result(&json!({ "ok": false, "mistakes": mistakes }), lines.join("\n"));
    Ok(Exit::Negative)
}

#[derive(Debug, PartialEq, Eq, serde::Serialize)]
struct Mistake {
    /// What a gatekeeper would answer.
    code: u16,
    message: String,
}

/// The single jobs of a request: the parts of a multi-request, or itself.
fn jobs(spec: &Spec) -> Vec<&Spec> {
    match spec {
        Spec::Boolean(Operator::Multi, parts) => parts.iter().collect(),
        single => vec![single],
    }
}

/// `source` is the text that the job is a part of.
fn judge(job: &Spec, source: &[u8], scheduler: &str) -> Result<(), Mistake> {
    // What they stand for is the site's to say; here it only matters that they stand for something.
    let symbols: Symbols = SYMBOLS.iter().map(|name| (name.as_bytes().to_vec(), b"/".to_vec())).collect();
    let evaluated = evaluate::evaluate(&evaluate::canonicalise(job), &symbols)
        .map_err(|error| Mistake { code: 39, message: error.to_string() })?;
    attribute::check(&evaluated, Request::Submit, scheduler)
        .map_err(|violation| Mistake { code: violation.code, message: violation.underline(source) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> u16 {
        judge(&request::parse(text.as_bytes()).unwrap(), text.as_bytes(), "fork").unwrap_err().code
    }

    #[test]
    fn mistakes_have_their_gram_numbers() {
        assert_eq!(mistake("&(executable=/bin/date)(foo=1)"), 1);
        assert_eq!(mistake("&(executable=$(NOWHERE))"), 39);
        assert_eq!(mistake("|(executable=/bin/date)"), 48);
    }

    #[test]
    fn each_part_of_a_multi_request_is_judged() {
        let spec = request::parse(b"+(&(executable=/a))(&(executable=/b))").unwrap();
        assert_eq!(jobs(&spec).len(), 2);
        assert!(jobs(&spec).into_iter().all(|job| judge(job, b"", "fork").is_ok()));
    }

    #[test]
    fn what_run_adds_is_known() {
        let spec = request::parse(b"&(executable=$(GLOBUSRUN_GASS_URL)/bin/x)(directory=$(HOME))").unwrap();
        assert_eq!(judge(&spec, b"", "fork"), Ok(()));
    }
}
