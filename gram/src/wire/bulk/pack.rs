//! Any number of job requests as messages of the allowed size.

use super::{BulkJobs, MAX_JOBS, Template};
use crate::StateMask;
use crate::wire::MAX_BODY;

/// Room kept for everything but the job requests, in bytes: the call-back contact is the largest part.
const HEAD: usize = 4 * 1024;
/// Most requests of one message: together with the others its attributes must stay within those that a body may have.
const MAX_TEMPLATES: usize = 100;

/// Messages that together ask for these jobs, in this order, numbered from 0. A single request that is too long for any
/// message gets one of its own, which cannot be sent.
pub fn pack(batch: &str, mask: StateMask, callback: Option<&str>, templates: &[Template]) -> Vec<BulkJobs> {
    let mut messages: Vec<BulkJobs> = Vec::new();
    let (mut jobs, mut size, mut next) = (0, 0, 0);
    for template in templates.iter().flat_map(parts) {
        let (more, length) = (template.count(), length(&template));
        let fits = |message: &BulkJobs| {
            jobs + more <= MAX_JOBS
                && size + length <= MAX_BODY - HEAD
                && message.templates.len() < MAX_TEMPLATES
        };
        match messages.last_mut().filter(|message| fits(message)) {
            Some(message) => {
                message.templates.push(template);
                (jobs, size) = (jobs + more, size + length);
            }
            None => {
                messages.push(BulkJobs {
                    batch: batch.to_owned(),
                    first: next,
                    mask,
                    callback: callback.map(str::to_owned),
                    templates: vec![template],
                });
                (jobs, size) = (more, length);
            }
        }
        next += more as u64;
    }
    messages
}

/// An array in parts that fit into messages.
fn parts(template: &Template) -> Vec<Template> {
    match &template.indices {
        None => vec![template.clone()],
        Some(indices) => {
            let part = |indices| Template { rsl: template.rsl.clone(), indices: Some(indices) };
            indices.split(MAX_JOBS).into_iter().map(part).collect()
        }
    }
}

/// How much room it takes, in bytes: quotes and backslashes take twice theirs.
fn length(template: &Template) -> usize {
    let escaped = template.rsl.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    let array = template.indices.as_ref().map_or(0, |indices| indices.to_string().len() + 16);
    template.rsl.len() + escaped + array + 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::GatekeeperBody;

    const BATCH: &str = "0b9c0c5e-0000-4000-8000-000000000000";

    fn packed(templates: &[Template]) -> Vec<BulkJobs> {
        let messages = pack(BATCH, StateMask::ALL, None, templates);
        let mut next = 0;
        for message in &messages {
            assert_eq!(message.first, next);
            next += message.count() as u64;
            let body = message.encode_body();
            assert!(body.len() <= MAX_BODY);
            assert_eq!(GatekeeperBody::decode(&body), Ok(GatekeeperBody::Jobs(message.clone())));
        }
        messages
    }

    fn alone(rsl: &str) -> Template {
        Template { rsl: rsl.into(), indices: None }
    }

    #[test]
    fn a_large_array_takes_several_messages() {
        let array = Template { rsl: b"&(executable=a)".to_vec(), indices: Some("1-2500".parse().unwrap()) };
        let counts: Vec<_> = packed(&[alone("x"), array]).iter().map(BulkJobs::count).collect();
        assert_eq!(counts, [1, 1000, 1000, 500]);
    }

    #[test]
    fn many_requests_share_messages() {
        let small: Vec<_> = (0..250).map(|number| alone(&format!("&(executable=/{number})"))).collect();
        assert_eq!(packed(&small).len(), 3);
        let large: Vec<_> = (0..5).map(|_| alone(&"\"".repeat(20_000))).collect();
        assert_eq!(packed(&large).len(), 5);
    }

    #[test]
    fn one_that_is_too_long_is_alone() {
        let messages =
            pack(BATCH, StateMask::ALL, None, &[alone("a"), alone(&"b".repeat(MAX_BODY)), alone("c")]);
        assert_eq!(messages.iter().map(BulkJobs::count).collect::<Vec<_>>(), [1, 1, 1]);
    }
}
