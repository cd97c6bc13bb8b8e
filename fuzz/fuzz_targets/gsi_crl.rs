//! A certificate revocation list, PEM or DER.
#![no_main]

use gsi::crl::RevocationList;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(crl) = RevocationList::parse(bytes) {
        crl.lists(&[1]);
    }
});
