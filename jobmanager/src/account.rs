//! The local account this manager runs as.

use std::{io, path::PathBuf};

/// Who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// Home directory.
    pub home: PathBuf,
}

impl Account {
    /// The account of this process, as the system knows its uid; `HOME` wins when it is set.
    pub fn current() -> io::Result<Self> {
        let uid = nix::unistd::Uid::current();
        let user = nix::unistd::User::from_uid(uid)?.ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("no account has our uid {uid}: jobs cannot run"))
        })?;
        Ok(Self { home: home(std::env::var_os("HOME").map(PathBuf::from), user.dir), name: user.name })
    }
}

fn home(variable: Option<PathBuf>, listed: PathBuf) -> PathBuf {
    variable.filter(|home| home.is_absolute()).unwrap_or(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_wins_when_it_is_a_path() {
        let listed = || PathBuf::from("/home/alice");
        assert_eq!(home(Some("/tmp/h".into()), listed()), PathBuf::from("/tmp/h"));
        assert_eq!(home(Some("relative".into()), listed()), listed());
        assert_eq!(home(None, listed()), listed());
    }

    #[test]
    fn somebody_runs_this_test() {
        assert!(!Account::current().unwrap().name.is_empty());
    }
}
