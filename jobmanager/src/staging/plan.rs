//! Which files are moved, in which order, and which of them at the same time. Pure.
//!
//! Stock moves one file after the other, the last entry of each list first, so requests may rely on the order: of two entries with one
//! target the first of the list wins, and a `file:` URL may name what a later entry has brought. Whatever could be told from
//! the order is therefore kept one after the other; the rest of a list goes at the same time.

use crate::{
    job::{CacheEntry, Destination, FileRole, Input, Job, Output},
    octets::Octets,
    site::JobFiles,
};
use gass::Url;
use std::path::PathBuf;

/// One file and its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) role: FileRole,
    pub(super) way: Way,
}

/// From where to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// A URL into the cache.
    Cache { url: String },
    /// A URL into a file.
    Fetch { url: String, path: PathBuf },
    /// A URL into the cache, and a link to it.
    Link { url: String, path: PathBuf },
    /// A file to somewhere.
    Send { from: Origin, to: Target },
}

/// Where a file that is sent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    File(PathBuf),
    /// An entry of the cache under the job's tag.
    Cache(String),
    /// An entry of the cache that the job writes into.
    Entry(CacheEntry),
}

/// Where a file is sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Url(String),
    File(PathBuf),
    Cache(CacheEntry),
}

/// What is fetched before the job starts and is not there yet: executable, stdin, the lists (rsl.md §9), each from its end.
pub(super) fn inputs(job: &Job) -> Vec<Step> {
    let to_cache = |role, input: &Input| match input {
        Input::Url(url) => Some(Step { role, way: Way::Cache { url: url.clone() } }),
        Input::File(_) => None,
    };
    let mut steps = Vec::new();
    steps.extend(to_cache(FileRole::Executable, &job.spec.executable));
    steps.extend(to_cache(FileRole::Stdin, &job.spec.stdin));
    if let Some(lists) = &job.spec.staging {
        steps.extend(numbered(&lists.stage_in).rev().map(|(number, pair)| Step {
            role: FileRole::StageIn(number),
            way: Way::Fetch { url: url(&pair.from), path: local_path(job, &pair.to) },
        }));
        steps.extend(numbered(&lists.stage_in_shared).rev().map(|(number, pair)| Step {
            role: FileRole::StageInShared(number),
            way: Way::Link { url: url(&pair.from), path: local_path(job, &pair.to) },
        }));
    }
    without_what_is_there(job, steps)
}

/// The streams in the order stock has: stderr before stdout, the last destination first.
pub(super) fn streams(job: &Job, files: &JobFiles) -> Vec<Step> {
    let of = |output: &Output, started: &Output, own: PathBuf, role: fn(u16) -> FileRole| -> Vec<Step> {
        let Output::Deliver(destinations) = output else { return Vec::new() };
        let from = match started {
            Output::Deliver(_) => Origin::File(own),
            Output::File(path) => Origin::File(path.as_path().to_owned()),
            Output::Cache(entry) => Origin::Entry(entry.clone()),
        };
        let step = |(number, destination): (u16, &Destination)| Step {
            role: role(number),
            way: Way::Send {
                from: from.clone(),
                to: match destination {
                    Destination::Url(url) => Target::Url(url.clone()),
                    Destination::File(path) => Target::File(path.as_path().to_owned()),
                    Destination::Cache(entry) => Target::Cache(entry.clone()),
                },
            },
        };
        numbered(destinations).map(step).rev().collect()
    };
    let mut steps = of(&job.spec.stderr, job.stderr_as_started(), files.stderr(), FileRole::Stderr);
    steps.extend(of(&job.spec.stdout, job.stdout_as_started(), files.stdout(), FileRole::Stdout));
    without_what_is_there(job, steps)
}

/// `file_stage_out` from its end, as far as it is not out yet.
pub(super) fn outputs(job: &Job) -> Vec<Step> {
    let lists = job.spec.staging.iter();
    let steps = lists.flat_map(|lists| numbered(&lists.stage_out).rev()).map(|(number, pair)| Step {
        role: FileRole::StageOut(number),
        way: Way::Send {
            from: match pair.from.lossy() {
                name if name.starts_with("x-gass-cache:") => Origin::Cache(name.into_owned()),
                _ => Origin::File(local_path(job, &pair.from)),
            },
            to: Target::Url(url(&pair.to)),
        },
    });
    without_what_is_there(job, steps.collect())
}

fn without_what_is_there(job: &Job, mut steps: Vec<Step>) -> Vec<Step> {
    steps.retain(|step| !job.has_moved(step.role));
    steps
}

/// Entries with their numbers. A request of 64,000 bytes cannot have more than these can count.
fn numbered<T>(list: &[T]) -> impl DoubleEndedIterator<Item = (u16, &T)> + ExactSizeIterator {
    list.iter().enumerate().map(|(number, entry)| (u16::try_from(number).unwrap_or(u16::MAX), entry))
}

/// A remote name: a URL, or an absolute path, which stands for its `file:` URL.
fn url(name: &Octets) -> String {
    match name.as_path() {
        path if path.is_absolute() => Url::File(path.to_owned()).to_string(),
        _ => name.lossy().into_owned(),
    }
}

/// A local name: a path, relative ones below the working directory, or a `file:` URL.
pub(super) fn local_path(job: &Job, name: &Octets) -> PathBuf {
    match name.lossy().parse::<Url>() {
        Ok(Url::File(path)) => path,
        _ => job.spec.resolve(name),
    }
}

/// Steps in groups: those of one group may go at the same time, the groups one after the other.
pub(super) fn groups(steps: Vec<Step>) -> Vec<Vec<Step>> {
    let mut groups: Vec<Vec<Step>> = Vec::new();
    for step in steps {
        match groups.last_mut() {
            Some(group) if group.iter().all(|earlier| independent(earlier, &step)) => group.push(step),
            _ => groups.push(vec![step]),
        }
    }
    groups
}

/// Nobody can tell from the result which of the two was moved first.
fn independent(earlier: &Step, later: &Step) -> bool {
    !stands_alone(earlier) && !stands_alone(later) && earlier.way.target() != later.way.target()
}

/// It reads or writes what other steps of the same list may write or read, or a person watches it come: streams may have one
/// terminal as their target.
fn stands_alone(step: &Step) -> bool {
    let is_local = |url: &str| !matches!(url.parse(), Ok(Url::Http { .. }));
    match (&step.role, &step.way) {
        (FileRole::Stdout(_) | FileRole::Stderr(_), _) => true,
        (_, Way::Cache { url }) => is_local(url),
        (_, Way::Fetch { url, .. } | Way::Link { url, .. }) => is_local(url),
        (_, Way::Send { to: Target::Url(url), .. }) => is_local(url) || is_terminal(url),
        (_, Way::Send { to: Target::File(_) | Target::Cache(_), .. }) => true,
    }
}

/// The URL of a GASS server's own output, to which data is appended.
pub(super) fn is_terminal(url: &str) -> bool {
    matches!(url.parse(), Ok(Url::Http { path, .. }) if path == "/dev/stdout" || path == "/dev/stderr")
}

impl Way {
    /// The file of this machine that is written, other than an entry of the cache.
    pub(super) fn local_target(&self) -> Option<PathBuf> {
        match self {
            Self::Fetch { path, .. } | Self::Link { path, .. } => Some(path.clone()),
            Self::Send { to: Target::File(path), .. } => Some(path.clone()),
            Self::Send { to: Target::Url(url), .. } => match url.parse() {
                Ok(Url::File(path)) => Some(path),
                _ => None,
            },
            Self::Cache { .. } | Self::Send { to: Target::Cache(_), .. } => None,
        }
    }

    /// What is written; two steps with the same cannot go at the same time.
    fn target(&self) -> Option<&std::ffi::OsStr> {
        match self {
            // Whoever comes second to an entry of the cache finds it there.
            Self::Cache { .. } => None,
            Self::Fetch { path, .. } | Self::Link { path, .. } => Some(path.as_os_str()),
            Self::Send { to: Target::Url(url), .. } => Some(url.as_ref()),
            Self::Send { to: Target::File(path), .. } => Some(path.as_os_str()),
            Self::Send { to: Target::Cache(entry), .. } => Some(entry.url.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{FilePair, tests::sample};

    fn job(stage_in: &[(&str, &str)], stage_out: &[(&str, &str)]) -> Job {
        let pair = |(from, to): &(&str, &str)| FilePair { from: (*from).into(), to: (*to).into() };
        let mut job = sample();
        job.spec.executable = Input::Url("https://vm:1/x".into());
        let lists = job.spec.staging.get_or_insert_default();
        lists.stage_in = stage_in.iter().map(pair).collect();
        lists.stage_out = stage_out.iter().map(pair).collect();
        job
    }

    fn roles(groups: Vec<Vec<Step>>) -> Vec<Vec<FileRole>> {
        groups.into_iter().map(|group| group.into_iter().map(|step| step.role).collect()).collect()
    }

    #[test]
    fn what_cannot_disturb_each_other_goes_together() {
        let job = job(&[("https://vm:1/a", "a"), ("https://vm:1/a", "b"), ("http://vm/c", "/c")], &[]);
        let (x, input) = (FileRole::Executable, FileRole::StageIn);
        assert_eq!(roles(groups(inputs(&job))), [vec![x, input(2), input(1), input(0)]]);
    }

    #[test]
    fn one_target_is_written_by_one_at_a_time() {
        let job =
            job(&[("https://vm:1/a", "same"), ("https://vm:1/b", "other"), ("https://vm:1/c", "same")], &[]);
        let (x, input) = (FileRole::Executable, FileRole::StageIn);
        assert_eq!(roles(groups(inputs(&job))), [vec![x, input(2), input(1)], vec![input(0)]]);
    }

    #[test]
    fn local_files_and_terminals_wait_their_turn() {
        let copies =
            job(&[("https://vm:1/a", "a"), ("file:///b", "b"), ("/c", "c"), ("https://vm:1/d", "d")], &[]);
        let (x, input) = (FileRole::Executable, FileRole::StageIn);
        let one_by_one = [vec![x, input(3)], vec![input(2)], vec![input(1)], vec![input(0)]];
        assert_eq!(roles(groups(inputs(&copies))), one_by_one);
        let out =
            job(&[], &[("a", "https://vm:1/dev/stdout"), ("b", "https://vm:1/b"), ("c", "https://vm:1/c")]);
        let output = FileRole::StageOut;
        assert_eq!(roles(groups(outputs(&out))), [vec![output(2), output(1)], vec![output(0)]]);
    }

    #[test]
    fn paths_and_urls_of_this_machine() {
        let mut job = job(
            &[],
            &[("a", "/b c"), ("file:///d%20e", "https://vm:1/x"), ("x-gass-cache://f", "https://vm:1/y")],
        );
        job.spec.directory = "/work".into();
        let ways: Vec<Way> = outputs(&job).into_iter().rev().map(|step| step.way).collect();
        let send = |from, to: &str| Way::Send { from, to: Target::Url(to.into()) };
        assert_eq!(
            ways,
            [
                send(Origin::File("/work/a".into()), "file:///b%20c"),
                send(Origin::File("/d e".into()), "https://vm:1/x"),
                send(Origin::Cache("x-gass-cache://f".into()), "https://vm:1/y"),
            ]
        );
        assert_eq!(ways.first().and_then(Way::local_target), Some("/b c".into()));
    }
}
