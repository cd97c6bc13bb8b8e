//! What a job is started with: its environment (gram.md §18) and the resolved launch.

use crate::{
    job::{Input, Job, Output},
    launch::Launch,
    octets::Octets,
    site::{JobFiles, Site},
};
use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
};

/// Where the job's program is, and its streams while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Program.
    pub executable: PathBuf,
    /// Standard input.
    pub stdin: PathBuf,
    /// Standard output.
    pub stdout: PathBuf,
    /// Standard error.
    pub stderr: PathBuf,
}

impl Places {
    /// Files as the request names them, the job directory for output that is delivered. For what is in the GASS cache the job
    /// directory stands in, until [`crate::staging::places`] looks there just before the start.
    pub fn of(job: &Job, files: &JobFiles) -> Self {
        let input = |input: &Input, own: PathBuf| match input {
            Input::File(path) => path.as_path().to_owned(),
            Input::Url(_) => own,
        };
        let output = |output: &Output, own: PathBuf| match output {
            Output::File(path) => path.as_path().to_owned(),
            Output::Deliver(_) | Output::Cache(_) => own,
        };
        Self {
            executable: input(&job.spec.executable, files.executable()),
            stdin: input(&job.spec.stdin, files.stdin()),
            stdout: output(job.stdout_as_started(), files.stdout()),
            stderr: output(job.stderr_as_started(), files.stderr()),
        }
    }
}

/// The launch of a job.
pub fn launch(job: &Job, site: &Site, places: Places) -> Launch {
    let spec = &job.spec;
    Launch {
        key: job.key,
        executable: places.executable,
        arguments: spec.arguments.iter().map(Octets::to_os_string).collect(),
        environment: environment(job, site),
        directory: spec.directory.as_path().to_owned(),
        stdin: places.stdin,
        stdout: places.stdout,
        stderr: places.stderr,
        count: spec.count,
        job_type: spec.job_type,
        max_wall_time: spec.max_wall_time,
    }
}

/// What the job manager provides, then the user's pairs, the last of duplicates winning; no name twice.
pub fn environment(job: &Job, site: &Site) -> Vec<(OsString, OsString)> {
    let files = site.job_files(job.key);
    let mut variables: Vec<(OsString, OsString)> = Vec::new();
    let mut set = |name: &OsStr, value: OsString| match variables.iter_mut().find(|(known, _)| known == name)
    {
        Some((_, old)) => *old = value,
        None => variables.push((name.to_owned(), value)),
    };
    for (name, value) in &site.inherited {
        set(name, value.clone());
    }
    set("HOME".as_ref(), site.account.home.clone().into());
    set("LOGNAME".as_ref(), site.account.name.clone().into());
    set("GLOBUS_LOCATION".as_ref(), site.globus_location.clone().into());
    set("GLOBUS_GRAM_JOB_CONTACT".as_ref(), job.contact.clone().into());
    set("GRIDIRON_REQUEST".as_ref(), job.origin.request_id.clone().into());
    set("GLOBUS_GASS_CACHE_DEFAULT".as_ref(), job.spec.gass_cache.to_os_string());
    set("X509_USER_PROXY".as_ref(), files.proxy().into());
    set("X509_CERT_DIR".as_ref(), site.trust_path().into());
    if job.spec.remote_io_url.is_some() {
        set("GLOBUS_REMOTE_IO_URL".as_ref(), files.remote_io().into());
    }
    if let Some(path) = job.spec.scratch() {
        set("SCRATCH_DIRECTORY".as_ref(), path.to_os_string());
    }
    for (name, value) in &job.spec.environment {
        set(name.as_os_str(), value.to_os_string());
    }
    if let Some(path) = library_path(job) {
        set("LD_LIBRARY_PATH".as_ref(), path);
    }
    variables
}

/// The user's own LD_LIBRARY_PATH, then the entries of library_path.
fn library_path(job: &Job) -> Option<OsString> {
    let own = job.spec.environment.iter().rev().find(|(name, _)| name.as_bytes() == b"LD_LIBRARY_PATH");
    let parts: Vec<&[u8]> =
        own.map(|(_, value)| value).into_iter().chain(&job.spec.library_path).map(Octets::as_bytes).collect();
    (!parts.is_empty()).then(|| OsStr::from_bytes(&parts.join(&b':')).to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::job::tests::sample;

    fn variable(job: &Job, name: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let variables = environment(job, &crate::site_for_tests(folder.path()));
        let found: Vec<_> = variables.iter().filter(|(known, _)| known == name).collect();
        assert!(found.len() <= 1, "{name} stands there twice");
        found.first().map(|(_, value)| value.to_string_lossy().into_owned())
    }

    #[test]
    fn the_variables_of_a_fork_job() {
        let folder = tempfile::tempdir().unwrap();
        let mut job = sample();
        job.spec.environment.clear();
        let mut names: Vec<_> = environment(&job, &crate::site_for_tests(folder.path()))
            .into_iter()
            .map(|(name, _)| name.into_string().unwrap())
            .filter(|name| !name.starts_with("GLOBUS_TCP"))
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "GLOBUS_GASS_CACHE_DEFAULT",
                "GLOBUS_GRAM_JOB_CONTACT",
                "GLOBUS_LOCATION",
                "GRIDIRON_REQUEST",
                "HOME",
                "LD_LIBRARY_PATH",
                "LOGNAME",
                "PATH",
                "X509_CERT_DIR",
                "X509_USER_PROXY"
            ]
        );
    }

    #[test]
    fn the_users_pairs_win_and_the_last_of_duplicates() {
        let mut job = sample();
        job.spec.environment =
            vec![("A".into(), "1".into()), ("A".into(), "2".into()), ("HOME".into(), "/x".into())];
        assert_eq!(variable(&job, "A").unwrap(), "2");
        assert_eq!(variable(&job, "HOME").unwrap(), "/x");
    }

    #[test]
    fn library_paths_follow_the_users() {
        let mut job = sample();
        job.spec.library_path = vec!["/a".into(), "/b".into()];
        assert_eq!(variable(&job, "LD_LIBRARY_PATH").unwrap(), "/a:/b");
        job.spec.environment = vec![("LD_LIBRARY_PATH".into(), "/ll".into())];
        assert_eq!(variable(&job, "LD_LIBRARY_PATH").unwrap(), "/ll:/a:/b");
    }

    #[test]
    fn the_remote_io_url_is_given_by_file() {
        let mut job = sample();
        assert_eq!(variable(&job, "GLOBUS_REMOTE_IO_URL"), None);
        job.spec.remote_io_url = Some("https://vm:1".into());
        assert!(variable(&job, "GLOBUS_REMOTE_IO_URL").unwrap().ends_with("/remote_io_file"));
    }

    #[test]
    fn the_scratch_directory_is_known_to_the_job() {
        let mut job = sample();
        assert_eq!(variable(&job, "SCRATCH_DIRECTORY"), None);
        let scratch = Some("/home/alice/gram_scratch_abcdef".into());
        job.spec.staging = Some(Box::new(crate::job::Staging { scratch, ..Default::default() }));
        assert_eq!(variable(&job, "SCRATCH_DIRECTORY").unwrap(), "/home/alice/gram_scratch_abcdef");
    }

    #[test]
    fn delivered_output_is_written_in_the_job_directory() {
        let folder = tempfile::tempdir().unwrap();
        let site = crate::site_for_tests(folder.path());
        let job = sample();
        let files = site.job_files(job.key);
        let launch = launch(&job, &site, Places::of(&job, &files));
        assert_eq!(launch.stdout, PathBuf::from("/dev/null"));
        assert_eq!(launch.stderr, files.stderr());
        assert_eq!(launch.arguments.len(), 2);
    }
}
