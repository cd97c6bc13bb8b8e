//! A GASS URL: what parses prints and parses again, and can stand on a request line.
#![no_main]

use gass::Url;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(url) = text.parse::<Url>() else { return };
    assert_eq!(url.to_string().parse::<Url>().expect("its own text"), url);
    if let Some(path) = url.request_path() {
        assert!(path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'));
    }
});
