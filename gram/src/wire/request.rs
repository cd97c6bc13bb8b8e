//! What a gatekeeper is asked (gram.md §5 "Gatekeeper request URI", §6.1-§6.3).

use super::{
    Attributes, WireError,
    body::Writer,
    bulk::{self, BulkJobs},
    http,
};
use crate::StateMask;

/// Longest service name a gatekeeper looks up, in bytes.
pub const MAX_SERVICE: usize = 256;
/// Longest account name a request may carry, in bytes.
pub const MAX_ACCOUNT: usize = 256;

/// What a request line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Only test whether one would be let in.
    pub ping: bool,
    /// Service name.
    pub service: String,
    /// The account the client wants to be mapped to (RSL `username`).
    pub account: Option<String>,
}

/// A request line that names no service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It does not have the form `[ping]/service[@account]`.
    #[error("the request line's {0:?} has not the form [ping]/service[@account]")]
    Malformed(String),
    /// The form is right but no service can have this name.
    #[error("{0:?} cannot be a service name")]
    NoSuchName(String),
}

impl Target {
    /// Reads the URI of a request line. `ping/service` has no leading slash.
    pub fn parse(uri: &str) -> Result<Self, TargetError> {
        let malformed = || TargetError::Malformed(super::excerpt(uri.as_bytes()));
        let (ping, rest) = match uri.strip_prefix("ping") {
            Some(rest) => (true, rest),
            None => (false, uri),
        };
        let rest = rest.strip_prefix('/').ok_or_else(malformed)?;
        let (service, account) = match rest.split_once('@') {
            Some((service, account)) => (service, Some(account)),
            None => (rest, None),
        };
        if service.is_empty()
            || account.is_some_and(|account| account.is_empty() || account.len() > MAX_ACCOUNT)
        {
            return Err(malformed());
        }
        if service.len() > MAX_SERVICE || service.contains('/') || service.starts_with('.') {
            return Err(TargetError::NoSuchName(super::excerpt(service.as_bytes())));
        }
        Ok(Self { ping, service: service.to_owned(), account: account.map(str::to_owned) })
    }

    /// The URI of a request line.
    pub fn uri(&self) -> String {
        let ping = if self.ping { "ping" } else { "" };
        match &self.account {
            Some(account) => format!("{ping}/{}@{account}", self.service),
            None => format!("{ping}/{}", self.service),
        }
    }
}

/// A job request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRequest {
    /// Of which states the call-back contact wants to hear.
    pub mask: StateMask,
    /// Call-back contact; None: no call-backs.
    pub callback: Option<String>,
    /// The request in RSL, carried unread.
    pub rsl: Vec<u8>,
}

impl JobRequest {
    /// The body.
    pub fn encode_body(&self) -> Vec<u8> {
        let mut body = Writer::new();
        write_listener(&mut body, self.mask, self.callback.as_deref());
        body.quoted("rsl", &self.rsl).finish()
    }

    /// From a body's attributes; all four are required.
    pub fn from_attributes(attributes: &Attributes) -> Result<Self, WireError> {
        attributes.check_version()?;
        let (mask, callback) = listener(attributes)?;
        let rsl = attributes.bytes("rsl").ok_or(WireError::MissingAttribute("rsl"))?;
        Ok(Self { mask, callback, rsl: rsl.to_vec() })
    }
}

/// Who is to be told of the job's states, and of which.
pub(super) fn listener(attributes: &Attributes) -> Result<(StateMask, Option<String>), WireError> {
    // A mask is a set of bits; stock programs print it as a signed number, so -1 is "all" too.
    let mask: i64 = attributes.required_number("job-state-mask")?;
    let bits = u32::try_from(mask).or_else(|_| i32::try_from(mask).map(i32::cast_unsigned));
    let bits = bits.map_err(|_| WireError::BadAttribute {
        name: "job-state-mask",
        value: mask.to_string(),
        expected: "a set of state bits",
    })?;
    let callback = attributes.text("callback-url").ok_or(WireError::MissingAttribute("callback-url"))?;
    Ok((StateMask(bits), (!callback.is_empty()).then(|| callback.into_owned())))
}

/// Writes what [`listener`] reads. `callback-url` is always there, `""` for none.
pub(super) fn write_listener(body: &mut Writer, mask: StateMask, callback: Option<&str>) {
    body.number("job-state-mask", mask.0);
    match callback {
        Some(url) if !url.is_empty() => body.bare("callback-url", url),
        _ => body.quoted("callback-url", b""),
    };
}

/// What the body of a request to a gatekeeper (not a ping) asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatekeeperBody {
    /// `command: version`.
    Version,
    /// A job request.
    Job(JobRequest),
    /// Many of them.
    Jobs(BulkJobs),
}

impl GatekeeperBody {
    /// Decodes a body.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        let attributes = Attributes::decode(body)?;
        match attributes.bytes("command") {
            None => JobRequest::from_attributes(&attributes).map(Self::Job),
            Some(b"version") => Ok(Self::Version),
            Some(command) if command == bulk::COMMAND.as_bytes() => {
                BulkJobs::from_attributes(&attributes).map(Self::Jobs)
            }
            Some(other) => Err(WireError::BadAttribute {
                name: "command",
                value: super::excerpt(other),
                expected: "version or submit-many",
            }),
        }
    }
}

/// A ping as it is sent.
pub fn encode_ping(service: &str, host: &str) -> Vec<u8> {
    let target = Target { ping: true, service: service.to_owned(), account: None };
    http::encode_request(&target.uri(), host, b"")
}

/// A job request as it is sent.
pub fn encode_job(service: &str, account: Option<&str>, host: &str, request: &JobRequest) -> Vec<u8> {
    let target = Target { ping: false, service: service.to_owned(), account: account.map(str::to_owned) };
    http::encode_request(&target.uri(), host, &request.encode_body())
}

/// A version request as it is sent.
pub fn encode_version(service: &str, host: &str) -> Vec<u8> {
    let target = Target { ping: false, service: service.to_owned(), account: None };
    http::encode_request(&target.uri(), host, &Writer::new().bare("command", "version").finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn targets() {
        let target = |ping, service: &str, account: Option<&str>| Target {
            ping,
            service: service.into(),
            account: account.map(str::to_owned),
        };
        for (uri, expected) in [
            ("ping/jobmanager", target(true, "jobmanager", None)),
            ("/jobmanager", target(false, "jobmanager", None)),
            ("/jobmanager@alice", target(false, "jobmanager", Some("alice"))),
            ("ping/jobmanager@alice", target(true, "jobmanager", Some("alice"))),
        ] {
            assert_eq!(Target::parse(uri), Ok(expected.clone()));
            assert_eq!(expected.uri(), uri);
        }
        for uri in ["", "/", "ping/", "jobmanager", "ping", "https://h/s", "/@alice", "/s@"] {
            assert!(matches!(Target::parse(uri), Err(TargetError::Malformed(_))), "{uri}");
        }
        let long = format!("/{}", "s".repeat(MAX_SERVICE + 1));
        for uri in ["/ping/jobmanager", "/a/b", "/../etc/passwd", "/..", "/.hidden", &long] {
            assert!(matches!(Target::parse(uri), Err(TargetError::NoSuchName(_))), "{uri}");
        }
        assert!(Target::parse(&format!("/s@{}", "a".repeat(MAX_ACCOUNT + 1))).is_err());
    }

    #[test]
    fn all_four_attributes_are_required() {
        let lines = [
            "protocol-version: 2\r\n",
            "job-state-mask: 1\r\n",
            "callback-url: \"\"\r\n",
            "rsl: \"&(a=b)\"\r\n",
        ];
        for missing in 0..lines.len() {
            let body: String =
                lines.iter().enumerate().filter(|(i, _)| *i != missing).map(|(_, line)| *line).collect();
            let error = GatekeeperBody::decode(body.as_bytes()).unwrap_err();
            assert!(matches!(error, WireError::MissingAttribute(_)), "{missing}: {error}");
        }
        assert!(GatekeeperBody::decode(lines.concat().as_bytes()).is_ok());
    }

    #[test]
    fn version_requests() {
        let bytes = encode_version("jobmanager", "vm");
        let at = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(GatekeeperBody::decode(&bytes[at..]), Ok(GatekeeperBody::Version));
        assert!(GatekeeperBody::decode(b"protocol-version: 2\r\ncommand: stop\r\n").is_err());
    }

    #[test]
    fn a_negative_mask_is_a_set_of_bits() {
        let body = b"protocol-version: 2\r\njob-state-mask: -1\r\ncallback-url: \"\"\r\nrsl: \"x\"\r\n";
        let Ok(GatekeeperBody::Job(request)) = GatekeeperBody::decode(body) else { panic!("a job request") };
        assert_eq!(request.mask.0, u32::MAX);
    }

    proptest! {
        #[test]
        fn job_requests_read_back(mask: u32, callback in proptest::option::of("https://[a-z]{1,9}:[0-9]{1,4}/"), rsl: Vec<u8>) {
            let request = JobRequest { mask: StateMask(mask), callback, rsl };
            prop_assert_eq!(GatekeeperBody::decode(&request.encode_body()), Ok(GatekeeperBody::Job(request)));
        }

        #[test]
        fn never_panics(uri in "\\PC{0,40}", body: Vec<u8>) {
            let _ = Target::parse(&uri);
            let _ = GatekeeperBody::decode(&body);
        }
    }
}
