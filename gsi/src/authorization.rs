//! Whom the initiator accepts (gsi.md §7.4).

use crate::{GsiError, Peer, Subject};

/// What the other end must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Host authorization, STRICT_RFC2818 unless gsi.conf / environment says otherwise.
    Host(String),
    /// Exactly this identity.
    Identity(Subject),
    /// The same identity as our own credential.
    Myself,
    /// The caller checks.
    Anyone,
}

impl Expect {
    /// Decides; `own` is our own identity.
    pub fn accepts(&self, _peer: &Peer, _own: &Subject) -> Result<(), GsiError> {
        todo!()
    }
}
