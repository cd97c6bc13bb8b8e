//! What a command says when it cannot do what it was asked: what failed, why, and what to try.

use crate::{exit::Exit, job::JobError};
use gass::{Blame, GassError};
use gram::client::ClientError;
use gsi::{GsiError, authority::AuthorityError};

/// A failed command. Printed on stderr as `gridiron: <what>` and `  try: <advice>`; as JSON with `--json`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// What failed and why; names the file, host or value.
    pub what: String,
    /// What the person can do about it.
    pub advice: Option<String>,
}

impl Failure {
    /// A failure without advice.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), advice: None }
    }

    /// Adds what to try.
    #[must_use]
    pub fn try_this(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// A failed file operation: `doing` is a phrase such as "cannot write /x".
    pub fn local(doing: impl std::fmt::Display, error: &dyn std::fmt::Display) -> Self {
        Self::new(Exit::Local, format!("{doing}: {error}"))
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match error.code.0 {
            // no connection; no or a broken answer; the job manager is gone
            10 | 12 | 79 => Exit::Unreachable,
            _ => Exit::Refused,
        };
        let number = format!("error code {}", error.code.0);
        let what = if error.message.contains(&number) {
            error.message.clone()
        } else {
            format!("{} ({number})", error.message)
        };
        let failure = Failure::new(exit, what);
        match error.code.0 {
            7 => failure.try_this("ask the site to map your identity: gridiron proxy info; or gridiron ping"),
            4 | 5 | 11 => failure.try_this(
                "give a directory, program or input that exists there: --directory, --stage, --stdin",
            ),
            12 => failure.try_this("check host and port, and that a gatekeeper runs there"),
            93 => failure.try_this("name a service the site has, e.g. host/jobmanager-fork"),
            _ => failure,
        }
    }
}

impl From<GsiError> for Failure {
    fn from(error: GsiError) -> Self {
        let exit = match &error {
            GsiError::Io(_)
            | GsiError::Authority(AuthorityError::File { .. } | AuthorityError::Exists(_)) => Exit::Local,
            _ => Exit::Input,
        };
        Failure::new(exit, error.to_string())
    }
}

impl From<GassError> for Failure {
    fn from(error: GassError) -> Self {
        let exit = match &error {
            GassError::BadUrl { .. } => Exit::Input,
            GassError::NoCredential { .. } => Exit::Credential,
            GassError::File { .. } | GassError::Local { .. } => Exit::Local,
            _ if error.blame() == Blame::Network => Exit::Unreachable,
            _ => Exit::Refused,
        };
        let failure = Failure::new(exit, error.to_string());
        match &error {
            GassError::Security { source, .. } if matches!(**source, GsiError::Authorization(_)) => {
                failure.try_this("if that is who you meant: --subject DN")
            }
            _ => failure,
        }
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Rsl(text) => {
                Failure::new(Exit::Input, text).try_this("check the request with: gridiron rsl check FILE")
            }
            JobError::Gram(error) => error.into(),
            error @ JobError::Gass(_) => Failure::new(Exit::Local, error.to_string()),
        }
    }
}
