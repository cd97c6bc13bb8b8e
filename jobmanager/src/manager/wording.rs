//! A job as others see it: in state updates, and in lists for people.

use crate::job::{FileProgress, FileStage, Job, Notice};
use gram::{JobState, control::v1, wire};

/// What a contact is told (gram.md §9, §10).
pub(super) fn update(job: &Job, notice: &Notice) -> wire::Update {
    let mut extensions = wire::reply::version_extensions();
    let mut add = |name: &str, value: String| extensions.push((name.to_owned(), value));
    if let (JobState::Done, Some(code)) = (notice.state, job.exit_code) {
        add("exit-code", code.to_string());
    }
    if let Some(failure) = job.failure.as_ref().filter(|failure| failure.code == notice.failure) {
        add("gt3-failure-message", failure.message.clone());
        if let Some(kind) = failure.kind {
            add("gt3-failure-type", kind.as_str().to_owned());
        }
        if let Some(url) = &failure.source_url {
            add("gt3-failure-source", url.clone());
        }
        if let Some(url) = &failure.destination {
            add("gt3-failure-destination", url.clone());
        }
    }
    wire::Update {
        contact: job.contact.clone(),
        status: notice.state.value(),
        failure_code: notice.failure,
        extensions,
    }
}

/// A job for `list`.
pub(super) fn describe(job: &Job) -> v1::Job {
    v1::Job {
        contact: job.contact.clone(),
        state: job.state.value(),
        failure: u32::from(job.failure_code().0),
        exit_code: job.exit_code,
        identity: job.origin.identity.clone(),
        rsl: job.origin.rsl.lossy().into_owned(),
        created: job.origin.created.as_second(),
        scheduler_id: job.scheduler_id.as_ref().map(|id| id.0.clone()).unwrap_or_default(),
        files: job
            .progress
            .iter()
            .flat_map(|progress| &progress.files)
            .map(|file| describe_file(job, file))
            .collect(),
    }
}

/// One of a job's files for `status -v`.
fn describe_file(job: &Job, file: &FileProgress) -> v1::File {
    let (from, to) = job.ends_of(file.role);
    let (stage, bytes) = match file.stage {
        FileStage::Moving => (v1::FileStage::Moving, 0),
        FileStage::Waiting => (v1::FileStage::Waiting, 0),
        FileStage::Done { bytes } => (v1::FileStage::Done, bytes),
        FileStage::Failed => (v1::FileStage::Failed, 0),
    };
    v1::File {
        attribute: file.role.attribute().to_owned(),
        number: u32::from(file.role.number()),
        from,
        to,
        stage: stage.into(),
        bytes,
        attempts: file.attempts,
        since: file.since.as_second(),
        trouble: file.trouble.clone().unwrap_or_default(),
    }
}
