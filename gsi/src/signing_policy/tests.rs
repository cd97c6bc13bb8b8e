//! What policies grant, each line tried with the stock library as well.

use super::*;

const CA: &str = "/O=Grid/OU=peer/CN=Peer CA";
const HEAD: &str = "access_id_CA X509 '/O=Grid/OU=peer/CN=Peer CA'\npos_rights globus CA:sign\n";

fn permits(policy: &str, subject: &str) -> bool {
    let policy = SigningPolicy::parse(policy.as_bytes()).unwrap();
    policy.permits(&Subject::new(CA), &Subject::new(subject)).is_ok()
}

fn grants(condition: &str) -> bool {
    permits(&format!("{HEAD}cond_subjects globus {condition}\n"), "/O=Grid/OU=peer/CN=Grid User")
}

/// Each line was tried with the stock library (`grid-proxy-init -verify`, see docs/gsi.md).
#[test]
fn patterns_match_as_in_the_stock_library() {
    for yes in [
        r#"'"/O=Grid/*"'"#,
        "/O=Grid/*",
        r#""/O=Grid/*""#,
        r#"'"/O=Foo/*"  "/O=Grid/*"'"#,
        "'\"/O=Foo/*\"\n \"/O=Grid/*\"'",
        r#"'"/O=Grid/*"'#comment"#,
        "'*'",
        r#"'"/O=Grid/OU=peer/CN=Grid User"'"#,
        "'/O=Grid/OU=peer/CN=Grid User'",
        r#"'"/O=No/*""/O=Grid/*"'"#,
        r#"'"/O=Grid/*'"#,
        r#"'"/o=gRiD/ou=PEER/*"'"#,
        r#"'"/O=Grid/*/CN=GRID User"'"#,
        r#"'"/O=Gr\id/*"'"#,
        r#"'"/O=Gr\\x69d/*"'"#,
        r"/O=Gr\x69d/*",
        r#"'/O=No/* "/O=Grid/*"'"#,
    ] {
        assert!(grants(yes), "{yes}");
    }
    for no in [
        r#"'"/O=Grid/OU=peer/CN=Grid User*"'"#,
        r#"'"/O=Gr\x69d/*"'"#,
        "'/O=No/* /O=Grid/*'",
        r#"'"/O=Gri?/OU=peer/*"'"#,
        r#"'"/O=Grid/**"'"#,
        r#"'"/O=*/OU=*/CN=Grid User"'"#,
        "''",
    ] {
        assert!(!grants(no), "{no}");
    }
}

#[test]
fn entries_for_one_authority_add_up_and_the_first_principal_decides() {
    let (no, yes) = (r#"cond_subjects globus '"/O=No/*"'"#, r#"cond_subjects globus '"/O=Grid/*"'"#);
    let user = "/O=Grid/CN=x";
    assert!(permits(&format!("{HEAD}{no}\n{HEAD}{yes}"), user));
    assert!(permits(&format!("{HEAD}{no}\npos_rights globus CA:sign\n{yes}"), user));
    assert!(!permits(&format!("access_id_ANYBODY pos_rights globus CA:sign {no}\n{HEAD}{yes}"), user));
    assert!(permits(&format!("access_id_CA X509 '/O=Other'\n{HEAD}{yes}"), user));
    assert!(permits(HEAD, user));
    assert!(permits(&HEAD.replace("Peer CA", "peer ca"), user));
    assert!(permits(&format!("{HEAD}{yes}").replace('\n', "\r\n"), user));
}

#[test]
fn unknown_conditions_and_rights_never_grant() {
    let yes = r#"cond_subjects globus '"/O=Grid/*"'"#;
    let user = "/O=Grid/CN=x";
    assert!(!permits(&format!("{HEAD}{yes}\ncond_foo globus bar"), user));
    assert!(!permits(&format!("{HEAD}{yes}\ncond_banned_subjects globus '\"/O=No/*\"'"), user));
    assert!(!permits(&format!("{HEAD}{yes}\ncond_subjects globus '\"/O=No*\"'"), user));
    assert!(!permits(&format!("{HEAD}{yes}").replace("pos_", "neg_"), user));
    assert!(!permits(&format!("{HEAD}{yes}").replace("CA:sign", "ca:SIGN"), user));
    assert!(!permits(&format!("{HEAD}{yes}").replace("globus CA", "foo CA"), user));
    let other = SigningPolicy::parse(format!("{HEAD}{yes}").replace("X509", "x509").as_bytes()).unwrap();
    assert_eq!(other.permits(&Subject::new(CA), &Subject::new(user)), Err(PolicyRefusal::NoEntry));
}

#[test]
fn names_with_escapes_need_two_layers_of_them() {
    let host = |pattern: &str| {
        permits(&format!("{HEAD}cond_subjects globus {pattern}"), r"/O=Grid/OU=peer/CN=host\/h")
    };
    assert!(host(r#"'"/O=Grid/OU=peer/CN=host\\\\/h"'"#));
    assert!(!host(r#"'"/O=Grid/OU=peer/CN=host\\/h"'"#));
    assert!(!host(r#"'"/O=Grid/OU=peer/CN=host/h"'"#));
}

#[test]
fn errors_name_the_line() {
    let failure = |text: &str| SigningPolicy::parse(text.as_bytes()).unwrap_err();
    assert_eq!(failure(&format!("{HEAD}\nfoo bar baz")).line, 4);
    assert_eq!(failure(&format!("{HEAD}\naccess_id_CA X509 '/O=x")).line, 4);
    assert_eq!(failure("ACCESS_ID_CA X509 x").line, 1);
    assert!(failure("access_id_CA X509 '/O=x'").message.contains("pos_rights"));
    assert!(failure("# nothing\n").message.contains("access_id_CA"));
    assert!(failure(&"#".repeat(MAX_POLICY_BYTES + 1)).message.contains("too many"));
}

proptest::proptest! {
    #[test]
    fn never_panics(text in "(access_id_CA|X509|'|\"|pos_rights|globus|CA:sign|cond_subjects|\\\\|x4|\\*| |\n|/O=ü){0,40}", bytes: Vec<u8>) {
        let _ = SigningPolicy::parse(&bytes);
        if let Ok(policy) = SigningPolicy::parse(text.as_bytes()) {
            let _ = policy.permits(&Subject::new(CA), &Subject::new("/O=x"));
        }
        let _ = patterns(&text);
    }
}
