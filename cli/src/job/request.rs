//! What is sent: the RSL a person wrote, with the relations that `-o`, `-s`, `-w` and `-dryrun` add (gram.md §21). Pure.

use crate::job::JobError;
use rsl::{Operator, Relation, Spec, Value};

/// The variable that stands for the embedded server in RSL; scripts rely on this name.
const GASS_VARIABLE: &str = "GLOBUSRUN_GASS_URL";

/// Additions to a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Additions<'a> {
    /// The embedded server's URL, when there is one.
    pub gass_url: Option<&'a str>,
    /// Nobody waits: stdout and stderr are not sent home.
    pub batch: bool,
    /// Ask for a dry run.
    pub dry_run: bool,
}

/// Parses RSL text; the error underlines the place.
pub fn parse(source: &[u8]) -> Result<Spec, JobError> {
    rsl::parse(source).map_err(|error| JobError::Rsl(error.underline(source).trim_end().to_owned()))
}

/// The specification with the additions, in the stock order: `rsl_substitution`, `stderr`, `stdout` first.
pub fn complete(spec: Spec, additions: &Additions<'_>) -> Result<Spec, JobError> {
    let Spec::Boolean(Operator::And, mut relations) = spec else {
        return Err(JobError::Rsl(match spec {
            Spec::Boolean(Operator::Multi, _) => {
                "a multi-request (+) cannot be sent to one gatekeeper: submit its parts one by one".to_owned()
            }
            _ => "a job request must be a conjunction: &(executable=…)(…)".to_owned(),
        }));
    };
    let mut added = Vec::new();
    if let Some(url) = additions.gass_url {
        let definition = Value::Sequence(vec![literal(GASS_VARIABLE), literal(url)]);
        added.push(relation("rsl_substitution", vec![definition]));
        if !additions.batch {
            for (name, device) in [("stderr", "/dev/stderr"), ("stdout", "/dev/stdout")] {
                if !has(&relations, name) {
                    added.push(relation(name, vec![served(device)]));
                }
            }
        }
    }
    if additions.dry_run {
        added.push(relation("dryrun", vec![literal("yes")]));
    }
    added.append(&mut relations);
    Ok(Spec::Boolean(Operator::And, added))
}

/// Canonical text, as it is sent.
pub fn text(spec: &Spec) -> Result<Vec<u8>, JobError> {
    rsl::print::print(spec).map_err(|error| JobError::Rsl(error.to_string()))
}

/// The account of a `username` relation: the client asks the gatekeeper for it (`/service@user`).
pub fn account(spec: &Spec) -> Option<String> {
    match find(spec, "username")?.values.as_slice() {
        [Value::Literal(name)] => String::from_utf8(name.to_vec()).ok(),
        _ => None,
    }
}

/// The first relation of a conjunction with this attribute, however it is spelt.
pub fn find<'a>(spec: &'a Spec, attribute: &str) -> Option<&'a Relation> {
    let Spec::Boolean(_, relations) = spec else { return None };
    relations.iter().find_map(|part| match part {
        Spec::Relation(relation) if names(relation, attribute) => Some(relation),
        _ => None,
    })
}

/// `name = values`.
pub fn relation(name: &str, values: Vec<Value>) -> Spec {
    Spec::Relation(Relation::equal(name, values))
}

/// A literal.
pub fn literal(text: impl AsRef<[u8]>) -> Value {
    Value::Literal(text.as_ref().into())
}

/// `$(GLOBUSRUN_GASS_URL) # path`: a file of the submitting machine.
pub fn served(path: impl AsRef<[u8]>) -> Value {
    let variable = Value::Variable(vec![literal(GASS_VARIABLE)]);
    variable.then(literal(path))
}

/// Whether the request itself sends output to a file of ours, as `(stdout=$(GLOBUSRUN_GASS_URL)/tmp/out)` does.
pub fn writes_our_files(spec: &Spec) -> bool {
    fn ours(value: &Value) -> bool {
        match value {
            Value::Literal(_) | Value::Variable(_) => false,
            Value::Sequence(values) => values.iter().any(ours),
            Value::Concat(operands) => {
                let (left, right) = &**operands;
                let server = Value::Variable(vec![literal(GASS_VARIABLE)]);
                let device = ["/dev/stdout", "/dev/stderr"].map(literal).contains(right);
                (*left == server && !device) || ours(left) || ours(right)
            }
        }
    }
    ["stdout", "stderr", "file_stage_out"]
        .iter()
        .filter_map(|attribute| find(spec, attribute))
        .any(|relation| relation.values.iter().any(ours))
}

fn has(relations: &[Spec], attribute: &str) -> bool {
    relations.iter().any(|part| matches!(part, Spec::Relation(relation) if names(relation, attribute)))
}

/// Attribute names ignore case and underscores (rsl.md §4).
fn names(relation: &Relation, attribute: &str) -> bool {
    let written = relation.name.iter().filter(|byte| **byte != b'_').map(u8::to_ascii_lowercase);
    written.eq(attribute.bytes().filter(|byte| *byte != b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(relations: &[(&str, &str)]) -> Spec {
        let relations = relations.iter().map(|(name, value)| relation(name, vec![literal(value)])).collect();
        Spec::Boolean(Operator::And, relations)
    }

    fn attribute_names(spec: &Spec) -> Vec<String> {
        let Spec::Boolean(_, parts) = spec else { panic!("not a conjunction") };
        let name = |part: &Spec| match part {
            Spec::Relation(relation) => String::from_utf8(relation.name.clone()).unwrap(),
            Spec::Boolean(..) => panic!("nested"),
        };
        parts.iter().map(name).collect()
    }

    #[test]
    fn output_relations_come_first_in_the_stock_order() {
        let additions = Additions { gass_url: Some("https://h:1"), ..Additions::default() };
        let spec = complete(job(&[("executable", "/bin/echo")]), &additions).unwrap();
        assert_eq!(attribute_names(&spec), ["rsl_substitution", "stderr", "stdout", "executable"]);
    }

    #[test]
    fn an_own_stdout_is_kept_however_it_is_spelt() {
        let additions = Additions { gass_url: Some("https://h:1"), ..Additions::default() };
        let spec = complete(job(&[("Std_Out", "/x"), ("executable", "/bin/echo")]), &additions).unwrap();
        assert_eq!(attribute_names(&spec), ["rsl_substitution", "stderr", "Std_Out", "executable"]);
    }

    #[test]
    fn batch_jobs_send_no_output_home() {
        let additions = Additions { gass_url: Some("https://h:1"), batch: true, dry_run: true };
        let spec = complete(job(&[("executable", "/bin/echo")]), &additions).unwrap();
        assert_eq!(attribute_names(&spec), ["rsl_substitution", "dryrun", "executable"]);
    }

    #[test]
    fn only_a_conjunction_is_a_job() {
        for operator in [Operator::Or, Operator::Multi] {
            assert!(complete(Spec::Boolean(operator, Vec::new()), &Additions::default()).is_err());
        }
    }

    #[test]
    fn output_to_our_files_is_recognised() {
        let writes = |text: &str| writes_our_files(&parse(text.as_bytes()).unwrap());
        assert!(writes("&(stdout=$(GLOBUSRUN_GASS_URL)/tmp/out)"));
        assert!(writes("&(StdErr=$(GLOBUSRUN_GASS_URL) # /tmp/$(X))"));
        assert!(writes("&(file_stage_out=(a $(GLOBUSRUN_GASS_URL)/tmp/out))"));
        assert!(!writes("&(stdout=$(GLOBUSRUN_GASS_URL)/dev/stdout)(stdin=$(GLOBUSRUN_GASS_URL)/tmp/in)"));
        assert!(!writes("&(stdout=/tmp/out)(arguments=$(GLOBUSRUN_GASS_URL)/tmp/x)"));
    }

    #[test]
    fn the_account_is_a_single_literal() {
        assert_eq!(account(&job(&[("userName", "alice")])), Some("alice".to_owned()));
        assert_eq!(account(&job(&[("executable", "alice")])), None);
    }
}
