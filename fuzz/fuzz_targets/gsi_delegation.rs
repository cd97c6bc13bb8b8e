//! Both sides of a delegation: the request an acceptor sends, the certificates an initiator answers with.
#![no_main]

use gsi::delegation;
use gsi::request::CertificateRequest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = CertificateRequest::from_der(bytes) {
        let _ = request.subject();
    }
    let _ = CertificateRequest::from_pem(bytes);
    if let Ok(chain) = delegation::split(bytes) {
        assert!(chain.iter().map(|certificate| certificate.der().len()).sum::<usize>() == bytes.len());
    }
});
