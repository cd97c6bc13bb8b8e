//! A directory listing of a server: every name in it is one part of a path, and a URL made of it names that file again.
#![no_main]

use gass::{Url, listing};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|json: &[u8]| {
    let Ok(entries) = listing::parse(json) else { return };
    let url: Url = "https://h:1/d/".parse().expect("a URL");
    for entry in entries {
        assert_eq!(Path::new("/d").join(&entry.name).parent(), Some(Path::new("/d")));
        assert_eq!(url.child(&entry.name).file_name(), Some(entry.name));
    }
});
