//! Dropping references, and contents with their last one.

use super::{
    Cache, CacheError, Waiting, check_name,
    content::{Content, State},
    gate::Gate,
    keep,
    owner::Owner,
    recovery::recover,
    reference::{Count, Entry, entries_of},
};

/// Whose references go.
#[derive(Clone, Copy)]
enum Whose<'a> {
    Tag(&'a str),
    MangledTag(&'a str),
    Everybody,
}

impl Cache {
    /// Drops one reference of the tag to the content. Blocks.
    ///
    /// # Errors
    /// [`CacheError::NotFound`] when it has none; [`CacheError::Locked`] when somebody else works on it for a minute.
    pub fn delete(&self, url: &str, tag: &str) -> Result<(), CacheError> {
        check_name(tag)?;
        let found = self.drop_references(&self.content(url)?, Whose::Tag(tag), Count::One, url)?;
        self.found(found, url, tag)
    }

    /// Drops all references of the tag to the content. Blocks.
    ///
    /// # Errors
    /// As [`Cache::delete`].
    pub fn delete_all(&self, url: &str, tag: &str) -> Result<(), CacheError> {
        check_name(tag)?;
        let found = self.drop_references(&self.content(url)?, Whose::Tag(tag), Count::All, url)?;
        self.found(found, url, tag)
    }

    /// Drops all references of all tags to the content, and the content, kept or not. Blocks.
    ///
    /// # Errors
    /// [`CacheError::NotFound`] when there is no such content; [`CacheError::Locked`] as above.
    pub fn remove_url(&self, url: &str) -> Result<(), CacheError> {
        let found = self.drop_references(&self.content(url)?, Whose::Everybody, Count::All, url)?;
        self.found(found, url, "*")
    }

    /// Drops all references of a tag. An unknown tag is fine. Blocks.
    ///
    /// # Errors
    /// [`CacheError::Locked`] when somebody else works on one of its entries for a minute; the others are dropped all the same.
    pub fn remove_tag(&self, tag: &str) -> Result<(), CacheError> {
        check_name(tag)?;
        let mangled_tag = self.layout.mangle(tag);
        let of_tag = self.layout.local(tag);
        let mut worst = Ok(());
        for mangled_url in self.layout.mangled_in(&of_tag)? {
            let content = Content::of_mangled(&self.layout, mangled_url);
            let name = content.name()?;
            let dropped = self.drop_references(&content, Whose::MangledTag(&mangled_tag), Count::All, &name);
            worst = worst.and(dropped.map(drop));
        }
        worst
    }

    /// Whether the tag has any entry.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn has_tag(&self, tag: &str) -> Result<bool, CacheError> {
        Ok(!self.layout.mangled_in(&self.layout.local(tag))?.is_empty())
    }

    fn content(&self, url: &str) -> Result<Content<'_>, CacheError> {
        check_name(url)?;
        Ok(Content::of(&self.layout, url))
    }

    fn found(&self, found: bool, url: &str, tag: &str) -> Result<(), CacheError> {
        self.make_room();
        if found {
            return Ok(());
        }
        Err(CacheError::NotFound { url: url.to_owned(), tag: tag.to_owned() })
    }

    /// False: there was nothing to drop.
    fn drop_references(
        &self,
        content: &Content<'_>,
        whose: Whose<'_>,
        count: Count,
        name: &str,
    ) -> Result<bool, CacheError> {
        // Asked before anything is held, as it may fail.
        let is_kept = !matches!(whose, Whose::Everybody) && keep::is_kept(&self.layout, name)?;
        let mut waiting = Waiting::default();
        loop {
            let gate = Gate::enter(self.layout.root())?;
            let entries = match whose {
                Whose::Tag(tag) => vec![Entry::of(&self.layout, tag, content.mangled())],
                Whose::MangledTag(tag) => vec![Entry::of_mangled(&self.layout, tag, content.mangled())],
                Whose::Everybody => entries_of(&self.layout, content.mangled())?,
            };
            let drop_all = || {
                let mut found = false;
                for entry in &entries {
                    found |= entry.drop_references(count)?;
                }
                Ok(found)
            };
            match content.state()? {
                // References to nothing, left by one who died.
                State::Absent => return drop_all(),
                State::Abandoned(dead) => recover(content, &dead)?,
                State::Held => {
                    drop(gate);
                    waiting.pause(name)?;
                }
                State::Ready(strays) => {
                    content.sweep(&strays)?;
                    let owner = Owner::new();
                    if !content.hold(&owner)? {
                        continue;
                    }
                    let found = drop_all();
                    let everybody = matches!(whose, Whose::Everybody);
                    let dropped = everybody || found.as_ref().is_ok_and(|found| *found);
                    if dropped && !is_kept && content.is_unreferenced(&owner).unwrap_or(false) {
                        content.discard(&owner)?;
                        return found.map(|found| found || everybody);
                    }
                    if !content.release(&owner)? {
                        content.discard(&owner)?;
                    }
                    return found;
                }
            }
        }
    }
}
