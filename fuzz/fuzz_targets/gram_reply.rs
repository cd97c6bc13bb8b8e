//! Any bytes are a reply, the beginning of one, or refused; the states and numbers of a reply read back.
#![no_main]

use gram::wire::{Decoded, JobReply, QueryReply, ReplyHead, VersionReply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(Decoded::Value(_, taken)) = ReplyHead::decode(bytes) else { return };
    let body = &bytes[taken..];
    let _ = VersionReply::decode(body);
    if let Ok(reply) = JobReply::decode(body) {
        let again = JobReply::decode(body_of(&reply.encode())).expect("our own encoding");
        assert_eq!(again.status, reply.status);
    }
    if let Ok(reply) = QueryReply::decode(body) {
        let message = reply.encode();
        if message.starts_with(b"HTTP/1.1 200") {
            let again = QueryReply::decode(body_of(&message)).expect("our own encoding");
            assert_eq!((again.status, again.job_failure_code), (reply.status, reply.job_failure_code));
        }
    }
});

fn body_of(message: &[u8]) -> &[u8] {
    let Ok(Decoded::Value(_, taken)) = ReplyHead::decode(message) else { panic!("our own header is refused") };
    &message[taken..]
}
