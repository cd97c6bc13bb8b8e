//! The bodies of GRAM messages: what decodes can be encoded, and decodes to the same.
#![no_main]

use gram::wire::body::Attributes;
use gram::wire::request::GatekeeperBody;
use gram::wire::{JobReply, JobRequest, Query, QueryReply, Update, VersionReply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let _ = GatekeeperBody::decode(body);
    let _ = JobReply::decode(body);
    let _ = VersionReply::decode(body);
    let _ = QueryReply::decode(body);
    let _ = Update::decode(body);
    let Ok(attributes) = Attributes::decode(body) else { return };
    if let Ok(request) = JobRequest::from_attributes(&attributes) {
        let again = Attributes::decode(&request.encode_body()).expect("our own encoding");
        assert_eq!(JobRequest::from_attributes(&again), Ok(request));
    }
    let _ = Query::decode(body);
});
