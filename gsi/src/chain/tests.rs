//! One test per rule: forged chains, each wrong in one way.

use super::{ChainError, ChainPolicy, CrlOutOfDate, Evidence, MAX_CHAIN_LENGTH, Peer, examine, verify};
use crate::certificate::{OID_INDEPENDENT, OID_INHERIT_ALL, OID_LIMITED, OID_PROXY_CERT_INFO};
use crate::forge::{
    BASIC_CONSTRAINTS, CERTIFICATE_SIGNING, DIGITAL_SIGNATURE, Holder, Plan, Site, after, new_key, now,
};
use crate::{Certificate, GsiError, ProxyFormat, TrustDirectory, der};

const CA: &str = "/O=Grid/CN=CA";
const USER: &str = "/O=Grid/CN=Some Body";
const FORMATS: [ProxyFormat; 3] = [ProxyFormat::Rfc, ProxyFormat::Draft, ProxyFormat::Legacy];

fn authority() -> Holder {
    Plan::authority(CA, None).self_signed()
}

fn user(ca: &Holder) -> Holder {
    ca.issue(Plan::new(USER))
}

fn check(trust: &TrustDirectory, chain: &[&Holder]) -> Result<Peer, ChainError> {
    let chain: Vec<Certificate> = chain.iter().map(|holder| holder.certificate.clone()).collect();
    verify(&chain, trust, now()).map_err(|error| match error {
        GsiError::Chain(error) => error,
        other => panic!("{other}"),
    })
}

fn refusal(ca: &Holder, chain: &[&Holder]) -> ChainError {
    check(&Site::trusting(&[ca]).trust(), chain).unwrap_err()
}

#[test]
fn a_user_and_his_proxies_are_himself() {
    let ca = authority();
    let user = user(&ca);
    let trust = Site::trusting(&[&ca]);
    for format in FORMATS {
        let first = user.full_proxy(format);
        let second = first.limited_proxy(format);
        let peer = check(&trust.trust(), &[&user]).unwrap();
        assert_eq!((peer.identity.as_str(), peer.limited, peer.chain.len()), (USER, false, 1));
        let peer = check(&trust.trust(), &[&first, &user]).unwrap();
        assert_eq!((peer.identity.as_str(), peer.limited, peer.chain.len()), (USER, false, 2));
        // In any order after the leaf, with the root and with duplicates.
        let peer = check(&trust.trust(), &[&second, &ca, &user, &first, &user]).unwrap();
        assert_eq!((peer.identity.as_str(), peer.limited), (USER, true));
        assert_eq!(peer.subject, *second.certificate.subject().subject());
        let expected = [&second, &first, &user, &ca].map(|holder| holder.certificate.clone());
        assert_eq!(peer.chain, expected);
    }
}

#[test]
fn the_chain_ends_with_its_first_certificate_to_end() {
    let ca = authority();
    let user = user(&ca);
    let short = user.issue(Plan::proxy(&user, ProxyFormat::Rfc, OID_INHERIT_ALL, None).valid(-300, 600));
    assert_eq!(check(&Site::trusting(&[&ca]).trust(), &[&short, &user]).unwrap().expires, after(600));
}

#[test]
fn an_independent_proxy_is_its_own_identity() {
    let ca = authority();
    let user = user(&ca);
    let independent = user.issue(Plan::proxy(&user, ProxyFormat::Rfc, OID_INDEPENDENT, None));
    let below = independent.full_proxy(ProxyFormat::Rfc);
    let peer = check(&Site::trusting(&[&ca]).trust(), &[&below, &independent, &user]).unwrap();
    assert_eq!(peer.identity, *independent.certificate.subject().subject());
}

#[test]
fn nobody_and_too_many_are_refused() {
    let ca = authority();
    assert_eq!(refusal(&ca, &[]), ChainError::Empty);
    let user = user(&ca);
    assert_eq!(refusal(&ca, &vec![&user; MAX_CHAIN_LENGTH + 1]), ChainError::TooLong);
    assert!(matches!(refusal(&ca, &[&ca]), ChainError::NoEndEntity { .. }));
}

#[test]
fn many_candidates_of_one_name_do_not_cost_many_checks() {
    let ca = authority();
    // Forty CAs of one name, each signed by the next, presented so that the signer is always tried last.
    let keys: Vec<_> = (0..41).map(|_| new_key()).collect();
    let link = |pair: &[crate::key::PrivateKey]| {
        let certificate = Plan::authority("/O=Many/CN=CA", None).self_signed().certificate;
        let signer = Holder { certificate, key: pair[1].clone() };
        signer.issue_for(Plan::authority("/O=Many/CN=CA", None), &pair[0])
    };
    let many: Vec<Holder> = keys.windows(2).map(link).collect();
    let user = many[0].issue(Plan::new(USER));
    let chain: Vec<&Holder> = std::iter::once(&user).chain(many.iter().rev()).collect();
    assert_eq!(refusal(&ca, &chain), ChainError::TooLong);
    let in_order: Vec<&Holder> = std::iter::once(&user).chain(&many).collect();
    assert!(!matches!(refusal(&ca, &in_order), ChainError::TooLong));
}

#[test]
fn strangers_are_refused() {
    let (ca, other) = (authority(), Plan::authority("/O=Other/CN=CA", None).self_signed());
    let stranger = other.issue(Plan::new("/O=Other/CN=x"));
    let unknown = refusal(&ca, &[&stranger]);
    assert!(
        matches!(&unknown, ChainError::UnknownAuthority { issuer, .. } if issuer.as_str() == "/O=Other/CN=CA")
    );
    assert!(unknown.to_string().contains(&format!("{}.0", other.certificate.subject().hash())), "{unknown}");
    let root = refusal(&ca, &[&stranger, &other]);
    assert!(
        matches!(root, ChainError::UntrustedRoot { subject, .. } if subject.as_str() == "/O=Other/CN=CA")
    );
}

#[test]
fn a_false_authority_of_the_right_name_is_refused() {
    let (ca, impostor) = (authority(), authority());
    assert!(matches!(refusal(&ca, &[&user(&impostor)]), ChainError::Signature { .. }));
    assert!(matches!(refusal(&ca, &[&user(&impostor), &impostor]), ChainError::Signature { .. }));
}

#[test]
fn a_proxy_needs_its_issuer() {
    let ca = authority();
    let user = user(&ca);
    let first = user.full_proxy(ProxyFormat::Rfc);
    let second = first.full_proxy(ProxyFormat::Rfc);
    assert!(matches!(refusal(&ca, &[&second, &user]), ChainError::MissingIssuer { .. }));
    let impostor = Holder { key: new_key(), ..user.clone() };
    assert!(matches!(
        refusal(&ca, &[&impostor.full_proxy(ProxyFormat::Rfc), &user]),
        ChainError::Signature { .. }
    ));
}

#[test]
fn validity_has_no_tolerance() {
    let ca = authority();
    let early = ca.issue(Plan::new(USER).valid(1, 3600));
    assert!(
        matches!(refusal(&ca, &[&early]), ChainError::NotYetValid { not_before, .. } if not_before == after(1))
    );
    let late = ca.issue(Plan::new(USER).valid(-3600, -1));
    assert!(
        matches!(refusal(&ca, &[&late]), ChainError::Expired { not_after, .. } if not_after == after(-1))
    );
    let user = user(&ca);
    let late = user.issue(Plan::proxy(&user, ProxyFormat::Rfc, OID_INHERIT_ALL, None).valid(-3600, -1));
    assert!(matches!(refusal(&ca, &[&late, &user]), ChainError::Expired { .. }));
    let old = Plan::authority(CA, None).valid(-3600, -1).self_signed();
    let heir = old.issue(Plan::new(USER));
    assert!(matches!(refusal(&old, &[&heir]), ChainError::Expired { subject, .. } if subject.as_str() == CA));
}

#[test]
fn formats_are_not_mixed() {
    let ca = authority();
    let user = user(&ca);
    for above in FORMATS {
        for below in FORMATS.into_iter().filter(|below| *below != above) {
            let first = user.full_proxy(above);
            let second = first.full_proxy(below);
            let expected = refusal(&ca, &[&second, &first, &user]);
            assert!(matches!(expected, ChainError::MixedFormats { .. }), "{below} under {above}: {expected}");
        }
    }
}

#[test]
fn limited_stays_limited() {
    let ca = authority();
    let user = user(&ca);
    for format in FORMATS {
        let limited = user.limited_proxy(format);
        let full = limited.full_proxy(format);
        assert!(matches!(refusal(&ca, &[&full, &limited, &user]), ChainError::FullUnderLimited { .. }));
    }
}

#[test]
fn path_lengths_count_proxies() {
    let ca = authority();
    let user = user(&ca);
    let site = Site::trusting(&[&ca]);
    for format in [ProxyFormat::Rfc, ProxyFormat::Draft] {
        let first = user.issue(Plan::proxy(&user, format, OID_INHERIT_ALL, Some(1)));
        let second = first.full_proxy(format);
        let third = second.full_proxy(format);
        assert!(check(&site.trust(), &[&second, &first, &user]).is_ok());
        let refused = check(&site.trust(), &[&third, &second, &first, &user]).unwrap_err();
        assert!(matches!(refused, ChainError::ProxyPathLength { depth: 3, allowed: 2, .. }));
        let last = user.issue(Plan::proxy(&user, format, OID_INHERIT_ALL, Some(0)));
        assert!(check(&site.trust(), &[&last, &user]).is_ok());
        assert!(check(&site.trust(), &[&last.full_proxy(format), &last, &user]).is_err());
        // The tightest wins, whoever sets it.
        let wide = first.issue(Plan::proxy(&first, format, OID_INHERIT_ALL, Some(9)));
        assert!(check(&site.trust(), &[&wide.full_proxy(format), &wide, &first, &user]).is_err());
    }
}

#[test]
fn restricted_proxies_are_refused() {
    let ca = authority();
    let user = user(&ca);
    let strange = user.issue(Plan::proxy(&user, ProxyFormat::Rfc, &[0x2A, 0x03], None));
    assert!(matches!(refusal(&ca, &[&strange, &user]), ChainError::RestrictedProxy { .. }));
    let policy = der::sequence(&[&der::object_identifier(OID_INHERIT_ALL), &der::octet_string(b"x")]);
    let plan = Plan::named(user.certificate.subject().with_common_name("1"));
    let restricted = user.issue(plan.with(OID_PROXY_CERT_INFO, true, &der::sequence(&[&policy])));
    assert!(matches!(refusal(&ca, &[&restricted, &user]), ChainError::RestrictedProxy { .. }));
}

#[test]
fn proxies_carry_no_alternative_names_and_no_strange_extensions() {
    let ca = authority();
    let user = user(&ca);
    let plan = || Plan::proxy(&user, ProxyFormat::Rfc, OID_INHERIT_ALL, None);
    let named = user.issue(plan().dns(&["h"]));
    assert!(matches!(refusal(&ca, &[&named, &user]), ChainError::ProxyAlternativeName { .. }));
    let strange = user.issue(plan().with(&[0x2A, 0x03, 0x04], true, &[0x05, 0x00]));
    let refused = refusal(&ca, &[&strange, &user]);
    assert!(
        matches!(refused, ChainError::UnknownCriticalExtension { extension, .. } if extension == "1.2.3.4")
    );
    let harmless = user.issue(plan().with(&[0x2A, 0x03, 0x04], false, &[0x05, 0x00]));
    assert!(check(&Site::trusting(&[&ca]).trust(), &[&harmless, &user]).is_ok());
}

#[test]
fn key_usage_of_a_proxys_issuer() {
    let ca = authority();
    let site = Site::trusting(&[&ca]);
    let signer = ca.issue(Plan::new(USER).key_usage(DIGITAL_SIGNATURE));
    for format in [ProxyFormat::Rfc, ProxyFormat::Draft] {
        assert!(check(&site.trust(), &[&signer.full_proxy(format), &signer]).is_ok());
    }
    let legacy = check(&site.trust(), &[&signer.full_proxy(ProxyFormat::Legacy), &signer]).unwrap_err();
    assert!(matches!(legacy, ChainError::KeyUsage { usage: "certificate signing", .. }));
    let mute = ca.issue(Plan::new(USER).key_usage(0x20));
    let refused = check(&site.trust(), &[&mute.full_proxy(ProxyFormat::Rfc), &mute]).unwrap_err();
    assert!(matches!(refused, ChainError::KeyUsage { usage: "digital signature", .. }));
}

#[test]
fn only_authorities_issue() {
    let ca = authority();
    let user = user(&ca);
    let friend = user.issue(Plan::new("/O=Grid/CN=Friend"));
    // The user's name has no files in the trust directory, so he is found among the presented ones.
    assert!(matches!(refusal(&ca, &[&friend, &user]), ChainError::NotAuthority { .. }));
    let proxy = user.full_proxy(ProxyFormat::Rfc);
    let friend = proxy.issue(Plan::new("/O=Grid/CN=Friend"));
    assert!(matches!(refusal(&ca, &[&friend, &proxy, &user]), ChainError::NotAuthority { .. }));
    let proxy = ca.full_proxy(ProxyFormat::Rfc);
    assert!(matches!(refusal(&ca, &[&proxy, &ca]), ChainError::ProxyUnderAuthority { .. }));
    let mute = Plan::new(CA)
        .with(BASIC_CONSTRAINTS, true, &[0x30, 0x03, 0x01, 0x01, 0xFF])
        .key_usage(DIGITAL_SIGNATURE);
    let mute = mute.self_signed();
    assert!(matches!(refusal(&mute, &[&mute.issue(Plan::new(USER))]), ChainError::KeyUsage { .. }));
}

#[test]
fn old_roots_without_constraints_are_authorities_by_being_trusted() {
    let old = Plan::new(CA).self_signed();
    let site = Site::trusting(&[&old]);
    assert!(check(&site.trust(), &[&user(&old)]).is_ok());
    let explicit = Plan::new(CA).with(BASIC_CONSTRAINTS, true, &[0x30, 0x00]).self_signed();
    assert!(matches!(refusal(&explicit, &[&user(&explicit)]), ChainError::NotAuthority { .. }));
}

#[test]
fn intermediate_authorities_may_be_presented_or_installed() {
    let root = Plan::authority("/O=Grid/CN=Root", Some(1)).self_signed();
    let middle = root.issue(Plan::authority("/O=Grid/CN=Middle", None));
    let low = middle.issue(Plan::authority("/O=Grid/CN=Low", None));
    let (of_middle, of_low) = (middle.issue(Plan::new(USER)), low.issue(Plan::new(USER)));
    let installed = Site::trusting(&[&root, &middle, &low]);
    assert_eq!(check(&installed.trust(), &[&of_middle]).unwrap().chain.len(), 1);
    let only_root = Site::trusting(&[&root]);
    let missing = check(&only_root.trust(), &[&of_middle, &middle]).unwrap_err();
    assert!(
        matches!(missing, ChainError::MissingPolicy { authority, .. } if authority.as_str() == "/O=Grid/CN=Middle")
    );
    only_root.policy(&middle, "*");
    assert!(check(&only_root.trust(), &[&of_middle, &middle]).is_ok());
    let proxy = of_middle.full_proxy(ProxyFormat::Rfc);
    assert!(check(&only_root.trust(), &[&proxy, &of_middle, &middle]).is_ok());
    // The root allows one CA below it, not two.
    let refused = check(&installed.trust(), &[&of_low]).unwrap_err();
    assert!(
        matches!(refused, ChainError::AuthorityPathLength { subject, .. } if subject.as_str() == "/O=Grid/CN=Low")
    );
    let orphan = Site::trusting(&[&middle]);
    assert!(matches!(
        check(&orphan.trust(), &[&of_middle]).unwrap_err(),
        ChainError::UnknownAuthority { .. }
    ));
}

#[test]
fn a_renewed_root_replaces_the_presented_edition() {
    let key = new_key();
    let signer =
        Holder { certificate: Plan::authority(CA, None).self_signed().certificate, key: key.clone() };
    let edition = |serial: u8| signer.issue_for(Plan::authority(CA, None).serial(&[serial]), &key);
    let (old, new) = (edition(1), edition(2));
    let user = old.issue(Plan::new(USER));
    let peer = check(&Site::trusting(&[&new]).trust(), &[&user, &old]).unwrap();
    assert_eq!(peer.chain, [user.certificate]);
}

#[test]
fn policies_are_mandatory_and_obeyed() {
    let ca = authority();
    let user = user(&ca);
    let site = Site::trusting(&[&ca]);
    site.policy(&ca, r#""/O=Other/*""#);
    let refused = check(&site.trust(), &[&user]).unwrap_err();
    assert!(
        matches!(&refused, ChainError::OutsidePolicy { line: Some(1), path, .. } if *path == site.path(&ca, "signing_policy"))
    );
    site.write(&ca, "signing_policy", "access_id_CA X509 '/O=Other'\npos_rights globus CA:sign\n");
    assert!(matches!(
        check(&site.trust(), &[&user]).unwrap_err(),
        ChainError::OutsidePolicy { line: None, .. }
    ));
    site.write(&ca, "signing_policy", "access_id_CA X509 '/O=Grid'\nnonsense\n");
    assert!(matches!(
        check(&site.trust(), &[&user]).unwrap_err(),
        ChainError::BrokenPolicy { line: Some(2), .. }
    ));
    std::fs::remove_file(site.path(&ca, "signing_policy")).unwrap();
    assert!(matches!(check(&site.trust(), &[&user]).unwrap_err(), ChainError::MissingPolicy { .. }));
}

#[test]
fn lists_are_obeyed_when_there_are_any() {
    let ca = authority();
    let serial = [0xFF, 0x01];
    let revoked = ca.issue(Plan::new(USER).serial(&serial));
    let site = Site::trusting(&[&ca]);
    let result = |crl: &[u8]| {
        site.write(&ca, "r0", crl);
        check(&site.trust(), &[&revoked]).map(|_| ())
    };
    assert_eq!(result(ca.crl(&[&[1], &[0xFF]], -60, 60).as_bytes()), Ok(()));
    let refused = result(ca.crl(&[&[1], &serial, &[2]], -60, 60).as_bytes()).unwrap_err();
    assert!(matches!(&refused, ChainError::Revoked { serial, .. } if serial == "00FF01"), "{refused}");
    assert!(matches!(result(ca.crl(&[&serial], -120, -60).as_bytes()), Err(ChainError::Revoked { .. })));
    let expired = result(ca.crl(&[], -120, -60).as_bytes()).unwrap_err();
    assert!(matches!(expired, ChainError::CrlExpired { next_update, .. } if next_update == after(-60)));
    assert!(matches!(result(ca.crl(&[], 60, 120).as_bytes()), Err(ChainError::CrlNotYetValid { .. })));
    assert!(matches!(result(authority().crl(&[], -60, 60).as_bytes()), Err(ChainError::CrlSignature { .. })));
    let other = Plan::authority("/O=Other/CN=CA", None).self_signed();
    assert!(matches!(result(other.crl(&[], -60, 60).as_bytes()), Err(ChainError::CrlSignature { .. })));
    assert!(matches!(result(b"nonsense"), Err(ChainError::BrokenCrl { .. })));
    // Proxies are exempt: one whose number is listed is as good as its user.
    let user = ca.issue(Plan::new(USER).serial(&[5]));
    let proxy = user.issue(Plan::proxy(&user, ProxyFormat::Rfc, OID_LIMITED, None).serial(&serial));
    site.write(&ca, "r0", ca.crl(&[&serial], -60, 60));
    assert!(check(&site.trust(), &[&proxy, &user]).is_ok());
}

#[test]
fn the_newest_list_of_the_right_key_counts() {
    let (ca, successor) = (authority(), authority());
    let user = ca.issue(Plan::new(USER));
    let site = Site::trusting(&[&ca]);
    site.write(&ca, "1", successor.certificate.to_pem());
    site.write(&ca, "r0", successor.crl(&[&[17]], -60, 60));
    site.write(&ca, "r1", ca.crl(&[&[17]], -120, 60));
    site.write(&ca, "r2", ca.crl(&[], -60, 60));
    assert!(check(&site.trust(), &[&user]).is_ok());
    let same = successor.issue(Plan::new(USER));
    assert!(matches!(check(&site.trust(), &[&same]).unwrap_err(), ChainError::Revoked { .. }));
}

#[test]
fn weak_keys_and_digests_are_told_apart_from_forgeries() {
    let directory = tempfile::tempdir().unwrap();
    let make = |name: &str, options: &[&str]| {
        let (certificate, key) = (directory.path().join(format!("{name}.pem")), directory.path().join("key"));
        let done = std::process::Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-subj", "/O=Weak/CN=CA", "-days", "2", "-keyout"])
            .args([&key, std::path::Path::new("-out"), &certificate])
            .args(options)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Certificate::from_pem(&std::fs::read(&certificate).unwrap()).unwrap().remove(0)
    };
    let short = make("short", &["-newkey", "rsa:1024", "-sha256"]);
    let ca = authority();
    let site = Site::trusting(&[&ca]);
    let holder = Holder { certificate: short.clone(), key: new_key() };
    site.write(&holder, "0", short.to_pem());
    let weak = verify(std::slice::from_ref(&short), &site.trust(), short.not_before()).unwrap_err();
    assert!(matches!(weak, GsiError::Chain(ChainError::WeakKey { bits: 1024, needed: 2048, .. })), "{weak}");
    let old = make("sha1", &["-newkey", "rsa:2048", "-sha1"]);
    let strict = |min_rsa_bits| {
        let policy = ChainPolicy { min_rsa_bits, ..Default::default() };
        let holder = Holder { certificate: old.clone(), key: new_key() };
        let site = Site::trusting(&[&holder]);
        check(&site.trust().with_policy(policy), &[&holder]).unwrap_err()
    };
    assert!(matches!(strict(2049), ChainError::WeakKey { bits: 2048, needed: 2049, .. }));
    assert!(!matches!(strict(1024), ChainError::WeakKey { .. }));
    let error = old.verify_signature(&old).unwrap_err();
    assert_eq!(error, crate::signature::SignatureError::Weak("RSA and SHA-1"));
    // An old root's own signature is never looked at: it is trusted for lying in the directory.
    let old = Holder { certificate: old, key: new_key() };
    let error = check(&Site::trusting(&[&old]).trust(), &[&old]).unwrap_err();
    assert!(!matches!(error, ChainError::Signature { .. }), "{error}");
}

#[test]
fn a_certificate_signing_key_usage_is_needed_of_authorities_only_when_stated() {
    let ca = Plan::new(CA).with(BASIC_CONSTRAINTS, true, &[0x30, 0x03, 0x01, 0x01, 0xFF]).self_signed();
    assert!(check(&Site::trusting(&[&ca]).trust(), &[&user(&ca)]).is_ok());
    let both = Plan::new(CA)
        .with(BASIC_CONSTRAINTS, true, &[0x30, 0x03, 0x01, 0x01, 0xFF])
        .key_usage(DIGITAL_SIGNATURE | CERTIFICATE_SIGNING)
        .self_signed();
    assert!(check(&Site::trusting(&[&both]).trust(), &[&user(&both)]).is_ok());
}

#[test]
fn a_site_may_go_by_an_old_list() {
    let ca = authority();
    let (user, revoked) = (ca.issue(Plan::new(USER)), ca.issue(Plan::new("/O=Grid/CN=Eve").serial(&[9])));
    let site = Site::trusting(&[&ca]);
    site.write(&ca, "r0", ca.crl(&[&[9]], -120, -60));
    assert!(matches!(check(&site.trust(), &[&user]).unwrap_err(), ChainError::CrlExpired { .. }));
    let kind =
        site.trust().with_policy(ChainPolicy { crl_out_of_date: CrlOutOfDate::Warn, ..Default::default() });
    let peer = check(&kind, &[&user]).unwrap();
    assert!(
        matches!(&peer.tolerated[..], [ChainError::CrlExpired { path, .. }] if *path == site.path(&ca, "r0"))
    );
    assert!(
        matches!(check(&kind, &[&revoked]).unwrap_err(), ChainError::Revoked { .. }),
        "what it lists counts"
    );
    site.write(&ca, "r0", ca.crl(&[], 60, 120));
    assert!(check(&kind, &[&user]).is_err(), "a list from the future is a wrong clock");
}

#[test]
fn evidence_names_files_and_lines() {
    let ca = authority();
    let user = user(&ca);
    let proxy = user.full_proxy(ProxyFormat::Rfc);
    let site = Site::trusting(&[&ca]);
    let certificates = [proxy.certificate, user.certificate];
    let seen = examine(&certificates, &site.trust(), now());
    let peer = seen.outcome.unwrap();
    assert_eq!(peer.authorities, [ca.certificate.subject().subject().clone()]);
    let places: Vec<_> = seen.evidence.iter().map(|evidence| evidence.place()).collect();
    let (root, policy) = (site.path(&ca, "0"), site.path(&ca, "signing_policy"));
    assert_eq!(places, [Some((&*root, None)), Some((&*policy, Some(2))), None]);
    site.write(&ca, "r0", ca.crl(&[], -60, 60));
    let seen = examine(&certificates, &site.trust(), now());
    assert!(matches!(&seen.evidence[2], Evidence::NotRevoked { path, .. } if *path == site.path(&ca, "r0")));
    site.policy(&ca, "/O=Nobody");
    let seen = examine(&certificates, &site.trust(), now());
    let refused = seen.outcome.unwrap_err();
    assert_eq!((seen.evidence.len(), refused.code()), (1, "outside_signing_policy"));
    assert_eq!(refused.place(), Some((&*policy, Some(1))));
}
