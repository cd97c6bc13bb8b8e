//! `Range` and `Content-Range`: parts lie in the file and are no more than it; what parses prints and parses again.
#![no_main]

use gass::range::{ContentRange, MAX_RANGES, Selection, Span, select};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, &[u8])| {
    let (length, header) = input;
    if let Selection::Parts(parts) = select(header, length) {
        assert!(!parts.is_empty() && parts.len() <= MAX_RANGES);
        assert!(parts.iter().all(|part| part.first <= part.last && part.last < length));
        let sum = parts.iter().try_fold(0_u64, |sum, part: &Span| sum.checked_add(part.length()));
        assert!(sum.is_some_and(|sum| sum <= length));
    }
    if let Some(range) = ContentRange::parse(header) {
        assert_eq!(ContentRange::parse(range.to_string().as_bytes()), Some(range));
    }
});
