//! What `gridiron cp` and `globus-url-copy` share: places as a person writes them, lists of them, and showing how far it is.

pub(crate) mod list;
pub(crate) mod place;
pub(crate) mod progress;
