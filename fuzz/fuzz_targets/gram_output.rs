//! Any bytes are a part of a job's output or refused; a part reads back from our own encoding of it.
#![no_main]

use gram::wire::{Decoded, OutputReply, ReplyHead};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(Ok(reply)) = OutputReply::decode(body) else { return };
    let message = reply.encode();
    let Ok(Decoded::Value(_, taken)) = ReplyHead::decode(&message) else { panic!("our own header is refused") };
    assert_eq!(OutputReply::decode(&message[taken..]), Ok(Ok(reply)));
});
