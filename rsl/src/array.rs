//! Arrays: one request that stands for many jobs, which differ in a number (docs/protocol-extensions.md).
//!
//! An element of an array is ordinary RSL: the number is defined by `rsl_substitution` and put into the environment, so
//! that any server can run it.

use crate::{Operator, Relation, Spec, Value};

/// Names the number of a job in its array: the variable of the request, and that of the job's environment.
pub const INDEX: &str = "GRIDIRON_ARRAY_INDEX";

/// The request of one job of the array. Anything but a conjunction is no job request, and is left as it is.
///
/// What the user defines under the same name comes after ours: the first definition of a variable wins, and the last value
/// of an environment variable.
pub fn element(spec: &Spec, index: u32) -> Spec {
    let Spec::Boolean(Operator::And, operands) = spec else { return spec.clone() };
    let mut operands = operands.clone();
    // Of several environments the last counts (rsl.md §9).
    let place = operands.iter().rposition(|operand| is_named(operand, "environment"));
    let environment = with_index(take(&mut operands, place), "environment", index);
    operands.insert(place.unwrap_or(operands.len()), environment);
    // A definition counts from its place on.
    let place = operands.iter().position(|operand| is_named(operand, "rsl_substitution"));
    let definition = with_index(take(&mut operands, place), "rsl_substitution", index);
    operands.insert(0, definition);
    Spec::Boolean(Operator::And, operands)
}

fn is_named(operand: &Spec, name: &str) -> bool {
    matches!(operand, Spec::Relation(relation) if relation.is_named(name))
}

fn take(operands: &mut Vec<Spec>, place: Option<usize>) -> Option<Spec> {
    place.map(|place| operands.remove(place))
}

/// The relation, or a new one of this name, with our pair before all others.
fn with_index(relation: Option<Spec>, name: &str, index: u32) -> Spec {
    let pair = Value::pair(INDEX, index.to_string());
    match relation {
        Some(Spec::Relation(mut relation)) => {
            relation.values.insert(0, pair);
            Spec::Relation(relation)
        }
        _ => Spec::Relation(Relation::equal(name, [pair])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{attribute, evaluate, parse};

    type Bytes = Vec<u8>;

    /// Arguments and environment as a job manager sees them.
    fn evaluated(text: &str, index: u32) -> (Vec<Bytes>, Vec<(Bytes, Bytes)>) {
        let element = element(&parse(text.as_bytes()).unwrap(), index);
        let canonical = evaluate::canonicalise(&element);
        let spec = evaluate::evaluate(&canonical, &evaluate::Symbols::new()).unwrap();
        attribute::check(&spec, attribute::Request::Submit, "fork").unwrap();
        let owned = |text: &[u8]| text.to_vec();
        let arguments = attribute::list(spec.last("arguments").unwrap()).unwrap();
        let environment = attribute::pairs(spec.last("environment").unwrap()).unwrap();
        (
            arguments.into_iter().map(owned).collect(),
            environment.into_iter().map(|(name, value)| (owned(name), owned(value))).collect(),
        )
    }

    #[test]
    fn the_number_is_a_variable_and_in_the_environment() {
        let (arguments, environment) =
            evaluated("&(executable=/bin/echo)(arguments=a$(GRIDIRON_ARRAY_INDEX))", 17);
        assert_eq!(arguments, [b"a17".to_vec()]);
        assert_eq!(environment, [(INDEX.as_bytes().to_vec(), b"17".to_vec())]);
    }

    #[test]
    fn the_users_own_relations_stay_and_may_use_it() {
        let (arguments, environment) = evaluated(
            "&(executable=/bin/echo)(environment=(A 1))(RSL_Substitution=(DIR /d/$(GRIDIRON_ARRAY_INDEX)))\
             (arguments=$(DIR))(environment=(B $(DIR))(GRIDIRON_ARRAY_INDEX x))",
            2,
        );
        assert_eq!(arguments, [b"/d/2".to_vec()]);
        let names: Vec<_> = environment.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
        assert_eq!(names, [INDEX, "B", INDEX]);
    }

    #[test]
    fn what_is_no_job_stays_as_it_is() {
        let multi = parse(b"+(&(executable=a))(&(executable=b))").unwrap();
        assert_eq!(element(&multi, 1), multi);
    }
}
