//! Putting another content in the place of one, for those who open it later.

use super::{
    Cache, CacheError, Waiting,
    claim::Download,
    content::{Content, State},
    error::at,
    gate::Gate,
    owner::Owner,
    recovery::recover,
    reference::entries_of,
};
use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

impl Cache {
    /// Makes a copy of `file` the content of the URL, if it has one, for everybody who opens it from now on, under whichever
    /// tag. Who has it open keeps what it has. Blocks.
    ///
    /// # Errors
    /// [`CacheError::Locked`] when somebody else works on the content for a minute, and trouble with the cache.
    pub fn replace(&self, url: &str, file: &Path) -> Result<(), CacheError> {
        let wanted = self.wanted(url, "")?;
        let content = Content::of(&self.layout, url);
        if matches!(content.state()?, State::Absent) {
            return Ok(());
        }
        let owner = Owner::new();
        let copy = Download::new(&wanted.layout, &owner);
        let mut source = fs::File::open(file).map_err(at(file))?;
        let path = copy.path();
        let mut target =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(at(&path))?;
        io::copy(&mut source, &mut target).map_err(at(&path))?;

        let mut waiting = Waiting::default();
        loop {
            let gate = Gate::enter(self.layout.root())?;
            match content.state()? {
                State::Absent => return Ok(()),
                State::Abandoned(dead) => recover(&content, &dead)?,
                State::Held => {
                    drop(gate);
                    waiting.pause(url)?;
                }
                State::Ready(_) if content.hold(&owner)? => {
                    let filled = content.fill(&owner, &path).and_then(|()| {
                        let entries = entries_of(&self.layout, content.mangled())?;
                        entries.iter().try_for_each(|entry| entry.renew(&content, &owner))
                    });
                    if !content.release(&owner)? {
                        content.discard(&owner)?;
                    }
                    return filled;
                }
                State::Ready(_) => {}
            }
        }
    }
}
