//! The tree (rsl.md §3): what a request says, as written. Order and duplicates are kept; literals are bytes.
//!
//! The parser and [`crate::print`] are inverse to each other on this tree. Canonical names and substituted variables
//! are made as new trees by [`crate::evaluate`].

use crate::{Place, Text};

/// How a boolean joins its operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `&`: all of them; the only form a job may have.
    And,
    /// `|`: one of them.
    Or,
    /// `+`: several requests at once, for a co-allocator.
    Multi,
}

impl Operator {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::And => "&",
            Self::Or => "|",
            Self::Multi => "+",
        }
    }
}

/// Comparison of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelationOperator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl RelationOperator {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// A specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    /// `op(…)(…)`, with at least one operand
    Boolean(Operator, Vec<Spec>),
    /// `name op value…`
    Relation(Relation),
}

impl Spec {
    /// `&(…)(…)` of these relations: a job request.
    pub fn job(relations: impl IntoIterator<Item = Relation>) -> Self {
        Self::Boolean(Operator::And, relations.into_iter().map(Self::Relation).collect())
    }

    /// The branches of a multi-request `+(…)(…)`, in order; none for anything else. Each branch is a request of its
    /// own: variables are not shared between branches (rsl.md §6).
    pub fn branches(&self) -> Option<&[Spec]> {
        match self {
            Self::Boolean(Operator::Multi, branches) => Some(branches),
            Self::Boolean(Operator::And | Operator::Or, _) | Self::Relation(_) => None,
        }
    }

    /// The relations directly below a boolean, in order (or the bare relation itself); nested booleans are left out.
    pub fn relations(&self) -> impl DoubleEndedIterator<Item = &Relation> {
        let operands = match self {
            Self::Boolean(_, operands) => operands.as_slice(),
            Self::Relation(_) => std::slice::from_ref(self),
        };
        operands.iter().filter_map(|operand| match operand {
            Self::Relation(relation) => Some(relation),
            Self::Boolean(..) => None,
        })
    }

    /// The first relation of this name: what a job manager looks at for stdio, staging and two-phase (rsl.md §9).
    /// Case and underscores of both names are ignored.
    pub fn first(&self, name: &str) -> Option<&Relation> {
        self.relations().find(|relation| relation.is_named(name))
    }

    /// The last relation of this name: what a scheduler adapter sees (rsl.md §9). Case and underscores of both names
    /// are ignored.
    pub fn last(&self, name: &str) -> Option<&Relation> {
        self.relations().rfind(|relation| relation.is_named(name))
    }
}

/// `name op value…`; the name is spelt as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// As written; compare with [`Relation::is_named`].
    pub name: Vec<u8>,
    /// The comparison; jobs only have `=`.
    pub operator: RelationOperator,
    /// At least one.
    pub values: Vec<Value>,
    /// Of the name, in the text; for messages.
    pub place: Place,
}

impl Relation {
    /// `name = value…`
    pub fn equal(name: impl Into<Vec<u8>>, values: impl IntoIterator<Item = Value>) -> Self {
        Self {
            name: name.into(),
            operator: RelationOperator::Equal,
            values: values.into_iter().collect(),
            place: Place::default(),
        }
    }

    /// Whether this is that attribute, whatever the case and underscores of either spelling (rsl.md §4).
    pub fn is_named(&self, name: &str) -> bool {
        canonical_bytes(&self.name).eq(canonical_bytes(name.as_bytes()))
    }
}

/// The bytes of an attribute name in canonical form: ASCII lower case, no underscores.
pub(crate) fn canonical_bytes(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().filter(|&&byte| byte != b'_').map(u8::to_ascii_lowercase)
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text; how it was quoted is forgotten.
    Literal(Text),
    /// `(a b)`, with at least one element
    Sequence(Vec<Value>),
    /// `$(NAME)` or `$(NAME default)`; more values are grammatical and mean nothing.
    Variable(Vec<Value>),
    /// `a # b`; operands are literals, variables and concatenations.
    Concat(Box<(Value, Value)>),
}

impl Value {
    /// The text of a literal.
    pub fn as_literal(&self) -> Option<&[u8]> {
        match self {
            Self::Literal(text) => Some(text),
            Self::Sequence(_) | Self::Variable(_) | Self::Concat(..) => None,
        }
    }

    /// `$(NAME)`
    pub fn variable(name: impl Into<Text>) -> Self {
        Self::Variable(vec![Self::Literal(name.into())])
    }

    /// `(name value)`, as `environment` and `rsl_substitution` take it.
    pub fn pair(name: impl Into<Value>, value: impl Into<Value>) -> Self {
        Self::Sequence(vec![name.into(), value.into()])
    }

    /// This value directly followed by `next`.
    pub fn then(self, next: impl Into<Value>) -> Self {
        Self::Concat(Box::new((self, next.into())))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Literal(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Literal(text.into())
    }
}

impl From<Vec<u8>> for Value {
    fn from(text: Vec<u8>) -> Self {
        Self::Literal(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_and_last_ignore_case_and_underscores() {
        let job = Spec::job([
            Relation::equal("Max_Wall_Time", ["1".into()]),
            Relation::equal("executable", ["/bin/true".into()]),
            Relation::equal("maxWallTime", ["2".into()]),
        ]);
        assert_eq!(job.first("max_wall_time").unwrap().values, ["1".into()]);
        assert_eq!(job.last("MAXWALLTIME").unwrap().values, ["2".into()]);
        assert_eq!(job.first("count"), None);
    }

    #[test]
    fn only_multi_requests_have_branches() {
        let job = Spec::job([Relation::equal("a", ["b".into()])]);
        assert_eq!(job.branches(), None);
        let multi = Spec::Boolean(Operator::Multi, vec![job.clone(), job.clone()]);
        assert_eq!(multi.branches(), Some([job.clone(), job].as_slice()));
    }
}
