//! Contact strings (gram.md §5): where a gatekeeper, a job or a call-back listener is reached.
//!
//! The grammar splits at colons, so a host is a name or an IPv4 address; IPv6 literals are refused with a message.

use gsi::Subject;
use std::fmt;
use std::str::FromStr;

/// The port a gatekeeper listens on when the contact names none.
pub const DEFAULT_PORT: u16 = 2119;
/// The service asked for when the contact names none.
pub const DEFAULT_SERVICE: &str = "jobmanager";
/// Longest contact string taken, in bytes: contacts come from peers too.
pub const MAX_CONTACT: usize = 4096;

/// `host[:port][/service][:subject]`, what `globusrun -r` takes.
///
/// ```
/// let contact: gram::ResourceContact = "grid.example.org/jobmanager-fork".parse()?;
/// assert_eq!(contact.port, 2119);
/// assert_eq!(contact.service, "jobmanager-fork");
/// # Ok::<(), gram::contact::ContactError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceContact {
    /// Host name or IPv4 address.
    pub host: String,
    /// TCP port; [`DEFAULT_PORT`] unless given.
    pub port: u16,
    /// Service name; [`DEFAULT_SERVICE`] unless given.
    pub service: String,
    /// The identity the gatekeeper must have; None: authorised by host name.
    pub subject: Option<Subject>,
}

/// `https://host:port/u64/u64/`. Only the two numbers identify the job: host and port change when its manager restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobContact {
    /// Host name or IPv4 address.
    pub host: String,
    /// TCP port of the job manager.
    pub port: u16,
    /// First number.
    pub high: u64,
    /// Second number.
    pub low: u64,
}

/// `https://host:port/` of a call-back listener; what follows the last `:` of the path is the identity it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackContact {
    /// As given; `unregister` compares this text.
    pub url: String,
    /// Host name or IPv4 address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Expected peer; None: the same identity as the job's owner.
    pub subject: Option<Subject>,
}

/// Not a contact (says which part and what would be right).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ContactError(pub String);

impl FromStr for ResourceContact {
    type Err = ContactError;

    fn from_str(text: &str) -> Result<Self, ContactError> {
        let fail = |what: &str| {
            ContactError(format!(
                "{text:?} is not a resource contact: {what}; expected host[:port][/service][:subject]"
            ))
        };
        check_length(text)?;
        if text.contains("://")
            && !text.starts_with('/')
            && text.split_once("://").is_some_and(|(s, _)| is_scheme(s))
        {
            return Err(fail("it is a URL, leave out the scheme"));
        }
        if text.starts_with('[') {
            return Err(fail("IPv6 addresses cannot be written in it, use a host name"));
        }
        let (host, rest) = split_before(text, &[':', '/']);
        if host.is_empty() {
            return Err(fail("the host is missing"));
        }
        check_host(host).map_err(|what| fail(&what))?;
        let (port, rest) = match rest.strip_prefix(':') {
            Some(rest) => split_before(rest, &['/', ':']),
            None => ("", rest),
        };
        let port = match port {
            "" => DEFAULT_PORT,
            digits => {
                parse_port(digits).ok_or_else(|| fail(&format!("{digits:?} is not a port (1 to 65535)")))?
            }
        };
        let (service, rest) = match rest.strip_prefix('/') {
            Some(rest) => split_before(rest, &[':']),
            None => ("", rest),
        };
        let service = if service.is_empty() { DEFAULT_SERVICE } else { service };
        if service.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@') {
            return Err(fail(&format!("{service:?} is not a service name")));
        }
        let subject = match rest.strip_prefix(':') {
            None => None,
            Some(subject) if subject.starts_with('/') => Some(Subject::new(subject)),
            Some(subject) => {
                return Err(fail(&format!(
                    "the subject {subject:?} does not start with '/' (IPv6 addresses cannot be written in a contact)"
                )));
            }
        };
        Ok(Self { host: host.to_owned(), port, service: service.to_owned(), subject })
    }
}

impl fmt::Display for ResourceContact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.port, self.service)?;
        match &self.subject {
            Some(subject) => write!(f, ":{subject}"),
            None => Ok(()),
        }
    }
}

impl JobContact {
    /// The job's id as it stands on a request line: `/u64/u64/`.
    pub fn path(&self) -> String {
        format!("/{}/{}/", self.high, self.low)
    }

    /// The two numbers of a request line's URI, which may be the path or the whole URL. The trailing slash is part of
    /// the id: without it a job is unknown (error 156).
    pub fn ids(uri: &str) -> Option<(u64, u64)> {
        let path = match uri.strip_prefix("https://") {
            Some(rest) => rest.get(rest.find('/')?..)?,
            None => uri,
        };
        let (high, low) = path.strip_prefix('/')?.strip_suffix('/')?.split_once('/')?;
        Some((parse_digits(high)?, parse_digits(low)?))
    }

    /// Whether both name the same job: the numbers decide, the port may be stale.
    pub fn same_job(&self, other: &JobContact) -> bool {
        (self.high, self.low) == (other.high, other.low)
    }
}

impl FromStr for JobContact {
    type Err = ContactError;

    fn from_str(text: &str) -> Result<Self, ContactError> {
        let fail = |what: &str| {
            ContactError(format!(
                "{text:?} is not a job contact: {what}; expected https://host:port/number/number/"
            ))
        };
        let (host, port, path) = split_url(text).map_err(|what| fail(&what))?;
        // A shell user easily loses the last slash; the servers need it, so it is put back here.
        let slashed = if path.ends_with('/') { path.to_owned() } else { format!("{path}/") };
        let (high, low) = Self::ids(&slashed).ok_or_else(|| fail("its path is not two numbers"))?;
        let port = port.ok_or_else(|| fail("the port is missing"))?;
        Ok(Self { host: host.to_owned(), port, high, low })
    }
}

impl fmt::Display for JobContact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}:{}/{}/{}/", self.host, self.port, self.high, self.low)
    }
}

impl CallbackContact {
    /// The path to post to, `/` when the URL has none.
    pub fn path(&self) -> &str {
        split_url(&self.url).map(|(_, _, path)| path).ok().filter(|path| !path.is_empty()).unwrap_or("/")
    }
}

impl FromStr for CallbackContact {
    type Err = ContactError;

    fn from_str(text: &str) -> Result<Self, ContactError> {
        let fail = |what: &str| {
            ContactError(format!("{text:?} is not a call-back contact: {what}; expected https://host:port/"))
        };
        let (host, port, path) = split_url(text).map_err(|what| fail(&what))?;
        let port = port.ok_or_else(|| fail("the port is missing"))?;
        if path.contains(['\r', '\n', '\0']) {
            return Err(fail("it holds a line end"));
        }
        let subject = path.rsplit_once(':').map(|(_, subject)| Subject::new(subject));
        Ok(Self { url: text.to_owned(), host: host.to_owned(), port, subject })
    }
}

impl fmt::Display for CallbackContact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// Host, port and path of an https URL.
fn split_url(text: &str) -> Result<(&str, Option<u16>, &str), String> {
    check_length(text).map_err(|error| error.0)?;
    let rest = text.strip_prefix("https://").ok_or("it does not begin with https://")?;
    if rest.starts_with('[') {
        return Err("IPv6 addresses cannot be written in it, use a host name".to_owned());
    }
    let (authority, path) = split_before(rest, &['/']);
    let (host, port) = match authority.split_once(':') {
        None => (authority, None),
        Some((host, port)) => {
            (host, Some(parse_port(port).ok_or_else(|| format!("{port:?} is not a port (1 to 65535)"))?))
        }
    };
    if host.is_empty() {
        return Err("the host is missing".to_owned());
    }
    check_host(host)?;
    Ok((host, port, path))
}

/// The text before the first of these characters, and the rest from there on.
fn split_before<'a>(text: &'a str, ends: &[char]) -> (&'a str, &'a str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

fn check_length(text: &str) -> Result<(), ContactError> {
    if text.len() > MAX_CONTACT {
        return Err(ContactError(format!(
            "a contact of {} bytes; at most {MAX_CONTACT} are taken",
            text.len()
        )));
    }
    Ok(())
}

/// A host stands on `Host:` lines and in URLs: only the characters of names and addresses are let through.
fn check_host(host: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match host.chars().find(|c| !allowed(*c)) {
        Some(c) => Err(format!("a host name cannot hold {c:?}")),
        None => Ok(()),
    }
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b))
}

fn parse_port(digits: &str) -> Option<u16> {
    parse_digits(digits).and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0)
}

/// Decimal digits only: `u64::from_str` would also take a leading `+`.
fn parse_digits(text: &str) -> Option<u64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resource(text: &str) -> ResourceContact {
        text.parse().unwrap()
    }

    #[test]
    fn the_ten_forms() {
        let dn = "/O=Grid/CN=host/h";
        for (text, port, service, subject) in [
            ("h", 2119, "jobmanager", None),
            ("h:2120", 2120, "jobmanager", None),
            ("h:2120/s", 2120, "s", None),
            ("h/s", 2119, "s", None),
            ("h:/s", 2119, "s", None),
            ("h::/O=Grid/CN=host/h", 2119, "jobmanager", Some(dn)),
            ("h:2120:/O=Grid/CN=host/h", 2120, "jobmanager", Some(dn)),
            ("h/s:/O=Grid/CN=host/h", 2119, "s", Some(dn)),
            ("h:/s:/O=Grid/CN=host/h", 2119, "s", Some(dn)),
            ("h:2120/s:/O=Grid/CN=host/h", 2120, "s", Some(dn)),
        ] {
            let contact = resource(text);
            assert_eq!(contact.host, "h", "{text}");
            assert_eq!(contact.port, port, "{text}");
            assert_eq!(contact.service, service, "{text}");
            assert_eq!(contact.subject.as_ref().map(Subject::as_str), subject, "{text}");
            assert_eq!(resource(&contact.to_string()), contact, "{text}");
        }
    }

    #[test]
    fn a_subject_may_hold_colons_and_slashes() {
        let contact = resource("h:1:/O=a:b/CN=service/h.example.org");
        assert_eq!(contact.subject.unwrap().as_str(), "/O=a:b/CN=service/h.example.org");
    }

    #[test]
    fn what_is_no_resource_contact_says_why() {
        for (text, says) in [
            ("", "host is missing"),
            (":2119", "host is missing"),
            ("/jobmanager", "host is missing"),
            ("https://h:2119/", "leave out the scheme"),
            ("[::1]:2119", "IPv6"),
            ("fe80::1", "IPv6"),
            ("h:port", "not a port"),
            ("h:0", "not a port"),
            ("h:65536", "not a port"),
            ("h:+1", "not a port"),
            ("h\r\nX: y", "cannot hold"),
            ("h:1/a b", "not a service name"),
            ("h:1/s@root", "not a service name"),
            ("h:1:CN=x", "does not start with '/'"),
        ] {
            let error = text.parse::<ResourceContact>().unwrap_err().to_string();
            assert!(error.contains(says), "{text:?}: {error}");
        }
        assert!("h".repeat(MAX_CONTACT + 1).parse::<ResourceContact>().is_err());
    }

    #[test]
    fn job_contacts() {
        let text = "https://vm:33911/17370766278073067596/72057598265938833/";
        let contact: JobContact = text.parse().unwrap();
        assert_eq!((contact.high, contact.low), (17_370_766_278_073_067_596, 72_057_598_265_938_833));
        assert_eq!(contact.to_string(), text);
        assert_eq!(contact.path(), "/17370766278073067596/72057598265938833/");
        assert_eq!(text.trim_end_matches('/').parse::<JobContact>().unwrap(), contact);
        let moved = JobContact { port: 1, host: "other".into(), ..contact };
        assert!(moved.same_job(&text.parse().unwrap()));
        for (text, says) in [
            ("http://h:1/1/2/", "https://"),
            ("https://h/1/2/", "port is missing"),
            ("https://h:1/1/", "two numbers"),
            ("https://h:1/1/2/3/", "two numbers"),
            ("https://h:1/1/99999999999999999999999/", "two numbers"),
            ("https://h:1/-1/2/", "two numbers"),
            ("https://[::1]:1/1/2/", "IPv6"),
            ("https://:1/1/2/", "host is missing"),
        ] {
            let error = text.parse::<JobContact>().unwrap_err().to_string();
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }

    #[test]
    fn the_trailing_slash_is_part_of_the_job_id() {
        assert_eq!(JobContact::ids("/1/2/"), Some((1, 2)));
        assert_eq!(JobContact::ids("https://h:3/1/2/"), Some((1, 2)));
        assert_eq!(JobContact::ids("/1/2"), None);
        assert_eq!(JobContact::ids("https://h:3"), None);
        assert_eq!(JobContact::ids(""), None);
    }

    #[test]
    fn callback_contacts() {
        let contact: CallbackContact = "https://vm:35917/".parse().unwrap();
        assert_eq!((contact.host.as_str(), contact.port, contact.path()), ("vm", 35917, "/"));
        assert_eq!(contact.subject, None);
        let contact: CallbackContact = "https://vm:1/x:/O=Grid/CN=a".parse().unwrap();
        assert_eq!(contact.subject.as_ref().map(Subject::as_str), Some("/O=Grid/CN=a"));
        assert_eq!("https://vm:1".parse::<CallbackContact>().unwrap().path(), "/");
        assert!("ftp://vm:1/".parse::<CallbackContact>().is_err());
        assert!("https://vm/".parse::<CallbackContact>().is_err());
        assert!("https://vm:1/\r\nX: y".parse::<CallbackContact>().is_err());
    }

    proptest! {
        #[test]
        fn printed_resource_contacts_read_back(
            host in "[a-z0-9.-]{1,20}", port in 1u16.., service in "[a-z-]{1,12}", dn in proptest::option::of("/[ -~]{0,30}")
        ) {
            let contact = ResourceContact { host, port, service, subject: dn.map(Subject::new) };
            prop_assert_eq!(contact.to_string().parse::<ResourceContact>().unwrap(), contact);
        }

        #[test]
        fn printed_job_contacts_read_back(host in "[a-z0-9.-]{1,20}", port in 1u16.., high: u64, low: u64) {
            let contact = JobContact { host, port, high, low };
            prop_assert_eq!(contact.to_string().parse::<JobContact>().unwrap(), contact);
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,60}") {
            let _ = text.parse::<ResourceContact>();
            let _ = text.parse::<JobContact>();
            let _ = text.parse::<CallbackContact>();
        }
    }
}
