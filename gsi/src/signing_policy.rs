//! Signing policies (gsi.md §8): which subjects a CA may sign.
//!
//! The language is that of the stock library as it behaves, oddities included: rights of several entries for one CA
//! add up, `cond_banned_subjects` never grants, and only the last `*` of a pattern is a wildcard. One thing is read
//! more kindly: a file need not end in a newline.

#[cfg(test)]
mod tests;

use crate::Subject;
use crate::name::unescape;

/// Longest policy file accepted, in bytes.
pub const MAX_POLICY_BYTES: usize = 256 * 1024;

/// A parsed policy file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SigningPolicy {
    entries: Vec<Entry>,
}

/// What is wrong with a policy file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct SigningPolicyError {
    /// 1-based.
    pub line: usize,
    /// What is wrong and what is expected.
    pub message: String,
}

/// Why a policy does not let a CA sign a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyRefusal {
    /// No entry names the CA.
    NoEntry,
    /// The CA's entry (1-based line) grants other subjects only.
    NotGranted {
        /// Where the CA is named.
        line: usize,
    },
}

/// `principal+ right+`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    principals: Vec<Principal>,
    rights: Vec<Right>,
    line: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Principal {
    Anybody,
    /// `access_id_CA X509`: the CA's name, normalised.
    Authority(String),
    /// Anything else never concerns certificates.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Right {
    /// Where it begins.
    line: usize,
    /// Is `pos_rights globus CA:sign`.
    signs: bool,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Subjects(Vec<Pattern>),
    /// `cond_banned_subjects` and everything unknown: never holds.
    Never,
}

/// A normalised pattern; only the last `*` is a wildcard, and it stands for at least one character.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Exact(String),
    Around(String, String),
}

impl SigningPolicy {
    /// Parses a policy file.
    ///
    /// # Errors
    /// On anything outside the grammar, with its line: half a policy is no policy.
    pub fn parse(text: &[u8]) -> Result<Self, SigningPolicyError> {
        if text.len() > MAX_POLICY_BYTES {
            let message = format!("{} bytes are too many for a signing policy", text.len());
            return Err(SigningPolicyError { line: 1, message });
        }
        let mut words = Words { words: words(text)?, next: 0 };
        let mut entries = Vec::new();
        while let Some(word) = words.peek() {
            let line = word.line;
            let principals = words.while_starting("access_id_", Words::principal)?;
            if principals.is_empty() {
                return Err(word.unexpected("access_id_CA X509 '<CA name>' or access_id_ANYBODY"));
            }
            let rights = words.while_starting("", Words::right)?;
            if rights.is_empty() {
                return Err(words.missing("pos_rights globus CA:sign"));
            }
            entries.push(Entry { principals, rights, line });
        }
        if entries.is_empty() {
            return Err(words.missing("access_id_CA X509 '<CA name>'"));
        }
        Ok(Self { entries })
    }

    /// Whether `authority` may sign `subject`; the line of the right that grants it.
    ///
    /// # Errors
    /// When the policy does not grant it.
    pub fn permits(&self, authority: &Subject, subject: &Subject) -> Result<usize, PolicyRefusal> {
        let authority = Principal::Authority(authority.normalized());
        let concerns = |principal: &&Principal| **principal == Principal::Anybody || **principal == authority;
        // The first principal that fits decides; its rights are those of every entry that names it.
        let first = self.entries.iter().find_map(|entry| {
            entry.principals.iter().find(concerns).map(|principal| (principal, entry.line))
        });
        let (principal, line) = first.ok_or(PolicyRefusal::NoEntry)?;
        let subject = subject.normalized();
        let mut rights = self
            .entries
            .iter()
            .filter(|entry| entry.principals.contains(principal))
            .flat_map(|entry| &entry.rights);
        let granting = rights.find(|right| right.grants(&subject));
        granting.map(|right| right.line).ok_or(PolicyRefusal::NotGranted { line })
    }
}

impl Right {
    fn grants(&self, subject: &str) -> bool {
        self.signs
            && self.conditions.iter().all(|condition| match condition {
                Condition::Subjects(patterns) => patterns.iter().any(|pattern| pattern.matches(subject)),
                Condition::Never => false,
            })
    }
}

impl Pattern {
    /// From its text, escapes not yet undone. Bytes beyond ASCII never occur in a one-line subject, so what becomes of
    /// them does not matter.
    fn new(written: &str) -> Self {
        let text = String::from_utf8_lossy(&unescape(written.as_bytes())).into_owned();
        match text.rsplit_once('*') {
            Some((before, after)) => {
                Self::Around(Subject::new(before).normalized(), Subject::new(after).normalized())
            }
            None => Self::Exact(Subject::new(text).normalized()),
        }
    }

    fn matches(&self, subject: &str) -> bool {
        match self {
            Self::Exact(text) => subject == text,
            Self::Around(before, after) => {
                let rest =
                    subject.strip_prefix(before.as_str()).and_then(|rest| rest.strip_suffix(after.as_str()));
                rest.is_some_and(|rest| !rest.is_empty())
            }
        }
    }
}

/// The patterns of a `cond_subjects` value: the parts in double quotes, or the whole when there are none.
fn patterns(value: &str) -> Vec<Pattern> {
    if !value.contains('"') {
        return vec![Pattern::new(value)];
    }
    let (mut found, mut current) = (Vec::new(), None::<String>);
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (c, &mut current) {
            ('"', None) => current = Some(String::new()),
            ('"', Some(pattern)) => {
                found.push(Pattern::new(pattern));
                current = None;
            }
            ('\\', Some(pattern)) => pattern.extend([Some(c), chars.next()].into_iter().flatten()),
            (_, Some(pattern)) => pattern.push(c),
            (_, None) => {}
        }
    }
    // A missing last quote is forgiven, as the stock library does.
    found.extend(current.map(|pattern| Pattern::new(&pattern)));
    found
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    text: String,
    line: usize,
}

impl Word {
    fn unexpected(&self, expected: &str) -> SigningPolicyError {
        let message = format!("unexpected {:?}, expected {expected}", self.text);
        SigningPolicyError { line: self.line, message }
    }
}

struct Words {
    words: Vec<Word>,
    next: usize,
}

impl Words {
    fn peek(&self) -> Option<Word> {
        self.words.get(self.next).cloned()
    }

    fn take(&mut self, expected: &str) -> Result<Word, SigningPolicyError> {
        let word = self.peek().ok_or_else(|| self.missing(expected))?;
        self.next += 1;
        Ok(word)
    }

    fn missing(&self, expected: &str) -> SigningPolicyError {
        match self.peek() {
            Some(word) => word.unexpected(expected),
            None => {
                let line = self.words.last().map_or(1, |word| word.line);
                SigningPolicyError { line, message: format!("the file ends where {expected} is expected") }
            }
        }
    }

    /// Reads items as long as they begin with `prefix` and `read` finds one.
    fn while_starting<T>(
        &mut self,
        prefix: &str,
        read: fn(&mut Self) -> Result<Option<T>, SigningPolicyError>,
    ) -> Result<Vec<T>, SigningPolicyError> {
        let mut items = Vec::new();
        while self.peek().is_some_and(|word| word.text.starts_with(prefix)) {
            match read(self)? {
                Some(item) => items.push(item),
                None => break,
            }
        }
        Ok(items)
    }

    fn principal(&mut self) -> Result<Option<Principal>, SigningPolicyError> {
        const KINDS: [&str; 5] =
            ["access_id_CA", "access_id_USER", "access_id_GROUP", "access_id_HOST", "access_id_APPLICATION"];
        let kind = self.take("a principal")?;
        if kind.text == "access_id_ANYBODY" {
            return Ok(Some(Principal::Anybody));
        }
        if !KINDS.contains(&kind.text.as_str()) {
            return Err(kind.unexpected("access_id_CA"));
        }
        let authority = self.take("X509 after the kind of principal")?;
        let name = self.take("the name of the CA in single quotes")?;
        let is_authority = kind.text == "access_id_CA" && authority.text == "X509";
        Ok(Some(if is_authority {
            Principal::Authority(Subject::new(name.text).normalized())
        } else {
            Principal::Other
        }))
    }

    fn right(&mut self) -> Result<Option<Right>, SigningPolicyError> {
        let (positive, line) = match self.peek() {
            Some(word) if word.text == "pos_rights" => (true, word.line),
            Some(word) if word.text == "neg_rights" => (false, word.line),
            _ => return Ok(None),
        };
        self.next += 1;
        let authority = self.take("globus after the kind of right")?;
        let value = self.take("CA:sign")?;
        let conditions = self.while_starting("cond_", Self::condition)?;
        let signs = positive && authority.text == "globus" && value.text == "CA:sign";
        Ok(Some(Right { line, signs, conditions }))
    }

    fn condition(&mut self) -> Result<Option<Condition>, SigningPolicyError> {
        let kind = self.take("cond_subjects")?;
        let authority = self.take("globus after the kind of condition")?;
        let value = self.take("patterns in single quotes")?;
        Ok(Some(if kind.text == "cond_subjects" && authority.text == "globus" {
            Condition::Subjects(patterns(&value.text))
        } else {
            Condition::Never
        }))
    }
}

/// Splits a text into words (§8): blanks separate, single quotes enclose, `#` at the start of a word begins a comment.
fn words(text: &[u8]) -> Result<Vec<Word>, SigningPolicyError> {
    let text = String::from_utf8_lossy(text);
    let mut chars = text.chars().peekable();
    let (mut words, mut line) = (Vec::new(), 1);
    while let Some(c) = chars.next() {
        match c {
            '\n' => line += 1,
            c if c.is_ascii_whitespace() => {}
            '#' => while chars.next_if(|&c| c != '\n').is_some() {},
            '\'' => {
                let start = line;
                let mut word = String::new();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some('\\') => word.extend(chars.next()),
                        Some(c) => {
                            line += usize::from(c == '\n');
                            word.push(c);
                        }
                        None => {
                            let message = "the single quote is never closed".to_owned();
                            return Err(SigningPolicyError { line: start, message });
                        }
                    }
                }
                words.push(Word { text: word, line: start });
            }
            c => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| !c.is_ascii_whitespace()) {
                    word.push(c);
                }
                words.push(Word { text: word, line });
            }
        }
    }
    Ok(words)
}
