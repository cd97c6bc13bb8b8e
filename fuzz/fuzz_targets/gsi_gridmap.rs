//! A grid-mapfile; malformed lines are problems, never failures.
#![no_main]

use gsi::{Gridmap, Subject};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let map = Gridmap::parse(bytes);
    let _ = map.entry(&Subject::new("/O=Grid/CN=Grid User"));
});
