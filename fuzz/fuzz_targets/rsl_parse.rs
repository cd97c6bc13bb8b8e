//! Any text parses or is refused with a place inside it; what parses prints, and what prints parses to the same tree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rsl::print::{pretty, print};

fuzz_target!(|source: &[u8]| {
    match rsl::parse(source) {
        Err(error) => {
            assert!(error.offset <= source.len());
            error.underline(source);
        }
        Ok(spec) => {
            let Ok(text) = print(&spec) else { return };
            // The printer drops what cannot be printed, so the tree is compared from the second round on.
            let printable = rsl::parse(&text).expect("canonical text parses");
            assert_eq!(print(&printable).as_ref(), Ok(&text));
            let pretty = pretty(&printable).expect("what prints once prints again");
            assert_eq!(rsl::parse(&pretty), Ok(printable));
        }
    }
});
