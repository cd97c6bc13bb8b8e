//! Any text is a classic service file that can be served, or refused with a reason.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| match gatekeeper::service::parse_classic("name", text) {
    Ok(service) => assert!(gatekeeper::service::SCHEDULERS.contains(&service.scheduler.as_str())),
    Err(reason) => assert!(!reason.is_empty()),
});
