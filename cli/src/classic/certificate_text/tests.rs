//! The rendering against what OpenSSL and grid-proxy-info printed of the same certificates. Each file of `recorded/` is
//! that text, followed by the certificate.

use super::*;

fn same(recorded: &str, wording: Wording) {
    let certificate = certificate(recorded);
    let (expected, _) = recorded.split_once("-----BEGIN").unwrap();
    assert_eq!(format!("{}\n", render(&certificate, wording)), expected);
}

fn certificate(pem: &str) -> Certificate {
    Certificate::from_pem(pem.as_bytes()).unwrap().remove(0)
}

#[test]
fn certificates_read_as_openssl_writes_them() {
    for recorded in [
        include_str!("recorded/authority.openssl.txt"),
        include_str!("recorded/user.openssl.txt"),
        include_str!("recorded/elliptic.openssl.txt"),
        include_str!("recorded/ed25519.openssl.txt"),
        include_str!("recorded/version1.openssl.txt"),
        include_str!("recorded/draft.openssl.txt"),
    ] {
        same(recorded, Wording::CertInfo);
    }
    same(include_str!("recorded/user.rfc2253.txt"), Wording::CertInfoRfc2253);
}

#[test]
fn proxies_read_as_grid_proxy_info_writes_them() {
    same(include_str!("recorded/draft.proxy.txt"), Wording::ProxyInfo);
    same(include_str!("recorded/rfc.proxy.txt"), Wording::ProxyInfo);
}

#[test]
fn serial_numbers_take_one_line_when_they_fit() {
    // Recorded from OpenSSL 3.0.
    let cases: [(&[u8], &str); 7] = [
        (&[0], " 0 (0x0)"),
        (&[0, 0x80], " 128 (0x80)"),
        (&[0x80], " -128 (-0x80)"),
        (&[0xFF], "\n             (Negative)01"),
        (&[0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], " 9223372036854775807 (0x7fffffffffffffff)"),
        (&[0x80, 0, 0, 0, 0, 0, 0, 0], " -9223372036854775808 (-0x8000000000000000)"),
        (&[0, 0x80, 0, 0, 0, 0, 0, 0, 0], "\n            80:00:00:00:00:00:00:00"),
    ];
    for (integer, expected) in cases {
        assert_eq!(serial_number(integer), expected);
    }
}

#[test]
fn a_terminal_is_not_commanded() {
    assert_eq!(printable(b"a\x1b[2Jb\n"), "a.[2Jb\n");
}

/// Extensions are the issuer's, keys the subject's: any bytes must be taken.
#[test]
fn damaged_bytes_are_rendered_too() {
    for recorded in [
        include_str!("recorded/authority.openssl.txt"),
        include_str!("recorded/user.openssl.txt"),
        include_str!("recorded/draft.proxy.txt"),
    ] {
        let certificate = certificate(recorded);
        for extension in certificate.extensions() {
            damaged(extension.value, |value| {
                extension::render(&gsi::certificate::Extension { value, ..extension }, Wording::ProxyInfo)
            });
        }
        damaged(certificate.public_key_info(), |info| public_key::render(info, Wording::CertInfo));
    }
}

/// Cut short, and with each byte replaced.
fn damaged(bytes: &[u8], render: impl Fn(&[u8]) -> String) {
    for index in 0..bytes.len() {
        assert!(!render(&bytes[..index]).is_empty());
        for wrong in [0, 1, 2, 0x7F, 0x80, 0xA0, 0xFF] {
            let mut copy = bytes.to_vec();
            copy[index] = wrong;
            assert!(!render(&copy).is_empty());
        }
    }
}
