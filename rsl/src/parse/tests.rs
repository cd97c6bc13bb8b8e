use super::*;
use crate::print::{pretty, print};
use proptest::prelude::*;

fn message(source: &str) -> String {
    parse(source.as_bytes()).unwrap_err().underline(source.as_bytes())
}

#[test]
fn mistakes_are_underlined() {
    let all = [
        "",
        "&",
        "&()",
        "&(executable=)",
        "&(executable=/bin/date",
        "&(executable=/bin/date))",
        "&(executable=/bin/date) trailing",
        "&(a=b)\n (c==d)\n (e=f)",
        "&(a=b c=d)",
        "&(directory=~/x)",
        "&(a=\"never closed)",
        "&(a=^!x)",
        "&(a=b(* never closed)",
        "&(a=b)\r\n(c=d)",
        "&(a=$HOME)",
        "&(a=b#)",
        "&(a b)",
        "&(münchen=ü*)",
        "(executable=a)",
        "executable=a)",
        "&(a=b)&(c=d)",
    ]
    .map(|source| format!("{source:?}\n{}", message(source)))
    .join("\n\n");
    insta::assert_snapshot!(all);
}

#[test]
fn a_long_line_is_cut_around_the_mistake() {
    let source = format!("&(a={})(b=*)(c={})", "x".repeat(5000), "y".repeat(5000));
    let shown = message(&source);
    assert!(shown.lines().all(|line| line.chars().count() < 200), "{shown}");
    let lines: Vec<&str> = shown.lines().collect();
    let caret = lines[3].chars().position(|c| c == '^').unwrap();
    assert_eq!(lines[2].chars().nth(caret), Some('*'));
}

#[test]
fn underline_survives_a_foreign_source() {
    let error = parse(b"&(a=b").unwrap_err();
    assert!(error.underline(b"").starts_with("line 1, column 1"));
}

#[test]
fn a_nul_ends_the_text() {
    assert_eq!(parse(b"&(a=b)\0)))"), parse(b"&(a=b)"));
    assert_eq!(parse(b"\0").unwrap_err().offset, 0);
}

fn nested(open: &str, close: &str, depth: usize) -> Vec<u8> {
    format!("{}x{}", open.repeat(depth), close.repeat(depth)).into_bytes()
}

#[test]
fn nesting_is_limited() {
    // The outermost boolean of the sequence and concatenation tests takes one level itself.
    let deep_value = |open: &str, close: &str, depth| {
        [b"&(a=".to_vec(), nested(open, close, depth - 1), b")".to_vec()].concat()
    };
    for good in [
        [nested("&(", ")", 0), b"=y".to_vec()].concat(),
        deep_value("(", ")", MAX_DEPTH),
        deep_value("$(", ")", MAX_DEPTH),
        deep_value("y#", "", MAX_DEPTH),
        deep_value("$(y)", "", MAX_DEPTH - 1),
        format!("{}a=b{}", "&(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH)).into_bytes(),
    ] {
        parse(&good).unwrap();
    }
    for bad in [
        deep_value("(", ")", MAX_DEPTH + 1),
        deep_value("$(", ")", MAX_DEPTH + 1),
        deep_value("y#", "", MAX_DEPTH + 1),
        deep_value("$(y)", "", MAX_DEPTH + 1),
        format!("{}a=b{}", "&(".repeat(MAX_DEPTH + 1), ")".repeat(MAX_DEPTH + 1)).into_bytes(),
        nested("&(", ")", 1_000_000),
        deep_value("(", ")", 1_000_000),
        deep_value("$(y#", ")", 1_000_000),
    ] {
        let error = parse(&bad).unwrap_err();
        assert!(error.message.contains("nested deeper than 256"), "{error}");
    }
}

/// Any bytes but NUL, often the special ones.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let special: Vec<u8> = b"\"'^$#()*+&|=!<>?~_ \t\n\ra".to_vec();
    proptest::collection::vec(prop_oneof![proptest::sample::select(special), 1..=u8::MAX], 0..6)
}

fn simple_value() -> impl Strategy<Value = Value> {
    let variable = (text(), proptest::option::of(text())).prop_map(|(name, default)| {
        Value::Variable(std::iter::once(name).chain(default).map(Value::from).collect())
    });
    let operand = prop_oneof![3 => text().prop_map(Value::from), 1 => variable].boxed();
    proptest::collection::vec(operand, 1..4).prop_map(|operands| {
        let mut operands = operands.into_iter().rev();
        let last = operands.next().unwrap();
        // To the right, as the parser builds it.
        operands.fold(last, |right, left| left.then(right))
    })
}

fn any_spec() -> impl Strategy<Value = Spec> {
    let value = simple_value()
        .prop_recursive(3, 12, 4, |inner| proptest::collection::vec(inner, 1..4).prop_map(Value::Sequence));
    let operator = proptest::sample::select(vec![
        RelationOperator::Equal,
        RelationOperator::NotEqual,
        RelationOperator::Less,
        RelationOperator::LessOrEqual,
        RelationOperator::Greater,
        RelationOperator::GreaterOrEqual,
    ]);
    let relation =
        (text(), operator, proptest::collection::vec(value, 1..4)).prop_map(|(name, operator, values)| {
            Spec::Relation(Relation { name, operator, values, place: Place::default() })
        });
    relation.prop_recursive(3, 12, 4, |inner| {
        let operator = proptest::sample::select(vec![Operator::And, Operator::Or, Operator::Multi]);
        (operator, proptest::collection::vec(inner, 1..4))
            .prop_map(|(operator, operands)| Spec::Boolean(operator, operands))
    })
}

proptest! {
    #[test]
    fn parse_undoes_print(spec in any_spec()) {
        let text = print(&spec).unwrap();
        prop_assert_eq!(parse(&text), Ok(spec), "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn parse_undoes_pretty(spec in any_spec()) {
        let text = pretty(&spec).unwrap();
        prop_assert_eq!(parse(&text), Ok(spec), "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn never_panics(source in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = parse(&source) {
            prop_assert!(error.offset <= source.len());
            error.underline(&source);
        }
    }

    #[test]
    fn never_panics_on_nearly_right_text(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec!["&", "(", ")", "a", "=", "$(", "#", "\"", "'", "^", "(*", "*)", " ", "x", "+", "!="]),
            0..40,
        )
    ) {
        let source = pieces.concat();
        match parse(source.as_bytes()) {
            Err(error) => { error.underline(source.as_bytes()); }
            Ok(spec) => if let Ok(text) = print(&spec) {
                // What the printer drops (computed defaults, third values) stays dropped.
                let again = parse(&text).unwrap();
                prop_assert_eq!(print(&again).unwrap(), text);
            },
        }
    }
}
