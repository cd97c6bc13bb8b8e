//! Which file goes where.

use crate::{exit::Exit, failure::Failure};
use gass::{
    Client, GassError, Url,
    copy::{Place, Transfer, file, tree},
};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// What was asked for.
pub(super) enum Plan {
    /// Each from somewhere to somewhere.
    Pairs(Vec<Pair>),
    /// All of these to one place.
    Into { from: Vec<Place>, to: Place, recursive: bool },
}

/// One file to another, or a part of it.
pub(super) struct Pair {
    pub(super) from: Place,
    pub(super) to: Place,
    pub(super) offset: u64,
    pub(super) length: Option<u64>,
}

impl Plan {
    /// Whether any of it is at an https server.
    pub(super) fn needs_credential(&self) -> bool {
        let secure = |place: &Place| matches!(place, Place::Remote(Url::Http { secure: true, .. }, _));
        match self {
            Self::Pairs(pairs) => pairs.iter().any(|pair| secure(&pair.from) || secure(&pair.to)),
            Self::Into { from, to, .. } => secure(to) || from.iter().any(secure),
        }
    }

    /// File by file. Directories of the destination are made on the way.
    pub(super) async fn transfers(self, client: &Client) -> Result<Vec<Transfer>, Failure> {
        match self {
            Self::Pairs(pairs) => pairs.into_iter().map(pair).collect(),
            Self::Into { from, to, recursive } => {
                let into_directory = is_directory(&to);
                if from.len() > 1 && !into_directory {
                    let what = format!("{to} is not a directory, and several files cannot become one");
                    return Err(Failure::new(Exit::Usage, what).try_this("end it with a slash"));
                }
                let mut transfers = Vec::new();
                for place in from {
                    if is_directory(&place) {
                        if !recursive {
                            let what = format!("{place} is a directory");
                            return Err(
                                Failure::new(Exit::Usage, what).try_this("-r, to copy all that is in it")
                            );
                        }
                        tree(client, place, &to, into_directory, &mut transfers).await?;
                    } else {
                        let to = if into_directory { to.join(Path::new(&name(&place)?)) } else { to.clone() };
                        transfers.push(Transfer::whole(place, to));
                    }
                }
                Ok(transfers)
            }
        }
    }
}

fn pair(pair: Pair) -> Result<Transfer, Failure> {
    let to = if is_directory(&pair.to) { pair.to.join(Path::new(&name(&pair.from)?)) } else { pair.to };
    Ok(Transfer { offset: pair.offset, length: pair.length, ..Transfer::whole(pair.from, to) })
}

/// A slash at the end makes a directory; so does being one, here.
fn is_directory(place: &Place) -> bool {
    place.names_directory() || matches!(place, Place::Local(path) if path.is_dir())
}

/// What a file is called.
fn name(place: &Place) -> Result<OsString, Failure> {
    let name = match place {
        Place::Local(path) => path.file_name().map(OsString::from),
        Place::Remote(url, _) => url.file_name().filter(is_plain),
        Place::Stream => None,
    };
    name.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{place} has no name that its copy could have"))
            .try_this("name the file, not only the directory")
    })
}

/// An encoded slash would lead elsewhere.
fn is_plain(name: &OsString) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(std::path::Component::Normal(_)), None))
}

/// All files below `from`: with a slash at its end they go to `to` itself, else below its name, as cp(1) has it.
async fn tree(
    client: &Client,
    from: Place,
    to: &Place,
    into_directory: bool,
    transfers: &mut Vec<Transfer>,
) -> Result<(), Failure> {
    let to = match (&from, into_directory) {
        (Place::Local(path), true) if !from.names_directory() => match path.file_name() {
            Some(name) => to.join(Path::new(name)),
            // `.` and `..`
            None => to.clone(),
        },
        _ => to.clone(),
    };
    let found = tree::list(client, &from, true).await?;
    make_directory(client, &to, Path::new("")).await?;
    for entry in found {
        if entry.directory {
            make_directory(client, &to, &entry.path).await?;
        } else {
            transfers.push(Transfer::whole(from.join(&entry.path), to.join(&entry.path)));
        }
    }
    Ok(())
}

async fn make_directory(client: &Client, to: &Place, below: &Path) -> Result<(), Failure> {
    // The slash at the end makes it a directory.
    let directory: PathBuf = if below.as_os_str().is_empty() { PathBuf::new() } else { below.join("") };
    match to.join(&directory) {
        Place::Local(path) => file::make_directories(&path).await?,
        Place::Remote(url, expect) => match client.make_directories(&url, &expect).await {
            // It may be there; if not, the first file will tell.
            Ok(()) | Err(GassError::Unable { .. }) => {}
            Err(error) => return Err(error.into()),
        },
        Place::Stream => {
            return Err(Failure::new(Exit::Usage, "a directory cannot be copied to a stream"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gsi::Expect;

    fn remote(url: &str) -> Place {
        Place::Remote(url.parse().unwrap(), Expect::Myself)
    }

    fn transfers(plan: Plan) -> Result<Vec<(String, String)>, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let transfers = runtime.block_on(plan.transfers(&Client::insecure()))?;
        Ok(transfers.iter().map(|one| (one.from.to_string(), one.to.to_string())).collect())
    }

    fn into(from: Vec<Place>, to: Place, recursive: bool) -> Plan {
        Plan::Into { from, to, recursive }
    }

    #[test]
    fn files_keep_their_names_in_directories() {
        let plan = into(
            vec![remote("https://h/d/a%20b"), Place::Local("/x/c".into())],
            remote("https://i/e/"),
            false,
        );
        let expected = [("https://h:443/d/a%20b", "https://i:443/e/a%20b"), ("/x/c", "https://i:443/e/c")];
        let seen = transfers(plan).unwrap();
        assert_eq!(seen, expected.map(|(from, to)| (from.to_owned(), to.to_owned())));
        let plan = into(vec![remote("https://h/a")], Place::Local("/b".into()), false);
        assert_eq!(transfers(plan).unwrap(), [("https://h:443/a".to_owned(), "/b".to_owned())]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let local = |path: &str| Place::Local(path.into());
        for plan in [
            into(vec![local("/a"), local("/b")], remote("https://h/c"), false),
            into(vec![local("/tmp/")], remote("https://h/c/"), false),
            into(vec![Place::Stream], remote("https://h/c/"), false),
            into(vec![remote("https://h/%2e%2e")], local("/tmp/"), false),
            into(vec![remote("https://h/a%2fb")], local("/tmp/"), false),
        ] {
            assert_eq!(transfers(plan).unwrap_err().exit, Exit::Usage);
        }
    }

    #[test]
    fn trees_are_copied_as_cp_does() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("from/sub/empty")).unwrap();
        std::fs::create_dir(at("to")).unwrap();
        for file in ["from/a", "from/sub/b"] {
            std::fs::write(at(file), "x").unwrap();
        }
        let plan = |from: &str, to: &str| {
            let from = Place::Local(format!("{}/{from}", dir.path().display()).into());
            into(vec![from], Place::Local(at(to)), true)
        };
        let below = |seen: Vec<(String, String)>| -> Vec<String> {
            let root = format!("{}/", dir.path().display());
            seen.into_iter().map(|(_, to)| to.replace(&root, "")).collect()
        };
        assert_eq!(below(transfers(plan("from/", "to")).unwrap()), ["to/a", "to/sub/b"]);
        assert!(at("to/sub/empty").is_dir());
        assert_eq!(below(transfers(plan("from", "to")).unwrap()), ["to/from/a", "to/from/sub/b"]);
        assert_eq!(below(transfers(plan("from", "new")).unwrap()), ["new/a", "new/sub/b"]);
    }
}
