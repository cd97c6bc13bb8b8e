//! Any text is a contact or refused; contacts read back from their own text.
#![no_main]

use gram::{CallbackContact, JobContact, ResourceContact};
use libfuzzer_sys::fuzz_target;

/// Longest contact that is taken, in bytes.
const LONGEST: usize = 4096;

fuzz_target!(|text: &str| {
    if let Ok(contact) = text.parse::<ResourceContact>() {
        // Printing spells out what may be left out, which can make the longest contacts too long.
        let printed = contact.to_string();
        assert!(printed.len() > LONGEST || printed.parse() == Ok(contact));
    }
    if let Ok(contact) = text.parse::<JobContact>() {
        assert_eq!(contact.to_string().parse(), Ok(contact));
    }
    if let Ok(contact) = text.parse::<CallbackContact>() {
        assert!(contact.path().starts_with('/'));
    }
});
