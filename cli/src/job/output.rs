//! Where a job's output goes: home through the embedded GASS server (gass.md §6), or kept there for a later fetch.

use crate::job::{
    JobError,
    request::{find, literal, relation},
};
use rsl::{Operator, Spec, Value};

/// What the embedded server offers; each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Serving {
    /// `-o`: the job's stdout and stderr.
    Output,
    /// `-s`: the job may also read our files.
    Read,
    /// `-w`: the job may also write our files.
    Write,
}

impl Serving {
    /// The server's rights; in batch mode nobody waits for output, so reading is all that is left.
    pub fn access(self, batch: bool) -> gass::Access {
        gass::Access {
            read: self >= Serving::Read,
            write: self >= Serving::Write && !batch,
            stdout: !batch,
            stderr: !batch,
        }
    }
}

/// One of a job's two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// stdout
    Stdout,
    /// stderr
    Stderr,
}

impl Stream {
    /// Both.
    pub const ALL: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

    /// The attribute's name.
    pub fn attribute(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// The start of the names of kept output files, in the account's home directory.
const KEPT: &str = "/.gridiron-output-";

/// Adds `stdout` and `stderr` files in the account's home directory, named after `id`, where the request has none. Those of an
/// array are told apart by their numbers.
pub fn kept_there(spec: Spec, id: &str, is_array: bool) -> Spec {
    let missing = Stream::ALL.map(|stream| find(&spec, stream.attribute()).is_none().then_some(stream));
    let Spec::Boolean(Operator::And, mut relations) = spec else { return spec };
    for stream in missing.into_iter().flatten() {
        let name = stream.attribute();
        let home = Value::Variable(vec![literal("HOME")]);
        let file = if is_array {
            let number = Value::Variable(vec![literal(rsl::array::INDEX)]);
            home.then(literal(format!("{KEPT}{id}.{name}."))).then(number)
        } else {
            home.then(literal(format!("{KEPT}{id}.{name}")))
        };
        relations.push(relation(name, vec![file]));
    }
    Spec::Boolean(Operator::And, relations)
}

/// Which part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All.
    Whole,
    /// The last lines.
    LastLines(u32),
    /// What comes after so many bytes.
    After(u64),
}

/// A job that prints what `original` has written to `stream`.
pub fn fetch(original: &Spec, stream: Stream, part: Part) -> Result<Spec, JobError> {
    let name = stream.attribute();
    let Some(file) = file(original, stream) else {
        return Err(JobError::Rsl(format!("the job's {name} was not written to a file of its site")));
    };
    let (program, mut arguments) = match part {
        Part::Whole => ("/bin/cat", Vec::new()),
        Part::LastLines(lines) => ("/usr/bin/tail", vec![literal("-n"), literal(lines.to_string())]),
        Part::After(bytes) => {
            ("/usr/bin/tail", vec![literal("-c"), literal(format!("+{}", bytes.saturating_add(1)))])
        }
    };
    arguments.push(literal("--"));
    arguments.push(file);
    Ok(helper(original, program, arguments))
}

/// A job that removes the output files [`kept_there`] gave `original`; `None` when there are none.
pub fn removal(original: &Spec) -> Option<Spec> {
    fn is_kept(part: &Value) -> bool {
        match part {
            Value::Literal(name) => name.starts_with(KEPT.as_bytes()),
            Value::Concat(operands) => is_kept(&operands.0) || is_kept(&operands.1),
            Value::Variable(_) | Value::Sequence(_) => false,
        }
    }
    let files = Stream::ALL.iter().filter_map(|stream| file(original, *stream));
    let files: Vec<Value> = files.filter(|file| matches!(file, Value::Concat(_)) && is_kept(file)).collect();
    if files.is_empty() {
        return None;
    }
    let arguments = [literal("-f"), literal("--")].into_iter().chain(files).collect();
    Some(helper(original, "/bin/rm", arguments))
}

/// The file of a stream; `None` for URLs and lists of destinations.
fn file(original: &Spec, stream: Stream) -> Option<Value> {
    match find(original, stream.attribute())?.values.as_slice() {
        [Value::Literal(path)] if is_url(path) => None,
        [file @ (Value::Literal(_) | Value::Variable(_) | Value::Concat(..))] => Some(file.clone()),
        _ => None,
    }
}

fn is_url(path: &[u8]) -> bool {
    path.windows(3).any(|bytes| bytes == b"://")
}

/// Relative paths and own variables mean the same to the helper as to the original.
fn helper(original: &Spec, program: &str, arguments: Vec<Value>) -> Spec {
    let mut relations: Vec<Spec> = ["rsl_substitution", "directory"]
        .iter()
        .filter_map(|attribute| find(original, attribute).cloned().map(Spec::Relation))
        .collect();
    relations.push(relation("executable", vec![literal(program)]));
    relations.push(relation("arguments", arguments));
    Spec::Boolean(Operator::And, relations)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(relations: Vec<Spec>) -> Spec {
        Spec::Boolean(Operator::And, relations)
    }

    #[test]
    fn each_level_of_service_includes_the_lower_ones() {
        let output = gass::Access { read: false, write: false, stdout: true, stderr: true };
        assert_eq!(Serving::Output.access(false), output);
        assert_eq!(Serving::Read.access(false), gass::Access { read: true, ..output });
        assert_eq!(Serving::Write.access(false), gass::Access { read: true, write: true, ..output });
    }

    #[test]
    fn batch_mode_only_reads() {
        let reading = gass::Access { read: true, ..gass::Access::default() };
        assert_eq!(Serving::Write.access(true), reading);
    }

    #[test]
    fn kept_output_can_be_fetched_and_removed() {
        let spec = kept_there(job(vec![relation("executable", vec![literal("/bin/date")])]), "7", false);
        let fetched = fetch(&spec, Stream::Stdout, Part::Whole).unwrap();
        let arguments = &find(&fetched, "arguments").unwrap().values;
        assert_eq!(arguments.last(), Some(&find(&spec, "stdout").unwrap().values[0]));
        assert_eq!(find(&removal(&spec).unwrap(), "arguments").unwrap().values.len(), 4);
    }

    #[test]
    fn each_job_of_an_array_has_its_own_output() {
        let spec = kept_there(job(vec![relation("executable", vec![literal("/bin/date")])]), "7", true);
        let element = rsl::array::element(&spec, 3);
        let text = rsl::print::print(&removal(&element).unwrap()).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("(\"GRIDIRON_ARRAY_INDEX\" \"3\" )"), "{text}");
        assert_eq!(text.matches("$(\"GRIDIRON_ARRAY_INDEX\")").count(), 2, "{text}");
    }

    #[test]
    fn own_files_are_fetched_but_never_removed() {
        let spec = kept_there(
            job(vec![relation("stdout", vec![literal("out")]), relation("stderr", vec![literal("err")])]),
            "7",
            false,
        );
        assert!(fetch(&spec, Stream::Stderr, Part::LastLines(3)).is_ok());
        assert_eq!(removal(&spec), None);
    }

    #[test]
    fn output_sent_elsewhere_cannot_be_fetched() {
        let spec = job(vec![relation("stdout", vec![literal("https://h:1/x")])]);
        assert!(fetch(&spec, Stream::Stdout, Part::After(3)).is_err());
        assert!(fetch(&spec, Stream::Stderr, Part::Whole).is_err());
    }
}
