//! The Globus Resource Specification Language, RSL 1.0: text → tree → canonical text; substitution; the attributes
//! of a job and their rules. No files, sockets or clocks.

pub mod attribute;
pub mod evaluate;
pub mod parse;
pub mod print;
pub mod tree;

pub use parse::{ParseError, parse};
pub use tree::{Operator, Relation, RelationOperator, Spec, Value};
