//! Delegation as values: what is requested, signed and put together, and what is refused on the way.

use super::*;
use crate::authority::{Authority, Holder, NewAuthority};
use crate::forge::known_rsa_key;
use crate::proxy::ProxyError;
use crate::request::RequestError;
use crate::{Name, ProxyFormat};
use proptest::prelude::*;
use std::sync::LazyLock;

static USERS: LazyLock<[Credential; 2]> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let new = NewAuthority { name: "/O=Grid/CN=Test CA", days: 30, bits: 2048, passphrase: None };
    let folder = directory.path().join("ca");
    let authority = Authority::create_with_key(&folder, &new, known_rsa_key(0)).unwrap();
    [("/O=Grid/CN=Grid User", 1), ("/O=Grid/CN=Somebody Else", 2)].map(|(name, number)| {
        let key = known_rsa_key(number);
        let subject = Name::parse_one_line(name).unwrap();
        let certificate = authority.issue(&subject, &key.public_key_info(), &Holder::User, 10).unwrap();
        Credential::new(vec![certificate], key).unwrap()
    })
});

static KEY: LazyLock<PrivateKey> = LazyLock::new(|| known_rsa_key(3));

fn delegate(issuer: &Credential, mode: DelegationMode) -> Result<Credential, GsiError> {
    assemble(sign(issuer, &request(&KEY)?, mode)?, &KEY, issuer.chain())
}

#[test]
fn a_delegated_credential_is_the_new_proxy_before_the_old_chain() {
    let [user, _] = &*USERS;
    let delegated = delegate(user, DelegationMode::Full).unwrap();
    assert_eq!(delegated.chain().len(), 2);
    assert_eq!(delegated.identity(), user.subject());
    assert_eq!(delegated.expires(), user.expires());
    assert!(!delegated.is_limited());
    assert!(delegate(user, DelegationMode::Limited).unwrap().is_limited());
}

#[test]
fn from_a_limited_proxy_only_limited_ones_come() {
    let [user, _] = &*USERS;
    let limited = delegate(user, DelegationMode::Limited).unwrap();
    assert!(delegate(&limited, DelegationMode::Full).unwrap().is_limited());
}

#[test]
fn the_format_follows_the_initiators() {
    let [user, _] = &*USERS;
    for format in [ProxyFormat::Rfc, ProxyFormat::Draft, ProxyFormat::Legacy] {
        let wanted =
            ProxyRequest { format: Some(format), kind: ProxyKind::Full, lifetime: None, path_length: None };
        let proxy = proxy::create(user, 2048, &wanted, Timestamp::now()).unwrap();
        let delegated = delegate(&proxy, DelegationMode::Limited).unwrap();
        assert_eq!(delegated.leaf().kind(), CertificateType::Proxy(format, ProxyKind::Limited));
    }
}

#[test]
fn a_path_length_of_zero_forbids_delegation() {
    let [user, _] = &*USERS;
    let last = ProxyRequest { format: None, kind: ProxyKind::Full, lifetime: None, path_length: Some(0) };
    let last = proxy::create(user, 2048, &last, Timestamp::now()).unwrap();
    let error = delegate(&last, DelegationMode::Full).unwrap_err();
    assert!(matches!(error, GsiError::Proxy(ProxyError::PathLengthExhausted(_))), "{error}");
}

#[test]
fn what_comes_back_must_be_a_proxy_of_the_peer_for_our_key() {
    let [user, other] = &*USERS;
    let assembled = |certificate, chain: &[Certificate]| match assemble(certificate, &KEY, chain) {
        Err(GsiError::Delegation(error)) => error,
        other => panic!("expected a refusal, got {other:?}"),
    };
    let ours = sign(user, &request(&KEY).unwrap(), DelegationMode::Full).unwrap();

    let for_another_key = sign(user, &request(other.key()).unwrap(), DelegationMode::Full).unwrap();
    assert!(matches!(assembled(for_another_key, user.chain()), DelegationError::WrongKey(_)));
    assert!(matches!(assembled(ours.clone(), other.chain()), DelegationError::NotTheirs { .. }));
    assert_eq!(assembled(ours.clone(), &[]), DelegationError::NoChain);

    let mut forged = ours.der().to_vec();
    if let Some(last) = forged.last_mut() {
        *last ^= 1;
    }
    let forged = Certificate::from_der(&forged).unwrap();
    assert!(matches!(assembled(forged, user.chain()), DelegationError::Signature { .. }));
}

#[test]
fn a_request_that_is_not_signed_by_its_key_is_refused() {
    let [user, _] = &*USERS;
    let mut request = request(&KEY).unwrap();
    if let Some(last) = request.last_mut() {
        *last ^= 1;
    }
    let error = sign(user, &request, DelegationMode::Full).unwrap_err();
    assert!(matches!(error, GsiError::Request(RequestError::Signature(_))), "{error}");
}

#[test]
fn a_joined_chain_comes_apart_again_without_the_root() {
    let [user, _] = &*USERS;
    let proxy = delegate(user, DelegationMode::Full).unwrap();
    let new = sign(&proxy, &request(&KEY).unwrap(), DelegationMode::Full).unwrap();
    let chain = split(&join(&new, &proxy)).unwrap();
    assert_eq!(chain.len(), 3);
    assert_eq!(chain[0], new);
    assert_eq!(chain[1..], *proxy.chain());
}

proptest! {
    #[test]
    fn any_bytes_are_taken_apart_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = split(&bytes);
    }
}
