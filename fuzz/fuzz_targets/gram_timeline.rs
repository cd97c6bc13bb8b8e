//! Any bytes are the time line of a job or refused; one that is understood reads back from our own encoding of it.
#![no_main]

use gram::wire::{Decoded, ReplyHead, timeline};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(Ok(told)) = timeline::decode(body) else { return };
    let message = timeline::encode(&told);
    let Ok(Decoded::Value(_, taken)) = ReplyHead::decode(&message) else { panic!("our own header is refused") };
    assert!(matches!(timeline::decode(&message[taken..]), Ok(Ok(_))));
});
