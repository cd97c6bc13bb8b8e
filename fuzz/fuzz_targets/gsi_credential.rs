//! A proxy file, and a private key, plain or encrypted.
#![no_main]

use gsi::Credential;
use gsi::key::PrivateKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Credential::from_pem(bytes);
    let _ = PrivateKey::from_pem(bytes, None);
    let _ = PrivateKey::from_pem(bytes, Some("passphrase"));
    let _ = PrivateKey::from_der(bytes);
});
