//! What job manager and reaper say to each other: any bytes are frames or refused, in either direction, and what decodes
//! comes out of our own encoding of it as it was.
#![no_main]

use jobmanager::reaper::protocol::{
    decode_message, decode_request, encode_message, encode_request, split_frame,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut rest = input;
    while let Ok(Some((content, taken))) = split_frame(rest) {
        check(content);
        rest = &rest[taken..];
    }
    // Most inputs have no fitting length in front.
    check(input);
});

fn check(content: &[u8]) {
    let mut frame = Vec::new();
    if let Ok((id, request)) = decode_request(content) {
        encode_request(id, &request, &mut frame).expect("no longer than it was");
        assert_eq!(decode_request(&frame[4..]), Ok((id, request)));
    }
    frame.clear();
    if let Ok(message) = decode_message(content) {
        encode_message(&message, &mut frame).expect("no longer than it was");
        assert_eq!(decode_message(&frame[4..]), Ok(message));
    }
}
