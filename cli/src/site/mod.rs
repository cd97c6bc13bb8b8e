//! The site file `gridiron.toml`: tables `[gatekeeper]`, `[jobmanager]`, `[service.NAME]` and, for a site of many accounts,
//! `[launcher]`. What a minimal file leaves out has a default; paths are relative to the file's folder.

pub mod check;
pub mod create;
pub mod launcher;
pub mod limits;
pub mod tables;

use crate::{exit::Exit, failure::Failure};
use gatekeeper::config::ServiceConfig;
use launcher::Launcher;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The file's usual name.
pub const FILE_NAME: &str = "gridiron.toml";

/// A site as its file describes it, with all paths absolute.
#[derive(Debug, Clone)]
pub struct Site {
    /// The front door.
    pub gatekeeper: gatekeeper::Config,
    /// The job managers.
    pub jobmanager: jobmanager::Config,
    /// A site for many accounts; None: everything runs as one.
    pub launcher: Option<Launcher>,
}

/// One mistake, in the site file or in a file it names.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// 1-based, when a line is to blame.
    pub line: Option<usize>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.message)
    }
}

/// The site file to use: the one given, else `GRIDIRON_CONFIG`, else `./gridiron.toml`, else `/etc/gridiron/gridiron.toml`.
pub fn find(given: Option<&Path>) -> PathBuf {
    let from_environment = std::env::var_os("GRIDIRON_CONFIG").map(PathBuf::from);
    given.map(Path::to_owned).or(from_environment).unwrap_or_else(|| {
        let here = PathBuf::from(FILE_NAME);
        if here.exists() { here } else { Path::new("/etc/gridiron").join(FILE_NAME) }
    })
}

/// Reads a site file for a daemon; all its mistakes make one failure.
pub fn load(file: &Path) -> Result<Site, Failure> {
    let (file, text) = read(file)?;
    parse(&text, &file).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::new(Exit::Configuration, lines.join("\n")).try_this("correct the file; then: gridiron check")
    })
}

/// The text of a site file and its absolute path.
pub fn read(file: &Path) -> Result<(PathBuf, String), Failure> {
    std::fs::canonicalize(file)
        .and_then(|absolute| Ok((absolute.clone(), std::fs::read_to_string(absolute)?)))
        .map_err(|error| {
            Failure::new(
                Exit::Configuration,
                format!("cannot read the site file {}: {error}", file.display()),
            )
            .try_this("make a site with: gridiron init DIR; then name its file with --config")
        })
}

/// Parses the text of the site file at `file` (absolute). Fails with every mistake, in file order.
pub fn parse(text: &str, file: &Path) -> Result<Site, Vec<Problem>> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let mut reader = tables::Reader::new(text);
    let front_door = [
        ("listen", "[::]:2119"),
        ("certificate", "hostcert.pem"),
        ("key", "hostkey.pem"),
        ("trust", "certificates"),
        ("gridmap", "grid-mapfile"),
        ("audit", "log/audit.jsonl"),
        ("register", "register"),
        ("state", "state"),
    ];
    let gatekeeper: Option<gatekeeper::Config> = reader.table("gatekeeper", &front_door);
    let state = gatekeeper.as_ref().map_or_else(String::new, |config| config.state.display().to_string());
    let trust = gatekeeper.as_ref().map_or_else(String::new, |config| config.trust.display().to_string());
    let inherited = [("state", state.as_str()), ("trust", trust.as_str())];
    let jobmanager: Option<jobmanager::Config> = reader.table("jobmanager", &inherited);
    let services: BTreeMap<String, ServiceConfig> = reader.tables("service");
    let many = [("user", "gridiron"), ("socket", "/run/gridiron/launcher.sock")];
    let mut launcher: Option<Launcher> = reader.optional("launcher", &many);
    let problems = reader.finish();

    let (Some(mut gatekeeper), Some(mut jobmanager), true) = (gatekeeper, jobmanager, problems.is_empty())
    else {
        let at = |(line, message)| Problem { file: file.to_owned(), line, message };
        return Err(problems.into_iter().map(at).collect());
    };
    let paths = [
        Some(&mut gatekeeper.certificate),
        Some(&mut gatekeeper.key),
        Some(&mut gatekeeper.trust),
        Some(&mut gatekeeper.gridmap),
        gatekeeper.banned.as_mut(),
        gatekeeper.gridmapdir.as_mut(),
        Some(&mut gatekeeper.audit),
        Some(&mut gatekeeper.register),
        Some(&mut gatekeeper.state),
        gatekeeper.grid_services.as_mut(),
        Some(&mut jobmanager.state),
        Some(&mut jobmanager.trust),
    ];
    let of_launcher = launcher
        .as_mut()
        .map(|launcher| [Some(&mut launcher.socket), launcher.program.as_mut(), launcher.accounts.as_mut()]);
    let paths = paths.into_iter().chain(of_launcher.into_iter().flatten()).flatten();
    for path in paths.chain(&mut gatekeeper.nologin) {
        *path = folder.join(&*path);
    }
    jobmanager.chain_policy = gatekeeper.chain_policy();
    jobmanager.host = jobmanager.host.or_else(|| gatekeeper.host.clone());
    gatekeeper.services = if services.is_empty() { default_services() } else { services };
    gatekeeper.launcher = launcher.as_ref().map(|launcher| launcher.socket.clone());
    Ok(Site { gatekeeper, jobmanager, launcher })
}

/// [`load`], with what the daemons have to know of each other: the gatekeeper's account, and the command lines by which
/// they start each other: this very program. The site file stands in each of them, so that `gridiron demo --stop` finds
/// the daemons of its site.
pub fn load_with_commands(file: &Path) -> Result<Site, Failure> {
    let mut site = load(file)?;
    let program =
        std::env::current_exe().map_err(|error| Failure::local("cannot find this program", &error))?;
    let file = std::fs::canonicalize(file)
        .map_err(|error| Failure::local(format!("cannot find {}", file.display()), &error))?;
    let command = |name: &str| -> Vec<OsString> {
        vec![program.clone().into(), name.into(), "--config".into(), file.clone().into()]
    };
    if let Some(launcher) = &site.launcher {
        site.jobmanager.control_uids.push(launcher.gatekeeper()?.uid);
    }
    site.gatekeeper.jobmanager_command = command("jobmanager");
    site.jobmanager.reaper_command = command("reaper");
    Ok(site)
}

/// Without a `[service.*]` table a site runs jobs on the gatekeeper's own machine, under both customary names.
fn default_services() -> BTreeMap<String, ServiceConfig> {
    let fork = ServiceConfig { scheduler: "fork".to_owned(), accept_limited: false };
    ["jobmanager", "jobmanager-fork"].map(|name| (name.to_owned(), fork.clone())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let problems = parse(text, Path::new("/site/gridiron.toml")).unwrap_err();
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_empty_file_is_a_site() {
        let site = parse("", Path::new("/site/gridiron.toml")).unwrap();
        assert_eq!(site.gatekeeper.listen, "[::]:2119");
        assert_eq!(site.gatekeeper.gridmap, Path::new("/site/grid-mapfile"));
        assert_eq!(site.jobmanager.state, Path::new("/site/state"));
        assert!(site.gatekeeper.services.contains_key("jobmanager-fork"));
    }

    #[test]
    fn job_managers_inherit_what_they_share_with_the_gatekeeper() {
        let text = "[gatekeeper]\nstate = '/var/g'\ntrust = 'ca'\nhost = 'h.example'\n";
        let site = parse(text, Path::new("/site/gridiron.toml")).unwrap();
        assert_eq!(site.jobmanager.state, Path::new("/var/g"));
        assert_eq!(site.jobmanager.trust, Path::new("/site/ca"));
        assert_eq!(site.jobmanager.host.as_deref(), Some("h.example"));
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = "[gatekeper]\n\n[gatekeeper]\nlissten = 'x'\nkey = 7\ncertificate = 8\n\n[service.batch]\nschedular = 'fork'\n";
        let found = mistakes(text);
        assert_eq!(found[0], "/site/gridiron.toml:1: unknown table [gatekeper]: did you mean [gatekeeper]?");
        assert!(found[1].starts_with("/site/gridiron.toml:4: unknown key `lissten`"), "{found:?}");
        assert!(found[1].ends_with("did you mean `listen`?"), "{found:?}");
        assert!(found[2].starts_with("/site/gridiron.toml:5: `key`: invalid type: integer `7`"), "{found:?}");
        assert!(found[3].starts_with("/site/gridiron.toml:6: `certificate`"), "{found:?}");
        assert!(found.iter().any(|line| line.contains(":9: unknown key `schedular`")), "{found:?}");
        assert!(
            found.iter().any(|line| line.contains("[service.batch]: missing field `scheduler`")),
            "{found:?}"
        );
    }

    #[test]
    fn broken_toml_is_a_mistake_with_a_line() {
        assert!(mistakes("[gatekeeper]\nlisten = \n")[0].starts_with("/site/gridiron.toml:2: "));
    }
}
