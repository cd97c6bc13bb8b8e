//! Undoing what somebody left half done.
//!
//! A holder that died held either a content that was complete before it came, or one it was making. Whose references are
//! there tells which: others get a reference only to a complete content, so theirs make it ready again. With none but the
//! dead one's own it is removed, and whoever needs it makes it anew.

use super::{
    content::{Content, Holder},
    error::CacheError,
    reference::{entries_of, remove_fill},
};

/// Brings a content that was [`Abandoned`](super::content::State::Abandoned) to *ready* or *absent*.
pub(super) fn recover(content: &Content<'_>, dead: &[Holder]) -> Result<(), CacheError> {
    let mut referred = None;
    for entry in entries_of(content.layout(), content.mangled())? {
        let owners = entry.owners()?;
        for owner in &owners {
            if dead.iter().any(|holder| holder.owner == *owner) {
                continue;
            }
            for holder in dead {
                if entry.links_to(&owner.data(), holder.inode)? {
                    referred = Some(holder);
                }
            }
        }
        // What the dead were about to refer to.
        for holder in dead.iter().filter(|holder| owners.contains(&holder.owner)) {
            entry.withdraw(&holder.owner)?;
        }
        if owners.is_empty() {
            entry.remove()?;
        }
    }
    for holder in dead {
        remove_fill(content.layout(), &holder.owner)?;
        let restored = referred.is_some_and(|referred| referred.owner == holder.owner)
            && content.release(&holder.owner)?;
        tracing::info!(content = content.mangled(), owner = %holder.owner, restored, "recovered from a program that died");
        if !restored {
            content.discard(&holder.owner)?;
        }
    }
    Ok(())
}
