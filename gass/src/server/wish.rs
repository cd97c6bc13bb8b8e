//! What a request's headers wish for beside the file: a checksum, a listing in one form or another.

use crate::digest::WANT_REPR_DIGEST;
use hyper::HeaderMap;
use hyper::header::{ACCEPT, HeaderName, TE};

/// The form of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For programs.
    Json,
    /// For people.
    Html,
}

/// The checksum of the whole file is wanted, in the one kind there is (RFC 9530 §4): `sha-256` with a weight above 0.
pub(super) fn wants_digest(headers: &HeaderMap) -> bool {
    items(headers, &WANT_REPR_DIGEST).any(|item| {
        let weight = item.strip_prefix("sha-256=").and_then(|weight| weight.parse::<u8>().ok());
        weight.is_some_and(|weight| weight > 0)
    })
}

/// Trailers are read (RFC 9110 §10.1.4).
pub(super) fn reads_trailers(headers: &HeaderMap) -> bool {
    items(headers, &TE).any(|item| item.eq_ignore_ascii_case("trailers"))
}

/// How a directory is to be listed; None for who did not think of getting a listing. Stock clients send no `Accept` and would
/// take the page for the content of a file. `*/*`, as curl says it, is enough for a name that `ends_with_slash`.
pub(super) fn listing_form(headers: &HeaderMap, ends_with_slash: bool) -> Option<Form> {
    let json = weight(headers, &["application/json"]);
    let html = weight(headers, &["text/html"]);
    match (json, html) {
        (Some(json), html) if html.is_none_or(|html| json > html) => Some(Form::Json),
        (_, Some(_)) => Some(Form::Html),
        _ => (ends_with_slash && weight(headers, &["*/*", "text/*"]).is_some()).then_some(Form::Html),
    }
}

/// The highest weight, in thousandths, of these types in `Accept`; None when they are absent or unwanted.
fn weight(headers: &HeaderMap, types: &[&str]) -> Option<u16> {
    let weights = items(headers, &ACCEPT).filter_map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next()?;
        if !types.iter().any(|wanted| name.eq_ignore_ascii_case(wanted)) {
            return None;
        }
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        Some(quality.map_or(1000, thousandths))
    });
    weights.max().filter(|&weight| weight > 0)
}

/// `0.8` is 800; nonsense is nothing.
fn thousandths(quality: &str) -> u16 {
    match quality.parse::<f32>() {
        Ok(quality) if (0.0..=1.0).contains(&quality) => (quality * 1000.0) as u16,
        _ => 0,
    }
}

/// The items of a comma-separated header, trimmed.
fn items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|list| list.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        [(name, value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn digests() {
        for (value, expected) in [
            ("sha-256=10", true),
            ("sha-512=3, sha-256=1", true),
            ("sha-256=0", false),
            ("sha-256", false),
            ("sha-512=10", false),
            ("sha-256=999", false),
            ("", false),
        ] {
            assert_eq!(wants_digest(&headers(WANT_REPR_DIGEST, value)), expected, "{value}");
        }
        assert!(!wants_digest(&HeaderMap::new()));
        assert!(reads_trailers(&headers(TE, "gzip, Trailers")) && !reads_trailers(&headers(TE, "gzip")));
    }

    #[test]
    fn forms() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, with_slash, without) in [
            ("application/json", Some(Form::Json), Some(Form::Json)),
            ("application/json;q=0.5, text/html;q=0.9", Some(Form::Html), Some(Form::Html)),
            ("application/json; q=0.9, text/html; q=0.5", Some(Form::Json), Some(Form::Json)),
            (browser, Some(Form::Html), Some(Form::Html)),
            ("*/*", Some(Form::Html), None),
            ("application/json;q=0", None, None),
            ("image/png", None, None),
        ] {
            let headers = headers(ACCEPT, accept);
            assert_eq!(listing_form(&headers, true), with_slash, "{accept}");
            assert_eq!(listing_form(&headers, false), without, "{accept}");
        }
        assert_eq!(listing_form(&HeaderMap::new(), true), None, "a stock client");
    }
}
