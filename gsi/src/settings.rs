//! `gsi.conf` and the environment variables that override it (gsi.md §11).

use std::path::{Path, PathBuf};

/// Where the file is.
pub const PATH: &str = "/etc/grid-security/gsi.conf";

/// Longest file accepted, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A line that is no setting.
    #[error("{path}, line {line}: {text:?} has no `=`; write KEY=value", path = path.display())]
    NoEquals {
        /// The file.
        path: PathBuf,
        /// 1-based.
        line: usize,
        /// The line.
        text: String,
    },
    /// It cannot be read.
    #[error("{path} cannot be read: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The value of a key (`NAME_COMPATIBILITY`): from `GLOBUS_GSSAPI_<KEY>`, else from [`PATH`]; None when neither has it.
///
/// # Errors
/// When the file is needed and broken. That it does not exist is no error.
pub fn value(key: &str) -> Result<Option<String>, SettingsError> {
    if let Ok(value) = std::env::var(format!("GLOBUS_GSSAPI_{key}")) {
        return Ok(Some(value));
    }
    read(Path::new(PATH), key)
}

fn read(path: &Path, key: &str) -> Result<Option<String>, SettingsError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(SettingsError::Unreadable { path: path.to_owned(), source }),
    };
    let text = String::from_utf8_lossy(text.get(..MAX_BYTES).unwrap_or(&text)).into_owned();
    let settings = parse(&text).map_err(|(line, text)| SettingsError::NoEquals {
        path: path.to_owned(),
        line,
        text: text.to_owned(),
    })?;
    Ok(settings.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value.to_owned()))
}

/// All settings of a text, in order; or the first line (1-based) that is none.
fn parse(text: &str) -> Result<Vec<(&str, &str)>, (usize, &str)> {
    let mut settings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let meaning = line.split('#').next().unwrap_or_default().trim();
        if !meaning.is_empty() {
            let (key, value) = meaning.split_once('=').ok_or((number, meaning))?;
            settings.push((key.trim(), value.trim()));
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_with_comments_and_blanks() {
        let text = "# all\n\n MIN_TLS_PROTOCOL = 0 # lowest\nNAME_COMPATIBILITY=HYBRID\n";
        assert_eq!(parse(text), Ok(vec![("MIN_TLS_PROTOCOL", "0"), ("NAME_COMPATIBILITY", "HYBRID")]));
        assert_eq!(parse("A=1\n#\nnonsense # x\n"), Err((3, "nonsense")));
    }

    #[test]
    fn files_are_optional_but_must_be_right() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gsi.conf");
        assert!(matches!(read(&path, "A"), Ok(None)));
        std::fs::write(&path, "A=1\nB\n").unwrap();
        let error = read(&path, "A").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("gsi.conf"), "{error}");
        std::fs::write(&path, "A=1\n").unwrap();
        assert_eq!(read(&path, "A").unwrap().as_deref(), Some("1"));
    }
}
