//! A classic service file of /etc/grid-services.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = gatekeeper::service::parse_classic("jobmanager-fork", text);
});
