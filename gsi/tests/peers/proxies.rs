//! Proxy and CA files both ways: what the stock tools make of ours, and we of theirs.

use crate::site::{Site, USER, restrict, run, text};
use gsi::authority::{self, Holder};
use gsi::certificate::CertificateType;
use gsi::key::PrivateKey;
use gsi::request::CertificateRequest;
use gsi::{Credential, ProxyFormat, ProxyKind, chain};
use jiff::Timestamp;

/// What `grid-proxy-info` calls our proxies.
#[tokio::test]
async fn grid_proxy_info_knows_our_proxies() {
    let site = Site::new();
    for (format, kind, name) in [
        (ProxyFormat::Rfc, ProxyKind::Full, "RFC 3820 compliant impersonation proxy"),
        (ProxyFormat::Rfc, ProxyKind::Limited, "RFC 3820 compliant limited proxy"),
        (ProxyFormat::Rfc, ProxyKind::Independent, "RFC 3820 compliant independent proxy"),
        (ProxyFormat::Draft, ProxyKind::Full, "Proxy draft (pre-RFC) compliant impersonation proxy"),
        (ProxyFormat::Draft, ProxyKind::Limited, "Proxy draft (pre-RFC) compliant limited proxy"),
        (ProxyFormat::Legacy, ProxyKind::Full, "full legacy globus proxy"),
        (ProxyFormat::Legacy, ProxyKind::Limited, "limited legacy globus proxy"),
    ] {
        let proxy = site.proxy(format, kind);
        let Some(mut info) = site.stock("grid-proxy-info") else { return };
        info.args(["-type", "-subject", "-issuer", "-timeleft", "-strength"]);
        let output = run(info).await;
        let printed = text(&output);
        assert!(output.status.success(), "{printed}");
        for expected in [name, proxy.subject().as_str(), USER, "2048"] {
            assert!(printed.contains(expected), "{expected:?} is missing in: {printed}");
        }
    }
}

#[tokio::test]
async fn openssl_verifies_our_rfc_proxies() {
    let site = Site::new();
    for kind in [ProxyKind::Full, ProxyKind::Limited] {
        site.proxy(ProxyFormat::Rfc, kind);
        let Some(mut verify) = site.stock("openssl") else { return };
        verify.args(["verify", "-allow_proxy_certs", "-CAfile", "ca/cacert.pem"]);
        verify.args(["-untrusted", "usercert.pem", "proxy"]);
        let output = run(verify).await;
        assert!(output.status.success(), "{}", text(&output));
    }
}

/// `grid-proxy-init` verifies with our CA's trust files, and we read what it writes.
#[tokio::test]
async fn we_read_the_proxies_of_grid_proxy_init() {
    let site = Site::new();
    for (options, format, kind) in [
        (&["-rfc"][..], ProxyFormat::Rfc, ProxyKind::Full),
        (&["-rfc", "-limited"], ProxyFormat::Rfc, ProxyKind::Limited),
        (&["-rfc", "-independent"], ProxyFormat::Rfc, ProxyKind::Independent),
        (&["-draft"], ProxyFormat::Draft, ProxyKind::Full),
        (&["-draft", "-limited"], ProxyFormat::Draft, ProxyKind::Limited),
        (&["-old"], ProxyFormat::Legacy, ProxyKind::Full),
        (&["-old", "-limited"], ProxyFormat::Legacy, ProxyKind::Limited),
    ] {
        let Some(mut init) = site.stock("grid-proxy-init") else { return };
        init.args(["-verify", "-cert", "usercert.pem", "-key", "userkey.pem", "-out", "theirs"])
            .args(options);
        let output = run(init).await;
        assert!(output.status.success(), "{options:?}: {}", text(&output));
        let proxy = Credential::read(&site.path("theirs")).unwrap();
        assert_eq!(proxy.leaf().kind(), CertificateType::Proxy(format, kind));
        let peer = chain::verify(proxy.chain(), &site.trust(), Timestamp::now()).unwrap();
        assert_eq!(peer.limited, kind == ProxyKind::Limited);
    }
}

/// The same name and number as the stock tool gives to the same key.
#[tokio::test]
async fn our_common_names_are_those_of_grid_proxy_init() {
    let site = Site::new();
    let Some(mut init) = site.stock("grid-proxy-init") else { return };
    init.args(["-rfc", "-cert", "usercert.pem", "-key", "userkey.pem", "-out", "theirs"]);
    assert!(run(init).await.status.success());
    let theirs = Credential::read(&site.path("theirs")).unwrap();
    let request =
        gsi::proxy::ProxyRequest { format: None, kind: ProxyKind::Full, lifetime: None, path_length: None };
    let spki = theirs.leaf().public_key_info();
    let ours = gsi::proxy::issue(&site.user, spki, &request, Timestamp::now()).unwrap();
    assert_eq!(ours.subject(), theirs.leaf().subject());
    assert_eq!(ours.serial(), theirs.leaf().serial());
}

/// A request made by openssl is signed by our CA, and openssl is content with the result.
#[tokio::test]
async fn our_authority_signs_what_openssl_requests() {
    let site = Site::new();
    let Some(mut request) = site.stock("openssl") else { return };
    request.args([
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "newkey.pem",
        "-out",
        "new.pem",
    ]);
    request.args(["-subj", "/O=Grid/CN=gk.example.org", "-addext", "subjectAltName=DNS:gk.example.org"]);
    assert!(run(request).await.status.success());

    let request = CertificateRequest::from_pem(&std::fs::read(site.path("new.pem")).unwrap()).unwrap();
    assert_eq!(request.dns_names(), ["gk.example.org"]);
    let holder = Holder::Host { names: request.dns_names().to_vec() };
    let certificate = site.authority.sign(&request, &holder, 5).unwrap();
    std::fs::write(site.path("new.crt"), certificate.to_pem()).unwrap();
    restrict(&site.path("newkey.pem"));
    Credential::read_pair(&site.path("new.crt"), &site.path("newkey.pem"), None).unwrap();

    let Some(mut verify) = site.stock("openssl") else { return };
    verify.args(["verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "gk.example.org"]);
    verify.args(["-CAfile", "ca/cacert.pem", "new.crt"]);
    let output = run(verify).await;
    assert!(output.status.success(), "{}", text(&output));
}

#[tokio::test]
async fn openssl_reads_our_requests() {
    let site = Site::new();
    let key = PrivateKey::generate_rsa(2048).unwrap();
    let holder = Holder::Host { names: vec!["a.example".to_owned(), "b.example".to_owned()] };
    std::fs::write(site.path("req.pem"), authority::request("/O=Grid/CN=a.example", &holder, &key).unwrap())
        .unwrap();
    let Some(mut show) = site.stock("openssl") else { return };
    show.args(["req", "-in", "req.pem", "-noout", "-verify", "-text"]);
    let output = run(show).await;
    let printed = text(&output);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("DNS:a.example, DNS:b.example"), "{printed}");
}

/// A revoked certificate is refused by openssl and by us, and the others are not.
#[tokio::test]
async fn everybody_honours_our_revocation_list() {
    let site = Site::new();
    site.authority.revoke(site.host.leaf()).unwrap();
    site.authority.write_crl(7).unwrap();
    site.authority.install(&site.path("certificates")).unwrap();

    let now = Timestamp::now();
    chain::verify(site.user.chain(), &site.trust(), now).unwrap();
    let refusal = chain::verify(site.host.chain(), &site.trust(), now).unwrap_err();
    assert!(refusal.to_string().contains("revoked"), "{refusal}");

    for (file, good) in [("usercert.pem", true), ("hostcert.pem", false)] {
        let Some(mut verify) = site.stock("openssl") else { return };
        verify.args(["verify", "-crl_check", "-CAfile", "ca/cacert.pem", "-CRLfile", "ca/crl.pem", file]);
        let output = run(verify).await;
        assert_eq!(output.status.success(), good, "{file}: {}", text(&output));
    }
}
