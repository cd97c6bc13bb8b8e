//! What a job contact is asked about many jobs, and its answer.
//!
//! The query is an ordinary one with `jobs` and a selection before it: `jobs all status`, `jobs 17/4,17/5 cancel`. What is
//! about one job's own places (call-backs, output, credential) is asked job by job. Job managers that do not know it answer "unknown query" (92), or, since the path is no job's, "unknown job" (156).

use super::results;
use crate::wire::{Query, QueryError, WireError, body, excerpt, http};
use crate::{GramError, JobContact, Signal};
use std::fmt::{self, Write as _};

/// The word that begins the query.
const WORD: &str = "jobs";
/// Selects all.
const ALL: &str = "all";

/// A query about many jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkQuery {
    /// Which jobs.
    pub which: Which,
    /// What.
    pub query: Query,
}

/// Which jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All of the asker's that the job manager knows; with anything but `status`, all that have not ended.
    All,
    /// These, by the two numbers of their contacts.
    Jobs(Vec<(u64, u64)>),
}

impl BulkQuery {
    /// Decodes a body; None: it is not about many jobs.
    pub fn decode(body: &[u8]) -> Result<Option<Self>, QueryError> {
        Self::parse(&Query::text(body)?)
    }

    /// Reads the text of a query.
    fn parse(text: &str) -> Result<Option<Self>, QueryError> {
        let text = text.trim();
        let Some(rest) = text.strip_prefix(WORD).and_then(|rest| rest.strip_prefix(' ')) else {
            return Ok(None);
        };
        let malformed = |what: &str| QueryError::Malformed(what.to_owned());
        let (which, query) = rest.split_once(' ').ok_or_else(|| malformed("no query after the selection"))?;
        let which = match which {
            ALL => Which::All,
            list => {
                let jobs = list.split(',').map(numbers).collect::<Option<Vec<_>>>();
                Which::Jobs(jobs.ok_or_else(|| malformed("a job that is not number/number"))?)
            }
        };
        match Query::parse(query)? {
            query @ (Query::Status | Query::Cancel) => Ok(Some(Self { which, query })),
            Query::Signal(Signal::StdioUpdate(_) | Signal::StdioSize { .. })
            | Query::Register { .. }
            | Query::Unregister { .. }
            | Query::Renew
            | Query::Timeline
            | Query::Output(_) => Err(QueryError::Unknown(excerpt(text.as_bytes()))),
            query @ Query::Signal(_) => Ok(Some(Self { which, query })),
        }
    }

    /// The whole message, for the path and host of any of the job manager's contacts.
    pub fn encode(&self, path: &str, host: &str) -> Vec<u8> {
        http::encode_request(path, host, &body::Writer::new().nameless(self.to_string().as_bytes()).finish())
    }
}

impl fmt::Display for BulkQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WORD)?;
        match &self.which {
            Which::All => write!(f, " {ALL}")?,
            Which::Jobs(jobs) => {
                for (place, (high, low)) in jobs.iter().enumerate() {
                    let before = if place == 0 { ' ' } else { ',' };
                    write!(f, "{before}{high}/{low}")?;
                }
            }
        }
        write!(f, " {}", self.query)
    }
}

/// `u64/u64`.
fn numbers(text: &str) -> Option<(u64, u64)> {
    JobContact::ids(&format!("/{text}/"))
}

/// The answer: one for each job, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkAnswers(pub Vec<JobAnswer>);

/// As the answer to a query about one job ([`crate::wire::QueryReply`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobAnswer {
    /// The two numbers of the job's contact.
    pub job: (u64, u64),
    /// The job's state as a number: 0 when the job is unknown.
    pub status: u32,
    /// Error of the query.
    pub failure_code: GramError,
    /// Error of the job.
    pub job_failure_code: GramError,
    /// Exit code, when known.
    pub exit_code: Option<i32>,
}

impl BulkAnswers {
    /// The whole message.
    pub fn encode(&self) -> Vec<u8> {
        let mut lines = String::with_capacity(self.0.len() * 56);
        for JobAnswer { job: (high, low), status, failure_code, job_failure_code, exit_code } in &self.0 {
            // Writing to a string cannot fail.
            let _ = write!(lines, "{high}/{low} {status} {} {}", failure_code.0, job_failure_code.0);
            if let Some(code) = exit_code {
                let _ = write!(lines, " {code}");
            }
            lines.push('\n');
        }
        results::encode(&lines)
    }

    /// Decodes a body; None: the job manager does not know this extension and has done nothing.
    pub fn decode(body: &[u8]) -> Result<Option<Self>, WireError> {
        let Some(lines) = results::decode(body)? else { return Ok(None) };
        let answers = lines.split_terminator('\n');
        let answers = answers.map(|line| answer(line).ok_or_else(|| results::bad_line(line)));
        answers.collect::<Result<_, _>>().map(|answers| Some(Self(answers)))
    }
}

fn answer(line: &str) -> Option<JobAnswer> {
    let mut words = line.split(' ');
    let mut next = || words.next();
    let answer = JobAnswer {
        job: numbers(next()?)?,
        status: next()?.parse().ok()?,
        failure_code: GramError(next()?.parse().ok()?),
        job_failure_code: GramError(next()?.parse().ok()?),
        exit_code: next().map(str::parse).transpose().ok()?,
    };
    words.next().is_none().then_some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{PROTOCOL_VERSION, QueryReply};
    use proptest::prelude::*;

    fn body(message: &[u8]) -> &[u8] {
        &message[message.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4..]
    }

    fn parse(text: &str) -> Result<Option<BulkQuery>, QueryError> {
        BulkQuery::decode(format!("protocol-version: {PROTOCOL_VERSION}\r\n\"{text}\"\r\n\0").as_bytes())
    }

    #[test]
    fn queries() {
        for (text, which, query) in [
            ("jobs all status", Which::All, Query::Status),
            ("jobs 1/2 cancel", Which::Jobs(vec![(1, 2)]), Query::Cancel),
            (
                "jobs 1/2,3/4 signal 5 commit",
                Which::Jobs(vec![(1, 2), (3, 4)]),
                Query::Signal(Signal::CommitRequest),
            ),
        ] {
            assert_eq!(parse(text), Ok(Some(BulkQuery { which, query })));
        }
        assert_eq!(parse("status"), Ok(None));
    }

    #[test]
    fn refusals_and_their_numbers() {
        for (text, code) in [
            ("jobs all", 91),
            ("jobs 1/x status", 91),
            ("jobs 1/2, status", 91),
            ("jobs all renew", 92),
            ("jobs all register 1 https://h:1/", 92),
            ("jobs all signal 7 &(stdout=a)", 92),
            ("jobs all explode", 92),
        ] {
            assert_eq!(parse(text).unwrap_err().code().0, code, "{text}");
        }
    }

    /// To a job manager that does not know it, it is an unknown query; and its reply says as much.
    #[test]
    fn job_managers_that_do_not_know() {
        let query = BulkQuery { which: Which::All, query: Query::Cancel };
        let code = Query::decode(body(&query.encode("/1/2/", "h"))).unwrap_err().code();
        let reply = QueryReply::failed(code).encode();
        assert_eq!((code.0, BulkAnswers::decode(body(&reply))), (92, Ok(None)));
    }

    proptest! {
        #[test]
        fn queries_read_back(jobs in proptest::collection::vec((any::<u64>(), any::<u64>()), 1..20)) {
            let query = BulkQuery { which: Which::Jobs(jobs), query: Query::Status };
            prop_assert_eq!(BulkQuery::decode(body(&query.encode("/", "h"))), Ok(Some(query)));
        }

        #[test]
        fn answers_read_back(answers in proptest::collection::vec((any::<(u64, u64)>(), any::<u32>(), any::<u16>(), any::<u16>(), any::<Option<i32>>()), 0..20)) {
            let answers = answers.into_iter().map(|(job, status, failure, job_failure, exit_code)| JobAnswer {
                job, status, failure_code: GramError(failure), job_failure_code: GramError(job_failure), exit_code,
            });
            let answers = BulkAnswers(answers.collect());
            prop_assert_eq!(BulkAnswers::decode(body(&answers.encode())), Ok(Some(answers)));
        }

        #[test]
        fn never_panics(bytes: Vec<u8>, text in "(jobs )?[ -~]{0,40}", lines in "[0-9/ \n-]{0,60}") {
            let _ = BulkQuery::decode(&bytes);
            let _ = BulkAnswers::decode(&bytes);
            let _ = parse(&text);
            let _ = BulkAnswers::decode(body(&results::encode(&lines)));
        }
    }
}
