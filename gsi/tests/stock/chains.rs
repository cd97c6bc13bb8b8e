//! Chains that `grid-proxy-init` made, and its own judgement of the same trust directory.

use crate::site::{CA, Site, USER, text};
use gsi::chain::{ChainError, verify};
use gsi::{GsiError, Subject};
use jiff::Timestamp;

fn judge(site: &Site, chain: &str) -> Result<(), ChainError> {
    match verify(&site.certificates(chain), &site.trust(), Timestamp::now()) {
        Ok(_) => Ok(()),
        Err(GsiError::Chain(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

/// A user's certificate alone, judged by both; `Option` is whether the stock program is there.
fn both_judge(site: &Site) -> Option<(bool, Result<(), ChainError>)> {
    let stock = site.grid_proxy_init(["user.pem", "user.key"], "proxy", &["-verify"])?;
    Some((stock.status.success(), judge(site, "user.pem")))
}

#[test]
fn stock_path_lengths_limits_and_policies_are_honoured() {
    let site = Site::new();
    let make = |from: &str, to: &str, options: &[&str]| {
        let from = if from == "user" { ["user.pem", "user.key"] } else { [from, from] };
        let output = site.grid_proxy_init(from, to, options)?;
        Some(output.status.success().then_some(()).ok_or_else(|| text(&output)))
    };
    let Some(made) = make("user", "one", &["-path-length", "1"]) else { return };
    made.unwrap();
    assert_eq!(site.certificates("one")[0].proxy_path_length(), Some(1));
    assert_eq!(judge(&site, "one"), Ok(()));
    make("user", "draft", &["-draft", "-path-length", "2"]).unwrap().unwrap();
    assert_eq!(site.certificates("draft")[0].proxy_path_length(), Some(2));
    std::fs::write(site.path("policy"), "some policy").unwrap();
    make("user", "restricted", &["-pl", "1.2.3.4", "-policy", "policy"]).unwrap().unwrap();
    assert!(matches!(judge(&site, "restricted"), Err(ChainError::RestrictedProxy { .. })));
    for format in ["-rfc", "-draft", "-old"] {
        for kind in [&["-limited"][..], &[]] {
            make("user", "proxy", &[&[format], kind].concat()).unwrap().unwrap();
            let chain = site.certificates("proxy");
            let peer = verify(&chain, &site.trust(), Timestamp::now()).unwrap();
            assert_eq!((peer.identity.as_str(), peer.limited), (USER, !kind.is_empty()), "{format}");
        }
    }
}

#[test]
fn policies_are_judged_as_the_stock_program_judges_them() {
    let site = Site::new();
    for patterns in [
        r#"'"/O=Grid/*"'"#,
        r#"'"/o=grid/ou=PEER/*"'"#,
        r#"'"/O=Other/*"'"#,
        r#"'"/O=*/OU=*/CN=Grid User"'"#,
        r#"'"/O=*/CN=Grid User"'"#,
        r#"'"/O=Grid/OU=p?er/*"'"#,
        r#"'"/O=Grid/OU=peer/CN=Grid User*"'"#,
        r#"'"/O=Gr\\x69d/*"'"#,
        r#"'"/O=Gr\x69d/*"'"#,
        r#"'"/O=Grid/**"'"#,
        "/O=Grid/* # comment",
        "'/O=Grid/OU=peer/CN=Grid User'",
        "'\"/O=No/*\"\n\"/O=Grid/*\"'",
        "'\"/O=Grid/*\"'\ncond_subjects globus '\"/O=No/*\"'",
        "'\"/O=Grid/*\"'\ncond_banned_subjects globus '\"/O=No/*\"'",
        "'\"/O=No/*\"'\naccess_id_CA X509 '/O=Grid/OU=peer/CN=Peer CA'\npos_rights globus CA:sign",
        "'\"/O=Grid/*\"'\nrubbish here now",
        "'\"/O=Grid/*",
    ] {
        site.policy(patterns);
        let Some((stock, ours)) = both_judge(&site) else { return };
        assert_eq!(stock, ours.is_ok(), "{patterns}: {ours:?}");
    }
    std::fs::remove_file(site.trust_file("signing_policy")).unwrap();
    assert_eq!(both_judge(&site).unwrap().0, judge(&site, "user.pem").is_ok());
}

#[test]
fn lists_are_judged_as_the_stock_program_judges_them() {
    let site = Site::new();
    let config = "[ca]\ndefault_ca=d\n[d]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\n";
    std::fs::write(site.path("config"), config).unwrap();
    std::fs::write(site.path("number"), "01\n").unwrap();
    std::fs::write(site.path("index"), "").unwrap();
    let list = |validity: &[&str]| {
        let options =
            ["ca", "-config", "config", "-gencrl", "-keyfile", "ca.key", "-cert", "ca.pem", "-out", "crl"];
        site.openssl(&[&options[..], validity].concat());
        std::fs::copy(site.path("crl"), site.trust_file("r0")).unwrap();
    };
    let agree = |expected: &str| {
        let Some((stock, ours)) = both_judge(&site) else { return };
        assert_eq!(stock, ours.is_ok(), "{expected}: {ours:?}");
        assert_eq!(format!("{ours:?}").split([' ', '(']).nth(usize::from(expected != "Ok")), Some(expected));
    };
    list(&["-crldays", "1"]);
    agree("Ok");
    list(&["-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200201000000Z"]);
    let ours = judge(&site, "user.pem");
    assert!(matches!(ours, Err(ChainError::CrlExpired { .. })), "{ours:?}");
    agree("CrlExpired");
    list(&["-crl_lastupdate", "20900101000000Z", "-crl_nextupdate", "20900201000000Z"]);
    agree("CrlNotYetValid");
    site.openssl(&[
        "ca", "-config", "config", "-keyfile", "ca.key", "-cert", "ca.pem", "-revoke", "user.pem",
    ]);
    list(&["-crldays", "1"]);
    agree("Revoked");
    assert_eq!(site.certificates("user.pem")[0].issuer().subject(), &Subject::new(CA));
}
