//! How the proxy and certificate tools word what they show.

use gsi::{Certificate, ProxyFormat, ProxyKind, certificate::CertificateType};
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

/// `H:M` in seconds; the error is the original's sentence.
pub(super) fn hours_and_minutes(option: &str, text: &str) -> Result<u64, String> {
    let form = || format!("option {option} : value must be in the format: H:M");
    let (hours, minutes) = text.split_once(':').ok_or_else(form)?;
    let (hours, minutes): (u64, u64) =
        (hours.parse().map_err(|_| form())?, minutes.parse().map_err(|_| form())?);
    if minutes > 60 {
        return Err(format!("option {option} : specified minutes must be in the range 0-60"));
    }
    hours.checked_mul(3600).and_then(|seconds| seconds.checked_add(minutes * 60)).ok_or_else(form)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_reads_as_in_the_original() {
        assert_eq!(time_left(43_200), "12:00:00");
        assert_eq!(time_left(59), "0:00:59");
        assert_eq!(time_left(360_000), "100:00:00  (4.2 days)");
    }
}
