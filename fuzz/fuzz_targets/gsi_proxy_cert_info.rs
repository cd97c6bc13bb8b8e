//! The proxyCertInfo extension, in both formats.
#![no_main]

use gsi::ProxyFormat;
use gsi::certificate::ProxyCertInfo;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for format in [ProxyFormat::Rfc, ProxyFormat::Draft] {
        let _ = ProxyCertInfo::from_der(bytes, format);
    }
});
