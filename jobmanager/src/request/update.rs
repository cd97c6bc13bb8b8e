//! New destinations for the output of a job that exists: what a restart and the STDIO_UPDATE signal bring along (gram.md §8, §12).

use super::{Surroundings, output, parsed, symbols, text};
use crate::{
    job::{Destination, Failure, Output},
    octets::Octets,
};
use gram::GramError;
use rsl::{Spec, attribute};
use std::path::Path;

/// What is to change; None: stays as it is. Paths may be relative to the job's directory, which only the job knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StdioUpdate {
    /// Standard output.
    pub stdout: Option<Output>,
    /// Standard error.
    pub stderr: Option<Output>,
    /// The URL in the job's remote I/O file.
    pub remote_io_url: Option<String>,
}

impl StdioUpdate {
    /// Changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same with paths below the job's directory.
    #[must_use]
    pub fn below(self, directory: &Octets) -> Self {
        let absolute = |output: Output| match output {
            Output::File(path) => Output::File(below(directory, &path)),
            Output::Cache(entry) => Output::Cache(entry),
            Output::Deliver(destinations) => Output::Deliver(
                destinations
                    .into_iter()
                    .map(|destination| match destination {
                        Destination::File(path) => Destination::File(below(directory, &path)),
                        other => other,
                    })
                    .collect(),
            ),
        };
        Self { stdout: self.stdout.map(absolute), stderr: self.stderr.map(absolute), ..self }
    }
}

fn below(directory: &Octets, path: &Octets) -> Octets {
    directory.as_path().join(path.as_path()).into()
}

/// The changes a checked request asks for.
pub(super) fn update(spec: &Spec) -> Result<StdioUpdate, Failure> {
    let anywhere = Path::new("");
    let stream = |name: &str, code: GramError| {
        spec.first(name).map(|relation| output(Some(relation), code, anywhere)).transpose()
    };
    Ok(StdioUpdate {
        stdout: stream("stdout", GramError::OPENING_STDOUT)?,
        stderr: stream("stderr", GramError::OPENING_STDERR)?,
        remote_io_url: spec.first("remoteiourl").map(text).transpose()?,
    })
}

/// Reads the argument of the STDIO_UPDATE signal.
///
/// # Errors
/// 39 when a variable is not defined. 48 when it is not RSL, or has attributes that have no place here: their own number, 139, is
/// never told, as stock job managers do not tell it either. A destination that is none: its own number.
pub fn read_update(source: &[u8], around: &Surroundings) -> Result<StdioUpdate, Failure> {
    let masked = |failure: Failure| Failure { code: GramError::BAD_RSL, ..failure };
    let spec = parsed(source).map_err(masked)?;
    let spec = rsl::evaluate::evaluate(&spec, &symbols(around))
        .map_err(|error| Failure::new(GramError::RSL_EVALUATION_FAILED, error.message))?;
    attribute::check(&spec, attribute::Request::StdioUpdate, &around.scheduler)
        .map_err(|violation| masked(violation.into()))?;
    update(&spec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::around;

    fn read(text: &str) -> Result<StdioUpdate, u16> {
        read_update(text.as_bytes(), &around()).map_err(|failure| failure.code.0)
    }

    #[test]
    fn new_destinations() {
        let update =
            read("&(stdout=https://vm:1/o)(stderr=err)(stdout_position=0)(remote_io_url=https://vm:1)")
                .unwrap()
                .below(&"/work".into());
        let url = Destination::Url("https://vm:1/o".into());
        assert_eq!(update.stdout, Some(Output::Deliver(vec![url])));
        assert_eq!(update.stderr, Some(Output::File("/work/err".into())));
        assert_eq!(update.remote_io_url.as_deref(), Some("https://vm:1"));
        assert!(!update.is_empty());
    }

    #[test]
    fn several_destinations_are_made_absolute() {
        let update = read("&(stdout=(a)(/b)(https://vm:1/c))").unwrap().below(&"/work".into());
        let Some(Output::Deliver(destinations)) = update.stdout else { panic!("{update:?}") };
        assert_eq!(destinations[0], Destination::File("/work/a".into()));
        assert_eq!(destinations[1], Destination::File("/b".into()));
        assert_eq!(update.stderr, None);
    }

    #[test]
    fn the_number_of_each_mistake() {
        for (text, code) in [
            ("", 48),
            ("&(stdout", 48),
            ("stdout=/x", 48),
            ("&(stdout>/x)", 48),
            ("&(stdout=a b)", 65),
            ("&(stderr=a b)", 63),
            ("&(stdout=ftp://vm/x)", 73),
            ("&(remote_io_url=a b)", 127),
            ("&(stdout_position=5)", 48),
            ("&(executable=/bin/true)", 48),
            ("&(foo=1)", 48),
            ("&(rsl_substitution=(A b))(stdout=$(A))", 48),
            ("&(stdout=$(NOSUCH))", 39),
        ] {
            assert_eq!(read(text).unwrap_err(), code, "{text}");
        }
    }
}
