//! The command line. `gridiron` writes it from the site file, so that nothing that is root ever parses one.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

use rustix::process::Resource;

use crate::{Failure, protocol::AccountName};

/// Uids below this one are the system's own; used where the site says nothing else.
pub const MINIMUM_UID: u32 = 1000;
/// Files of jobs are their owner's alone, where the site says nothing else.
pub const UMASK: u32 = 0o077;

/// What `gridiron-launcher` was started to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// `listen`: wait for requests.
    Listen(Settings),
    /// `manager ACCOUNT`: become the account's job manager.
    Manager(AccountName, Settings),
    /// `gatekeeper`: become the gatekeeper.
    Gatekeeper(Settings),
}

/// What all three are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The program `gridiron`, absolute.
    pub program: PathBuf,
    /// The site file, which is handed on and never read here.
    pub config: PathBuf,
    /// The state directory: the folders of the accounts are in it. Root's.
    pub state: PathBuf,
    /// The socket to be asked at.
    pub socket: PathBuf,
    /// The gatekeeper's account: nobody else may ask.
    pub user: AccountName,
    /// Whether to start the gatekeeper too, and again when it dies.
    pub with_gatekeeper: bool,
    /// Accounts with a smaller uid get no job manager.
    pub minimum_uid: u32,
    /// A file with the names of the only accounts that do, one in a line.
    pub accounts: Option<PathBuf>,
    /// File creation mask of job managers and jobs.
    pub umask: u32,
    /// Whether set-user-id programs lose their power in jobs.
    pub no_new_privileges: bool,
    /// Resource limits of job managers and jobs.
    pub limits: Vec<(Limit, u64)>,
}

/// A resource limit, soft and hard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// Size of a core dump, in bytes.
    CoreBytes,
    /// Processor time of one process, in seconds.
    CpuSeconds,
    /// Size of a file, in bytes.
    FileBytes,
    /// Address space of one process, in bytes.
    MemoryBytes,
    /// Open files of one process.
    OpenFiles,
    /// Processes of the account.
    Processes,
    /// Stack of one process, in bytes.
    StackBytes,
}

impl Limit {
    /// Every limit.
    pub const ALL: [Self; 7] = [
        Self::CoreBytes,
        Self::CpuSeconds,
        Self::FileBytes,
        Self::MemoryBytes,
        Self::OpenFiles,
        Self::Processes,
        Self::StackBytes,
    ];

    /// Its name on the command line and in the site file.
    pub fn name(self) -> &'static str {
        match self {
            Self::CoreBytes => "core_bytes",
            Self::CpuSeconds => "cpu_seconds",
            Self::FileBytes => "file_bytes",
            Self::MemoryBytes => "memory_bytes",
            Self::OpenFiles => "open_files",
            Self::Processes => "processes",
            Self::StackBytes => "stack_bytes",
        }
    }

    /// The limit of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|limit| limit.name() == name)
    }

    pub(crate) fn resource(self) -> Resource {
        match self {
            Self::CoreBytes => Resource::Core,
            Self::CpuSeconds => Resource::Cpu,
            Self::FileBytes => Resource::Fsize,
            Self::MemoryBytes => Resource::As,
            Self::OpenFiles => Resource::Nofile,
            Self::Processes => Resource::Nproc,
            Self::StackBytes => Resource::Stack,
        }
    }
}

impl Role {
    /// The arguments, without the program's name; [`parse`] understands them.
    pub fn arguments(&self) -> Vec<OsString> {
        let (words, settings): (Vec<&str>, _) = match self {
            Self::Listen(settings) => (vec!["listen"], settings),
            Self::Manager(account, settings) => (vec!["manager", account.as_str()], settings),
            Self::Gatekeeper(settings) => (vec!["gatekeeper"], settings),
        };
        words.into_iter().map(OsString::from).chain(settings.options()).collect()
    }
}

impl Settings {
    fn options(&self) -> Vec<OsString> {
        let mut options = Vec::new();
        let mut option = |name: &str, value: OsString| options.extend([name.into(), value]);
        // First, as in the command lines of all the site's processes: that is how they are found.
        option("--config", self.config.clone().into());
        option("--program", self.program.clone().into());
        option("--state", self.state.clone().into());
        option("--socket", self.socket.clone().into());
        option("--user", self.user.as_str().into());
        option("--minimum-uid", self.minimum_uid.to_string().into());
        option("--umask", format!("{:03o}", self.umask).into());
        if let Some(accounts) = &self.accounts {
            option("--accounts", accounts.clone().into());
        }
        for (limit, value) in &self.limits {
            option("--limit", format!("{}={value}", limit.name()).into());
        }
        options.extend(self.with_gatekeeper.then(|| "--with-gatekeeper".into()));
        options.extend(self.no_new_privileges.then(|| "--no-new-privileges".into()));
        options
    }
}

/// Understands the arguments.
pub fn parse(arguments: &[OsString]) -> Result<Role, Failure> {
    let mut words = arguments.iter();
    let wrong = |what: &str| Failure::new("command line", what);
    let role = words.next().and_then(|word| word.to_str()).unwrap_or_default();
    let account = match role {
        "listen" | "gatekeeper" => None,
        "manager" => Some(name(words.next())?),
        _ => {
            return Err(wrong(
                "the first word must be listen, manager or gatekeeper; gridiron serve writes it",
            ));
        }
    };
    let settings = options(words)?;
    Ok(match (role, account) {
        ("listen", _) => Role::Listen(settings),
        (_, Some(account)) => Role::Manager(account, settings),
        (_, None) => Role::Gatekeeper(settings),
    })
}

fn options<'a>(mut words: impl Iterator<Item = &'a OsString>) -> Result<Settings, Failure> {
    let (mut program, mut config, mut state, mut socket, mut user) = (None, None, None, None, None);
    let (mut minimum_uid, mut umask, mut accounts, mut limits) = (MINIMUM_UID, UMASK, None, Vec::new());
    let (mut with_gatekeeper, mut no_new_privileges) = (false, false);
    while let Some(option) = words.next() {
        let mut path = || absolute(words.next(), option);
        match option.to_str().unwrap_or_default() {
            "--program" => program = Some(path()?),
            "--config" => config = Some(path()?),
            "--state" => state = Some(path()?),
            "--socket" => socket = Some(path()?),
            "--accounts" => accounts = Some(path()?),
            "--user" => user = Some(name(words.next())?),
            "--minimum-uid" => minimum_uid = number(words.next(), option, 10)?,
            "--umask" => umask = number(words.next(), option, 8)? & 0o777,
            "--limit" => limits.push(limit(words.next())?),
            "--with-gatekeeper" => with_gatekeeper = true,
            "--no-new-privileges" => no_new_privileges = true,
            _ => return Err(Failure::new("command line", format!("unknown option {}", option.display()))),
        }
    }
    let needed = |name| move || Failure::new("command line", format!("{name} is missing"));
    Ok(Settings {
        program: program.ok_or_else(needed("--program"))?,
        config: config.ok_or_else(needed("--config"))?,
        state: state.ok_or_else(needed("--state"))?,
        socket: socket.ok_or_else(needed("--socket"))?,
        user: user.ok_or_else(needed("--user"))?,
        with_gatekeeper,
        minimum_uid,
        accounts,
        umask,
        no_new_privileges,
        limits,
    })
}

fn absolute(value: Option<&OsString>, option: &OsStr) -> Result<PathBuf, Failure> {
    let path = value.map(PathBuf::from).filter(|path| path.is_absolute());
    path.ok_or_else(|| Failure::new("command line", format!("{} needs an absolute path", option.display())))
}

fn name(value: Option<&OsString>) -> Result<AccountName, Failure> {
    let name = value.and_then(|name| AccountName::new(name.to_str()?));
    name.ok_or_else(|| Failure::new("command line", "the name of an account is missing or cannot be one"))
}

fn number(value: Option<&OsString>, option: &OsStr, radix: u32) -> Result<u32, Failure> {
    let number = value.and_then(|text| u32::from_str_radix(text.to_str()?, radix).ok());
    number.ok_or_else(|| Failure::new("command line", format!("{} needs a number", option.display())))
}

fn limit(value: Option<&OsString>) -> Result<(Limit, u64), Failure> {
    let parsed = value.and_then(|text| {
        let (name, value) = text.to_str()?.split_once('=')?;
        Some((Limit::named(name)?, value.parse().ok()?))
    });
    parsed.ok_or_else(|| {
        let value = value.map(|text| String::from_utf8_lossy(text.as_bytes())).unwrap_or_default();
        Failure::new("command line", format!("--limit needs NAME=NUMBER, not {value:?}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            program: "/usr/bin/gridiron".into(),
            config: "/etc/gridiron/gridiron.toml".into(),
            state: "/var/lib/gridiron".into(),
            socket: "/run/gridiron/launcher.sock".into(),
            user: AccountName::new("gridiron").unwrap(),
            with_gatekeeper: true,
            minimum_uid: 500,
            accounts: Some("/etc/gridiron/accounts".into()),
            umask: 0o027,
            no_new_privileges: true,
            limits: Limit::ALL.into_iter().zip(1..).collect(),
        }
    }

    #[test]
    fn what_is_written_is_understood() {
        let plain = Settings { accounts: None, with_gatekeeper: false, limits: Vec::new(), ..settings() };
        for settings in [settings(), plain] {
            let account = AccountName::new("alice").unwrap();
            for role in [
                Role::Listen(settings.clone()),
                Role::Manager(account, settings.clone()),
                Role::Gatekeeper(settings.clone()),
            ] {
                assert_eq!(parse(&role.arguments()).unwrap(), role);
            }
        }
    }

    #[test]
    fn mistakes() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        for (line, complaint) in [
            ("", "the first word"),
            ("start", "the first word"),
            ("manager", "name of an account"),
            ("manager ../x", "name of an account"),
            ("listen", "--program is missing"),
            ("listen --program gridiron", "--program needs an absolute path"),
            ("listen --state", "--state needs an absolute path"),
            ("listen --umask 9", "--umask needs a number"),
            ("listen --limit speed=3", "not \"speed=3\""),
            ("listen --limit core_bytes=-1", "not \"core_bytes=-1\""),
            ("listen --now", "unknown option --now"),
        ] {
            let failure = parse(&words(line)).unwrap_err();
            assert!(failure.why.contains(complaint), "{line}: {failure}");
        }
    }
}
