//! Certificates of every kind, and damaged ones.

use super::kind::OID_BASIC_CONSTRAINTS;
use super::*;
use crate::forge::{Plan, after};

fn refusal(result: Result<Certificate, GsiError>) -> CertificateError {
    match result.unwrap_err() {
        GsiError::Certificate(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn proxy_cert_info_is_read_in_both_formats() {
    // The captured values of §5.2.
    let read = |hex: &str, format| {
        let bytes: Vec<u8> = hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        ProxyCertInfo::from_der(&bytes, format).unwrap()
    };
    let info = |kind, path_length| ProxyCertInfo { kind, path_length, has_policy: false };
    for format in [ProxyFormat::Rfc, ProxyFormat::Draft] {
        let full = read("30 0C 30 0A 06 08 2B 06 01 05 05 07 15 01", format);
        assert_eq!(full, info(ProxyKind::Full, None));
        let independent = read("30 0C 30 0A 06 08 2B 06 01 05 05 07 15 02", format);
        assert_eq!(independent, info(ProxyKind::Independent, None));
        let limited = read("30 0F 30 0D 06 0B 2B 06 01 04 01 9B 50 01 01 01 09", format);
        assert_eq!(limited, info(ProxyKind::Limited, None));
    }
    let rfc = "30 0F 02 01 02 30 0A 06 08 2B 06 01 05 05 07 15 01";
    assert_eq!(read(rfc, ProxyFormat::Rfc), info(ProxyKind::Full, Some(2)));
    let draft = "30 11 30 0A 06 08 2B 06 01 05 05 07 15 01 A1 03 02 01 02";
    assert_eq!(read(draft, ProxyFormat::Draft), info(ProxyKind::Full, Some(2)));
    let policy = "30 0F 30 0D 06 08 2B 06 01 05 05 07 15 00 04 01 78";
    let restricted = read(policy, ProxyFormat::Rfc);
    assert_eq!((restricted.kind, restricted.has_policy), (ProxyKind::Restricted, true));
}

#[test]
fn what_a_certificate_is() {
    let kind = |plan: Plan| plan.self_signed().certificate.kind();
    assert_eq!(kind(Plan::authority("/CN=CA", Some(3))), CertificateType::Authority);
    assert_eq!(kind(Plan::new("/CN=x")), CertificateType::EndEntity);
    // A marker that is not critical marks nothing.
    let full = [0x30, 0x0C, 0x30, 0x0A, 6, 8, 0x2B, 6, 1, 5, 5, 7, 0x15, 1];
    assert_eq!(kind(Plan::new("/CN=x").with(OID_PROXY_CERT_INFO, false, &full)), CertificateType::EndEntity);
    let user = Plan::new("/CN=x").self_signed();
    for (format, proxy) in [ProxyFormat::Rfc, ProxyFormat::Draft, ProxyFormat::Legacy]
        .map(|format| (format, user.limited_proxy(format)))
    {
        assert_eq!(proxy.certificate.kind(), CertificateType::Proxy(format, ProxyKind::Limited));
    }
    let path = Plan::proxy(&user, ProxyFormat::Draft, OID_INHERIT_ALL, Some(7));
    assert_eq!(user.issue(path).certificate.proxy_path_length(), Some(7));
}

#[test]
fn fields_are_those_of_the_certificate() {
    let holder = Plan::new("/CN=x").serial(&[0xAB, 1]).valid(-5, 9).dns(&["a", "b"]).self_signed();
    let certificate = &holder.certificate;
    assert_eq!(certificate.serial(), [0, 0xAB, 1]);
    assert_eq!((certificate.not_before(), certificate.not_after()), (after(-5), after(9)));
    assert_eq!(certificate.dns_names(), ["a", "b"]);
    assert_eq!(certificate.public_key_info(), holder.key.public_key_info());
    assert!(certificate.is_self_issued() && certificate.has_alternative_names());
    assert_eq!(certificate.verify_signature(certificate), Ok(()));
}

#[test]
fn pem_comes_back_and_other_sections_are_passed_over() {
    let holder = Plan::new("/CN=x").self_signed();
    let pem = format!("junk\n{}{}", holder.key.to_pem().as_str(), holder.certificate.to_pem());
    assert_eq!(Certificate::from_pem(pem.as_bytes()).unwrap(), std::slice::from_ref(&holder.certificate));
    let renamed = holder.certificate.to_pem().replace("CERTIFICATE", "X509 CERTIFICATE");
    assert_eq!(Certificate::from_pem(renamed.as_bytes()).unwrap().len(), 1);
    assert!(Certificate::from_pem(b"").unwrap().is_empty());
    let broken = holder.certificate.to_pem().replace("MI", "!!");
    assert!(Certificate::from_pem(broken.as_bytes()).is_err());
}

#[test]
fn names_of_proxies_and_duplicate_extensions_are_checked() {
    let full = [0x30, 0x0C, 0x30, 0x0A, 6, 8, 0x2B, 6, 1, 5, 5, 7, 0x15, 1];
    let rejected = |plan: Plan, word: &str| {
        let error = refusal(Certificate::from_der(&plan.self_signed_der()));
        assert!(format!("{error:?}").starts_with(word), "{error:?}");
    };
    rejected(Plan::new("/CN=x/CN=1").with(OID_PROXY_CERT_INFO, true, &full), "ProxyName");
    rejected(Plan::new("/CN=proxy"), "ProxyName");
    let twice = Plan::new("/CN=x").with(OID_PROXY_CERT_INFO, true, &full).with(
        OID_DRAFT_PROXY_CERT_INFO,
        true,
        &full,
    );
    rejected(twice, "DuplicateExtension");
    let usage = Plan::new("/CN=x").key_usage(0x80).key_usage(0x80);
    rejected(usage, "DuplicateExtension");
    rejected(Plan::new("/CN=x").with(OID_PROXY_CERT_INFO, true, &[0x30, 0x00]), "Extension");
    rejected(Plan::new("/CN=x").with(OID_BASIC_CONSTRAINTS, true, &[0x04, 0x00]), "Extension");
}

#[test]
fn sizes_are_limited() {
    let long = vec![0x30; MAX_CERTIFICATE_BYTES + 1];
    assert_eq!(refusal(Certificate::from_der(&long)), CertificateError::TooLong(MAX_CERTIFICATE_BYTES + 1));
    assert!(Certificate::from_pem(&vec![b' '; MAX_PEM_BYTES + 1]).is_err());
    let mut trailing = Plan::new("/CN=x").self_signed().certificate.der().to_vec();
    trailing.push(0);
    assert!(matches!(refusal(Certificate::from_der(&trailing)), CertificateError::Malformed(_)));
}

proptest::proptest! {
    #[test]
    fn damage_never_panics(at in 0usize..700, byte: u8, bytes: Vec<u8>) {
        let user = Plan::new("/O=Grid/CN=x").dns(&["h"]).key_usage(0x80).self_signed();
        for holder in [user.full_proxy(ProxyFormat::Rfc), user] {
            let mut der = holder.certificate.der().to_vec();
            if let Some(damaged) = der.get_mut(at) {
                *damaged = byte;
            }
            let _ = Certificate::from_der(&der);
        }
        let _ = Certificate::from_der(&bytes);
        let _ = Certificate::from_pem(&bytes);
        let _ = ProxyCertInfo::from_der(&bytes, ProxyFormat::Rfc);
        let _ = ProxyCertInfo::from_der(&bytes, ProxyFormat::Draft);
    }
}
