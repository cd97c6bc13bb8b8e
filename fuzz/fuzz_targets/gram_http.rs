//! The HTTP header of a GRAM message, request and reply; a beginning never decodes to something else than the whole.
#![no_main]

use gram::wire::Decoded;
use gram::wire::http::{ReplyHead, RequestHead};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Decoded::Value(head, size)) = RequestHead::decode(bytes) {
        assert_eq!(RequestHead::decode(&bytes[..size]), Ok(Decoded::Value(head, size)));
        assert!(!matches!(RequestHead::decode(&bytes[..size - 1]), Ok(Decoded::Value(..))));
    }
    if let Ok(Decoded::Value(head, size)) = ReplyHead::decode(bytes) {
        assert_eq!(ReplyHead::decode(&bytes[..size]), Ok(Decoded::Value(head, size)));
        assert!(!matches!(ReplyHead::decode(&bytes[..size - 1]), Ok(Decoded::Value(..))));
    }
});
