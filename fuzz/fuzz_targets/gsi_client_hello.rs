//! The first records of a client, in which a server_name that is no DNS name is hidden: no byte is lost or added, and the same
//! is seen however the stream is cut into reads.
#![no_main]

use gsi::tls::filtered;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [cut, stream @ ..] = bytes else { return };
    let at_once = filtered(stream, stream.len());
    assert_eq!(at_once.len(), stream.len());
    assert_eq!(filtered(stream, usize::from(*cut)), at_once);
});
