//! Any bytes are a request to a gatekeeper, the beginning of one, or refused; what is understood reads back from our own
//! encoding of it.
#![no_main]

use gram::wire::{Decoded, GatekeeperBody, RequestHead, Target};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(Decoded::Value(head, taken)) = RequestHead::decode(bytes) else { return };
    let body = &bytes[taken..];
    if let Ok(target) = Target::parse(&head.uri) {
        assert_eq!(Target::parse(&target.uri()), Ok(target));
    }
    if let Ok(GatekeeperBody::Job(request)) = GatekeeperBody::decode(body) {
        let Ok(GatekeeperBody::Job(again)) = GatekeeperBody::decode(&request.encode_body()) else {
            panic!("our own encoding is refused");
        };
        assert_eq!(again.rsl, request.rsl);
        assert_eq!(again.mask, request.mask);
    }
});
