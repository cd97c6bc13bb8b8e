//! The fork scheduler: jobs are children of the account's reaper, so they outlive the job manager.
//!
//! Here is only what GRAM adds to the reaper: job types, checks before submission, error numbers, ids. A job is
//! ACTIVE at once and never PENDING. The id is the processes' pids joined by commas; it is for people, the reaper
//! goes by the key.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use gram::GramError;
use tokio::{sync::mpsc, time::Instant};

use super::{Outcome, Scheduler, SchedulerError, SchedulerEvent, SchedulerId};
use crate::{
    launch::{JobKey, JobType, Launch},
    reaper::{
        client::{Client, ClientError},
        process,
        protocol::{Command, MAX_PROCESSES, Refusal, Request, Stage, Status},
    },
};

/// What starts an MPI program, with the option that takes the number of processes, in order of preference.
const MPI_LAUNCHERS: [(&str, &str); 2] = [("mpiexec", "-n"), ("mpirun", "-np")];
/// Between one vain attempt to submit and the next.
const SUBMIT_AGAIN: Duration = Duration::from_secs(1);
/// A submission fails when no reaper could be had for as long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between one vain attempt to adopt or forget and the next.
const RETRY: Duration = Duration::from_secs(5);

/// The fork adapter. Dropping it leaves reaper and jobs alone.
#[derive(Debug, Clone)]
pub struct Fork {
    reaper: Client,
}

impl Fork {
    /// Makes the adapter; must be called within a tokio runtime.
    ///
    /// `dir` is the reaper's own directory (created 0700 when missing). `reaper_command` is the program and arguments that
    /// start one, to which `--dir dir` is added. The reaper is started for the first job. The receiver gives the events
    /// of jobs submitted or adopted here; a job's first event may come before `submit` has returned.
    pub fn new(
        dir: PathBuf,
        mut reaper_command: Vec<OsString>,
    ) -> (Fork, mpsc::UnboundedReceiver<SchedulerEvent>) {
        reaper_command.extend(["--dir".into(), dir.clone().into_os_string()]);
        let (reaper, mut changes) = Client::new(dir, reaper_command);
        // No bound, for the reason given at `Client::new`.
        let (events, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some((key, status)) = changes.recv().await {
                if events.send(event(key, &status)).is_err() {
                    return;
                }
            }
        });
        (Fork { reaper }, receiver)
    }
}

impl Scheduler for Fork {
    fn name(&self) -> &'static str {
        "fork"
    }

    fn check(&self, launch: &Launch) -> Result<(), SchedulerError> {
        let command = command(launch)?;
        let refuse = |stage, what: &str, path: &Path, error: std::io::Error| {
            let message = format!("cannot open {what} {}: {error}", path.display());
            refused(&Refusal { stage, message })
        };
        process::check_directory(&command.directory).map_err(|refusal| refused(&refusal))?;
        process::check_executable(&command.executable).map_err(|refusal| refused(&refusal))?;
        let at = |path: &Path| command.directory.join(path);
        let stdin = at(&command.stdin);
        process::open_stdin(&stdin).map_err(|error| refuse(Stage::Stdin, "stdin", &stdin, error))?;
        for (stage, what, path) in
            [(Stage::Stdout, "stdout", &command.stdout), (Stage::Stderr, "stderr", &command.stderr)]
        {
            let path = at(path);
            process::check_output(&path).map_err(|error| refuse(stage, what, &path, error))?;
        }
        Ok(())
    }

    async fn submit(&self, launch: Launch) -> Result<SchedulerId, SchedulerError> {
        let request = Request::Start(launch.key, Box::new(command(&launch)?));
        let begun = Instant::now();
        loop {
            match self.reaper.ask(request.clone()).await {
                Ok(status) => return Ok(id(status.as_ref())),
                // The one refusal that says "not now" (disk full): nothing has been started. The job has been accepted, and
                // that it had failed could be written down no more than its start, so it waits for room.
                Err(ClientError::Refused(Refusal { stage: Stage::Journal, message })) => {
                    tracing::warn!(key = %launch.key, message, "submission is tried again");
                }
                Err(error @ ClientError::Unreachable(_)) if begun.elapsed() < PATIENCE => {
                    tracing::warn!(key = %launch.key, %error, "submission is tried again");
                }
                Err(error) => return Err(failed(GramError::JOB_EXECUTION_FAILED, &error)),
            }
            tokio::time::sleep(SUBMIT_AGAIN).await;
        }
    }

    async fn cancel(&self, key: JobKey, _id: &SchedulerId) -> Result<(), SchedulerError> {
        match self.reaper.ask(Request::Cancel(key)).await {
            // Over already: its end comes as an event, or has come.
            Ok(_) | Err(ClientError::Refused(Refusal { stage: Stage::NoSuchJob, .. })) => Ok(()),
            Err(error) => Err(failed(GramError::JOB_CANCEL_FAILED, &error)),
        }
    }

    async fn suspend(&self, key: JobKey, _id: &SchedulerId) -> Result<(), SchedulerError> {
        self.signal(Request::Suspend(key)).await
    }

    async fn resume(&self, key: JobKey, _id: &SchedulerId) -> Result<(), SchedulerError> {
        self.signal(Request::Resume(key)).await
    }

    /// Jobs with an id that the reaper does not know are reported as ended and lost. For those without an id, nothing is
    /// reported when the reaper does not know them: then they have not been started, and `submit` may be called again
    /// (unless the machine has been restarted since, see [`crate::store::Stored::this_boot`]).
    async fn adopt(&self, jobs: Vec<(JobKey, Option<SchedulerId>)>) -> Result<(), SchedulerError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let jobs: Vec<_> = jobs.iter().map(|(key, id)| (*key, id.is_some())).collect();
        // As long as no reaper can be had, nothing is known of them, and that changes nothing.
        while let Err(error) = self.reaper.adopt(jobs.clone()).await {
            if matches!(error, ClientError::Closed) {
                return Err(failed(GramError::JOB_EXECUTION_FAILED, &error));
            }
            tracing::error!(%error, jobs = jobs.len(), "running jobs cannot be watched yet");
            tokio::time::sleep(RETRY).await;
        }
        Ok(())
    }

    async fn forget(&self, key: JobKey) {
        while let Err(
            ClientError::Refused(Refusal { stage: Stage::Journal, .. }) | ClientError::Unreachable(_),
        ) = self.reaper.ask(Request::Forget(key)).await
        {
            tokio::time::sleep(RETRY).await;
        }
    }
}

impl Fork {
    async fn signal(&self, request: Request) -> Result<(), SchedulerError> {
        match self.reaper.ask(request).await {
            Ok(_) => Ok(()),
            Err(error) => Err(failed(GramError::SIGNALING_JOB, &error)),
        }
    }
}

/// What the reaper is to run for a launch, or why fork cannot run it.
fn command(launch: &Launch) -> Result<Command, SchedulerError> {
    if launch.count == 0 {
        // Stock's answer to a count of 0 or less (rsl.md §9).
        let message = "count must be at least 1".to_owned();
        return Err(SchedulerError { code: GramError::SUBMIT_UNKNOWN, message });
    }
    if launch.count > MAX_PROCESSES {
        let message = format!("count is {}; fork starts at most {MAX_PROCESSES} processes", launch.count);
        return Err(SchedulerError { code: GramError::INVALID_COUNT, message });
    }
    let (executable, arguments, processes) = match launch.job_type {
        JobType::Single => (launch.executable.clone(), launch.arguments.clone(), 1),
        JobType::Multiple => (launch.executable.clone(), launch.arguments.clone(), launch.count),
        JobType::Mpi => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let (launcher, arguments) = mpi_command(launch, &path).ok_or_else(|| SchedulerError {
                code: GramError::JOBTYPE_NOT_SUPPORTED,
                message: "job_type=mpi: neither mpiexec nor mpirun is on the service's PATH".to_owned(),
            })?;
            (launcher, arguments, 1)
        }
        JobType::Condor => {
            return Err(SchedulerError {
                code: GramError::JOBTYPE_NOT_SUPPORTED,
                message: "job_type=condor is served by HTCondor only, not by fork".to_owned(),
            });
        }
    };
    Ok(Command {
        executable,
        arguments,
        environment: launch.environment.clone(),
        directory: launch.directory.clone(),
        stdin: launch.stdin.clone(),
        stdout: launch.stdout.clone(),
        stderr: launch.stderr.clone(),
        processes,
        limit: launch.max_wall_time.map(|minutes| Duration::from_secs(u64::from(minutes) * 60)),
    })
}

/// `mpiexec -n COUNT EXECUTABLE ARGUMENTS…`, with the launcher that `path` has.
fn mpi_command(launch: &Launch, path: &std::ffi::OsStr) -> Option<(PathBuf, Vec<OsString>)> {
    let (launcher, option) = MPI_LAUNCHERS.iter().find_map(|(name, option)| {
        let mut places = std::env::split_paths(path).map(|dir| dir.join(name));
        Some((places.find(|place| process::check_executable(place).is_ok())?, option))
    })?;
    let mut arguments =
        vec![option.into(), launch.count.to_string().into(), launch.executable.clone().into()];
    arguments.extend(launch.arguments.iter().cloned());
    Some((launcher, arguments))
}

fn event(key: JobKey, status: &Status) -> SchedulerEvent {
    match *status {
        Status::Active(_) => SchedulerEvent::Active(key),
        Status::Suspended(_) => SchedulerEvent::Suspended(key),
        Status::Ended(outcome) => SchedulerEvent::Ended(key, outcome),
    }
}

/// The pids; of a job that is over already nobody needs them any more.
fn id(status: Option<&Status>) -> SchedulerId {
    let pids = match status {
        Some(Status::Active(pids) | Status::Suspended(pids)) => pids.as_slice(),
        Some(Status::Ended(Outcome::Exited { .. } | Outcome::TimeLimit | Outcome::Lost)) | None => &[],
    };
    SchedulerId(pids.iter().map(u32::to_string).collect::<Vec<_>>().join(","))
}

fn failed(otherwise: GramError, error: &ClientError) -> SchedulerError {
    match error {
        ClientError::Refused(refusal) => {
            let by_stage = refused(refusal);
            let code = if refusal.stage == Stage::Other { otherwise } else { by_stage.code };
            SchedulerError { code, ..by_stage }
        }
        _ => SchedulerError { code: otherwise, message: error.to_string() },
    }
}

/// The one place that gives a reaper's refusal its GRAM number (rsl.md §9, gram.md §15).
fn refused(refusal: &Refusal) -> SchedulerError {
    let code = match refusal.stage {
        Stage::Directory => GramError::BAD_DIRECTORY,
        Stage::Executable => GramError::EXECUTABLE_NOT_FOUND,
        Stage::Permission => GramError::EXECUTABLE_PERMISSIONS,
        Stage::Stdin => GramError::STDIN_NOT_FOUND,
        Stage::Stdout => GramError::OPENING_STDOUT,
        Stage::Stderr => GramError::OPENING_STDERR,
        Stage::Fork => GramError::FORKING_EXECUTABLE,
        Stage::NoSuchJob => GramError::SIGNALING_JOB,
        Stage::Arguments | Stage::Journal | Stage::Other => GramError::JOB_EXECUTION_FAILED,
    };
    SchedulerError { code, message: refusal.message.clone() }
}

#[cfg(test)]
mod tests;
