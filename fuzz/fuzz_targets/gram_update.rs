//! Any bytes are a state update or refused; its state and numbers read back from our own encoding.
#![no_main]

use gram::wire::{Decoded, RequestHead, Update};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(update) = Update::decode(body) else { return };
    let message = update.encode("/", "h");
    let Ok(Decoded::Value(_, taken)) = RequestHead::decode(&message) else { panic!("our own header is refused") };
    let again = Update::decode(&message[taken..]).expect("our own encoding");
    assert_eq!((again.status, again.failure_code), (update.status, update.failure_code));
});
