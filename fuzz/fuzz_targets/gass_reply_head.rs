//! Any bytes are the head of a reply to an append, the beginning of one, or none; a head takes no more bytes than there are.
#![no_main]

use gass::appending::decode_head;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some((head, taken))) = decode_head(bytes) {
        assert!(taken <= bytes.len());
        assert!(head.reason.chars().count() <= 200);
        assert_eq!(decode_head(&bytes[..taken]), Ok(Some((head, taken))));
    }
});
