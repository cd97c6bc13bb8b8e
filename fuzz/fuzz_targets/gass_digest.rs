//! A `Repr-Digest` header: what parses prints and parses again.
#![no_main]

use gass::ReprDigest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &[u8]| {
    let Some(digest) = ReprDigest::parse(header) else { return };
    assert_eq!(ReprDigest::parse(digest.to_string().as_bytes()), Some(digest));
});
