//! Any text is a contact or refused; contacts read back from their own text.
#![no_main]

use gram::{CallbackContact, JobContact, ResourceContact};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(contact) = text.parse::<ResourceContact>() {
        assert_eq!(contact.to_string().parse(), Ok(contact));
    }
    if let Ok(contact) = text.parse::<JobContact>() {
        assert_eq!(contact.to_string().parse(), Ok(contact));
    }
    if let Ok(contact) = text.parse::<CallbackContact>() {
        assert!(contact.path().starts_with('/'));
    }
});
