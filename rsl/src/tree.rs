//! The tree (rsl.md §3). Order and duplicates are kept. Literals are bytes.

/// How a boolean joins its operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /** `&` */
    And,
    /** `|` */
    Or,
    /** `+` */
    Multi,
}

/// Comparison of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationOperator {
    /** = */
    Equal,
    /** != */
    NotEqual,
    /** < */
    Less,
    /** <= */
    LessOrEqual,
    /** > */
    Greater,
    /** >= */
    GreaterOrEqual,
}

/// A specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    /** `op(…)(…)` */
    Boolean(Operator, Vec<Spec>),
    /** `name op values` */
    Relation(Relation),
}

/// `name op value…`; `name` is spelt as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /** as written */
    pub name: Vec<u8>,
    /** operator */
    pub operator: RelationOperator,
    /** at least one */
    pub values: Vec<Value>,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /** text */
    Literal(Vec<u8>),
    /** `(a b)` */
    Sequence(Vec<Value>),
    /** `$(NAME default)` */
    Variable(Vec<Value>),
    /** `a # b` */
    Concat(Box<Value>, Box<Value>),
}
