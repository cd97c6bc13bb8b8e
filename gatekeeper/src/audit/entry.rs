//! Audit lines read back, and questions about them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Longest line that is read back, in bytes: every text in a line is bounded when it is written.
pub const MAX_LINE: usize = 64 * 1024;

/// One line of an audit file. What a later version may add is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When the connection came in.
    pub time: Timestamp,
    /// The id that follows a request through gatekeeper, job manager and scheduler.
    pub request: String,
    /// `granted`, `rejected` or `refused`.
    pub outcome: String,
    /// Why not, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Address and port of the other end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Whose certificate it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// `ping`, `version` or `job`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The local account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The job contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The true reason of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Everything else in the line.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

/// Which lines somebody wants to see: those that fit everything that is asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Question {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// The id of one request.
    pub request: Option<String>,
    /// The outcome.
    pub outcome: Option<String>,
    /// The code.
    pub code: Option<String>,
    /// Part of the identity, in any case.
    pub identity: Option<String>,
    /// The account.
    pub account: Option<String>,
    /// The job contact, with or without its last slash.
    pub job: Option<String>,
}

impl Entry {
    /// Reads one line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(line: &str) -> Result<Self, String> {
        if line.len() > MAX_LINE {
            return Err(format!("{} bytes; an audit line has at most {MAX_LINE}", line.len()));
        }
        serde_json::from_str(line).map_err(|error| error.to_string())
    }
}

impl Question {
    /// Whether this line is one of those.
    pub fn fits(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, found: Option<&String>| {
            wanted.as_ref().is_none_or(|wanted| found.is_some_and(|found| found == wanted))
        };
        let contains = |wanted: &str, found: &String| found.to_lowercase().contains(&wanted.to_lowercase());
        let same_job =
            |wanted: &str, found: &String| wanted.trim_end_matches('/') == found.trim_end_matches('/');
        self.since.is_none_or(|since| entry.time >= since)
            && self.until.is_none_or(|until| entry.time < until)
            && is(&self.request, Some(&entry.request))
            && is(&self.outcome, Some(&entry.outcome))
            && is(&self.code, entry.code.as_ref())
            && is(&self.account, entry.account.as_ref())
            && self
                .identity
                .as_ref()
                .is_none_or(|wanted| entry.identity.as_ref().is_some_and(|found| contains(wanted, found)))
            && self
                .job
                .as_ref()
                .is_none_or(|wanted| entry.job.as_ref().is_some_and(|found| same_job(wanted, found)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"time":"2026-11-21T19:07:33Z","request":"r1","peer":"[::1]:5","identity":"/O=Grid/CN=Ann",
        "account":"ann","line":3,"job":"https://h:1/2/3/","outcome":"granted"}"#;

    #[test]
    fn lines_come_back_whole() {
        let entry = Entry::parse(LINE).unwrap();
        assert_eq!(entry.more["line"], 3);
        assert_eq!(Entry::parse(&serde_json::to_string(&entry).unwrap()).unwrap(), entry);
        assert!(Entry::parse("{}").unwrap_err().contains("time"));
        assert!(Entry::parse(&"x".repeat(MAX_LINE + 1)).unwrap_err().contains("at most"));
    }

    #[test]
    fn questions() {
        let entry = Entry::parse(LINE).unwrap();
        let text = |text: &str| Some(text.to_owned());
        let time = |text: &str| Some(text.parse().unwrap());
        let fits = |question: Question| question.fits(&entry);
        assert!(fits(Question::default()));
        assert!(fits(Question { identity: text("cn=ANN"), account: text("ann"), ..Question::default() }));
        assert!(fits(Question { job: text("https://h:1/2/3"), request: text("r1"), ..Question::default() }));
        assert!(fits(Question { since: time("2026-11-21T19:07:33Z"), ..Question::default() }));
        assert!(!fits(Question { until: time("2026-11-21T19:07:33Z"), ..Question::default() }));
        assert!(!fits(Question { code: text("unmapped"), ..Question::default() }));
        assert!(!fits(Question { outcome: text("refused"), ..Question::default() }));
        assert!(!fits(Question { account: text("an"), ..Question::default() }));
    }
}
