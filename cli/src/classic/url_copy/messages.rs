//! What `globus-url-copy` says of failures: the words of the original, which name functions of its own, since scripts look for
//! them; and where those hide the cause, the cause on a further line.

use super::expand::Item;
use gass::{GassError, copy::Place, error::FileAction};
use std::{fmt, io};

/// A directory of a server that is not ours.
pub(super) const CANNOT_LIST: &str =
    "[globus_gass_copy_glob_expand_url]: Globbing not supported with URL scheme.";

/// The failure of a copy.
pub(super) struct Shown<'a> {
    pub(super) item: &'a Item,
    pub(super) error: &'a GassError,
    /// Why there is no credential, if there is none.
    pub(super) reason: Option<&'a str>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error {
            GassError::File { path, action, source } => file(f, path, *action, source),
            error => {
                let from_server = self.item.transfer.as_ref().is_some_and(
                    |transfer| matches!(&transfer.from, Place::Remote(url, _) if concerns(error, url)),
                );
                if from_server {
                    let (status, reason) = match error {
                        GassError::Refused { status, reason, .. } => (*status, reason.as_str()),
                        _ => (400, "Bad Request"),
                    };
                    write!(
                        f,
                        "[globus_l_gass_copy_gass_setup_callback]:  url: {} request was DENIED, for reason: {status}, {reason}",
                        self.item.from
                    )?;
                    if matches!(error, GassError::Refused { .. }) {
                        return Ok(());
                    }
                } else {
                    f.write_str("[globus_l_gass_copy_gass_write_callback]: gass_transfer_request_status: 3")?;
                }
                match (error, self.reason) {
                    (GassError::NoCredential { .. }, Some(reason)) => write!(f, "\n{reason}"),
                    (error, _) => write!(f, "\n{error}"),
                }
            }
        }
    }
}

/// Whether it is about this URL; after a redirect it is about another one of the source.
fn concerns(error: &GassError, from: &gass::Url) -> bool {
    match error {
        GassError::Unreachable { url, .. }
        | GassError::Security { url, .. }
        | GassError::NoCredential { url }
        | GassError::Refused { url, .. }
        | GassError::Truncated { url, .. }
        | GassError::Protocol { url, .. }
        | GassError::TimedOut { url, .. } => url == from,
        GassError::Redirect { .. } | GassError::Checksum { .. } => true,
        GassError::Unverified { url } | GassError::Unable { url, .. } | GassError::Answer { url, .. } => {
            url == from
        }
        _ => false,
    }
}

fn file(
    f: &mut fmt::Formatter<'_>,
    path: &std::path::Path,
    action: FileAction,
    source: &io::Error,
) -> fmt::Result {
    let why = system_text(source);
    match action {
        FileAction::Open => {
            writeln!(f, "globus_xio: Unable to open file {}", super::absolute(path).display())?;
            write!(f, "globus_xio: System error in open: {why}\nglobus_xio: A system call failed: {why}")
        }
        FileAction::Read | FileAction::Write | FileAction::List => {
            write!(f, "globus_xio: System error in {action}: {why}\nglobus_xio: A system call failed: {why}")
        }
    }
}

/// As strerror(3) has it.
fn system_text(error: &io::Error) -> String {
    let text = match error.raw_os_error() {
        Some(_) => error.to_string(),
        // Ours, of a kind that the system has a text for.
        None if error.kind() == io::ErrorKind::IsADirectory => "Is a directory".to_owned(),
        None => error.to_string(),
    };
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// A source that is no URL, or of a kind that this program does not speak.
pub(super) fn bad_source(text: &str, error: &GassError) -> String {
    match crate::copying::place::scheme(text) {
        Some("https" | "http" | "file" | "ftp" | "gsiftp" | "x-gass-cache") => bad_url(text, error),
        _ => no_scheme(text),
    }
}

/// A source of which the original cannot tell what it is.
pub(super) fn no_scheme(text: &str) -> String {
    format!("Unable to list url {text}:\n[globus_gass_copy_glob_expand_url]: error parsing url scheme.")
}

/// A URL that is malformed, or of a kind that this program does not speak.
pub(super) fn bad_url(text: &str, error: &GassError) -> String {
    match crate::copying::place::scheme(text) {
        Some(scheme @ ("ftp" | "gsiftp" | "sshftp")) => {
            format!("{text}: {scheme}: is not supported; this program copies https:, http: and file: URLs.")
        }
        _ => error.to_string(),
    }
}

/// A source directory that cannot be looked into.
pub(super) fn cannot_list(text: &str, directory: &Place, error: &GassError) -> String {
    match (directory, error) {
        (_, GassError::Unable { .. }) => format!("Unable to list url {text}:\n{CANNOT_LIST}"),
        (Place::Local(path), _) => format!(
            "Unable to list url {}:\n[globus_l_gass_copy_glob_expand_file_url]: unable to access url path: {}",
            if text.contains(":/") {
                text.to_owned()
            } else {
                format!("file://{}", super::absolute(text.as_ref()).display())
            },
            super::absolute(path).display().to_string().trim_end_matches('/'),
        ),
        _ => format!("Unable to list url {text}:\n{error}"),
    }
}
