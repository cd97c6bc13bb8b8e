//! Proxies against the rules, and against what the stock tools think of them.

use super::*;
use crate::authority::{Authority, Holder, NewAuthority};
use crate::forge::known_rsa_key;
use std::sync::LazyLock;

const DAY: u64 = 24 * 60 * 60;

fn site(directory: &std::path::Path) -> Authority {
    let new = NewAuthority { name: "/O=Grid/CN=Test CA", days: 30, bits: 2048, passphrase: None };
    Authority::create_with_key(directory, &new, known_rsa_key(0)).unwrap()
}

/// A user of a CA that exists only here.
static USER: LazyLock<Credential> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let authority = site(&directory.path().join("ca"));
    let key = known_rsa_key(1);
    let subject = Name::parse_one_line("/O=Grid/CN=Grid User").unwrap();
    let certificate = authority.issue(&subject, &key.public_key_info(), &Holder::User, 10).unwrap();
    Credential::new(vec![certificate], key).unwrap()
});

/// Keys are slow to make, and a proxy does not care whose it is.
static PROXY_KEY: LazyLock<PrivateKey> = LazyLock::new(|| known_rsa_key(2));

fn request(kind: ProxyKind) -> ProxyRequest {
    ProxyRequest { format: None, kind, lifetime: None, path_length: None }
}

fn below(issuer: &Credential, request: &ProxyRequest) -> Result<Credential, GsiError> {
    let certificate = issue(issuer, &PROXY_KEY.public_key_info(), request, Timestamp::now())?;
    let chain = std::iter::once(certificate).chain(issuer.chain().iter().cloned()).collect();
    Credential::new(chain, PROXY_KEY.clone())
}

fn refusal(result: Result<Credential, GsiError>) -> ProxyError {
    match result {
        Err(GsiError::Proxy(error)) => error,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn every_format_and_kind_is_classified_as_it_was_asked_for() {
    for format in [ProxyFormat::Rfc, ProxyFormat::Draft, ProxyFormat::Legacy] {
        for kind in [ProxyKind::Full, ProxyKind::Limited, ProxyKind::Independent] {
            let wanted = ProxyRequest { format: Some(format), ..request(kind) };
            if format == ProxyFormat::Legacy && kind == ProxyKind::Independent {
                assert_eq!(refusal(below(&USER, &wanted)), ProxyError::LegacyCannotExpress);
                continue;
            }
            let proxy = below(&USER, &wanted).unwrap();
            assert_eq!(proxy.leaf().kind(), CertificateType::Proxy(format, kind));
            let own = kind == ProxyKind::Independent;
            assert_eq!(proxy.identity(), if own { proxy.subject() } else { USER.subject() });
        }
    }
}

#[test]
fn proxy_cert_info_is_written_as_observed() {
    let info = |request: &ProxyRequest| (rfc_info(request), draft_info(request));
    let hex = |text: &str| -> Vec<u8> {
        text.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
    };
    let (rfc, draft) = info(&request(ProxyKind::Full));
    assert_eq!(rfc, hex("30 0C 30 0A 06 08 2B 06 01 05 05 07 15 01"));
    assert_eq!(draft, rfc);
    assert_eq!(
        info(&request(ProxyKind::Limited)).0,
        hex("30 0F 30 0D 06 0B 2B 06 01 04 01 9B 50 01 01 01 09")
    );
    let (rfc, draft) = info(&ProxyRequest { path_length: Some(2), ..request(ProxyKind::Full) });
    assert_eq!(rfc, hex("30 0F 02 01 02 30 0A 06 08 2B 06 01 05 05 07 15 01"));
    assert_eq!(draft, hex("30 11 30 0A 06 08 2B 06 01 05 05 07 15 01 A1 03 02 01 02"));
}

#[test]
fn a_path_length_of_zero_is_kept_and_honoured() {
    for format in [ProxyFormat::Rfc, ProxyFormat::Draft] {
        let last = ProxyRequest { format: Some(format), path_length: Some(0), ..request(ProxyKind::Full) };
        let last = below(&USER, &last).unwrap();
        assert_eq!(last.leaf().proxy_path_length(), Some(0));
        let error = refusal(below(&last, &request(ProxyKind::Full)));
        assert_eq!(error, ProxyError::PathLengthExhausted(last.subject().clone()));
    }
}

#[test]
fn a_path_length_further_up_counts_too() {
    let first = below(&USER, &ProxyRequest { path_length: Some(1), ..request(ProxyKind::Full) }).unwrap();
    let second = below(&first, &request(ProxyKind::Full)).unwrap();
    let error = refusal(below(&second, &request(ProxyKind::Full)));
    assert_eq!(error, ProxyError::PathLengthExhausted(first.subject().clone()));
}

#[test]
fn a_limited_proxy_makes_limited_ones_only() {
    let limited = below(&USER, &request(ProxyKind::Limited)).unwrap();
    below(&limited, &request(ProxyKind::Limited)).unwrap();
    let error = refusal(below(&limited, &request(ProxyKind::Full)));
    assert!(matches!(error, ProxyError::KindNotAllowed { asked: ProxyKind::Full, .. }), "{error}");
}

#[test]
fn formats_are_not_mixed() {
    let draft =
        below(&USER, &ProxyRequest { format: Some(ProxyFormat::Draft), ..request(ProxyKind::Full) }).unwrap();
    let inherited = below(&draft, &request(ProxyKind::Full)).unwrap();
    assert_eq!(inherited.leaf().kind(), CertificateType::Proxy(ProxyFormat::Draft, ProxyKind::Full));
    let mixed = ProxyRequest { format: Some(ProxyFormat::Rfc), ..request(ProxyKind::Full) };
    assert!(matches!(refusal(below(&draft, &mixed)), ProxyError::FormatMixed { .. }));
}

#[test]
fn restricted_proxies_and_proxies_of_a_ca_are_refused() {
    assert_eq!(refusal(below(&USER, &request(ProxyKind::Restricted))), ProxyError::Restricted);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca");
    let authority = site(&path);
    let credential = Credential::read_pair(&path.join("cacert.pem"), &path.join("cakey.pem"), None).unwrap();
    let expected = ProxyError::IssuerIsAuthority(authority.certificate().subject().subject().clone());
    assert_eq!(refusal(below(&credential, &request(ProxyKind::Full))), expected);
}

#[test]
fn a_proxy_never_outlives_its_issuer_and_starts_a_little_earlier() {
    let now = Timestamp::now();
    let issue = |lifetime| {
        let wanted = ProxyRequest { lifetime, ..request(ProxyKind::Full) };
        issue(&USER, &PROXY_KEY.public_key_info(), &wanted, now).unwrap()
    };
    assert_eq!(issue(Some(3600)).not_after().as_second(), now.as_second() + 3600);
    assert_eq!(issue(Some(3600)).not_before().as_second(), now.as_second() - 300);
    assert_eq!(issue(Some(100 * DAY)).not_after(), USER.expires());
    assert_eq!(issue(Some(u64::MAX)).not_after(), USER.expires());
    assert_eq!(issue(None).not_after(), USER.expires());
}

#[test]
fn nothing_is_issued_from_an_expired_credential() {
    let later = Timestamp::now() + SignedDuration::from_hours(24 * 11);
    let error =
        super::issue(&USER, &PROXY_KEY.public_key_info(), &request(ProxyKind::Full), later).unwrap_err();
    assert!(matches!(error, GsiError::Proxy(ProxyError::IssuerNotValid { .. })), "{error}");
}

#[test]
fn key_usage_is_copied_without_what_a_proxy_may_not_do() {
    // digitalSignature, nonRepudiation, keyEncipherment, keyCertSign: A0 and the two that go.
    assert_eq!(proxy_key_usage(&[3, 2, 2, 0b1110_0100]).unwrap(), [3, 2, 5, 0b1010_0000]);
    assert_eq!(proxy_key_usage(&[3, 2, 2, 0b0100_0100]), None);
    // decipherOnly is the ninth bit.
    assert_eq!(proxy_key_usage(&[3, 3, 7, 0b1000_0000, 0b1000_0000]).unwrap(), [3, 3, 7, 0x80, 0x80]);
    for damaged in [&[][..], &[3, 0], &[3, 1, 0], &[4, 2, 0, 0x80]] {
        assert_eq!(proxy_key_usage(damaged), None);
    }
}
