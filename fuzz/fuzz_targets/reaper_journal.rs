//! The reaper's journal: any bytes are some journal, and the compacted journal of its table leads to the same table.
#![no_main]

use jobmanager::reaper::{journal::replay, table::Table};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let table = replay(bytes).table;
    let mut again = Table::default();
    for record in table.records() {
        assert_eq!(record.to_string().parse().as_ref(), Ok(&record));
        assert_eq!(again.apply(&record), Ok(()), "{record}");
    }
    assert_eq!((&again.jobs, &again.anchors), (&table.jobs, &table.anchors));
});
