//! Any bytes are some position of a stream; what was read is what is written.
#![no_main]

use jobmanager::stream::position::Position;
use libfuzzer_sys::fuzz_target;

const URL: &str = "https://vm:1/dev/stdout";

fuzz_target!(|record: &[u8]| {
    let position = Position::decode(record, URL);
    assert_eq!(Position::decode(position.encode(URL).as_bytes(), URL), position);
});
