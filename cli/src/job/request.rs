//! What is sent: the RSL a person wrote, with the relations that `-o`, `-s`, `-w` and `-dryrun` add (gram.md §21). Pure.

use crate::job::{JobError, Serving};
use rsl::Spec;

/// Additions to a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Additions<'a> {
    /// The embedded server's URL, when there is one.
    pub gass_url: Option<&'a str>,
    /// Nobody waits: stdout and stderr are not sent home.
    pub batch: bool,
    /// Ask for a dry run.
    pub dry_run: bool,
}

/// Parses RSL text; the error underlines the place.
pub fn parse(_source: &[u8]) -> Result<Spec, JobError> {
    todo!()
}

/// The specification with the additions, in the stock order: `rsl_substitution`, `stderr`, `stdout` first.
pub fn complete(_spec: Spec, _additions: &Additions<'_>) -> Result<Spec, JobError> {
    let _ = Serving::Output;
    todo!()
}

/// Canonical text, as it is sent.
pub fn text(_spec: &Spec) -> Result<Vec<u8>, JobError> {
    todo!()
}

/// The account of a `username` relation: the client asks the gatekeeper for it (`/service@user`).
pub fn account(_spec: &Spec) -> Option<String> {
    todo!()
}
