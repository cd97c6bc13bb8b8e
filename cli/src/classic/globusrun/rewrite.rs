//! How `globusrun` completes a request before it is sent (gram.md §21, gass.md §6).

use rsl::{Relation, RelationOperator, Spec, Value};

/// The symbol under which a job finds the files of its submitter.
const GASS_URL: &str = "GLOBUSRUN_GASS_URL";

/// Which of the job's output streams come back to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// stdout and stderr, unless the request says where they go.
    Returned,
    /// Neither.
    Elsewhere,
}

/// Defines the GASS URL in front of everything else and sends output there.
pub(super) fn with_gass(spec: Spec, url: &str, output: Output) -> Spec {
    let (operator, operands) = match spec {
        Spec::Boolean(operator, operands) => (operator, operands),
        relation @ Spec::Relation(_) => return relation,
    };
    let pair = Value::Sequence(vec![literal(GASS_URL), literal(url)]);
    let mut completed = vec![relation("rsl_substitution", pair)];
    if output == Output::Returned {
        for (name, path) in [("stderr", "/dev/stderr"), ("stdout", "/dev/stdout")] {
            if !has(&operands, name) {
                let url = Value::Variable(vec![literal(GASS_URL)]);
                completed.push(relation(name, Value::Concat(Box::new(url), Box::new(literal(path)))));
            }
        }
    }
    completed.extend(operands);
    Spec::Boolean(operator, completed)
}

/// Asks for a dry run, whatever the request says about it.
pub(super) fn with_dry_run(spec: Spec) -> Spec {
    match spec {
        Spec::Boolean(operator, mut operands) => {
            operands.insert(0, relation("dryrun", literal("yes")));
            Spec::Boolean(operator, operands)
        }
        relation @ Spec::Relation(_) => relation,
    }
}

/// The account asked for, if the request names one; it becomes part of the service name.
pub(super) fn account(spec: &Spec) -> Option<String> {
    let Spec::Boolean(_, operands) = spec else { return None };
    operands.iter().find_map(|operand| match operand {
        Spec::Relation(relation) if is_called(relation, "username") => match relation.values.as_slice() {
            [Value::Literal(account)] => String::from_utf8(account.clone()).ok(),
            _ => None,
        },
        _ => None,
    })
}

/// Exact spelling: the original overlooks `StdOut` too.
fn has(operands: &[Spec], name: &str) -> bool {
    operands.iter().any(|operand| matches!(operand, Spec::Relation(relation) if relation.name == name.as_bytes()))
}

/// Case and underscores do not count.
fn is_called(relation: &Relation, name: &str) -> bool {
    relation.name.iter().filter(|byte| **byte != b'_').map(u8::to_ascii_lowercase).eq(name.bytes())
}

fn relation(name: &str, value: Value) -> Spec {
    Spec::Relation(Relation {
        name: name.as_bytes().to_vec(),
        operator: RelationOperator::Equal,
        values: vec![value],
    })
}

fn literal(text: &str) -> Value {
    Value::Literal(text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(spec: &Spec) -> String {
        String::from_utf8(rsl::print::print(spec).unwrap()).unwrap()
    }

    /// The request of gram.md §22, as a stock client sent it.
    #[test]
    fn output_returns_as_the_stock_client_asks_for_it() {
        let spec = rsl::parse(b"&(executable=/bin/echo)(arguments=hi)").unwrap();
        assert_eq!(
            printed(&with_gass(spec, "https://vm:57159", Output::Returned)),
            r#"&("rsl_substitution" = ("GLOBUSRUN_GASS_URL" "https://vm:57159" ) )("stderr" = $("GLOBUSRUN_GASS_URL") # "/dev/stderr" )("stdout" = $("GLOBUSRUN_GASS_URL") # "/dev/stdout" )("executable" = "/bin/echo" )("arguments" = "hi" )"#
        );
    }

    #[test]
    fn a_stated_destination_stays() {
        let spec = rsl::parse(b"&(stdout=/tmp/x)(executable=a)").unwrap();
        let text = printed(&with_gass(spec, "https://h:1", Output::Returned));
        assert_eq!(text.matches("stdout").count(), 1);
        assert!(text.contains("/dev/stderr"));
    }

    #[test]
    fn the_account_is_found_in_any_spelling() {
        let spec = rsl::parse(b"&(executable=a)(User_Name=alice)").unwrap();
        assert_eq!(account(&spec).as_deref(), Some("alice"));
        assert_eq!(account(&rsl::parse(b"&(executable=a)").unwrap()), None);
    }
}
