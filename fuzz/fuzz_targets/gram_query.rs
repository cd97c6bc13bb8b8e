//! The text of a query at a job contact, as a message and alone.
#![no_main]

use gram::wire::Query;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let queries = [Query::decode(bytes), Query::parse(&String::from_utf8_lossy(bytes))];
    for query in queries.into_iter().flatten() {
        assert_eq!(Query::parse(&query.to_string()), Ok(query));
    }
});
