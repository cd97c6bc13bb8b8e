//! A signing policy file.
#![no_main]

use gsi::signing_policy::SigningPolicy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = SigningPolicy::parse(bytes);
});
