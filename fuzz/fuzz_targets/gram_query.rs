//! Any bytes are a query on a job contact or refused; a query reads back from our own encoding of it.
#![no_main]

use gram::wire::{Decoded, Query, RequestHead};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(query) = Query::decode(body) else { return };
    let message = query.encode("/1/2/", "h");
    let Ok(Decoded::Value(_, taken)) = RequestHead::decode(&message) else { panic!("our own header is refused") };
    assert_eq!(Query::decode(&message[taken..]), Ok(query));
});
