//! A DER name, and a one-line name; what is read from one form can be written and compared.
#![no_main]

use gsi::Name;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = std::str::from_utf8(bytes).ok();
    let names = [Name::from_der(bytes), text.map_or_else(|| Name::from_der(b""), Name::parse_one_line)];
    for name in names.into_iter().flatten() {
        assert_eq!(Name::from_der(name.as_der()).expect("its own DER").subject(), name.subject());
        assert!(name.chains_to(&name));
        assert!(name.subject().matches(name.subject()));
        assert_eq!(name.hash().len(), 8);
        assert_eq!(name.old_hash().len(), 8);
        let _ = name.with_common_name("1");
    }
});
