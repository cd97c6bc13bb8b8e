//! The register: which accounts have, or may have, unfinished jobs. One empty file per account in a folder of the
//! gatekeeper's own; the name is the account's.
//!
//! An account is entered before a request is handed over, and a file that is there already costs nothing: there is one
//! fsync per account and busy spell, not one per job. A file too many makes a manager start once in vain; a file too few
//! would leave jobs alone.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OnceCell;

/// Longest account name, in bytes: what a file name may have.
const MAX_NAME: usize = 255;

/// The register, and who is at work in it. Each account in it has one attendant at most.
#[derive(Debug)]
pub struct Register(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    accounts: HashMap<String, Account>,
    /// Another gatekeeper may be using the folder: nothing is removed from it any more.
    frozen: bool,
}

#[derive(Debug, Default)]
struct Account {
    /// Requests being handed over.
    visits: usize,
    /// Somebody attends its manager.
    attended: bool,
    /// A manager has been reached since the file was made, or the file was there before us: jobs may exist.
    kept: bool,
    /// Set when the file is on disk.
    mark: Arc<OnceCell<()>>,
}

/// A request being handed over: as long as this lives, the account stays in the register.
#[derive(Debug)]
pub struct Visit {
    inner: Arc<Inner>,
    account: String,
}

/// What [`Register::enter`] gives.
#[derive(Debug)]
pub struct Enter {
    /// To be kept until the request has been answered.
    pub visit: Visit,
    /// Nobody attends the account's manager yet; the caller sees to it now.
    pub unattended: bool,
}

impl Register {
    /// Opens the register in this folder, which is made (0700) when missing.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Self(Arc::new(Inner { folder, state: Mutex::default() })))
    }

    /// The accounts left by an earlier gatekeeper; the caller attends them from now on.
    pub fn resume(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0.folder)? {
            match entry?.file_name().into_string() {
                Ok(name) if is_account(&name) => names.push(name),
                other => tracing::warn!(?other, "no account's name in the register, passed over"),
            }
        }
        names.sort_unstable();
        let mut state = self.0.state();
        for name in &names {
            let mark = Arc::new(OnceCell::new_with(Some(())));
            let account = Account { visits: 0, attended: true, kept: true, mark };
            state.accounts.insert(name.clone(), account);
        }
        Ok(names)
    }

    /// Enters the account; on disk when this answers.
    pub async fn enter(&self, account: &str) -> io::Result<Enter> {
        if !is_account(account) {
            let what = format!("{account:?} cannot be an account's name");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let mark = {
            let mut state = self.0.state();
            let entry = state.accounts.entry(account.to_owned()).or_default();
            entry.visits += 1;
            Arc::clone(&entry.mark)
        };
        let visit = Visit { inner: Arc::clone(&self.0), account: account.to_owned() };
        mark.get_or_try_init(|| async {
            let (folder, account) = (self.0.folder.clone(), account.to_owned());
            let written = tokio::task::spawn_blocking(move || write(&folder, &account)).await;
            written.unwrap_or_else(|error| Err(io::Error::other(error)))
        })
        .await?;
        let mut state = self.0.state();
        let unattended = state
            .accounts
            .get_mut(account)
            .is_some_and(|entry| !std::mem::replace(&mut entry.attended, true));
        drop(state);
        Ok(Enter { visit, unattended })
    }

    /// The account's manager answers: jobs may exist from now on.
    pub fn reached(&self, account: &str) {
        if let Some(entry) = self.0.state().accounts.get_mut(account) {
            entry.kept = true;
        }
    }

    /// The account's manager has said that nothing is left to do: takes the account out, unless requests are on their way.
    /// False: the attendant has to stay.
    pub fn release(&self, account: &str) -> bool {
        self.remove_if(account, |entry| entry.visits == 0)
    }

    /// No manager could be had: takes the account out when there never was one, so that no job can exist. False: the
    /// attendant has to try again.
    pub fn abandon(&self, account: &str) -> bool {
        self.remove_if(account, |entry| entry.visits == 0 && !entry.kept)
    }

    /// Leaves the folder as it is from now on.
    pub fn freeze(&self) {
        self.0.state().frozen = true;
    }

    fn remove_if(&self, account: &str, may_go: impl FnOnce(&Account) -> bool) -> bool {
        let mut state = self.0.state();
        let goes = state.accounts.get(account).is_none_or(may_go);
        if goes {
            state.accounts.remove(account);
            // Under the lock, so that nobody enters the account between the two. Without an fsync: see above.
            if !state.frozen
                && let Err(error) = fs::remove_file(self.0.folder.join(account))
            {
                tracing::warn!(account, %error, "not taken out of the register");
            }
        }
        goes
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        if let Some(entry) = state.accounts.get_mut(&self.account) {
            entry.visits = entry.visits.saturating_sub(1);
            // Its file could not be made.
            if entry.visits == 0 && !entry.attended {
                state.accounts.remove(&self.account);
            }
        }
    }
}

/// Whether this can be a file's name that is not special; whether it is an account, others decide.
fn is_account(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !name.starts_with('.') && !name.contains(['/', '\0'])
}

/// Makes the file and sees it to the disk.
fn write(folder: &Path, account: &str) -> io::Result<()> {
    let file = folder.join(account);
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(file)?.sync_all()?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(folder: &Path) -> Register {
        Register::open(folder.join("register")).unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder.join("register")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test]
    async fn an_account_stands_there_until_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let register = register(folder.path());
        let first = register.enter("alice").await.unwrap();
        let second = register.enter("alice").await.unwrap();
        assert_eq!((first.unattended, second.unattended), (true, false));
        assert_eq!(names(folder.path()), ["alice"]);
        register.reached("alice");
        drop(first);
        assert!(!register.release("alice"), "a request is on its way");
        drop(second);
        assert!(register.release("alice"));
        assert!(names(folder.path()).is_empty());
        assert!(register.enter("alice").await.unwrap().unattended, "the next request is a new beginning");
    }

    #[tokio::test]
    async fn an_account_that_never_had_a_manager_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let register = register(folder.path());
        let enter = register.enter("alice").await.unwrap();
        assert!(!register.abandon("alice"));
        drop(enter);
        assert!(register.abandon("alice"));
        assert!(names(folder.path()).is_empty());

        let enter = register.enter("bob").await.unwrap();
        register.reached("bob");
        drop(enter);
        assert!(!register.abandon("bob"), "it may have jobs");
    }

    #[tokio::test]
    async fn the_next_gatekeeper_knows() {
        let folder = tempfile::tempdir().unwrap();
        let first = register(folder.path());
        drop(first.enter("alice").await.unwrap());
        first.freeze();
        first.release("alice");
        fs::write(folder.path().join("register/.hidden"), "").unwrap();
        let next = register(folder.path());
        assert_eq!(next.resume().unwrap(), ["alice"]);
        assert!(!next.enter("alice").await.unwrap().unattended);
        assert!(!next.abandon("alice"));
        assert!(next.release("alice"));
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_an_error_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let register = register(folder.path());
        for name in ["", ".", "..", "a/b", "a\0", &"x".repeat(256)] {
            assert!(register.enter(name).await.is_err(), "{name:?}");
        }
        fs::remove_dir(folder.path().join("register")).unwrap();
        assert!(register.enter("alice").await.is_err());
        fs::create_dir(folder.path().join("register")).unwrap();
        assert!(register.enter("alice").await.unwrap().unattended);
    }
}
