//! What the gatekeeper may ask the launcher, which is root, and what it makes of the answer.
#![no_main]

use launcher::protocol::{decode_reply, decode_request, encode_reply, encode_request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|packet: &[u8]| {
    if let Ok(account) = decode_request(packet) {
        let name = account.as_str();
        assert!(!name.contains(['/', '\0']) && !name.starts_with(['.', '-']) && !name.is_empty());
        assert_eq!(encode_request(&account), packet);
    }
    if let Some(reply) = decode_reply(packet) {
        assert_eq!(decode_reply(&encode_reply(reply)), Some(reply));
    }
});
