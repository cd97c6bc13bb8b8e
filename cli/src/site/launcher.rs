//! The `[launcher]` table: a site for many accounts. Root starts the small program `gridiron-launcher`, which starts
//! the gatekeeper as an account without privileges, and job managers as theirs.

pub mod check;

use super::Site;
use crate::{exit::Exit, failure::Failure, logging};
use launcher::{
    account::{self, Account},
    protocol::AccountName,
    settings::{Limit, MINIMUM_UID, Role, Settings, UMASK},
};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::{
    collections::BTreeMap,
    fs::Metadata,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

/// The program's name; it lies beside `gridiron`.
const PROGRAM: &str = "gridiron-launcher";

/// What a site for many accounts says in `[launcher]`; unknown keys are errors.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Launcher {
    /// The gatekeeper's account.
    #[serde(deserialize_with = "account_name")]
    pub user: AccountName,
    /// Where the gatekeeper asks.
    pub socket: PathBuf,
    /// The program, if not `gridiron-launcher` beside this one.
    pub program: Option<PathBuf>,
    /// Accounts with a smaller uid run no jobs.
    #[serde(default = "minimum_uid")]
    pub minimum_uid: u32,
    /// A file with the only accounts that do, one in a line.
    pub accounts: Option<PathBuf>,
    /// File creation mask of jobs.
    #[serde(default)]
    pub umask: Umask,
    /// Whether set-user-id programs lose their power in jobs.
    #[serde(default)]
    pub no_new_privileges: bool,
    /// Resource limits of jobs.
    #[serde(default)]
    pub limits: Limits,
}

/// A file creation mask, in octal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Umask(pub u32);

/// Resource limits, each at most once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits(pub Vec<(Limit, u64)>);

impl Default for Umask {
    fn default() -> Self {
        Self(UMASK)
    }
}

impl Default for Limits {
    /// No core dumps: credentials are in them.
    fn default() -> Self {
        Self(vec![(Limit::CoreBytes, 0)])
    }
}

impl<'de> Deserialize<'de> for Umask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mask = u32::from_str_radix(&text, 8).ok().filter(|mask| *mask <= 0o777);
        mask.map(Self).ok_or_else(|| D::Error::custom("expected octal digits, such as \"077\""))
    }
}

impl<'de> Deserialize<'de> for Limits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut limits: BTreeMap<Limit, u64> = Self::default().0.into_iter().collect();
        for (name, value) in BTreeMap::<String, u64>::deserialize(deserializer)? {
            let limit = Limit::named(&name).ok_or_else(|| {
                let known = Limit::ALL.map(Limit::name).join(", ");
                D::Error::custom(format!("unknown limit `{name}`; known are {known}"))
            })?;
            limits.insert(limit, value);
        }
        Ok(Self(limits.into_iter().collect()))
    }
}

fn account_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AccountName, D::Error> {
    let name = String::deserialize(deserializer)?;
    AccountName::new(&name)
        .ok_or_else(|| D::Error::custom(format!("{name:?} cannot be the name of an account")))
}

fn minimum_uid() -> u32 {
    MINIMUM_UID
}

/// What the launcher is to do besides waiting for requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrontDoor {
    /// Start the gatekeeper, too.
    Start,
    /// Nothing: something else starts it.
    Leave,
}

impl Launcher {
    /// The gatekeeper's account, from the system's user database.
    pub fn gatekeeper(&self) -> Result<Account, Failure> {
        let found =
            account::find(&self.user).map_err(|failure| Failure::new(Exit::Local, failure.to_string()))?;
        found.ok_or_else(|| {
            Failure::new(Exit::Configuration, format!("[launcher] user: there is no account {}", self.user))
                .try_this(format!("useradd --system --user-group --no-create-home {}", self.user))
        })
    }

    /// The launcher's program.
    pub fn program(&self) -> Result<PathBuf, Failure> {
        let failed = |error| Failure::local("cannot find this program", &error);
        Ok(match &self.program {
            Some(program) => program.clone(),
            None => std::env::current_exe().map_err(failed)?.with_file_name(PROGRAM),
        })
    }

    /// Turns this process, which is root's, into the launcher. Comes back only with a failure.
    pub fn exec(&self, site: &Site, file: &Path, front_door: FrontDoor, log: Option<&str>) -> Failure {
        self.try_exec(site, file, front_door, log).unwrap_or_else(|failure| failure)
    }

    fn try_exec(
        &self,
        site: &Site,
        file: &Path,
        front_door: FrontDoor,
        log: Option<&str>,
    ) -> Result<Failure, Failure> {
        let program = self.program()?;
        if let Some(problem) = open_to_others(&program) {
            return Err(Failure::new(Exit::Configuration, problem));
        }
        let this =
            std::env::current_exe().map_err(|error| Failure::local("cannot find this program", &error))?;
        let settings = Settings {
            program: this,
            config: file.to_owned(),
            state: site.gatekeeper.state.clone(),
            socket: self.socket.clone(),
            user: self.user.clone(),
            with_gatekeeper: front_door == FrontDoor::Start,
            minimum_uid: self.minimum_uid,
            accounts: self.accounts.clone(),
            umask: self.umask.0,
            no_new_privileges: self.no_new_privileges,
            limits: self.limits.0.clone(),
        };
        let mut command = Command::new(&program);
        command.args(Role::Listen(settings).arguments());
        if let Some(log) = log {
            command.env(logging::VARIABLE, log); // for the gatekeeper
        }
        Ok(Failure::local(format!("cannot run {}", program.display()), &command.exec()))
    }
}

/// Says who besides root could change what is at the path: the file, or a folder above it, is somebody else's, or
/// others may write there. None: nobody.
pub fn open_to_others(path: &Path) -> Option<String> {
    let path = match path.canonicalize() {
        Ok(path) => path,
        Err(error) => return Some(format!("{}: {error}", path.display())),
    };
    path.ancestors().find_map(|place| {
        let advice = match place.metadata() {
            Err(error) => error.to_string(),
            Ok(metadata) if metadata.uid() != 0 => {
                format!("it belongs to uid {}, and root is to rely on it; try: chown root", metadata.uid())
            }
            Ok(metadata) if may_be_changed_by_others(&metadata) => {
                "others may write there, and root is to rely on it; try: chmod go-w".to_owned()
            }
            Ok(_) => return None,
        };
        Some(format!("{}: {advice}", place.display()))
    })
}

/// In a folder with the sticky bit nobody can replace what root has put there.
fn may_be_changed_by_others(metadata: &Metadata) -> bool {
    metadata.mode() & 0o022 != 0 && !(metadata.is_dir() && metadata.mode() & 0o1000 != 0)
}

#[cfg(test)]
mod tests {
    use crate::site::parse;
    use launcher::settings::Limit;
    use std::path::Path;

    fn read(text: &str) -> Result<super::Launcher, String> {
        parse(text, Path::new("/site/gridiron.toml"))
            .map(|site| site.launcher.unwrap())
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn an_empty_table_has_safe_defaults() {
        let launcher = read("[launcher]\n").unwrap();
        assert_eq!(launcher.user.as_str(), "gridiron");
        assert_eq!(launcher.socket, Path::new("/run/gridiron/launcher.sock"));
        assert_eq!(
            (launcher.minimum_uid, launcher.umask.0, launcher.no_new_privileges),
            (1000, 0o077, false)
        );
        assert_eq!(launcher.limits.0, [(Limit::CoreBytes, 0)]);
        assert!(parse("", Path::new("/site/gridiron.toml")).unwrap().launcher.is_none());
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let launcher = read("[launcher]\naccounts = 'accounts'\nprogram = 'bin/l'\n").unwrap();
        assert_eq!(launcher.accounts.unwrap(), Path::new("/site/accounts"));
        assert_eq!(launcher.program.unwrap(), Path::new("/site/bin/l"));
    }

    #[test]
    fn mistakes_name_the_key() {
        let mistake = |text: &str| read(text).unwrap_err();
        assert!(mistake("[launcher]\numask = '9'\n").contains(":2: `umask`: expected octal digits"));
        assert!(mistake("[launcher]\nuser = '-x'\n").contains(":2: `user`: \"-x\" cannot be"));
        assert!(mistake("[launcher]\nusr = 'x'\n").contains("did you mean `user`?"));
        let limit = mistake("[launcher.limits]\ncore = 0\n");
        assert!(limit.contains("unknown limit `core`; known are core_bytes,"), "{limit}");
    }

    #[test]
    fn what_others_can_change_is_told() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o666)).unwrap();
        assert!(super::open_to_others(&file).is_some());
        assert!(super::open_to_others(Path::new("/nonexistent/f")).is_some());
        if rustix::process::geteuid().is_root() {
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
            assert_eq!(super::open_to_others(&file), None, "/tmp has the sticky bit");
        }
    }
}
