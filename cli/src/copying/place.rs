//! A place as a person writes it: a URL, a path, or `-`.

use gass::{GassError, Url, copy::Place};
use gsi::Expect;

/// Reads one. What does not begin with a scheme is a path on this machine; a lone `-` is standard input or output.
///
/// # Errors
/// A URL that is malformed, or of a kind that is not copied from or to.
pub(crate) fn parse(text: &str, expect: &Expect) -> Result<Place, GassError> {
    if text == "-" {
        return Ok(Place::Stream);
    }
    if scheme(text).is_none() {
        return Ok(Place::Local(text.into()));
    }
    match text.parse()? {
        Url::File(path) => Ok(Place::Local(path)),
        url @ Url::Http { .. } => Ok(Place::Remote(url, expect.clone())),
        Url::Cache(_) => Err(GassError::BadUrl {
            url: text.to_owned(),
            reason: "files of the cache are copied by globus-gass-cache; use https:, http: or file:"
                .to_owned(),
        }),
    }
}

/// The scheme of a URL: letters before `:/`. (A file may have a colon in its name.)
pub(crate) fn scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let letters = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    (letters && rest.starts_with('/')).then_some(scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let parsed = |text: &str| parse(text, &Expect::Myself).map(|place| place.to_string());
        for (text, expected) in [
            ("-", "-"),
            ("a", "a"),
            ("./a:b", "./a:b"),
            ("a:b", "a:b"),
            ("file:a", "file:a"),
            ("/tmp/a%20b", "/tmp/a%20b"),
            ("file:///tmp/a%20b", "/tmp/a b"),
            ("file:/tmp/", "/tmp/"),
            ("https://h/f", "https://h:443/f"),
        ] {
            assert_eq!(parsed(text).unwrap(), expected, "{text}");
        }
        for text in ["gsiftp://h/f", "ftp://h/f", "foo://h/f", "https:/h", "x-gass-cache://a"] {
            assert!(parsed(text).is_err(), "{text}");
        }
        assert!(parsed("gsiftp://h/f").unwrap_err().to_string().contains("use https:, http:"));
    }
}
