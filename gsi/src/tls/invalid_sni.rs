//! Accepting stock clients whose server_name (SNI) is no DNS name (gsi.md §15.4). **Everything that is only here for
//! that is in this module**; it goes when rustls can be told to ignore such a name.
//!
//! # Why
//! A stock initiator in self or identity authorization puts the first CN of the identity it expects into the SNI. For a
//! person that is `Grid User`, with a blank: no DNS name. rustls 0.23 answers with a fatal alert and has no switch. So
//! without this module no stock client could ask a job contact for its status, and no stock job manager could call
//! back. No Gridiron server ever looks at the SNI, so its absence costs nothing.
//!
//! # What was built, and what was only considered
//! 1. *Hide and restore*: this module, the only way that was built. Public API only. [`HelloFilter`] sits below TLS and turns the number of an
//!    unacceptable server_name extension into [`HIDDEN`], which rustls skips as unknown. Both ends must hash the same
//!    handshake, so [`restoring`] wraps each cipher suite's hash: a ClientHello with [`HIDDEN`] is hashed as it came.
//!    In TLS 1.2 the client also signs the handshake itself, so [`restore`] is applied before that is verified.
//!    Works in both versions, with and without a HelloRetryRequest. Chosen: it needs nobody's consent, and it can only
//!    fail closed, since a wrong byte in the hash ends the handshake.
//! 2. Considered and not tried: *a patched rustls* through `[patch.crates-io]`. One changed match arm, but a fork of the one library that must
//!    always be updated at once, and invisible to whoever uses this crate from another workspace.
//! 3. Read about and not tried: *`InvalidSniPolicy::IgnoreAll`* of rustls 0.24, which is this module in one line. As of 0.24.0-dev.2 there is no
//!    stable release with it, and tokio-rustls 0.26 needs 0.23.
//!
//! # When it goes
//! With the first stable rustls (and tokio-rustls) that has `InvalidSniPolicy`: set `IgnoreAll` on the server
//! configuration, delete this file, its folder, and the three places that name it (`git grep invalid_sni`). The tests
//! in `tests/` that contact a user with a blank in the name must still pass.

mod client_hello;

use rustls::crypto::CryptoProvider;
use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};
use rustls::{CipherSuiteCommon, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};
use rustls_pki_types::DnsName;
use std::borrow::Cow;
use std::ops::Range;

/// The extension number that stands for a hidden server_name. From the range reserved for private use, so that no
/// registered extension is ever mistaken for it; a client that sends it itself fails its own handshake.
const HIDDEN: u16 = 0xFFB7;

/// The number of the server_name extension.
const SERVER_NAME: u16 = 0;

/// TLS record types.
const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;

/// The bytes of a TLS record before its payload.
const RECORD_HEADER: usize = 5;

/// The longest payload of an unencrypted record (RFC 8446 §5.1). A ClientHello that needs more is left alone.
const MAX_RECORD_PAYLOAD: usize = 1 << 14;

/// A client sends two ClientHellos at most, the second after a HelloRetryRequest.
const MAX_HELLOS: u8 = 2;

/// Hides an unacceptable server_name in a whole ClientHello message.
fn hide(hello: &mut [u8]) {
    for extension in client_hello::extensions(hello) {
        if extension.kind == SERVER_NAME && !is_acceptable(hello.get(extension.content.clone())) {
            renumber(hello, extension.kind_at, HIDDEN);
        }
    }
}

/// Whether rustls takes this server_name extension.
fn is_acceptable(content: Option<&[u8]>) -> bool {
    content.and_then(client_hello::host_name).is_some_and(|name| DnsName::try_from(name).is_ok())
}

fn renumber(hello: &mut [u8], at: Range<usize>, kind: u16) {
    if let Some(number) = hello.get_mut(at) {
        number.copy_from_slice(&kind.to_be_bytes());
    }
}

/// Where the number of a hidden server_name is, if `handshake` starts with a ClientHello that has one.
fn hidden(handshake: &[u8]) -> Option<Range<usize>> {
    client_hello::length(handshake)?;
    client_hello::extensions(handshake)
        .into_iter()
        .find(|found| found.kind == HIDDEN)
        .map(|found| found.kind_at)
}

/// The handshake messages as the client sent them.
pub(super) fn restore(handshake: &[u8]) -> Cow<'_, [u8]> {
    match hidden(handshake) {
        Some(at) => {
            let mut original = handshake.to_vec();
            renumber(&mut original, at, SERVER_NAME);
            Cow::Owned(original)
        }
        None => Cow::Borrowed(handshake),
    }
}

/// Looks at the first records of a connection and hides an unacceptable server_name; after the last possible
/// ClientHello it is [finished](Self::is_finished) and the stream needs it no more.
#[derive(Debug, Default)]
pub(super) struct HelloFilter {
    /// The record that is being collected.
    record: Vec<u8>,
    hellos: u8,
    finished: bool,
}

impl HelloFilter {
    /// Takes the next bytes from the client and appends to `out` those that TLS may see now.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.record.extend_from_slice(bytes);
        while !self.finished {
            let Some(&[kind, _, _, high, low]) = self.record.first_chunk::<RECORD_HEADER>() else { return };
            let payload = usize::from(u16::from_be_bytes([high, low]));
            if !matches!(kind, HANDSHAKE | CHANGE_CIPHER_SPEC) || payload > MAX_RECORD_PAYLOAD {
                break;
            }
            let Some((record, _)) = self.record.split_at_mut_checked(RECORD_HEADER + payload) else { return };
            if kind == HANDSHAKE {
                let Some(message) = record.get_mut(RECORD_HEADER..) else { break };
                if client_hello::length(message) != Some(payload) {
                    break;
                }
                hide(message);
                self.hellos += 1;
                self.finished = self.hellos == MAX_HELLOS;
            }
            out.extend(self.record.drain(..RECORD_HEADER + payload));
        }
        self.finish(out);
    }

    /// Gives up what was held back, because the stream has ended or holds no ClientHello any more.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.finished = true;
        out.append(&mut self.record);
    }

    /// Whether everything further may pass as it is.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }
}

/// What TLS gets to see of a client's first bytes, read in pieces of `piece` bytes; for the fuzz target.
#[doc(hidden)]
#[must_use]
pub fn filtered(stream: &[u8], piece: usize) -> Vec<u8> {
    let mut filter = HelloFilter::default();
    let mut seen = Vec::new();
    for bytes in stream.chunks(piece.max(1)) {
        if filter.is_finished() {
            seen.extend_from_slice(bytes);
        } else {
            filter.push(bytes, &mut seen);
        }
    }
    filter.finish(&mut seen);
    seen
}

/// The same provider with hashes that see a hidden server_name as the client sent it.
///
/// The suites are leaked, as rustls wants them for ever; call it once.
pub(super) fn restoring(provider: CryptoProvider) -> CryptoProvider {
    let cipher_suites = provider.cipher_suites.iter().map(restoring_suite).collect();
    CryptoProvider { cipher_suites, ..provider }
}

fn restoring_suite(suite: &SupportedCipherSuite) -> SupportedCipherSuite {
    match suite {
        SupportedCipherSuite::Tls13(suite) => {
            SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                common: restoring_common(&suite.common),
                hkdf_provider: suite.hkdf_provider,
                aead_alg: suite.aead_alg,
                quic: suite.quic,
            })))
        }
        SupportedCipherSuite::Tls12(suite) => {
            SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
                common: restoring_common(&suite.common),
                prf_provider: suite.prf_provider,
                kx: suite.kx,
                sign: suite.sign,
                aead_alg: suite.aead_alg,
            })))
        }
    }
}

fn restoring_common(common: &CipherSuiteCommon) -> CipherSuiteCommon {
    CipherSuiteCommon {
        suite: common.suite,
        hash_provider: Box::leak(Box::new(RestoringHash(common.hash_provider))),
        confidentiality_limit: common.confidentiality_limit,
    }
}

struct RestoringHash(&'static dyn Hash);

impl Hash for RestoringHash {
    fn start(&self) -> Box<dyn Context> {
        Box::new(RestoringContext(self.0.start()))
    }
    fn hash(&self, data: &[u8]) -> Output {
        self.0.hash(data)
    }
    fn output_len(&self) -> usize {
        self.0.output_len()
    }
    fn algorithm(&self) -> HashAlgorithm {
        self.0.algorithm()
    }
    fn fips(&self) -> bool {
        self.0.fips()
    }
}

struct RestoringContext(Box<dyn Context>);

impl Context for RestoringContext {
    fn fork_finish(&self) -> Output {
        self.0.fork_finish()
    }
    fn fork(&self) -> Box<dyn Context> {
        Box::new(Self(self.0.fork()))
    }
    fn finish(self: Box<Self>) -> Output {
        self.0.finish()
    }
    /// rustls adds one handshake message at a time, so a ClientHello always starts its own update.
    fn update(&mut self, data: &[u8]) {
        let parts = hidden(data).and_then(|at| Some((data.get(..at.start)?, data.get(at.end..)?)));
        match parts {
            Some((before, after)) => {
                self.0.update(before);
                self.0.update(&SERVER_NAME.to_be_bytes());
                self.0.update(after);
            }
            None => self.0.update(data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::client_hello::tests::hello;
    use super::*;
    use proptest::prelude::*;

    fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut record = vec![kind, 3, 1];
        record.extend((payload.len() as u16).to_be_bytes());
        record.extend(payload);
        record
    }

    fn hidden_hello(name: &[u8]) -> Vec<u8> {
        let mut hello = hello(name);
        hide(&mut hello);
        hello
    }

    #[test]
    fn only_what_is_no_dns_name_is_hidden() {
        for good in ["localhost", "gk.example.org", "xn--bcher-kva.example"] {
            assert_eq!(hidden_hello(good.as_bytes()), hello(good.as_bytes()), "{good}");
        }
        for bad in [&b"Grid User"[..], b"", b"J\xC3\xBCrgen", b"host/gk.example.org", b"127.0.0.1"] {
            assert_ne!(hidden_hello(bad), hello(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_hidden_name_is_restored_wherever_the_transcript_goes_on() {
        let original = [&hello(b"Grid User")[..], b"and further messages"].concat();
        let seen = [&hidden_hello(b"Grid User")[..], b"and further messages"].concat();
        assert_eq!(restore(&seen), original);
        let untouched = hello(b"localhost");
        assert!(matches!(restore(&untouched), Cow::Borrowed(_)));
    }

    #[test]
    fn the_wrapped_hash_is_the_hash_of_what_the_client_sent() {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let hash = |provider: &CryptoProvider| match provider.cipher_suites[0] {
            SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider,
            SupportedCipherSuite::Tls12(suite) => suite.common.hash_provider,
        };
        let plain = hash(&provider);
        let wrapped = hash(&restoring(provider));
        let mut context = wrapped.start();
        context.update(&[]);
        context.update(&hidden_hello(b"Grid User"));
        let mut fork = context.fork();
        fork.update(b"rest");
        let expected = plain.hash(&[&hello(b"Grid User")[..], b"rest"].concat());
        assert_eq!(fork.finish().as_ref(), expected.as_ref());
    }

    #[test]
    fn both_hellos_of_a_retry_are_seen_and_then_nothing_more() {
        let (first, cipher_change) =
            (record(HANDSHAKE, &hello(b"Grid User")), record(CHANGE_CIPHER_SPEC, &[1]));
        let mut filter = HelloFilter::default();
        let mut out = Vec::new();
        filter.push(&first, &mut out);
        filter.push(&cipher_change, &mut out);
        assert!(!filter.is_finished());
        filter.push(&first, &mut out);
        assert!(filter.is_finished());
        let hidden = record(HANDSHAKE, &hidden_hello(b"Grid User"));
        assert_eq!(out, [&hidden[..], &cipher_change, &hidden].concat());
    }

    #[test]
    fn encrypted_records_end_the_search_at_once() {
        let mut filter = HelloFilter::default();
        let mut out = Vec::new();
        let stream = [record(HANDSHAKE, &hello(b"x")), record(23, b"secret")].concat();
        filter.push(&stream, &mut out);
        assert!(filter.is_finished());
        assert_eq!(out, stream);
    }

    proptest! {
        #[test]
        fn the_filter_keeps_every_byte_in_order(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 20u8..24, cut in 1usize..9,
        ) {
            let stream = [record(kind, &hello(b"localhost")), bytes].concat();
            let mut filter = HelloFilter::default();
            let mut out = Vec::new();
            for piece in stream.chunks(cut) {
                filter.push(piece, &mut out);
            }
            filter.finish(&mut out);
            prop_assert_eq!(out, stream);
        }
    }
}
