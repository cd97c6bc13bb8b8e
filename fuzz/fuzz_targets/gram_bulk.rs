//! Any bytes are a request, a query or a reply about many jobs, or refused; what is understood reads back from our own encoding of
//! it, and stays within its limits.
#![no_main]

use gram::wire::bulk::{BulkAnswers, BulkQuery, BulkReply, MAX_JOBS};
use gram::wire::{Decoded, GatekeeperBody, ReplyHead, RequestHead, bulk};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(GatekeeperBody::Jobs(jobs)) = GatekeeperBody::decode(body) {
        assert!((1..=MAX_JOBS).contains(&jobs.count()));
        let again = jobs.encode_body();
        // What was sent unquoted may have grown by its quotes.
        if again.len() <= gram::wire::MAX_BODY {
            let Ok(GatekeeperBody::Jobs(again)) = GatekeeperBody::decode(&again) else {
                panic!("our own encoding is refused");
            };
            assert_eq!((again.batch, again.first, again.templates), (jobs.batch, jobs.first, jobs.templates));
        }
    }
    if let Ok(Some(query)) = BulkQuery::decode(body) {
        let message = query.encode("/1/2/", "h");
        let Ok(Decoded::Value(_, taken)) = RequestHead::decode_within(&message, bulk::MAX_QUERY) else {
            return;
        };
        assert_eq!(BulkQuery::decode(&message[taken..]), Ok(Some(query)));
    }
    if let Ok(Some(answers)) = BulkAnswers::decode(body) {
        assert_eq!(BulkAnswers::decode(&reply(&answers.encode())), Ok(Some(answers)));
    }
    if let Ok(Some(items)) = BulkReply::decode(body) {
        assert!(BulkReply::decode(&reply(&items.encode())).is_ok());
    }
});

fn reply(message: &[u8]) -> Vec<u8> {
    let Ok(Decoded::Value(_, taken)) = ReplyHead::decode_within(message, usize::MAX) else {
        panic!("our own header is refused")
    };
    message[taken..].to_vec()
}
