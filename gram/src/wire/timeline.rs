//! A job's time line over its job contact: an extension of ours (docs/protocol-extensions.md). Stock job managers answer the
//! query with error 92 and stock clients never send it.
//!
//! The question is `gridiron-timeline 1`, the number being the version. The answer is an ordinary reply to a status query with an
//! attribute `gridiron-timeline: 1`, behind whose NUL the time line follows as JSON.

use super::{MAX_BODY, QueryReply, WireError, body, http};
use crate::{
    GramError, JobState,
    timeline::{Timeline, VERSION},
};

/// The word that begins the query, and the attribute of the answer.
pub const WORD: &str = "gridiron-timeline";
/// Longest JSON text, in bytes; header lines and attributes have room beside it.
pub const MAX_TEXT: usize = MAX_BODY - 4_000;

/// The whole message for a time line. Files, and in the end events, that would make it too long are left out and counted.
pub fn encode(timeline: &Timeline) -> Vec<u8> {
    let failure = GramError(timeline.failure.as_ref().map_or(0, |failure| failure.code));
    let exit_code = timeline.exit_code.filter(|_| timeline.state == JobState::Done);
    let reply = QueryReply::state(timeline.state, failure, exit_code);
    let mut writer = body::Writer::new();
    writer.number("status", reply.status);
    writer.number("failure-code", 0);
    writer.number("job-failure-code", failure.0);
    writer.number(WORD, VERSION);
    let mut message = writer.extensions(&reply.extensions).finish();
    message.extend_from_slice(&text(timeline));
    http::encode_reply(&message)
}

/// As JSON, in at most [`MAX_TEXT`] bytes.
fn text(timeline: &Timeline) -> Vec<u8> {
    // Serialising our own plain structs to a string cannot fail.
    let whole = serde_json::to_vec(timeline).unwrap_or_default();
    if whole.len() <= MAX_TEXT {
        return whole;
    }
    let mut shorter = timeline.clone();
    if let files @ 1.. = shorter.files.len() {
        shorter.files.truncate(files / 2);
        shorter.files_left_out += files - shorter.files.len();
    } else if let events @ 1.. = shorter.events.len() {
        shorter.events.drain(..events.div_ceil(2));
        shorter.events_left_out += u32::try_from(events - shorter.events.len()).unwrap_or(u32::MAX);
    } else {
        (shorter.contacts, shorter.destinations) = Default::default();
        return serde_json::to_vec(&shorter).unwrap_or_default();
    }
    text(&shorter)
}

/// Decodes a body. `Err(code)` within is a refusal: 92 is that of a job manager that does not know the question.
///
/// # Errors
/// Bytes that are no reply, or one that tells no time line.
pub fn decode(message: &[u8]) -> Result<Result<Timeline, GramError>, WireError> {
    if message.len() > MAX_BODY {
        return Err(WireError::BodyTooLong { length: message.len() as u64 });
    }
    // No value before it holds a NUL.
    let end = message.iter().position(|byte| *byte == 0).unwrap_or(message.len());
    let (head, rest) = message.split_at(end);
    let reply = QueryReply::decode(head)?;
    if !reply.failure_code.is_success() {
        return Ok(Err(reply.failure_code));
    }
    if body::extension(&reply.extensions, WORD).is_none() {
        return Err(WireError::MissingAttribute(WORD));
    }
    let text = rest.get(1..).unwrap_or_default();
    serde_json::from_slice(text)
        .map(Ok)
        .map_err(|_| WireError::Body { offset: end, what: "a time line that is not understood" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{Event, File, FileStage, Lease, Origin, Place, What};
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn timeline(files: usize, events: usize) -> Timeline {
        let at = Timestamp::UNIX_EPOCH;
        let file = File {
            attribute: "file_stage_in".into(),
            from: "https://h:1/".to_owned() + &"x".repeat(200),
            to: "/tmp/x".into(),
            stage: FileStage::Done,
            bytes: Some(1),
            milliseconds: Some(1),
            tries: 1,
            since: at,
            trouble: None,
        };
        let what = What::Asked { query: "\u{1}".repeat(200), refused: 0 };
        Timeline {
            version: VERSION,
            job: "https://h:1/2/3/".into(),
            now: at,
            state: JobState::Active,
            phase: Place::Submitted,
            until: None,
            origin: Origin {
                request: "r".into(),
                identity: "/CN=a".into(),
                service: "s".into(),
                scheduler: "fork".into(),
                client: "127.0.0.1:1".into(),
                created: at,
                two_phase: None,
            },
            scheduler_id: None,
            exit_code: None,
            failure: None,
            credential: Lease::default(),
            files: vec![file; files],
            files_left_out: 0,
            destinations: Vec::new(),
            contacts: Vec::new(),
            events: vec![Event { at, times: 1, what }; events],
            events_left_out: 0,
        }
    }

    fn body(message: &[u8]) -> &[u8] {
        &message[message.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4..]
    }

    #[test]
    fn an_answer_is_a_status_reply_and_more() {
        let told = timeline(2, 3);
        let message = encode(&told);
        assert_eq!(
            QueryReply::decode(body(&message).split(|byte| *byte == 0).next().unwrap()).unwrap().status,
            2
        );
        assert_eq!(decode(body(&message)), Ok(Ok(told)));
    }

    #[test]
    fn what_is_too_long_is_cut_and_counted() {
        for (files, events) in [(500, 3), (3, 500), (500, 500)] {
            let message = encode(&timeline(files, events));
            assert!(body(&message).len() <= MAX_BODY);
            let told = decode(body(&message)).unwrap().unwrap();
            assert_eq!(told.files.len() + told.files_left_out, files);
            assert_eq!(told.events.len() + told.events_left_out as usize, events);
            assert!(told.files_left_out > 0 || told.events_left_out > 0);
        }
    }

    #[test]
    fn refusals_and_strange_answers() {
        let stock = QueryReply::failed(GramError::INVALID_JOB_QUERY).encode();
        assert_eq!(decode(body(&stock)), Ok(Err(GramError::INVALID_JOB_QUERY)));
        let status = QueryReply::state(JobState::Active, GramError::SUCCESS, None).encode();
        assert_eq!(decode(body(&status)), Err(WireError::MissingAttribute(WORD)));
        let mut cut = body(&encode(&timeline(0, 0))).to_vec();
        cut.pop();
        assert!(matches!(decode(&cut), Err(WireError::Body { .. })));
        assert!(decode(&vec![b'a'; MAX_BODY + 1]).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
