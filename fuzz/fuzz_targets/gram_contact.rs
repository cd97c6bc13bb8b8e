//! Contacts of a gatekeeper, a job, a call-back listener, and the target of a request.
#![no_main]

use gram::wire::request::Target;
use gram::{CallbackContact, JobContact, ResourceContact};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(contact) = text.parse::<ResourceContact>() {
        let shown = contact.to_string();
        assert_eq!(shown.parse::<ResourceContact>().expect("its own text").to_string(), shown);
    }
    if let Ok(contact) = text.parse::<JobContact>() {
        assert!(contact.same_job(&contact.to_string().parse().expect("its own text")));
    }
    if let Ok(contact) = text.parse::<CallbackContact>() {
        let shown = contact.to_string();
        assert_eq!(shown.parse::<CallbackContact>().expect("its own text").to_string(), shown);
    }
    if let Ok(target) = Target::parse(text) {
        assert_eq!(Target::parse(&target.uri()), Ok(target));
    }
});
