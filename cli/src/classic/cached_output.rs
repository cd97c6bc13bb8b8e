//! The output of a submitted job in its service's GASS cache (gass.md §8), reached by a small job of its own.
//!
//! The original's helper needs `globus-gass-cache` and `globus-url-copy` at the service. The place of an entry follows
//! from its URL and tag alone, so ours needs nothing there but a shell.

use crate::job::request::{literal, relation};
use gram::{JobContact, ResourceContact};
use md5::{Digest, Md5};
use rsl::{Operator, Spec};

/// The tag under which `globus-job-submit` keeps output beyond the job's end.
const TAG: &str = "anExtraTag";

/// Directory levels a cache may be set up with; the default first.
const LEVELS: [usize; 5] = [2, 1, 3, 4, 0];

/// The cache directory as a job of the same account finds it.
const CACHE: &str = "c=\"${GLOBUS_GASS_CACHE_DEFAULT:-$HOME/.globus/.gass_cache}\"";

/// Which lines of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All.
    Whole,
    /// The last ones.
    LastLines(u32),
    /// What comes after so many bytes.
    After(u64),
}

/// A job whose stdout is part of the cached `stdout` or `stderr` of `job`; it says so on stderr when there is no such entry.
pub(super) fn show(job: &JobContact, stream: &str, part: Part) -> Spec {
    let command = match part {
        Part::Whole => "cat".to_owned(),
        Part::LastLines(lines) => format!("tail -n {lines}"),
        Part::After(bytes) => format!("tail -c +{}", bytes.saturating_add(1)),
    };
    let places: Vec<String> =
        LEVELS.iter().map(|levels| format!("\"$c\"/{}/data", entry(job, stream, *levels))).collect();
    shell(&format!(
        "{CACHE}; for f in {}; do [ -f \"$f\" ] && exec {command} \"$f\"; done; \
         echo 'Error locating {stream} for job {job}' >&2",
        places.join(" ")
    ))
}

/// A job that removes the cached output of `job`, if there is any.
pub(super) fn remove(job: &JobContact) -> Spec {
    let mut script = CACHE.to_owned();
    for stream in ["stdout", "stderr"] {
        for levels in LEVELS {
            let (local, global) =
                (entry(job, stream, levels), format!("global/{}", mangled(&url(job, stream), levels)));
            // The content goes with its last reference: then only its own link is left.
            script += &format!(
                "; if [ -d \"$c\"/{local} ]; then rm -rf \"$c\"/{local}; \
                 [ \"`stat -c %h \"$c\"/{global}/data 2>/dev/null`\" = 1 ] && rm -rf \"$c\"/{global}; fi"
            );
        }
    }
    shell(&script)
}

/// Where such a job is sent when nobody says: the default service at the job's host.
pub(super) fn default_resource(job: &JobContact) -> ResourceContact {
    ResourceContact { host: job.host.clone(), port: 2119, service: "jobmanager".into(), subject: None }
}

fn shell(script: &str) -> Spec {
    let arguments = vec![literal("-c"), literal(script)];
    Spec::Boolean(
        Operator::And,
        vec![relation("executable", vec![literal("/bin/sh")]), relation("arguments", arguments)],
    )
}

fn url(job: &JobContact, stream: &str) -> String {
    format!("x-gass-cache://{job}{stream}")
}

/// The tagged entry's directory below the cache.
fn entry(job: &JobContact, stream: &str, levels: usize) -> String {
    format!("local/{}/{}", mangled(TAG, levels), mangled(&url(job, stream), levels))
}

/// MD5 in hex, the first `levels - 1` bytes as directories.
fn mangled(text: &str, levels: usize) -> String {
    let mut name = "md5/".to_owned();
    for (index, byte) in Md5::digest(text.as_bytes()).iter().enumerate() {
        name += &format!("{byte:02x}");
        if index + 1 < levels {
            name.push('/');
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of gass.md §8, read off a stock cache.
    #[test]
    fn names_are_mangled_as_the_stock_cache_does() {
        assert_eq!(mangled("TAG1", 2), "md5/b2/4a391e7a942c8ba29ed4a8fbbfbc02");
        assert_eq!(mangled("x-gass-cache://job1/dev/out", 2), "md5/14/fc0a61f9ad33a0f34c62a39669b77a");
        assert!(mangled("u", 1).starts_with("md5/7b774effe4"));
        assert!(mangled("u", 4).starts_with("md5/7b/77/4e/ffe4"));
    }
}
