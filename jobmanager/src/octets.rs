//! Bytes as a client wrote them: RSL literals need not be UTF-8, file names neither.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

/// A byte string that is text nearly always. Serialised as a string when it is UTF-8 and as a list of numbers when not, so
/// that the store stays readable and nothing is ever lost.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Octets(Vec<u8>);

impl Octets {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
    /// As a file name or argument.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }
    /// As a path.
    pub fn as_path(&self) -> &Path {
        Path::new(self.as_os_str())
    }
    /// An owned argument or environment text.
    pub fn to_os_string(&self) -> OsString {
        OsString::from_vec(self.0.clone())
    }
    /// For people and logs: what is not UTF-8 is replaced.
    pub fn lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl From<Vec<u8>> for Octets {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&str> for Octets {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<PathBuf> for Octets {
    fn from(path: PathBuf) -> Self {
        Self(path.into_os_string().into_vec())
    }
}

impl std::fmt::Debug for Octets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.lossy())
    }
}

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Bytes(Vec<u8>),
        }
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::Text(text) => text.into_bytes(),
            Form::Bytes(bytes) => bytes,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_stored_as_text() {
        assert_eq!(serde_json::to_string(&Octets::from("/bin/date")).unwrap(), "\"/bin/date\"");
    }

    proptest! {
        #[test]
        fn any_bytes_survive_the_store(bytes: Vec<u8>) {
            let octets = Octets::from(bytes);
            let json = serde_json::to_string(&octets).unwrap();
            prop_assert_eq!(serde_json::from_str::<Octets>(&json).unwrap(), octets);
        }
    }
}
