//! What gatekeeper and job manager answer (gram.md §6, §7, §10).

use super::{
    Attributes, Extensions, WireError,
    body::{QUIET_EXIT_CODE, Writer},
    http,
};
use crate::{GramError, JobState, version};

/// What an HTTP status other than 200 means to a client (gram.md §3): 400 → 10, 403 → 7, 404 → 93, 500 → 47, any other
/// → 89.
pub fn code_of_status(status: u16) -> GramError {
    match status {
        200 => GramError::SUCCESS,
        400 => GramError::PROTOCOL_FAILED,
        403 => GramError::AUTHORIZATION,
        404 => GramError::SERVICE_NOT_FOUND,
        500 => GramError::GATEKEEPER_MISCONFIGURED,
        _ => GramError::HTTP_UNFRAME_FAILED,
    }
}

/// The `version` and `toolkit-version` attributes of every reply and update. Clients take error 156 for "done" only
/// when they are there.
pub fn version_extensions() -> Extensions {
    vec![
        ("version".to_owned(), version::VERSION.to_owned()),
        ("toolkit-version".to_owned(), version::TOOLKIT_VERSION.to_owned()),
    ]
}

/// The answer to a ping that went well. The length is 0, and the NUL stock gatekeepers add all the same follows.
pub fn encode_pong() -> Vec<u8> {
    let mut message = http::encode_reply(b"");
    message.push(0);
    message
}

/// A gatekeeper's refusal by HTTP status, with the NUL stock gatekeepers add.
pub fn encode_gatekeeper_refusal(status: u16) -> Vec<u8> {
    let mut message = http::encode_refusal(status);
    message.push(0);
    message
}

/// A gatekeeper's answer to a body that is too long: status 10 and no more.
pub fn encode_too_long() -> Vec<u8> {
    let code = GramError::PROTOCOL_FAILED.0;
    http::encode_reply(&Writer::new().number("status", code).finish_without_nul())
}

/// The answer to a job request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobReply {
    /// Success, [`GramError::WAITING_FOR_COMMIT`] or why the request was refused.
    pub status: GramError,
    /// The job contact, when there is a job.
    pub contact: Option<String>,
    /// `version`, `toolkit-version`, `gt3-failure-message`.
    pub extensions: Extensions,
}

impl JobReply {
    /// The whole message.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        body.number("status", self.status.0);
        if let Some(contact) = &self.contact {
            body.bare("job-manager-url", contact);
        }
        http::encode_reply(&body.extensions(&self.extensions).finish())
    }

    /// Decodes a body.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        let attributes = Attributes::decode(body)?;
        attributes.check_version()?;
        Ok(Self {
            status: GramError(attributes.required_number("status")?),
            contact: attributes
                .text("job-manager-url")
                .map(|url| url.into_owned())
                .filter(|url| !url.is_empty()),
            extensions: attributes.extensions(&["protocol-version", "status", "job-manager-url"]),
        })
    }
}

/// The answer to a version request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionReply {
    /// Success, or the error when neither version is there.
    pub status: GramError,
    /// `version` and `toolkit-version`.
    pub extensions: Extensions,
}

impl VersionReply {
    /// Ours.
    pub fn ours() -> Self {
        Self { status: GramError::SUCCESS, extensions: version_extensions() }
    }

    /// The whole message.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        http::encode_reply(&body.number("status", self.status.0).extensions(&self.extensions).finish())
    }

    /// Decodes a body.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        let reply = JobReply::decode(body)?;
        Ok(Self { status: reply.status, extensions: reply.extensions })
    }
}

/// The answer to a query on a job contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryReply {
    /// The job's state as a number: 0 when the job is unknown, 4 when the query failed.
    pub status: u32,
    /// Error of the query.
    pub failure_code: GramError,
    /// Error of the job.
    pub job_failure_code: GramError,
    /// `version`, `toolkit-version`, `exit-code` …
    pub extensions: Extensions,
}

impl QueryReply {
    /// A query that went well: the job's state and error, and its exit code once it is known.
    pub fn state(state: JobState, job_failure_code: GramError, exit_code: Option<i32>) -> Self {
        let mut extensions = version_extensions();
        extensions.extend(exit_code.map(|code| (QUIET_EXIT_CODE.to_owned(), code.to_string())));
        Self { status: state.value(), failure_code: GramError::SUCCESS, job_failure_code, extensions }
    }

    /// A query that failed.
    pub fn failed(failure_code: GramError) -> Self {
        let status = JobState::Failed.value();
        Self { status, failure_code, job_failure_code: GramError::SUCCESS, extensions: version_extensions() }
    }

    /// A path that is no job's (error 156).
    pub fn unknown_job() -> Self {
        Self { status: 0, ..Self::failed(GramError::JOB_CONTACT_NOT_FOUND) }
    }

    /// The first answer to `renew`: go on with the delegation. No extensions.
    pub fn ready_for_delegation() -> Self {
        Self {
            status: 0,
            failure_code: GramError::SUCCESS,
            job_failure_code: GramError::SUCCESS,
            extensions: Vec::new(),
        }
    }

    /// The whole message. A query that could not be read at all (error 91) is answered with HTTP 400 and no body.
    pub fn encode(&self) -> Vec<u8> {
        if self.failure_code == GramError::HTTP_UNPACK_FAILED {
            return http::encode_refusal(400);
        }
        let mut body = Writer::new();
        body.number("status", self.status);
        body.number("failure-code", self.failure_code.0);
        body.number("job-failure-code", self.job_failure_code.0);
        http::encode_reply(&body.extensions(&self.extensions).finish())
    }

    /// Decodes a body. Old peers leave `job-failure-code` out.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        let attributes = Attributes::decode(body)?;
        attributes.check_version()?;
        let optional = |name| match attributes.bytes(name) {
            None => Ok(GramError::SUCCESS),
            Some(_) => attributes.required_number(name).map(GramError),
        };
        Ok(Self {
            status: attributes.required_number("status")?,
            failure_code: optional("failure-code")?,
            job_failure_code: optional("job-failure-code")?,
            extensions: attributes.extensions(&[
                "protocol-version",
                "status",
                "failure-code",
                "job-failure-code",
            ]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(message: &[u8]) -> &[u8] {
        &message[message.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4..]
    }

    #[test]
    fn http_statuses() {
        for (status, code) in [(200, 0), (400, 10), (403, 7), (404, 93), (500, 47), (503, 89), (302, 89)] {
            assert_eq!(code_of_status(status).0, code);
        }
    }

    #[test]
    fn unreadable_queries_get_400() {
        let message = QueryReply::failed(GramError::HTTP_UNPACK_FAILED).encode();
        assert!(message.starts_with(b"HTTP/1.1 400 "));
        assert!(body(&message).is_empty());
    }

    #[test]
    fn exit_codes_are_bare_numbers() {
        let reply = QueryReply::state(JobState::Done, GramError::SUCCESS, Some(-3));
        let message = reply.encode();
        assert!(String::from_utf8_lossy(&message).contains("\r\ngridiron-exit-code: -3\r\n"));
        assert_eq!(QueryReply::decode(body(&message)), Ok(reply));
    }

    #[test]
    fn old_peers_leave_the_job_failure_code_out() {
        let reply = QueryReply::decode(b"protocol-version: 2\r\nstatus: 2\r\nfailure-code: 0\r\n\0").unwrap();
        assert_eq!(reply.job_failure_code, GramError::SUCCESS);
    }

    #[test]
    fn other_versions_are_refused() {
        assert_eq!(JobReply::decode(b"protocol-version: 3\r\nstatus: 0\r\n"), Err(WireError::Version(3)));
        assert!(JobReply::decode(b"status: 0\r\n").is_err());
        assert!(JobReply::decode(b"protocol-version: 2\r\nstatus: 70000\r\n").is_err());
    }

    proptest! {
        #[test]
        fn job_replies_read_back(status: u16, contact in proptest::option::of("https://[a-z]{1,9}:1/1/2/"), text in "\\PC{0,40}") {
            let extensions = vec![("gt3-failure-message".to_owned(), text)];
            let reply = JobReply { status: GramError(status), contact, extensions };
            prop_assert_eq!(JobReply::decode(body(&reply.encode())), Ok(reply));
        }

        #[test]
        fn query_replies_read_back(status: u32, failure in 0u16..91, job: u16) {
            let reply = QueryReply {
                status, failure_code: GramError(failure), job_failure_code: GramError(job), extensions: version_extensions(),
            };
            prop_assert_eq!(QueryReply::decode(body(&reply.encode())), Ok(reply));
        }

        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = JobReply::decode(&bytes);
            let _ = VersionReply::decode(&bytes);
            let _ = QueryReply::decode(&bytes);
        }
    }
}
