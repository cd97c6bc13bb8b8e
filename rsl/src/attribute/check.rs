//! Judging a whole request (rsl.md §7).

use super::table::{self, Attribute, Kind, OF_MULTI_REQUESTS};
use super::{BAD_RSL, Request, UNKNOWN_ATTRIBUTE, Violation, read};
use crate::spelling::nearest;
use crate::{Operator, Place, Relation, RelationOperator, Spec};

/// Checks a canonicalised, evaluated specification against the table (rsl.md §7 steps 1-6): shape, unknown attributes
/// (with "did you mean"), validity for this request, enumerations, required ones. `scheduler` adds the extensions of §10.
///
/// Words are compared whole, where stock takes any part of the list of words. Values other than enumerated ones are
/// left to the readers, as whether they matter depends on the scheduler.
///
/// # Errors
/// The first broken rule, in the order of the relations; missing attributes last.
pub fn check(spec: &Spec, request: Request, scheduler: &str) -> Result<(), Violation> {
    let relations = shape(spec)?;
    for relation in &relations {
        check_relation(relation, request, scheduler)?;
    }
    let required = table::known(scheduler).filter_map(|attribute| match attribute.required_in {
        Some((when, code)) if when == request => Some((attribute, code)),
        _ => None,
    });
    for (attribute, code) in required {
        if !relations.iter().any(|relation| relation.is_named(attribute.name)) {
            let name = attribute.name;
            return Err(Violation {
                code,
                attribute: attribute.canonical_name(),
                message: format!("attribute `{name}` is missing; {} needs ({name}=…)", request.describe()),
                place: Place::default(),
            });
        }
    }
    Ok(())
}

/// A job is an `&` of relations with `=`.
fn shape(spec: &Spec) -> Result<Vec<&Relation>, Violation> {
    let bad = |message: String| Violation {
        code: BAD_RSL,
        attribute: String::new(),
        message,
        place: Place::default(),
    };
    let operands = match spec {
        Spec::Boolean(Operator::And, operands) => operands,
        Spec::Boolean(Operator::Multi, _) => {
            return Err(bad("a multi-request `+(…)(…)` is for a co-allocator; \
                 send each of its branches `&(…)(…)` to its own service"
                .to_owned()));
        }
        Spec::Boolean(Operator::Or, _) => {
            return Err(bad(
                "alternatives `|(…)(…)` are not accepted; send one of them as `&(…)(…)`".to_owned()
            ));
        }
        Spec::Relation(relation) => {
            let name = String::from_utf8_lossy(&relation.name);
            return Err(bad(format!(
                "a job must be `&` and relations in parentheses; write &({name}{}…)",
                relation.operator.symbol()
            )));
        }
    };
    operands
        .iter()
        .map(|operand| match operand {
            Spec::Relation(relation) if relation.operator == RelationOperator::Equal => Ok(relation),
            Spec::Relation(relation) => {
                let name = String::from_utf8_lossy(&relation.name);
                Err(Violation {
                    code: BAD_RSL,
                    attribute: name.clone().into_owned(),
                    message: format!(
                        "attribute `{name}` is compared with `{}`; a job may only use `=`",
                        relation.operator.symbol()
                    ),
                    place: relation.place,
                })
            }
            Spec::Boolean(operator, _) => Err(bad(format!(
                "a nested `{}` is not accepted in a job; write all relations directly below the first `&`",
                operator.symbol()
            ))),
        })
        .collect()
}

fn check_relation(relation: &Relation, request: Request, scheduler: &str) -> Result<(), Violation> {
    let Some(attribute) = table::find(&relation.name, scheduler) else {
        return Err(unknown(relation, scheduler));
    };
    if !attribute.valid_in.contains(&request) {
        return Err(Violation {
            code: request.misplaced_code(),
            attribute: attribute.canonical_name(),
            message: misplaced(attribute, request, scheduler),
            place: relation.place,
        });
    }
    match attribute.kind {
        Kind::Word(_) => read::word(relation, attribute).map(|_| ()),
        Kind::Text | Kind::Integer | Kind::List | Kind::Pairs | Kind::Destinations => Ok(()),
    }
}

fn misplaced(attribute: &Attribute, request: Request, scheduler: &str) -> String {
    let name = attribute.name;
    let valid: Vec<&str> = attribute.valid_in.iter().map(|request| request.describe()).collect();
    if valid.is_empty() {
        format!("attribute `{name}` is not supported where the scheduler is {scheduler}; remove it")
    } else {
        format!(
            "attribute `{name}` is not valid in {}, only in {}",
            request.describe(),
            valid.join(" and in ")
        )
    }
}

fn unknown(relation: &Relation, scheduler: &str) -> Violation {
    let name = relation.name.as_slice();
    let shown = String::from_utf8_lossy(name);
    let elsewhere: Vec<&str> = table::schedulers_with(name).collect();
    let of_multi_request = OF_MULTI_REQUESTS.iter().any(|multi| multi.as_bytes().eq_ignore_ascii_case(name));
    let advice = if of_multi_request {
        "it belongs to multi-requests and must be taken out of the branch before it is sent".to_owned()
    } else if !elsewhere.is_empty() {
        format!("it exists where the scheduler is {}, and here it is {scheduler}", elsewhere.join(" or "))
    } else {
        match nearest(&shown, table::known(scheduler).map(|attribute| attribute.name)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "remove it, or check its spelling".to_owned(),
        }
    };
    Violation {
        code: UNKNOWN_ATTRIBUTE,
        attribute: shown.clone().into_owned(),
        message: format!("unknown attribute `{shown}`; {advice}"),
        place: relation.place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{canonicalise, evaluate};
    use crate::parse;

    fn verdict(text: &str, request: Request, scheduler: &str) -> Result<(), Violation> {
        let spec = evaluate(&canonicalise(&parse(text.as_bytes()).unwrap()), &Default::default()).unwrap();
        check(&spec, request, scheduler)
    }

    fn code(text: &str) -> u16 {
        verdict(text, Request::Submit, "fork").map_or_else(|violation| violation.code, |()| 0)
    }

    /// The codes of rsl.md §7 and §9 that are decided before any value is looked at.
    #[test]
    fn codes_of_a_new_job() {
        for (text, expected) in [
            ("&(executable=/bin/date)", 0),
            ("&(Exe_Cutable=/bin/date)(MAX_WALL_TIME=1)(rsl_substitution=(A b))", 0),
            ("&(executable=a)(queue=abc)(max_time=abc)(host_count=x)(expiration=abc)", 0),
            ("&(foo=1)(executable=a)", 1),
            ("&(executable=a)(start_time=1)", 1),
            ("&(executable=a)(label=x)", 1),
            ("&(executable=a)(email_address=x)", 1),
            ("&(executable=a)(job_type=bogus)", 19),
            ("&(executable=a)(job_type=mul)", 19),
            ("&(executable=a)(job_type=Single)", 19),
            ("&(executable=a)(job_type=mpi)", 0),
            ("&(executable=a)(job_type=mpi single)", 57),
            ("&(executable=a)(gram_my_job=x)", 20),
            ("&(executable=a)(gram_my_job=(x))", 59),
            ("&(executable=a)(dry_run=maybe)", 134),
            ("&(executable=a)(dry_run=(a))", 53),
            ("&(executable=a)(dry_run=a b)", 53),
            ("&(executable=a)(save_state=maybe)", 150),
            ("&(executable=a)(save_state=(yes))", 112),
            ("&(executable=a)(savejobdescription=maybe)", 134),
            ("&(executable=a)(stdout_position=0)", 138),
            ("&(executable=a)(restartcontacts=yes)", 138),
            ("&(executable=a)(restart=x)", 138),
            ("&(arguments=a)", 81),
            ("&(executable!=x)", 48),
            ("&(executable=a)(count>1)", 48),
            ("|(executable=a)", 48),
            ("+(&(executable=a))", 48),
            ("executable=a", 48),
            ("&(&(executable=a))(count=1)", 48),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
    }

    #[test]
    fn codes_of_other_requests() {
        let contact = "https://h:1/1/2/";
        for (text, request, expected) in [
            (format!("&(restart={contact})(stdout=x)(stdout_position=0)"), Request::Restart, 0),
            (format!("&(restart={contact})(executable=a)"), Request::Restart, 140),
            (format!("&(restart={contact})(stdout_position=1)"), Request::Restart, 117),
            ("&(stdout=x)".to_owned(), Request::Restart, 148),
            ("&(stdout=x)(stderr=y)(remote_io_url=z)".to_owned(), Request::StdioUpdate, 0),
            ("&(stdout=x)(count=1)".to_owned(), Request::StdioUpdate, 139),
            ("&(stderr_position=7)".to_owned(), Request::StdioUpdate, 119),
            ("&(stderr_position=0 0)".to_owned(), Request::StdioUpdate, 118),
        ] {
            let code = verdict(&text, request, "fork").map_or_else(|violation| violation.code, |()| 0);
            assert_eq!(code, expected, "{text}");
        }
    }

    #[test]
    fn extensions_belong_to_their_scheduler() {
        let code =
            |text, scheduler| verdict(text, Request::Submit, scheduler).map_or_else(|v| v.code, |()| 0);
        assert_eq!(code("&(executable=a)(email_address=x)", "slurm"), 0);
        assert_eq!(code("&(executable=a)(email_on_abort=perhaps)", "pbs"), 134);
        assert_eq!(code("&(executable=a)(host_count=2)", "lsf"), 138);
        assert_eq!(code("&(executable=a)(parallel_environment=x)", "slurm"), 1);
    }

    #[test]
    fn messages_say_what_would_be_right() {
        let message = |text| verdict(text, Request::Submit, "fork").unwrap_err().message;
        let all = [
            "&(excutable=a)",
            "&(executable=a)(qqqqqqq=1)",
            "&(executable=a)(email_address=x)",
            "&(executable=a)(label=x)",
            "&(executable=a)(job_type=singel)",
            "&(executable=a)(dry_run=maybe)",
            "&(executable=a)(dry_run=(a))",
            "&(executable=a)(stdout_position=0)",
            "&(count=1)",
            "executable=a",
            "|(executable=a)",
            "&(executable=a)(count>1)",
        ]
        .map(message)
        .join("\n");
        insta::assert_snapshot!(all);
    }
}
