//! Printing: the canonical form (rsl.md §5), byte-exact, which travels and stands in state and audit records; and a
//! form for people to read and edit.

use crate::parse::{continues_bare, starts_bare};
use crate::{Relation, Spec, Value};

/// A variable whose name is computed cannot be printed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a variable with a computed name cannot be printed; write its name as a literal, as in $(HOME)")]
pub struct Unprintable;

/// Canonical text. `parse(print(x))` gives `x` again, but for two losses the stock printer has too: the default of a
/// variable when it is not a literal, and its third and later values.
///
/// # Errors
/// A variable with a computed name, as in `$($(X))`.
pub fn print(spec: &Spec) -> Result<Vec<u8>, Unprintable> {
    let mut out = Vec::with_capacity(256);
    print_spec(spec, &mut out)?;
    Ok(out)
}

fn print_spec(spec: &Spec, out: &mut Vec<u8>) -> Result<(), Unprintable> {
    match spec {
        Spec::Boolean(operator, operands) => {
            out.extend_from_slice(operator.symbol().as_bytes());
            for operand in operands {
                out.push(b'(');
                print_spec(operand, out)?;
                out.push(b')');
            }
            Ok(())
        }
        Spec::Relation(Relation { name, operator, values, .. }) => {
            print_literal(name, out);
            out.push(b' ');
            out.extend_from_slice(operator.symbol().as_bytes());
            out.push(b' ');
            print_values(values, out)
        }
    }
}

/// Each followed by one blank.
fn print_values(values: &[Value], out: &mut Vec<u8>) -> Result<(), Unprintable> {
    for value in values {
        print_value(value, out)?;
        out.push(b' ');
    }
    Ok(())
}

fn print_value(value: &Value, out: &mut Vec<u8>) -> Result<(), Unprintable> {
    match value {
        Value::Literal(text) => print_literal(text, out),
        Value::Sequence(elements) => {
            out.push(b'(');
            print_values(elements, out)?;
            out.push(b')');
        }
        Value::Variable(contents) => {
            let (name, default) = printable_variable(contents)?;
            out.extend_from_slice(b"$(");
            print_literal(name, out);
            if let Some(default) = default {
                out.push(b' ');
                print_literal(default, out);
            }
            out.push(b')');
        }
        Value::Concat(operands) => {
            let (left, right) = &**operands;
            print_value(left, out)?;
            out.extend_from_slice(b" # ");
            print_value(right, out)?;
        }
    }
    Ok(())
}

/// Name and default as far as they can be printed.
fn printable_variable(contents: &[Value]) -> Result<(&[u8], Option<&[u8]>), Unprintable> {
    let name = contents.first().and_then(Value::as_literal).ok_or(Unprintable)?;
    Ok((name, contents.get(1).and_then(Value::as_literal)))
}

fn print_literal(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for piece in text.split_inclusive(|&byte| byte == b'"') {
        out.extend_from_slice(piece);
        if piece.last() == Some(&b'"') {
            out.push(b'"');
        }
    }
    out.push(b'"');
}

/// One relation a line, indented, and quotes only where they are needed; parses to the same tree. Comments are not
/// part of the tree and are lost.
///
/// # Errors
/// As [`print()`].
pub fn pretty(spec: &Spec) -> Result<Vec<u8>, Unprintable> {
    let mut out = Vec::with_capacity(256);
    pretty_spec(spec, 0, &mut out)?;
    out.push(b'\n');
    Ok(out)
}

fn pretty_spec(spec: &Spec, indent: usize, out: &mut Vec<u8>) -> Result<(), Unprintable> {
    match spec {
        Spec::Boolean(operator, operands) => {
            out.extend_from_slice(operator.symbol().as_bytes());
            for (position, operand) in operands.iter().enumerate() {
                // The first operand stands beside the operator, the others below it.
                if position > 0 {
                    out.push(b'\n');
                    out.resize(out.len() + indent + 1, b' ');
                }
                out.push(b'(');
                pretty_spec(operand, indent + 2, out)?;
                out.push(b')');
            }
            Ok(())
        }
        Spec::Relation(Relation { name, operator, values, .. }) => {
            pretty_literal(name, out);
            out.push(b' ');
            out.extend_from_slice(operator.symbol().as_bytes());
            for value in values {
                out.push(b' ');
                pretty_value(value, out)?;
            }
            Ok(())
        }
    }
}

fn pretty_value(value: &Value, out: &mut Vec<u8>) -> Result<(), Unprintable> {
    match value {
        Value::Literal(text) => pretty_literal(text, out),
        Value::Sequence(elements) => {
            out.push(b'(');
            for (position, element) in elements.iter().enumerate() {
                if position > 0 {
                    out.push(b' ');
                }
                pretty_value(element, out)?;
            }
            out.push(b')');
        }
        Value::Variable(contents) => {
            let (name, default) = printable_variable(contents)?;
            out.extend_from_slice(b"$(");
            pretty_literal(name, out);
            if let Some(default) = default {
                out.push(b' ');
                pretty_literal(default, out);
            }
            out.push(b')');
        }
        Value::Concat(operands) => {
            let (left, right) = &**operands;
            pretty_value(left, out)?;
            out.extend_from_slice(b" # ");
            pretty_value(right, out)?;
        }
    }
    Ok(())
}

fn pretty_literal(text: &[u8], out: &mut Vec<u8>) {
    let is_bare = text.first().is_some_and(|&first| starts_bare(first))
        && text.iter().all(|&byte| byte.is_ascii_graphic() && continues_bare(byte));
    if is_bare {
        out.extend_from_slice(text);
    } else {
        print_literal(text, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn pretty_text(source: &str) -> String {
        String::from_utf8(pretty(&parse(source.as_bytes()).unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn pretty_puts_one_relation_on_a_line() {
        insta::assert_snapshot!(
            pretty_text(r#"&(executable=/bin/echo)(arguments="a b" c "")(environment=(A "x""y")(B $(HOME)/z))"#),
            @r#"
        &(executable = /bin/echo)
         (arguments = "a b" c "")
         (environment = (A "x""y") (B $(HOME) # /z))
        "#
        );
    }

    #[test]
    fn pretty_indents_the_branches_of_a_multi_request() {
        insta::assert_snapshot!(
            pretty_text("+(&(label=a)(executable=/bin/a))(&(label=b)(executable=/bin/b))"),
            @"
        +(&(label = a)
           (executable = /bin/a))
         (&(label = b)
           (executable = /bin/b))
        "
        );
    }

    #[test]
    fn a_variable_without_a_literal_name_is_unprintable() {
        let spec = parse(b"&(a=$($(X)))").unwrap();
        assert_eq!(print(&spec), Err(Unprintable));
        assert_eq!(pretty(&spec), Err(Unprintable));
        let nameless = Spec::job([Relation::equal("a", [Value::Variable(vec![])])]);
        assert_eq!(print(&nameless), Err(Unprintable));
    }

    #[test]
    fn a_computed_default_is_dropped_as_stock_drops_it() {
        let spec = parse(b"&(a=$(X $(Y)))").unwrap();
        assert_eq!(print(&spec).unwrap(), br#"&("a" = $("X") )"#);
    }
}
