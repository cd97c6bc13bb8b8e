//! What is removed when a job is over (rsl.md §9): the files of `file_clean_up`, the scratch directory, what the job brought into the
//! cache, its own directory; in this order, and however the job ended.

use super::{arrival, cached, errand::temporary_name, plan, scratch};
use crate::{job::Job, site::JobFiles};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Removes everything. What cannot be removed is logged and no more: the job is over.
pub fn clean_up(job: &Job, files: &JobFiles) {
    let log = |what: &str, path: &Path, result: io::Result<()>| {
        if let Err(error) = result {
            tracing::warn!(job = %job.key, path = %path.display(), %error, "{what} not removed");
        }
    };
    for path in unfinished(job, files) {
        log("unfinished file", &path, remove(&path));
    }
    let cleaned = job.progress.as_ref().is_some_and(|progress| progress.cleaned);
    if let (false, Some(lists)) = (cleaned, &job.spec.staging) {
        for path in lists.clean_up.iter().map(|name| plan::local_path(job, name)) {
            log("file_clean_up", &path, remove(&path));
        }
        if let Some(path) = &lists.scratch {
            log("scratch directory", path.as_path(), scratch::remove(path.as_path()));
        }
    }
    if let Err(error) = cached::clean(job) {
        tracing::warn!(job = %job.key, %error, "cache entries not removed");
    }
    log("job directory", files.directory(), files.remove());
}

/// Names under which parts of files may have been left by a manager that was killed.
fn unfinished(job: &Job, files: &JobFiles) -> Vec<PathBuf> {
    let steps = plan::inputs(job).into_iter().chain(plan::streams(job, files)).chain(plan::outputs(job));
    steps
        .filter_map(|step| Some(arrival::beside(&step.way.local_target()?, &temporary_name(job, step.role))))
        .collect()
}

/// A file or link; what is not there need not be removed, and directories stay, as in stock.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
