//! Substitution of variables (rsl.md §6) and canonicalisation of attribute names (§4). Both make a new tree.

use crate::spelling::nearest;
use crate::tree::canonical_bytes;
use crate::{Relation, Spec, Value};
use std::collections::HashMap;

/// Outermost scope: symbol name → value.
pub type Symbols = HashMap<Vec<u8>, Vec<u8>>;

/// Most bytes of text an evaluated specification may hold, substitutions included. Definitions may use earlier ones,
/// so a short request could otherwise ask for a text that doubles with every pair.
pub const MAX_EVALUATED_BYTES: usize = 1 << 20;

/// Evaluation failed (GRAM error 39).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvaluationError {
    /// Names the variable or pair, and says what would be right.
    pub message: String,
}

/// Which variables can be evaluated (rsl.md §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// RSL 1.0 as documented: `$(NAME default)` gives the default when NAME is undefined, and a name may be computed,
    /// as in `$($(A))`. For a server, which may accept more than stock.
    Documented,
    /// What the stock library evaluates: both of these are errors. For a client that is about to send the request to
    /// any server.
    Stock,
}

/// Lower-cases attribute names and drops underscores, recursively; values are left alone.
pub fn canonicalise(spec: &Spec) -> Spec {
    match spec {
        Spec::Boolean(operator, operands) => {
            Spec::Boolean(*operator, operands.iter().map(canonicalise).collect())
        }
        Spec::Relation(relation) => Spec::Relation(Relation {
            name: canonical_bytes(&relation.name).collect(),
            operator: relation.operator,
            values: relation.values.clone(),
            place: relation.place,
        }),
    }
}

/// Replaces variables and concatenations by literals; `$(NAME default)` honours the default.
///
/// # Errors
/// An undefined variable, a definition that is not a pair of literals, or a result above [`MAX_EVALUATED_BYTES`].
pub fn evaluate(spec: &Spec, symbols: &Symbols) -> Result<Spec, EvaluationError> {
    evaluate_with(spec, symbols, Dialect::Documented)
}

/// As [`evaluate`], with a choice of dialect.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_with(spec: &Spec, symbols: &Symbols, dialect: Dialect) -> Result<Spec, EvaluationError> {
    Evaluation { outermost: symbols, scopes: Vec::new(), dialect, left: MAX_EVALUATED_BYTES }.spec(spec)
}

struct Evaluation<'a> {
    outermost: &'a Symbols,
    /// One for each open boolean, innermost last.
    scopes: Vec<Symbols>,
    dialect: Dialect,
    /// Bytes of text that may still be produced.
    left: usize,
}

impl Evaluation<'_> {
    fn spec(&mut self, spec: &Spec) -> Result<Spec, EvaluationError> {
        match spec {
            Spec::Boolean(operator, operands) => {
                self.scopes.push(Symbols::new());
                let operands = operands.iter().map(|operand| self.spec(operand)).collect::<Result<_, _>>()?;
                self.scopes.pop();
                Ok(Spec::Boolean(*operator, operands))
            }
            Spec::Relation(relation) => self.relation(relation).map(Spec::Relation),
        }
    }

    fn relation(&mut self, relation: &Relation) -> Result<Relation, EvaluationError> {
        let defines = is_substitution(&relation.name);
        let mut values = Vec::with_capacity(relation.values.len());
        for value in &relation.values {
            let value = self.value(value)?;
            if defines {
                // At once, so that later pairs of the same relation may use it.
                self.define(&value)?;
            }
            values.push(value);
        }
        Ok(Relation {
            name: relation.name.clone(),
            operator: relation.operator,
            values,
            place: relation.place,
        })
    }

    fn define(&mut self, pair: &Value) -> Result<(), EvaluationError> {
        let (name, text) = match pair {
            Value::Sequence(elements) => match elements.as_slice() {
                [Value::Literal(name), Value::Literal(text)] => (name, text),
                _ => return Err(bad_definition(pair)),
            },
            Value::Literal(_) | Value::Variable(_) | Value::Concat(..) => return Err(bad_definition(pair)),
        };
        // A bare relation has no boolean around it, so nothing could use what it defines.
        if let Some(scope) = self.scopes.last_mut() {
            spend(&mut self.left, name.len() + text.len())?;
            scope.entry(name.to_vec()).or_insert_with(|| text.to_vec());
        }
        Ok(())
    }

    fn value(&mut self, value: &Value) -> Result<Value, EvaluationError> {
        match value {
            Value::Sequence(elements) => elements
                .iter()
                .map(|element| self.value(element))
                .collect::<Result<_, _>>()
                .map(Value::Sequence),
            Value::Literal(text) => {
                spend(&mut self.left, text.len())?;
                Ok(Value::Literal(text.clone()))
            }
            Value::Variable(_) | Value::Concat(..) => {
                let mut text = Vec::new();
                self.append(value, &mut text)?;
                Ok(text.into())
            }
        }
    }

    /// Adds the text of a simple value to `out`.
    fn append(&mut self, value: &Value, out: &mut Vec<u8>) -> Result<(), EvaluationError> {
        match value {
            Value::Literal(text) => {
                spend(&mut self.left, text.len())?;
                out.extend_from_slice(text);
                Ok(())
            }
            Value::Variable(contents) => self.append_variable(contents, out),
            Value::Concat(operands) => {
                let (left, right) = &**operands;
                self.append(left, out)?;
                self.append(right, out)
            }
            Value::Sequence(_) => Err(EvaluationError {
                message: format!("{} is a list where text is needed; remove its parentheses", show(value)),
            }),
        }
    }

    fn append_variable(&mut self, contents: &[Value], out: &mut Vec<u8>) -> Result<(), EvaluationError> {
        let (name, default) = match contents {
            [name] => (name, None),
            [name, default] if self.dialect == Dialect::Documented => (name, Some(default)),
            [name, _] => {
                return Err(EvaluationError {
                    message: format!(
                        "$({} …) has a default, which servers of the Grid Community Toolkit refuse; \
                         define the variable with rsl_substitution instead",
                        show(name)
                    ),
                });
            }
            _ => {
                let shown: Vec<String> = contents.iter().map(show).collect();
                return Err(EvaluationError {
                    message: format!(
                        "$({}) is not a variable; it takes a name and at most one default",
                        shown.join(" ")
                    ),
                });
            }
        };
        let computed;
        let name: &[u8] = match name {
            Value::Literal(name) => name,
            Value::Variable(_) | Value::Concat(..) | Value::Sequence(_) => {
                if self.dialect == Dialect::Stock {
                    return Err(EvaluationError {
                        message: format!(
                            "$({}) has a computed name, which servers of the Grid Community Toolkit refuse; \
                             write the name out",
                            show(name)
                        ),
                    });
                }
                let mut text = Vec::new();
                self.append(name, &mut text)?;
                computed = text;
                &computed
            }
        };
        // Field by field rather than through a method: the value borrows the scopes while `left` is changed.
        let defined =
            self.scopes.iter().rev().find_map(|scope| scope.get(name)).or_else(|| self.outermost.get(name));
        match (defined, default) {
            (Some(text), _) => {
                spend(&mut self.left, text.len())?;
                out.extend_from_slice(text);
                Ok(())
            }
            (None, Some(default)) => self.append(default, out),
            (None, None) => Err(self.undefined(name)),
        }
    }

    fn undefined(&self, name: &[u8]) -> EvaluationError {
        let name = String::from_utf8_lossy(name);
        let defined = self.scopes.iter().chain([self.outermost]).flat_map(Symbols::keys);
        let candidates: Vec<String> =
            defined.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        let advice = match nearest(&name, candidates.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean $({meant})?"),
            None => format!("define it first, with (rsl_substitution=({name} value))"),
        };
        EvaluationError { message: format!("variable $({name}) is not defined here; {advice}") }
    }
}

fn spend(left: &mut usize, bytes: usize) -> Result<(), EvaluationError> {
    *left = left.checked_sub(bytes).ok_or_else(|| EvaluationError {
        message: format!(
            "the request grows beyond {MAX_EVALUATED_BYTES} bytes when its variables are substituted; \
             use shorter definitions"
        ),
    })?;
    Ok(())
}

/// Evaluation happens before and after canonicalisation, hence two spellings.
fn is_substitution(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"rsl_substitution") || name.eq_ignore_ascii_case(b"rslsubstitution")
}

fn bad_definition(value: &Value) -> EvaluationError {
    EvaluationError {
        message: format!(
            "rsl_substitution contains {}, which is not a pair of texts; write (NAME value)",
            show(value)
        ),
    }
}

/// A short rendering of a value for messages.
fn show(value: &Value) -> String {
    match value {
        Value::Literal(text) => String::from_utf8_lossy(text).chars().take(80).collect(),
        Value::Sequence(elements) => {
            let shown: Vec<String> = elements.iter().take(8).map(show).collect();
            format!("({})", shown.join(" "))
        }
        Value::Variable(contents) => {
            let shown: Vec<String> = contents.iter().take(3).map(show).collect();
            format!("$({})", shown.join(" "))
        }
        Value::Concat(operands) => format!("{}#{}", show(&operands.0), show(&operands.1)),
    }
}
