//! URLs as GASS reads them (gass.md §1).

use crate::GassError;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::str::FromStr;

/// Longest URL taken, in bytes.
pub const MAX_LENGTH: usize = 8192;

/// A parsed URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Url {
    /// `https://host:port/path` or `http://…`
    Http {
        /// https
        secure: bool,
        /// Name or address; an IPv6 address without its brackets.
        host: String,
        /// 443 or 80 when absent.
        port: u16,
        /// As written, `%XX` included; starts with `/`. There is no query: a `?` is part of it.
        path: String,
    },
    /// `file:/path` or `file:///path`, with `%XX` decoded.
    File(PathBuf),
    /// `x-gass-cache:` and what follows it, taken as it is.
    Cache(String),
}

impl Url {
    /// The path as it goes into a request line: everything that HTTP does not allow there, white space above all, as
    /// `%XX`; what is already encoded stays.
    pub fn request_path(&self) -> Option<String> {
        let Self::Http { path, .. } = self else { return None };
        let mut encoded = String::with_capacity(path.len());
        for &byte in path.as_bytes() {
            if byte.is_ascii_graphic()
                && !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
            {
                encoded.push(char::from(byte));
            } else {
                encoded.push_str(&format!("%{byte:02x}"));
            }
        }
        Some(encoded)
    }

    /// Whether it is `http:`, without any security.
    pub fn is_plain_http(&self) -> bool {
        matches!(self, Self::Http { secure: false, .. })
    }

    /// Whether it is written as a directory: with a slash at its end.
    pub fn names_directory(&self) -> bool {
        match self {
            Self::Http { path, .. } => path.ends_with('/'),
            Self::File(path) => path.as_os_str().as_bytes().ends_with(b"/"),
            Self::Cache(_) => false,
        }
    }

    /// What has this name in this directory, with or without a slash at the directory's end; the name is taken as it is,
    /// and encoded where a URL needs that.
    #[must_use]
    pub fn child(&self, name: &OsStr) -> Self {
        match self {
            Self::Http { secure, host, port, path } => {
                let mut path = path.clone();
                if !path.ends_with('/') {
                    path.push('/');
                }
                for &byte in name.as_bytes() {
                    if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
                        path.push(char::from(byte));
                    } else {
                        path.push_str(&format!("%{byte:02X}"));
                    }
                }
                Self::Http { secure: *secure, host: host.clone(), port: *port, path }
            }
            Self::File(path) => Self::File(path.join(name)),
            Self::Cache(cached) => Self::Cache(format!("{cached}/{}", name.to_string_lossy())),
        }
    }

    /// The last part of the path, decoded: what the file is called. None for a directory.
    pub fn file_name(&self) -> Option<OsString> {
        let encoded = match self {
            Self::File(path) => {
                return path.file_name().filter(|_| !self.names_directory()).map(OsStr::to_owned);
            }
            Self::Http { path, .. } | Self::Cache(path) => path.rsplit('/').next()?,
        };
        let name = percent_decode(encoded.as_bytes())?;
        (!name.is_empty()).then(|| OsString::from_vec(name))
    }

    /// Where a redirect leads: `location` is a URL, or a path on the same server.
    pub(crate) fn join(&self, location: &str) -> Result<Self, GassError> {
        match self {
            Self::Http { secure, host, port, .. }
                if location.starts_with('/') && !location.starts_with("//") =>
            {
                Ok(Self::Http { secure: *secure, host: host.clone(), port: *port, path: location.to_owned() })
            }
            _ => location.parse(),
        }
    }
}

impl FromStr for Url {
    type Err = GassError;

    fn from_str(text: &str) -> Result<Self, GassError> {
        let shown = || text.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let bad = |reason: String| GassError::BadUrl { url: shown(), reason };
        if text.len() > MAX_LENGTH {
            return Err(bad(format!("longer than {MAX_LENGTH} bytes")));
        }
        // They would end the request line, or hide in a log.
        if let Some(control) = text.chars().find(|c| c.is_control()) {
            return Err(bad(format!("it contains the control character {control:?}; write it as %XX")));
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(bad("it has no scheme; write https://host:port/path or file:///path".to_owned()));
        };
        match scheme {
            "https" => http(true, rest).map_err(bad),
            "http" => http(false, rest).map_err(bad),
            "file" => file(rest).map_err(bad),
            "x-gass-cache" => Ok(Self::Cache(rest.to_owned())),
            "gsiftp" | "ftp" => {
                Err(bad(format!("{scheme}: is not supported; use https:, http:, file: or x-gass-cache:")))
            }
            _ => Err(bad(format!(
                "`{scheme}` is not a scheme of GASS; use https:, http:, file: or x-gass-cache:"
            ))),
        }
    }
}

fn http(secure: bool, rest: &str) -> Result<Url, String> {
    let rest =
        rest.strip_prefix("//").ok_or("two slashes must follow the scheme, as in https://host:port/path")?;
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, format!("/{path}")),
        None => (rest, "/".to_owned()),
    };
    let (host, port) = split_port(authority)?;
    let port = match port {
        Some(digits) => {
            let port =
                digits.parse().ok().filter(|&port| port != 0 && digits.bytes().all(|b| b.is_ascii_digit()));
            port.ok_or_else(|| format!("`{digits}` is not a port; ports are 1 to 65535"))?
        }
        None if secure => 443,
        None => 80,
    };
    Ok(Url::Http { secure, host: host.to_owned(), port, path })
}

/// Host, without brackets, and the digits after the colon.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(bracketed) = authority.strip_prefix('[') {
        let (address, rest) =
            bracketed.split_once(']').ok_or("the bracket of the IPv6 address is never closed")?;
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(format!("`{address}` is not an IPv6 address"));
        }
        return match rest.strip_prefix(':') {
            Some(port) => Ok((address, Some(port))),
            None if rest.is_empty() => Ok((address, None)),
            None => Err(format!("`{rest}` follows the address; write [address]:port")),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if host.is_empty() {
        return Err("the host is missing".to_owned());
    }
    match host.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-' | '_')) {
        Some('@') => Err("user names and passwords have no place in it; GASS uses certificates".to_owned()),
        Some(other) => Err(format!("{other:?} cannot be part of a host name")),
        None => Ok((host, port)),
    }
}

fn file(rest: &str) -> Result<Url, String> {
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(rest) => match rest.split_once('/') {
            Some(("" | "localhost", _)) => rest.trim_start_matches("localhost"),
            Some((host, path)) => {
                return Err(format!(
                    "it names the host `{host}`; write file:///{path} for a file of this host"
                ));
            }
            None => return Err("the path must be absolute, as in file:///path".to_owned()),
        },
    };
    if !path.starts_with('/') {
        return Err("the path must be absolute, as in file:///path".to_owned());
    }
    let decoded = percent_decode(path.as_bytes()).ok_or("it contains %00")?;
    Ok(Url::File(OsString::from_vec(decoded).into()))
}

/// Replaces `%XX` by its byte; a `%` without two digits stands for itself, as in the stock library. None when a NUL
/// would appear, which no path can hold.
pub(crate) fn percent_decode(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let byte = match after {
            [high, low, tail @ ..] if *first == b'%' => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = tail;
                    u8::try_from(high * 16 + low).ok()?
                }
                _ => {
                    rest = after;
                    *first
                }
            },
            _ => {
                rest = after;
                *first
            }
        };
        if byte == 0 {
            return None;
        }
        decoded.push(byte);
    }
    Some(decoded)
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { secure, host, port, path } => {
                let scheme = if *secure { "https" } else { "http" };
                if host.contains(':') {
                    write!(f, "{scheme}://[{host}]:{port}{path}")
                } else {
                    write!(f, "{scheme}://{host}:{port}{path}")
                }
            }
            Self::File(path) => {
                f.write_str("file://")?;
                for &byte in path.as_os_str().as_bytes() {
                    if byte.is_ascii_graphic() && byte != b'%' {
                        write!(f, "{}", char::from(byte))?;
                    } else {
                        write!(f, "%{byte:02X}")?;
                    }
                }
                Ok(())
            }
            Self::Cache(name) => write!(f, "x-gass-cache:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn http_url(secure: bool, host: &str, port: u16, path: &str) -> Url {
        Url::Http { secure, host: host.to_owned(), port, path: path.to_owned() }
    }

    #[test]
    fn accepted() {
        for (text, expected) in [
            ("https://vm:30501/data/hello.txt", http_url(true, "vm", 30501, "/data/hello.txt")),
            ("https://vm", http_url(true, "vm", 443, "/")),
            ("http://10.0.0.1/a%20b?x=1", http_url(false, "10.0.0.1", 80, "/a%20b?x=1")),
            ("https://[::1]:8443/~/x y", http_url(true, "::1", 8443, "/~/x y")),
            ("https://[::1]/", http_url(true, "::1", 443, "/")),
            ("file:///tmp/a%20b", Url::File("/tmp/a b".into())),
            ("file:/tmp/a", Url::File("/tmp/a".into())),
            ("file://localhost/tmp/100%", Url::File("/tmp/100%".into())),
            ("x-gass-cache://job1/dev/out", Url::Cache("//job1/dev/out".to_owned())),
        ] {
            assert_eq!(text.parse::<Url>().unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn refused_with_a_reason() {
        let all = [
            "",
            "/tmp/x",
            "ftp://host/x",
            "htps://host/x",
            "https:/host/x",
            "https:///x",
            "https://:80/x",
            "https://host:0/x",
            "https://host:65536/x",
            "https://host:+1/x",
            "https://host:/x",
            "https://user@host/x",
            "https://ho st/x",
            "https://[::1/x",
            "https://[zz]/x",
            "https://[::1]80/x",
            "https://host/a\r\nX: y",
            "file://tmp/x",
            "file:x",
            "file:///a%00b",
        ]
        .map(|text| text.parse::<Url>().unwrap_err().to_string())
        .join("\n");
        insta::assert_snapshot!(all);
        assert!(format!("https://host/{}", "x".repeat(MAX_LENGTH)).parse::<Url>().is_err());
    }

    #[test]
    fn request_paths_are_legal_http() {
        let path = |text: &str| text.parse::<Url>().unwrap().request_path().unwrap();
        assert_eq!(path("https://h/a b%20c"), "/a%20b%20c");
        assert_eq!(path("https://h/dev/stdout"), "/dev/stdout");
        assert_eq!(path("https://h/~/ü#\"?x=1"), "/~/%c3%bc%23%22?x=1");
    }

    #[test]
    fn children_are_encoded() {
        let child = |text: &str, name: &str| text.parse::<Url>().unwrap().child(OsStr::new(name)).to_string();
        assert_eq!(child("https://h/d/", "a b%?#é"), "https://h:443/d/a%20b%25%3F%23%C3%A9");
        assert_eq!(child("https://h/d", "a"), "https://h:443/d/a");
        assert_eq!(child("https://h", "a"), "https://h:443/a");
        assert_eq!(child("file:///d", "a b"), "file:///d/a%20b");
        let name = |text: &str| text.parse::<Url>().unwrap().file_name();
        assert_eq!(name("https://h/d/a%20b"), Some("a b".into()));
        assert_eq!(name("https://h/d/"), None);
        assert_eq!(name("file:///d/a%20b"), Some("a b".into()));
        assert_eq!(name("file:///d/"), None);
    }

    #[test]
    fn redirects_may_be_relative_to_the_server() {
        let from: Url = "https://h:1/a".parse().unwrap();
        assert_eq!(from.join("/b").unwrap(), http_url(true, "h", 1, "/b"));
        assert_eq!(from.join("http://i/b").unwrap(), http_url(false, "i", 80, "/b"));
        assert!(from.join("b").is_err());
        assert!(from.join("//i/b").is_err());
    }

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverse(text in "(https|http|file|x-gass-cache):(//)?(h|\\[::1\\]|)(:[0-9]{1,5})?/[ -~é]{0,20}") {
            if let Ok(url) = text.parse::<Url>() {
                prop_assert_eq!(url.to_string().parse::<Url>().unwrap(), url);
            }
        }

        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = text.parse::<Url>();
        }
    }
}
