//! A presented chain in PEM, checked against a trust directory that holds the CA of the seeds.
#![no_main]

use gsi::{Certificate, TrustDirectory, chain};
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

static TRUST: OnceLock<TrustDirectory> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/trust");
    let trust = TRUST.get_or_init(|| TrustDirectory::open(directory).expect("the trust directory of the seeds"));
    // Two years after the seeds were made, which live for eight.
    let now = "2028-11-01T00:00:00Z".parse().expect("a time");
    let Ok(presented) = Certificate::from_pem(bytes) else { return };
    if let Ok(peer) = chain::verify(&presented, trust, now) {
        assert!(peer.identity.as_str().starts_with("/O=Grid/CN="), "{} was let in", peer.identity);
        assert!(peer.expires > now);
    }
});
