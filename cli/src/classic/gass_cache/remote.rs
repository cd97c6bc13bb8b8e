//! `globus-gass-cache -r`: the operation as a job at a service, with its output and, unlike the original's, its exit status.

use super::{Asked, FAILED};
use crate::{
    classic::{globusrun, terminal::err},
    job::{
        Interrupt, Serving, Wait,
        request::{literal, relation, served},
    },
};
use gsi::DelegationMode;
use rsl::{Operator, Spec};
use std::{io::Error, os::unix::ffi::OsStrExt as _};

/// What the job's last line of messages starts with; GRAM itself need not tell how a job ended.
const STATUS: &str = "globus-gass-cache-status ";

/// Finds the program there, ours or stock, and says how it ended.
const SCRIPT: &str = "PATH=\"${GLOBUS_LOCATION:-/usr}/bin:$PATH:/usr/local/bin:/usr/bin:/bin\"; \
    if command -v globus-gass-cache >/dev/null; then globus-gass-cache \"$@\"; \
    elif command -v gridiron >/dev/null; then gridiron classic globus-gass-cache \"$@\"; \
    else echo 'globus-gass-cache is not installed there' >&2; false; fi; \
    echo \"globus-gass-cache-status $?\" >&2";

/// Runs it there; an `Err` is the exit status, and the reason has been printed.
pub(super) async fn run(resource: &str, asked: &Asked) -> Result<(), u8> {
    let failed = |error: Error| {
        err(format_args!("globus-gass-cache: cannot keep messages in a temporary file: {error}"));
        FAILED
    };
    let file = tempfile::NamedTempFile::new().map_err(failed)?;
    let arguments = arguments(asked).iter().map(literal).collect();
    let spec = Spec::Boolean(
        Operator::And,
        vec![
            relation("executable", vec![literal("/bin/sh")]),
            relation("arguments", arguments),
            relation("stderr", vec![served(file.path().as_os_str().as_bytes())]),
        ],
    );
    globusrun::attempt(globusrun::Submission {
        contact: resource.to_owned(),
        spec,
        quiet: true,
        serving: Some(Serving::Write),
        wait: Wait::End,
        interrupt: Interrupt::CancelJob,
        delegation: DelegationMode::Limited,
        dry_run: false,
    })
    .await?;
    let messages = std::fs::read(file.path()).map_err(failed)?;
    let (messages, status) = split(&String::from_utf8_lossy(&messages));
    if !messages.is_empty() {
        err(messages.trim_end());
    }
    match status {
        Some(0) => Ok(()),
        Some(status) => Err(status),
        None => {
            err("globus-gass-cache: the job at the service broke off");
            Err(FAILED)
        }
    }
}

/// The shell's arguments: the script, its name, and the operation's own.
fn arguments(asked: &Asked) -> Vec<&str> {
    let mut words = vec!["-c", SCRIPT, "globus-gass-cache", asked.operation.option()];
    if asked.long {
        words.push("-long");
    }
    if let Some(tag) = &asked.tag {
        words.extend(["-t", tag]);
    }
    if let Some(name) = &asked.name {
        words.extend(["-n", name]);
    }
    words.extend(asked.url.as_deref());
    words
}

/// Tells the status from the messages before it.
fn split(text: &str) -> (String, Option<u8>) {
    let (before, status) = text.rsplit_once(STATUS).unwrap_or((text, ""));
    (before.to_owned(), status.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classic::gass_cache::Operation;

    #[test]
    fn the_operation_travels_as_it_was_given() {
        let asked = Asked {
            operation: Operation::List,
            url: Some("u".to_owned()),
            tag: Some("a tag".to_owned()),
            name: None,
            long: true,
        };
        assert_eq!(arguments(&asked)[2..], ["globus-gass-cache", "-list", "-long", "-t", "a tag", "u"]);
    }

    #[test]
    fn the_status_is_the_last_word() {
        assert_eq!(split("globus-gass-cache-status 0\n"), (String::new(), Some(0)));
        assert_eq!(split("Error transferring u\nglobus-gass-cache-status 255\n").1, Some(255));
        assert_eq!(split("broken"), ("broken".to_owned(), None));
    }
}
