//! A ban list: all of it or nothing.
#![no_main]

use gsi::{BanList, Subject};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(list) = BanList::parse(bytes) {
        let now = "2026-11-21T00:00:00Z".parse().expect("a time");
        for ban in list.bans() {
            let found = list.find([&ban.name], [&ban.name], now);
            assert!(found.is_some() || ban.until.is_some_and(|until| until <= now));
        }
        let _ = list.find([&Subject::new("/O=Grid/CN=Grid User")], [], now);
    }
});
