//! What a call-back listener is told (gram.md §9).

use super::{Attributes, Extensions, WireError, body::Writer, http};
use crate::GramError;

/// A state update as it stands on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The job contact. Host and port may differ from what the client knows; the path counts.
    pub contact: String,
    /// The job's state as a number.
    pub status: u32,
    /// Why it failed.
    pub failure_code: GramError,
    /// `version`, `toolkit-version`, `exit-code`, `gt3-failure-…`.
    pub extensions: Extensions,
}

impl Update {
    /// The whole message, for a call-back contact's path and host.
    pub fn encode(&self, path: &str, host: &str) -> Vec<u8> {
        let mut body = Writer::new();
        body.bare("job-manager-url", &self.contact);
        body.number("status", self.status).number("failure-code", self.failure_code.0);
        http::encode_request(path, host, &body.extensions(&self.extensions).finish())
    }

    /// Decodes a body.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        let attributes = Attributes::decode(body)?;
        attributes.check_version()?;
        let contact =
            attributes.text("job-manager-url").ok_or(WireError::MissingAttribute("job-manager-url"))?;
        Ok(Self {
            contact: contact.into_owned(),
            status: attributes.required_number("status")?,
            failure_code: GramError(attributes.required_number("failure-code")?),
            extensions: attributes.extensions(&[
                "protocol-version",
                "job-manager-url",
                "status",
                "failure-code",
            ]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn updates_read_back(status: u32, failure: u16, text in "\\PC{0,40}", exit: i32) {
            let extensions = vec![("gt3-failure-message".into(), text), ("exit-code".into(), exit.to_string())];
            let update = Update {
                contact: "https://h:1/2/3/".into(), status, failure_code: GramError(failure), extensions,
            };
            let bytes = update.encode("/", "h");
            let at = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
            prop_assert_eq!(Update::decode(&bytes[at..]), Ok(update));
        }

        #[test]
        fn never_panics(body: Vec<u8>) {
            let _ = Update::decode(&body);
        }
    }
}
