//! How the proxy and certificate tools word what they show.

use gsi::{Certificate, ProxyFormat, ProxyKind, Subject, certificate::CertificateType};
use jiff::Timestamp;

/// `Sun Nov 22 03:37:15 2026`, local time.
pub(super) fn date(time: Timestamp) -> String {
    time.to_zoned(jiff::tz::TimeZone::system()).strftime("%a %b %e %H:%M:%S %Y").to_string()
}

/// `Nov 21 15:37:15 2026 GMT`, as openssl prints dates.
pub(super) fn openssl_date(time: Timestamp) -> String {
    time.strftime("%b %e %H:%M:%S %Y GMT").to_string()
}

/// `12:00:00`, with the days behind it when there is more than one.
pub(super) fn time_left(seconds: i64) -> String {
    let clock = format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if seconds <= DAY {
        return clock;
    }
    let tenths = (seconds.saturating_mul(10) + DAY / 2) / DAY;
    format!("{clock}  ({}.{} days)", tenths / 10, tenths % 10)
}

const DAY: i64 = 24 * 3600;

/// `RFC 3820 compliant limited proxy` and its like.
pub(super) fn kind(certificate: &Certificate) -> String {
    match certificate.kind() {
        CertificateType::Proxy(ProxyFormat::Legacy, ProxyKind::Limited) => {
            "limited legacy globus proxy".into()
        }
        CertificateType::Proxy(ProxyFormat::Legacy, _) => "full legacy globus proxy".into(),
        CertificateType::Proxy(format, kind) => {
            let format = match format {
                ProxyFormat::Draft => "Proxy draft (pre-RFC) compliant",
                ProxyFormat::Rfc | ProxyFormat::Legacy => "RFC 3820 compliant",
            };
            let kind = match kind {
                ProxyKind::Full => "impersonation",
                ProxyKind::Limited => "limited",
                ProxyKind::Independent => "independent",
                ProxyKind::Restricted => "restricted",
            };
            format!("{format} {kind} proxy")
        }
        CertificateType::Authority => "CA certificate".into(),
        CertificateType::EndEntity => "end entity credential".into(),
    }
}

/// A one-line name in RFC 2253 form: last RDN first, joined by commas. A value runs to the last `/` before the next `=`.
pub(super) fn rfc2253(subject: &Subject) -> String {
    let mut parts: Vec<String> = Vec::new();
    for piece in subject.as_str().split('/').skip(1) {
        match parts.last_mut() {
            Some(last) if !piece.contains('=') => {
                last.push('/');
                last.push_str(piece);
            }
            _ => parts.push(piece.to_owned()),
        }
    }
    let escaped = |part: &String| match part.split_once('=') {
        Some((kind, value)) => format!("{kind}={}", escape(value)),
        None => escape(part),
    };
    parts.iter().rev().map(escaped).collect::<Vec<_>>().join(",")
}

fn escape(value: &str) -> String {
    let mut text = String::new();
    for letter in value.chars() {
        if matches!(letter, ',' | '+' | '"' | '<' | '>' | ';') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_reads_as_in_the_original() {
        assert_eq!(time_left(43_200), "12:00:00");
        assert_eq!(time_left(59), "0:00:59");
        assert_eq!(time_left(360_000), "100:00:00  (4.2 days)");
    }

    #[test]
    fn rfc2253_turns_names_around() {
        let name = |text: &str| rfc2253(&Subject::new(text));
        assert_eq!(name("/O=Grid/OU=t/CN=Grid User"), "CN=Grid User,OU=t,O=Grid");
        assert_eq!(name("/O=Grid/CN=host/h.example.org"), "CN=host/h.example.org,O=Grid");
        assert_eq!(name("/O=A, B/CN=c"), "CN=c,O=A\\, B");
    }
}
