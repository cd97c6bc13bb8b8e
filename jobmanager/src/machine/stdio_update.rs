//! Signals 7 and 8 (gram.md §8): new destinations for a job's output, and whether the client has all of it.

use super::{Action, Turn};
use crate::{
    job::{Destination, FileRole, Output, Phase, Redirected},
    request::StdioUpdate,
};
use gram::GramError;

impl Turn {
    /// Signal 7, already read: `Err` holds the number of what is wrong with it.
    pub(super) fn update_stdio(&mut self, update: Result<Box<StdioUpdate>, GramError>) {
        let update = match update {
            Ok(update) => *update,
            Err(code) => return self.refuse(code),
        };
        match self.job.phase {
            Phase::Uncommitted { .. }
            | Phase::StagingIn
            | Phase::Submitting
            | Phase::Submitted
            | Phase::Cancelling => {
                let new_output = !update.is_empty();
                let new_remote_io = self.merge(update);
                self.changed = true;
                self.restream(new_output);
                if new_remote_io { self.act(Action::WriteRemoteIo) } else { self.answer() }
            }
            // Output is on its way, or nobody looks after the job: only a restart helps.
            Phase::Delivering { .. }
            | Phase::StagingOut
            | Phase::Uncollected { .. }
            | Phase::Parked { .. }
            | Phase::Stopped { .. } => self.refuse(GramError::JOB_QUERY_DENIAL),
            Phase::Over { .. } => self.refuse(GramError::JOB_CONTACT_NOT_FOUND),
        }
    }

    /// The job runs, and all of its output goes to its new destinations.
    pub(super) fn restream(&mut self, new_output: bool) {
        if new_output && self.job.phase == Phase::Submitted && !self.job.lapsed {
            self.act(Action::Restream);
        }
    }

    /// Signal 8: whoever asks compares with what has been written here, once that has been sent.
    pub(super) fn compare_stdio(&mut self, stdout: Option<u64>, stderr: Option<u64>) {
        let is_sent = match self.job.phase {
            Phase::Uncommitted { .. }
            | Phase::StagingIn
            | Phase::Submitting
            | Phase::Submitted
            | Phase::Cancelling
            | Phase::Delivering { .. }
            | Phase::Stopped { .. } => !self.job.spec.needs_delivery(),
            Phase::StagingOut | Phase::Uncollected { .. } | Phase::Parked { .. } => true,
            Phase::Over { .. } => return self.refuse(GramError::JOB_CONTACT_NOT_FOUND),
        };
        match is_sent {
            true => self.act(Action::CompareStdio { stdout, stderr }),
            false => self.refuse(GramError::STILL_STREAMING),
        }
    }

    /// Takes new destinations into the request; says whether the remote I/O file is to be written anew.
    pub(super) fn merge(&mut self, update: StdioUpdate) -> bool {
        let update = update.below(&self.job.spec.directory);
        // Handed to the scheduler, the job writes where it was told to; from there its output can be copied.
        let is_started = !matches!(self.job.phase, Phase::Uncommitted { .. } | Phase::StagingIn);
        let mut was = self.job.redirected.take().map(|was| *was).unwrap_or_default();
        if let Some(output) = update.stdout {
            self.forget_moves(|role| matches!(role, FileRole::Stdout(_)));
            redirect(&mut self.job.spec.stdout, &mut was.stdout, output, is_started);
        }
        if let Some(output) = update.stderr {
            self.forget_moves(|role| matches!(role, FileRole::Stderr(_)));
            redirect(&mut self.job.spec.stderr, &mut was.stderr, output, is_started);
        }
        self.job.redirected = (was != Redirected::default()).then(|| Box::new(was));
        let new_remote_io = update.remote_io_url.is_some();
        if new_remote_io {
            self.job.spec.remote_io_url = update.remote_io_url;
        }
        new_remote_io
    }

    fn forget_moves(&mut self, concerned: impl Fn(FileRole) -> bool) {
        if let Some(progress) = &mut self.job.progress {
            progress.forget(concerned);
        }
    }
}

fn redirect(current: &mut Output, as_started: &mut Option<Output>, new: Output, is_started: bool) {
    if !is_started {
        *current = new;
        return;
    }
    let written = as_started.clone().unwrap_or_else(|| current.clone());
    if new == written {
        *current = new;
        *as_started = None;
        return;
    }
    if !matches!(written, Output::Deliver(_)) {
        *as_started = Some(written);
    }
    *current = match new {
        Output::File(path) => Output::Deliver(vec![Destination::File(path)]),
        Output::Cache(entry) => Output::Deliver(vec![Destination::Cache(entry)]),
        deliver @ Output::Deliver(_) => deliver,
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        job::{Job, tests::sample},
        machine::{Event, step},
    };
    use jiff::Timestamp;

    fn file(path: &str) -> Output {
        Output::File(path.into())
    }

    fn to(path: &str) -> Output {
        Output::Deliver(vec![Destination::File(path.into())])
    }

    fn updated(job: Job, stdout: Output) -> Job {
        let update = StdioUpdate { stdout: Some(stdout), ..StdioUpdate::default() };
        step(job, Event::StdioUpdate(Ok(Box::new(update))), Timestamp::UNIX_EPOCH).0
    }

    fn job(phase: Phase, stdout: Output) -> Job {
        let mut job = sample();
        job.phase = phase;
        job.spec.stdout = stdout;
        job
    }

    #[test]
    fn before_the_start_the_job_is_simply_told_another_place() {
        let job = updated(job(Phase::StagingIn, file("/a")), file("b"));
        assert_eq!((&job.spec.stdout, &job.redirected), (&file("/tmp/b"), &None), "below its directory");
    }

    #[test]
    fn afterwards_its_output_is_copied_from_where_it_writes() {
        let job = updated(job(Phase::Submitted, file("/a")), file("/b"));
        assert_eq!(job.spec.stdout, to("/b"));
        assert_eq!(job.stdout_as_started(), &file("/a"));
        // Once more: it still writes to the first place.
        let job = updated(job, to("/c"));
        assert_eq!(job.spec.stdout, to("/c"));
        assert_eq!(job.stdout_as_started(), &file("/a"));
        // And back.
        let job = updated(job, file("/a"));
        assert_eq!((&job.spec.stdout, &job.redirected), (&file("/a"), &None));
    }

    #[test]
    fn what_is_collected_in_the_job_directory_just_goes_elsewhere() {
        let job = updated(job(Phase::Submitted, to("/a")), file("/b"));
        assert_eq!((&job.spec.stdout, &job.redirected), (&to("/b"), &None));
    }
}
