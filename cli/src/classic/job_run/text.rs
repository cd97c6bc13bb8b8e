//! A host clause as RSL, laid out as the original's `-dumprsl` shows it.

use super::clause::{Clause, File};

/// Where stdout and stderr go when the clause does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// To us, by relations added later.
    Here,
    /// Into the service's GASS cache, from where `globus-job-get-output` takes it.
    Cached,
}

/// The request.
pub(super) fn write(clause: &Clause, output: Output) -> Vec<u8> {
    let mut relations: Vec<Vec<u8>> = vec![relation("executable", &file(&clause.executable))];
    let mut add =
        |name: &str, value: Option<Vec<u8>>| relations.extend(value.map(|value| relation(name, &value)));
    add("project", clause.project.as_deref().map(quoted));
    add("queue", clause.queue.as_deref().map(quoted));
    add("maxtime", clause.max_time.map(number));
    add("directory", clause.directory.as_deref().map(word));
    add("environment", list(clause.environment.iter().map(|(name, value)| pair(name, value))));
    add("count", clause.count.map(number));
    add("host_count", clause.host_count.map(number));
    add("arguments", list(clause.arguments.iter().map(|argument| word(argument))));
    add("stdin", clause.stdin.as_ref().map(file));
    add("stdout", stream(clause.stdout.as_ref(), output, "stdout"));
    add("stderr", stream(clause.stderr.as_ref(), output, "stderr"));

    let mut text = match &clause.extra {
        Some(extra) => [b" &", extra.as_slice(), b"\n   "].concat(),
        None => b"  &".to_vec(),
    };
    text.extend(relations.join(&b"\n   "[..]));
    text
}

fn relation(name: &str, value: &[u8]) -> Vec<u8> {
    [b"(", name.as_bytes(), b"=", value, b")"].concat()
}

/// Several values, set apart by a blank as the original does; nothing for none.
fn list(values: impl Iterator<Item = Vec<u8>>) -> Option<Vec<u8>> {
    let values: Vec<_> = values.collect();
    (!values.is_empty()).then(|| [b" ", values.join(&b' ').as_slice()].concat())
}

fn pair(name: &[u8], value: &[u8]) -> Vec<u8> {
    [b"(", quoted(name).as_slice(), b" ", word(value).as_slice(), b")"].concat()
}

fn stream(stated: Option<&File>, output: Output, name: &str) -> Option<Vec<u8>> {
    match (stated, output) {
        (Some(stated), _) => Some(file(stated)),
        (None, Output::Here) => None,
        (None, Output::Cached) => {
            Some(format!("x-gass-cache://$(GLOBUS_GRAM_JOB_CONTACT){name} anExtraTag").into_bytes())
        }
    }
}

fn file(file: &File) -> Vec<u8> {
    match file {
        File::Local(name) => word(name),
        File::Staged(path) => [b"$(GLOBUSRUN_GASS_URL) # ", quoted(path).as_slice()].concat(),
    }
}

/// A word that refers to a variable is RSL already; any other is quoted.
fn word(word: &[u8]) -> Vec<u8> {
    let refers = word
        .windows(2)
        .position(|pair| pair == b"$(")
        .is_some_and(|at| word.iter().skip(at).any(|byte| *byte == b')'));
    if refers { word.to_vec() } else { quoted(word) }
}

/// A literal; a quote inside is doubled.
fn quoted(text: &[u8]) -> Vec<u8> {
    let mut literal = vec![b'"'];
    for byte in text {
        if *byte == b'"' {
            literal.push(b'"');
        }
        literal.push(*byte);
    }
    literal.push(b'"');
    literal
}

fn number(value: u32) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn dump(words: &[&str], output: Output) -> String {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        String::from_utf8(write(&Clause::parse(&words).unwrap(), output)).unwrap()
    }

    /// As printed by the stock `globus-job-run -dumprsl` 12.2.
    #[test]
    fn the_layout_is_that_of_the_original() {
        assert_eq!(
            dump(&["h", "/bin/echo", "hello", "world"], Output::Here),
            "  &(executable=\"/bin/echo\")\n   (arguments= \"hello\" \"world\")"
        );
        let words = [
            "h",
            "-np",
            "3",
            "-m",
            "5",
            "-p",
            "proj",
            "-q",
            "que",
            "-d",
            "/tmp",
            "-env",
            "A=1",
            "-env",
            "B=two words",
            "-stdin",
            "/in",
            "-stdout",
            "-s",
            "/tmp/out",
            "-stderr",
            "-l",
            "err",
            "-x",
            "&(foo=bar)(a=b)",
            "-s",
            "/bin/echo",
            "x y",
            "q\"q",
            "$(HOME)/z",
            "it's",
            "--",
            "-np",
            "2",
        ];
        assert_eq!(
            dump(&words, Output::Here),
            [
                " &(foo=bar)(a=b)",
                "   (executable=$(GLOBUSRUN_GASS_URL) # \"/bin/echo\")",
                "   (project=\"proj\")",
                "   (queue=\"que\")",
                "   (maxtime=5)",
                "   (directory=\"/tmp\")",
                "   (environment= (\"A\" \"1\") (\"B\" \"two words\"))",
                "   (count=3)",
                "   (arguments= \"x y\" \"q\"\"q\" $(HOME)/z \"it's\" \"-np\" \"2\")",
                "   (stdin=\"/in\")",
                "   (stdout=$(GLOBUSRUN_GASS_URL) # \"/tmp/out\")",
                "   (stderr=\"err\")",
            ]
            .join("\n")
        );
    }

    #[test]
    fn output_of_a_submitted_job_waits_in_the_cache() {
        assert_eq!(
            dump(&["h", "-stdout", "out", "/bin/echo"], Output::Cached),
            "  &(executable=\"/bin/echo\")\n   (stdout=\"out\")\n   \
             (stderr=x-gass-cache://$(GLOBUS_GRAM_JOB_CONTACT)stderr anExtraTag)"
        );
    }

    #[test]
    fn an_empty_argument_stays_an_argument() {
        assert_eq!(dump(&["h", "e", ""], Output::Here), "  &(executable=\"e\")\n   (arguments= \"\")");
    }
}
