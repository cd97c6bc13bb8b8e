//! What a gatekeeper is asked: many job requests in one message, some of them arrays.
//!
//! ```text
//! protocol-version: 2
//! command: submit-many
//! batch: 0b9c0c5e-…                   chosen by the client
//! first: 1                            the number that the first job of this message has in the batch
//! job-state-mask: 1048575
//! callback-url: ""
//! job: "&(executable=/bin/date)"      as many as there is room for
//! job: "&(executable=/bin/echo)(arguments=$(GRIDIRON_ARRAY_INDEX))"
//! array: 1-500                        makes the request before it an array
//! ```
//!
//! Jobs are numbered through in the order in which they stand here. A job's batch and number are its identity for all
//! time: a message that is sent again, because its answer was lost, makes no second job.

use super::{COMMAND, Indices, MAX_JOBS, results};
use crate::wire::{
    Attributes, WireError,
    body::Writer,
    excerpt, http,
    request::{Target, listener, write_listener},
};
use crate::{GramError, StateMask};
use std::fmt::Write as _;

/// Shortest and longest batch id, in bytes. A UUID has 36.
const BATCH_LENGTH: std::ops::RangeInclusive<usize> = 16..=64;
/// Longest text of one result, in bytes.
const MAX_TEXT: usize = 2000;

/// Many job requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkJobs {
    /// Letters, digits and hyphens; not to be guessed by others.
    pub batch: String,
    /// The number of the first job in the batch.
    pub first: u64,
    /// Of which states the call-back contact wants to hear.
    pub mask: StateMask,
    /// Call-back contact of all jobs; None: no call-backs.
    pub callback: Option<String>,
    /// At least one.
    pub templates: Vec<Template>,
}

/// A job request, or one for many jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The request in RSL, carried unread.
    pub rsl: Vec<u8>,
    /// The numbers of an array, one for each job; None: one job.
    pub indices: Option<Indices>,
}

impl Template {
    /// How many jobs it makes.
    pub fn count(&self) -> usize {
        self.indices.as_ref().map_or(1, Indices::count)
    }
}

impl BulkJobs {
    /// How many jobs it makes.
    pub fn count(&self) -> usize {
        self.templates.iter().map(Template::count).fold(0, usize::saturating_add)
    }

    /// The body.
    pub fn encode_body(&self) -> Vec<u8> {
        let mut body = Writer::new();
        body.bare("command", COMMAND).bare("batch", &self.batch).number("first", self.first);
        write_listener(&mut body, self.mask, self.callback.as_deref());
        for template in &self.templates {
            body.quoted("job", &template.rsl);
            if let Some(indices) = &template.indices {
                body.bare("array", &indices.to_string());
            }
        }
        body.finish()
    }

    /// The whole message.
    pub fn encode(&self, service: &str, account: Option<&str>, host: &str) -> Vec<u8> {
        let target = Target { ping: false, service: service.to_owned(), account: account.map(str::to_owned) };
        http::encode_request(&target.uri(), host, &self.encode_body())
    }

    /// From a body's attributes.
    pub fn from_attributes(attributes: &Attributes) -> Result<Self, WireError> {
        attributes.check_version()?;
        let bad =
            |name, value: &[u8], expected| WireError::BadAttribute { name, value: excerpt(value), expected };
        let (mask, callback) = listener(attributes)?;
        let batch = attributes.bytes("batch").ok_or(WireError::MissingAttribute("batch"))?;
        let plain = batch.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
        if !plain || !BATCH_LENGTH.contains(&batch.len()) {
            return Err(bad("batch", batch, "16 to 64 letters, digits and hyphens"));
        }
        let mut templates: Vec<Template> = Vec::new();
        for (name, value) in attributes.iter() {
            match (name, templates.last_mut()) {
                ("job", _) => templates.push(Template { rsl: value.to_vec(), indices: None }),
                ("array", Some(template @ Template { indices: None, .. })) => {
                    let text = String::from_utf8_lossy(value);
                    let indices = text.parse().map_err(|_| bad("array", value, "numbers such as 1-1000"))?;
                    template.indices = Some(indices);
                }
                ("array", _) => return Err(bad("array", value, "one after a `job`")),
                _ => {}
            }
        }
        let jobs = Self {
            batch: String::from_utf8_lossy(batch).into_owned(),
            first: attributes.required_number("first")?,
            mask,
            callback,
            templates,
        };
        match jobs.count() {
            0 => Err(WireError::MissingAttribute("job")),
            1..=MAX_JOBS => Ok(jobs),
            count => Err(bad("job", count.to_string().as_bytes(), "at most 1000 jobs in one message")),
        }
    }
}

/// The answer: what became of each job, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkReply(pub Vec<ItemReply>);

/// What became of one job request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemReply {
    /// Success, [`GramError::WAITING_FOR_COMMIT`], or why it was refused.
    pub code: GramError,
    /// The job contact of an accepted one, the server's words on a refused one.
    pub text: String,
}

impl BulkReply {
    /// The whole message. Very long texts are cut.
    pub fn encode(&self) -> Vec<u8> {
        let mut lines = String::with_capacity(self.0.len() * 96);
        for item in &self.0 {
            // Writing to a string cannot fail.
            let _ = write!(lines, "{} ", item.code.0);
            results::escape(results::shortened(&item.text, MAX_TEXT), &mut lines);
            lines.push('\n');
        }
        results::encode(&lines)
    }

    /// Decodes a body; None: the server does not know this extension and has done nothing.
    pub fn decode(body: &[u8]) -> Result<Option<Self>, WireError> {
        let Some(lines) = results::decode(body)? else { return Ok(None) };
        let item = |line: &str| {
            let (code, text) = line.split_once(' ')?;
            Some(ItemReply { code: GramError(code.parse().ok()?), text: results::unescape(text) })
        };
        let items = lines.split_terminator('\n');
        let items = items.map(|line| item(line).ok_or_else(|| results::bad_line(line)));
        items.collect::<Result<_, _>>().map(|items| Some(Self(items)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{GatekeeperBody, JobReply};
    use proptest::prelude::*;

    const HEAD: &str = "protocol-version: 2\r\ncommand: submit-many\r\nfirst: 1\r\njob-state-mask: 1\r\n\
        callback-url: \"\"\r\nbatch: 0123456789abcdef\r\n";

    fn decode(lines: &str) -> Result<GatekeeperBody, WireError> {
        GatekeeperBody::decode(format!("{HEAD}{lines}").as_bytes())
    }

    fn body(message: &[u8]) -> &[u8] {
        &message[message.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4..]
    }

    #[test]
    fn jobs_and_arrays() {
        let Ok(GatekeeperBody::Jobs(jobs)) = decode("job: \"a\"\r\njob: \"b\"\r\narray: 1-3,9\r\n") else {
            panic!("many jobs")
        };
        assert_eq!((jobs.count(), jobs.first, jobs.templates.len()), (5, 1, 2));
        assert_eq!(jobs.templates[0], Template { rsl: b"a".to_vec(), indices: None });
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(decode(""), Err(WireError::MissingAttribute("job")));
        for lines in [
            "array: 1-3\r\njob: \"a\"\r\n",
            "job: \"a\"\r\narray: 1\r\narray: 2\r\n",
            "job: \"a\"\r\narray: 2-1\r\n",
            "job: \"a\"\r\narray: 1-1001\r\n",
            "job: \"a\"\r\narray: 0-4294967295\r\njob: \"a\"\r\narray: 0-4294967295\r\n",
        ] {
            assert!(matches!(decode(lines), Err(WireError::BadAttribute { .. })), "{lines}");
        }
        assert!(decode("job: \"a\"\r\narray: 1-1000\r\n").is_ok());
        for batch in ["short", "with a blank in it", &"a".repeat(65), "../../../etc/passwd"] {
            let text = format!("{HEAD}job: \"a\"\r\n").replace("0123456789abcdef", batch);
            assert!(GatekeeperBody::decode(text.as_bytes()).is_err(), "{batch}");
        }
    }

    /// A server that takes it for a job request misses the job.
    #[test]
    fn it_is_no_job_request() {
        let text = format!("{HEAD}job: \"&(executable=/bin/true)\"\r\n").replace("command", "x-command");
        assert_eq!(GatekeeperBody::decode(text.as_bytes()), Err(WireError::MissingAttribute("rsl")));
    }

    #[test]
    fn a_reply_of_a_server_that_does_not_know() {
        let reply = JobReply { status: GramError(91), contact: None, extensions: Vec::new() }.encode();
        assert_eq!(BulkReply::decode(body(&reply)), Ok(None));
        let newer = BulkReply(Vec::new()).encode();
        let newer = String::from_utf8(newer).unwrap().replace("gridiron-bulk: 1", "gridiron-bulk: 2");
        assert!(BulkReply::decode(body(newer.as_bytes())).is_err());
    }

    #[test]
    fn very_long_texts_are_cut() {
        let long = ItemReply { code: GramError(48), text: "é".repeat(5000) };
        let reply = BulkReply(vec![long; MAX_JOBS]).encode();
        assert!(reply.len() < crate::wire::bulk::MAX_REPLY);
        let items = BulkReply::decode(body(&reply)).unwrap().unwrap().0;
        assert_eq!((items.len(), items[0].text.len()), (MAX_JOBS, MAX_TEXT));
    }

    fn template() -> impl Strategy<Value = Template> {
        (any::<Vec<u8>>(), proptest::option::of((0u32..100, 0u32..100))).prop_map(|(rsl, range)| Template {
            rsl,
            indices: range.map(|(first, more)| format!("{first}-{}", first + more).parse().unwrap()),
        })
    }

    proptest! {
        #[test]
        fn requests_read_back(
            mask: u32, first in 0u64..1 << 60, callback in proptest::option::of("https://[a-z]{1,9}:[0-9]{1,4}/"),
            templates in proptest::collection::vec(template(), 1..5),
        ) {
            let batch = "0b9c0c5e-0000-4000-8000-000000000000".to_owned();
            let jobs = BulkJobs { batch, first, mask: StateMask(mask), callback, templates };
            prop_assert_eq!(GatekeeperBody::decode(&jobs.encode_body()), Ok(GatekeeperBody::Jobs(jobs)));
        }

        #[test]
        fn replies_read_back(items in proptest::collection::vec((any::<u16>(), "[ -~\n]{0,40}"), 0..9)) {
            let items = items.into_iter().map(|(code, text)| ItemReply { code: GramError(code), text });
            let reply = BulkReply(items.collect());
            prop_assert_eq!(BulkReply::decode(body(&reply.encode())), Ok(Some(reply)));
        }

        #[test]
        fn never_panics(body: Vec<u8>, lines in "[ -~\n]{0,60}") {
            let _ = BulkReply::decode(&body);
            let message = results::encode(&lines);
            let _ = BulkReply::decode(super::tests::body(&message));
        }
    }
}
