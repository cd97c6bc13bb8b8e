//! Looking at a whole cache, and tidying it.

use super::{
    Cache, CacheError, check_name,
    content::{Content, State, stat},
    gate::Gate,
    layout::{MAX_NAME, read_name, remove},
    owner::Life,
    recovery::recover,
    reference::{Entry, owner_of_temporary},
};
use std::{collections::BTreeMap, os::unix::fs::MetadataExt as _};

/// A content and who refers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub url: String,
    /// The name's mangled form.
    pub mangled: String,
    /// Bytes, so far.
    pub size: u64,
    /// Nobody is working on it.
    pub ready: bool,
    /// By name.
    pub tags: Vec<Tagged>,
}

/// A tag of a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// The tag.
    pub tag: String,
    /// How many references it has.
    pub references: usize,
}

/// How full a cache is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Contents.
    pub contents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Contents that nobody refers to.
    pub kept_contents: u64,
    /// Their bytes.
    pub kept_bytes: u64,
    /// Contents that somebody is working on.
    pub held: u64,
    /// Above how many bytes contents that nobody refers to are removed; None: at once.
    pub limit: Option<u64>,
}

/// What [`Cache::clean`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cleaned {
    /// Contents removed that nobody referred to.
    pub removed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Entries that dead programs had left half done.
    pub recovered: u64,
    /// Left-over files removed.
    pub leftovers: u64,
}

impl Cache {
    /// Every content, or that of `url`; only those that `tag` refers to, with no other tags, when it is given. By URL.
    ///
    /// # Errors
    /// Directories that cannot be read.
    pub fn list(&self, url: Option<&str>, tag: Option<&str>) -> Result<Vec<Listed>, CacheError> {
        for name in [url, tag].into_iter().flatten() {
            check_name(name)?;
        }
        let mut tags = self.tags(url, tag)?;
        let mangled = match url {
            Some(url) => vec![self.layout.mangle(url)],
            None => self.layout.mangled_in(&self.layout.globals())?,
        };
        let mut listed = Vec::new();
        for mangled in mangled {
            let mut tags = tags.remove(&mangled).unwrap_or_default();
            if tags.is_empty() && tag.is_some() {
                continue;
            }
            tags.sort_by(|one, other| one.tag.cmp(&other.tag));
            let content = Content::of_mangled(&self.layout, mangled.clone());
            let (ready, size) = match content.state()? {
                State::Absent => continue,
                State::Ready(_) => (true, stat(&content.ready_path())?.map(|file| file.len())),
                State::Held | State::Abandoned(_) => (false, None),
            };
            let url = content.name()?;
            listed.push(Listed { url, mangled, size: size.unwrap_or(0), ready, tags });
        }
        listed.sort_by(|one, other| one.url.cmp(&other.url));
        Ok(listed)
    }

    /// The tags of each content, by its mangled name.
    fn tags(
        &self,
        url: Option<&str>,
        tag: Option<&str>,
    ) -> Result<BTreeMap<String, Vec<Tagged>>, CacheError> {
        let mangled_tags = match tag {
            Some(tag) => vec![self.layout.mangle(tag)],
            None => self.layout.mangled_in(&self.layout.locals())?,
        };
        let mut found: BTreeMap<String, Vec<Tagged>> = BTreeMap::new();
        for mangled_tag in mangled_tags {
            let of_tag = self.layout.file(&self.layout.locals(), &mangled_tag);
            let mangled_urls = match url {
                Some(url) => vec![self.layout.mangle(url)],
                None => self.layout.mangled_in(&of_tag)?,
            };
            let tag = read_name(&self.layout.file(&of_tag, "tag"))?.unwrap_or_else(|| mangled_tag.clone());
            for mangled_url in mangled_urls {
                let entry = Entry::of_mangled(&self.layout, &mangled_tag, &mangled_url);
                let references = entry.owners()?.len();
                if references > 0 {
                    found.entry(mangled_url).or_default().push(Tagged { tag: tag.clone(), references });
                }
            }
        }
        Ok(found)
    }

    /// Counts contents and bytes.
    ///
    /// # Errors
    /// Directories that cannot be read.
    pub fn usage(&self) -> Result<Usage, CacheError> {
        let mut usage = Usage { limit: self.limit()?, ..Usage::default() };
        for mangled in self.layout.mangled_in(&self.layout.globals())? {
            let content = Content::of_mangled(&self.layout, mangled);
            match (stat(&content.ready_path())?, content.state()?) {
                (Some(file), _) => {
                    usage.contents += 1;
                    usage.bytes += file.len();
                    if file.nlink() == 1 {
                        usage.kept_contents += 1;
                        usage.kept_bytes += file.len();
                    }
                }
                (None, State::Absent) => {}
                (None, _) => usage.held += 1,
            }
        }
        Ok(usage)
    }

    /// Undoes what dead programs have left, and removes every content that nobody refers to, whatever the limit. What is in use
    /// stays. Blocks.
    ///
    /// # Errors
    /// A cache that cannot be changed.
    pub fn clean(&self) -> Result<Cleaned, CacheError> {
        let mut cleaned = Cleaned::default();
        for mangled in self.layout.mangled_in(&self.layout.globals())? {
            let _gate = Gate::enter(self.layout.root())?;
            let content = Content::of_mangled(&self.layout, mangled);
            match content.state()? {
                State::Abandoned(dead) => {
                    recover(&content, &dead)?;
                    cleaned.recovered += 1;
                }
                State::Ready(strays) => content.sweep(&strays)?,
                State::Absent => content.tidy()?,
                State::Held => {}
            }
        }
        self.clean_references(&mut cleaned)?;
        self.clean_temporary(&mut cleaned)?;
        (cleaned.removed, cleaned.bytes) = self.shrink_to(0)?;
        Ok(cleaned)
    }

    /// Removes references to contents that are not there.
    fn clean_references(&self, cleaned: &mut Cleaned) -> Result<(), CacheError> {
        for tag in self.layout.mangled_in(&self.layout.locals())? {
            for url in self.layout.mangled_in(&self.layout.file(&self.layout.locals(), &tag))? {
                let _gate = Gate::enter(self.layout.root())?;
                let content = Content::of_mangled(&self.layout, url);
                let entry = Entry::of_mangled(&self.layout, &tag, content.mangled());
                let is_idle = matches!(content.state()?, State::Absent | State::Ready(_));
                let has_content = stat(&content.ready_path())?.is_some();
                if is_idle && (!has_content || entry.owners()?.is_empty()) {
                    entry.remove()?;
                    cleaned.leftovers += 1;
                }
            }
        }
        Ok(())
    }

    /// Removes temporary files of the dead.
    fn clean_temporary(&self, cleaned: &mut Cleaned) -> Result<(), CacheError> {
        let temporary = self.layout.temporary();
        for name in self.layout.names(&temporary)? {
            if owner_of_temporary(&name).is_some_and(|owner| owner.life() == Life::Dead) {
                remove(&self.layout.file(&temporary, &name))?;
                cleaned.leftovers += 1;
            }
        }
        Ok(())
    }
}

impl Content<'_> {
    /// The URL; the mangled name when nobody wrote it down.
    pub(super) fn name(&self) -> Result<String, CacheError> {
        let name = read_name(&self.url_path())?.filter(|name| name.len() < MAX_NAME);
        Ok(name.unwrap_or_else(|| self.mangled().to_owned()))
    }
}
