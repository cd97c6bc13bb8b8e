//! What headers ask of the file server: checksums, conditions, listings, parts of uploads; none may make it panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    gass::server::examine_headers(text.lines().filter_map(|line| line.split_once(": ")));
});
