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
    /// The account of this process: name and home from the password file by uid; `LOGNAME` chooses among several names of one
    /// uid and stands in for accounts that live in a directory service; `HOME` wins when it is set.
    pub fn current() -> io::Result<Self> {
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let uid = rustix::process::getuid().as_raw();
        choose(&passwd, uid, variable("LOGNAME"), variable("HOME")).ok_or_else(|| {
            io::Error::other(format!(
                "uid {uid} is not in /etc/passwd, and LOGNAME and HOME do not say who it is: set both"
            ))
        })
    }
}

fn choose(passwd: &str, uid: u32, logname: Option<String>, home: Option<String>) -> Option<Account> {
    let ours: Vec<Account> = passwd
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let number: u32 = fields.nth(1)?.parse().ok()?;
            let home = fields.nth(2)?;
            (number == uid).then(|| Account { name: name.to_owned(), home: home.into() })
        })
        .collect();
    let named = logname.as_ref().and_then(|name| ours.iter().find(|account| account.name == *name));
    let listed = named.or(ours.first()).cloned();
    let home = home.map(PathBuf::from).filter(|home| home.is_absolute());
    match (listed, logname, home) {
        (Some(account), _, Some(home)) => Some(Account { home, ..account }),
        (Some(account), _, None) => Some(account),
        (None, Some(name), Some(home)) => Some(Account { name, home }),
        (None, _, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nalice:x:7:7::/home/alice:/bin/sh\nalias:x:7:7::/home/x:/bin/sh\nbad\n";

    fn account(name: &str, home: &str) -> Option<Account> {
        Some(Account { name: name.into(), home: home.into() })
    }

    #[test]
    fn the_password_file_decides() {
        assert_eq!(choose(PASSWD, 7, None, None), account("alice", "/home/alice"));
        assert_eq!(choose(PASSWD, 7, Some("root".into()), None), account("alice", "/home/alice"));
    }

    #[test]
    fn logname_chooses_among_several_names() {
        assert_eq!(choose(PASSWD, 7, Some("alias".into()), None), account("alias", "/home/x"));
    }

    #[test]
    fn home_wins() {
        assert_eq!(choose(PASSWD, 0, None, Some("/tmp/h".into())), account("root", "/tmp/h"));
        assert_eq!(choose(PASSWD, 0, None, Some("relative".into())), account("root", "/root"));
    }

    #[test]
    fn an_account_of_a_directory_service_needs_both_variables() {
        assert_eq!(
            choose(PASSWD, 9, Some("bob".into()), Some("/home/bob".into())),
            account("bob", "/home/bob")
        );
        assert_eq!(choose(PASSWD, 9, Some("bob".into()), None), None);
    }
}
