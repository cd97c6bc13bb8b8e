//! `globus-job-get-output`: the output a submitted job left in its service's GASS cache.

use super::{
    Original, Program,
    cached_output::{Part, default_resource, show},
    globusrun,
    options::{Opt, Order, Parsed, flag, parse, valued},
    terminal::err,
};
use crate::job::{
    Interrupt, Serving, Wait,
    follow::{self, Finish, From, Until, last_lines},
    output::Stream,
    request::{relation, served},
    watch::is_terminal,
};
use gram::JobContact;
use gsi::DelegationMode;
use rsl::Spec;
use std::{
    ffi::OsString,
    io::{Seek, SeekFrom, Write},
    os::unix::ffi::OsStrExt,
    process::ExitCode,
    time::Duration,
};

/// The program.
pub(super) const PROGRAM: Program = Program {
    name: "globus-job-get-output",
    summary: "print the stdout or stderr of a job that globus-job-submit left at a service",
    synopsis: "[-help] [-version] [-f N] [-tail N] [-r <resource manager>] -out|-err <jobID>",
    options: OPTIONS,
    notes: "",
    example: "globus-job-get-output https://host.example.org:40001/17370878429703052716/72057598265942445/",
    original: Original::Script,
    run,
};

const OPTIONS: &[Opt] = &[
    flag(&["-help", "-usage"], "show this page"),
    flag(&["-version"], "show the version"),
    flag(&["-versions"], "show the versions of all parts"),
    valued(&["-resource", "-r"], "contact", "the service to ask (default: port 2119 of the job's host)"),
    flag(&["-out"], "stdout of the job (default)"),
    flag(&["-err"], "stderr of the job"),
    valued(&["-tail", "-t"], "N", "only the last N lines"),
    valued(&["-follow", "-f"], "N", "the last N lines, then new ones until the job has ended"),
];

/// How long `-follow` waits before it asks again.
const FOLLOW: Duration = Duration::from_secs(5);

fn run(arguments: &[OsString]) -> ExitCode {
    let parsed = match parse(OPTIONS, Order::Mixed, arguments) {
        Ok(parsed) => parsed,
        Err(error) => return PROGRAM.usage_error(&error.describe()),
    };
    if let Some(code) = PROGRAM.page_asked_for(&parsed) {
        return code;
    }
    let Some(job) = parsed.operands.first() else {
        return PROGRAM.syntax_only();
    };
    if parsed.has("-out") && parsed.has("-err") {
        return PROGRAM.usage_error("-out and -err are exclusive!");
    }
    if parsed.has("-tail") && parsed.has("-follow") {
        return PROGRAM.usage_error("-follow and -tail are exclusive!");
    }
    let (tail, follow) = match (lines(&parsed, "-tail"), lines(&parsed, "-follow")) {
        (Ok(tail), Ok(follow)) => (tail, follow),
        (Err(code), _) | (_, Err(code)) => return code,
    };
    let stream = if parsed.has("-err") { "stderr" } else { "stdout" };
    let job = match globusrun::job_id(job, 2) {
        Ok(job) => job,
        Err(code) => return code,
    };
    let resource = parsed.text("-resource").unwrap_or_else(|| default_resource(&job).to_string());
    match follow {
        Some(lines) => globusrun::drive(keep_following(&resource, &job, stream, lines)),
        None => {
            let part = tail.map_or(Part::Whole, Part::LastLines);
            globusrun::drive(fetch_once(&resource, &job, stream, part))
        }
    }
}

fn lines(parsed: &Parsed, option: &str) -> Result<Option<u32>, ExitCode> {
    let Some(text) = parsed.text(option) else { return Ok(None) };
    let wrong = |_| PROGRAM.usage_error(&format!("option {option} : need an integer argument"));
    text.parse().map(Some).map_err(wrong)
}

fn fetch(resource: &str, spec: Spec, serving: Serving) -> globusrun::Submission {
    globusrun::Submission {
        contact: resource.to_owned(),
        spec,
        quiet: true,
        serving: Some(serving),
        wait: Wait::End,
        interrupt: Interrupt::CancelJob,
        delegation: DelegationMode::Limited,
        dry_run: false,
    }
}

/// Prints the part, or that there is no such output. Not every site tells how a job ended, so that the job found nothing
/// is known by what it says: its stderr comes into a private file of ours.
async fn fetch_once(resource: &str, job: &JobContact, stream: &str, part: Part) -> Result<(), u8> {
    let local = |error: std::io::Error| {
        err(format_args!("globus-job-get-output: cannot keep messages in a temporary file: {error}"));
        1
    };
    let file = tempfile::NamedTempFile::new().map_err(local)?;
    let mut spec = show(job, stream, part);
    if let Spec::Boolean(_, relations) = &mut spec {
        relations.push(relation("stderr", vec![served(file.path().as_os_str().as_bytes())]));
    }
    globusrun::attempt(fetch(resource, spec, Serving::Write)).await?;
    let messages = std::fs::read(file.path()).map_err(local)?;
    if messages.is_empty() {
        return Ok(());
    }
    err(String::from_utf8_lossy(&messages).trim_end());
    Err(1)
}

/// Prints what is there, then what has come since, until the job has ended.
async fn keep_following(resource: &str, job: &JobContact, stream: &str, lines: u32) -> Result<(), u8> {
    let which = if stream == "stderr" { Stream::Stderr } else { Stream::Stdout };
    let session = globusrun::session()?;
    let part = (From::LastLines(lines), Until::End);
    match follow::read(&session.client, job, which, part, &mut std::io::stdout()).await {
        Ok(Finish::Complete) => Ok(()),
        Ok(Finish::NotTold | Finish::Gone(0)) | Err(_) => {
            keep_looking(resource, job, stream, lines, None).await
        }
        Ok(Finish::Gone(position)) => keep_looking(resource, job, stream, lines, Some(position)).await,
    }
}

/// The same as stock does it, where the job manager does not tell. Each look is a job of its own; it writes to a private file
/// of ours, which tells how far we are.
async fn keep_looking(
    resource: &str,
    job: &JobContact,
    stream: &str,
    lines: u32,
    mut position: Option<u64>,
) -> Result<(), u8> {
    let local = |error: std::io::Error| {
        err(format_args!("globus-job-get-output: cannot keep the output in a temporary file: {error}"));
        1
    };
    let mut file = tempfile::NamedTempFile::new().map_err(local)?;
    loop {
        let (state, _) = globusrun::job_state(job).await?;
        let part = position.map_or(Part::Whole, Part::After);
        let mut spec = show(job, stream, part);
        if let Spec::Boolean(_, relations) = &mut spec {
            relations.push(relation("stdout", vec![served(file.path().as_os_str().as_bytes())]));
        }
        globusrun::attempt(fetch(resource, spec, Serving::Write)).await?;
        let fresh = std::fs::read(file.path()).map_err(local)?;
        let shown = match position {
            None => last_lines(&fresh, lines),
            Some(_) => &fresh,
        };
        let mut stdout = std::io::stdout().lock();
        if stdout.write_all(shown).and_then(|()| stdout.flush()).is_err() {
            return Ok(());
        }
        position = Some(position.unwrap_or(0) + fresh.len() as u64);
        if is_terminal(state) {
            return Ok(());
        }
        file.as_file_mut()
            .set_len(0)
            .and_then(|()| file.as_file_mut().seek(SeekFrom::Start(0)))
            .map_err(local)?;
        tokio::time::sleep(FOLLOW).await;
    }
}
