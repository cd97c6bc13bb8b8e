//! The service table: own configuration and classic `/etc/grid-services` files (gram.md §16).
//!
//! A classic file names a program to run; this gatekeeper runs none of them. It understands the lines that name the
//! stock job manager and gives the request to its own, with the scheduler that `-type` names. Anything else is refused
//! with a message that says what could not be understood.

use crate::config::ServiceConfig;
use crate::reload::Made;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The schedulers there is an adapter for.
pub const SCHEDULERS: [&str; 1] = ["fork"];
/// Longest service file read, in bytes.
const MAX_FILE: u64 = 64 * 1024;
/// The program of a classic line that stands for a job manager.
const STOCK_JOB_MANAGER: &str = "globus-job-manager";

/// One service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// As asked for.
    pub name: String,
    /// Scheduler adapter.
    pub scheduler: String,
    /// Limited proxies may submit.
    pub accept_limited: bool,
}

/// All services; one that cannot be used is kept with the reason.
#[derive(Debug, Clone, Default)]
pub struct ServiceTable(BTreeMap<String, Result<Service, String>>);

impl ServiceTable {
    /// From `[service.*]` tables and a folder of classic files; a name in both is the configuration's.
    pub fn load(own: &BTreeMap<String, ServiceConfig>, classic: Option<&Path>) -> Result<Made<Self>, String> {
        let mut table = BTreeMap::new();
        let mut files = Vec::new();
        if let Some(folder) = classic {
            files.push(folder.to_owned());
            for (name, path) in classic_files(folder)? {
                let service = read_classic(&name, &path);
                table.insert(name, service.map_err(|reason| format!("{}: {reason}", path.display())));
                files.push(path);
            }
        }
        for (name, config) in own {
            let service = check_scheduler(&config.scheduler).map(|()| Service {
                name: name.clone(),
                scheduler: config.scheduler.clone(),
                accept_limited: config.accept_limited,
            });
            table.insert(name.clone(), service.map_err(|reason| format!("[service.{name}]: {reason}")));
        }
        for reason in table.values().filter_map(|service| service.as_ref().err()) {
            tracing::warn!(%reason, "service not usable");
        }
        Ok(Made { value: Self(table), files })
    }

    /// Puts a service of before in the place of one that has become useless.
    pub fn fall_back_on(&mut self, before: &Self) {
        for (name, service) in &mut self.0 {
            if let (Err(reason), Some(Ok(good))) = (&*service, before.0.get(name)) {
                tracing::error!(%reason, "a service's file is broken; what was read before stays in force");
                *service = Ok(good.clone());
            }
        }
    }

    /// The service of this name; None when there is none, an error when its definition is of no use.
    pub fn find(&self, name: &str) -> Option<&Result<Service, String>> {
        self.0.get(name)
    }

    /// Everything that is wrong with the table.
    pub fn problems(&self) -> impl Iterator<Item = &str> {
        self.0.values().filter_map(|service| service.as_ref().err().map(String::as_str))
    }

    /// The names, usable or not.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// The files and links of the folder, by name. Sub-folders (`available/`) and hidden files are no services.
fn classic_files(folder: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let fail =
        |error: std::io::Error| format!("cannot read the service folder {}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.starts_with('.') || path.is_dir() {
            continue;
        }
        files.push((name.to_owned(), path));
    }
    Ok(files)
}

fn read_classic(name: &str, path: &Path) -> Result<Service, String> {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if metadata.len() > MAX_FILE {
        return Err(format!("{} bytes; a service file has at most {MAX_FILE}", metadata.len()));
    }
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    parse_classic(name, &text)
}

/// Parses the text of a classic service file.
pub fn parse_classic(name: &str, text: &str) -> Result<Service, String> {
    let line = definition(text).ok_or("no line that is not a comment")?;
    let words = split_words(&line)?;
    let [options, user, command @ ..] = words.as_slice() else {
        return Err("expected: options user path argv0 arguments…".to_owned());
    };
    let [_path, _argv0, ..] = command else {
        return Err("expected a program and its name after the options and the user".to_owned());
    };
    let mut accept_limited = false;
    for option in options.split(',') {
        match option {
            "-" | "stderr_log" | "local_cred" => {} // about processes this gatekeeper does not start
            "accept_limited" => accept_limited = true,
            other => {
                return Err(format!(
                    "unknown option {other:?}; known: -, stderr_log, local_cred, accept_limited"
                ));
            }
        }
    }
    if user != "-" {
        return Err(format!("runs as {user:?}; only \"-\", the mapped account, is supported"));
    }
    let base = |word: &String| Path::new(word).file_name().is_some_and(|file| file == STOCK_JOB_MANAGER);
    let Some(manager) = command.iter().rposition(base) else {
        return Err(format!("the command is not {STOCK_JOB_MANAGER}; other programs are not run"));
    };
    let arguments = command.get(manager + 1..).unwrap_or_default();
    let mut following = arguments.iter().skip_while(|word| *word != "-type");
    let scheduler = following.nth(1).ok_or("no -type option, so no scheduler is named")?;
    check_scheduler(scheduler)?;
    Ok(Service { name: name.to_owned(), scheduler: scheduler.clone(), accept_limited })
}

fn check_scheduler(scheduler: &str) -> Result<(), String> {
    if SCHEDULERS.contains(&scheduler) {
        return Ok(());
    }
    Err(format!(
        "there is no adapter for the scheduler {scheduler:?}; there is one for {}",
        SCHEDULERS.join(", ")
    ))
}

/// The first line that is neither blank nor a comment, with the lines that a backslash at the end continues.
fn definition(text: &str) -> Option<String> {
    let mut lines = text.lines().skip_while(|line| {
        let line = line.trim_start();
        line.is_empty() || line.starts_with('#')
    });
    let mut whole = lines.next()?.to_owned();
    while let Some(start) = whole.strip_suffix('\\') {
        let next = lines.next().unwrap_or("");
        whole = format!("{start} {next}");
    }
    Some(whole)
}

/// Words separated by blanks; double quotes group.
fn split_words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            c if c.is_ascii_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    if quoted {
        return Err("a double quote is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Service, String> {
        parse_classic("s", text)
    }

    #[test]
    fn the_line_debian_ships() {
        let service = parse(
            "stderr_log,local_cred - /usr/sbin/globus-job-manager globus-job-manager \
             -conf /etc/globus/globus-gram-job-manager.conf -type fork\n",
        );
        let expected = Service { name: "s".into(), scheduler: "fork".into(), accept_limited: false };
        assert_eq!(service, Ok(expected));
    }

    #[test]
    fn comments_continuation_quotes_and_wrappers() {
        let service = parse(
            "# a comment\n\n  # another\naccept_limited,stderr_log - \\\n /usr/bin/env env HOME=/x \\\n\
             \"/opt/with blank/globus-job-manager\" -type \"fork\"\nsecond line\n",
        );
        assert!(service.unwrap().accept_limited);
    }

    #[test]
    fn what_cannot_be_mapped_says_so() {
        for (text, says) in [
            ("", "no line"),
            ("# only\n", "no line"),
            ("nonsense", "expected: options"),
            ("- -", "expected a program"),
            ("- - /bin/x", "expected a program"),
            ("sterr_log - /p p", "unknown option \"sterr_log\""),
            ("- daemon /p p", "runs as \"daemon\""),
            ("- - /usr/bin/cvs cvs pserver", "is not globus-job-manager"),
            ("- - /x/globus-job-manager globus-job-manager -conf f", "no -type"),
            ("- - /x/globus-job-manager globus-job-manager -type", "no -type"),
            (
                "- - /x/globus-job-manager globus-job-manager -type pbs",
                "no adapter for the scheduler \"pbs\"",
            ),
            ("- - \"/x", "not closed"),
            ("\\", "expected: options"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }

    #[test]
    fn folder_and_configuration_together() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        fs::create_dir(folder.path().join("available")).unwrap();
        write("available/x", "- - /x/globus-job-manager globus-job-manager -type fork\n");
        std::os::unix::fs::symlink("available/x", folder.path().join("jobmanager")).unwrap();
        write("both", "nonsense\n");
        write("broken", "nonsense\n");
        write(".hidden", "nonsense\n");
        let own = |scheduler: &str| ServiceConfig { scheduler: scheduler.into(), accept_limited: true };
        let services = [("both".to_owned(), own("fork")), ("typo".to_owned(), own("frok"))].into();
        let made = ServiceTable::load(&services, Some(folder.path())).unwrap();
        let table = made.value;
        assert_eq!(table.names().collect::<Vec<_>>(), ["both", "broken", "jobmanager", "typo"]);
        assert!(table.find("jobmanager").unwrap().is_ok());
        assert!(table.find("both").unwrap().as_ref().unwrap().accept_limited, "the configuration wins");
        assert!(table.find("available").is_none());
        assert_eq!(table.problems().count(), 2);
        assert!(made.files.contains(&folder.path().to_owned()));
        assert!(ServiceTable::load(&services, Some(&folder.path().join("none"))).is_err());
    }

    #[test]
    fn files_that_are_too_long() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        fs::File::create(&path).unwrap().set_len(MAX_FILE + 1).unwrap();
        assert!(read_classic("long", &path).unwrap_err().contains("at most"));
    }
}
