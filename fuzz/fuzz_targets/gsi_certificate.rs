//! One certificate in DER, as a peer shows it in the handshake or sends it when delegating.
#![no_main]

use gsi::Certificate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(certificate) = Certificate::from_der(bytes) else { return };
    let again = Certificate::from_der(certificate.der()).expect("its own DER");
    assert_eq!(again.subject(), certificate.subject());
    let pem = Certificate::from_pem(certificate.to_pem().as_bytes()).expect("its own PEM");
    assert_eq!(pem.len(), 1);
    let _ = certificate.kind();
    let _ = certificate.not_before() < certificate.not_after();
    let _ = certificate.is_self_issued();
});
