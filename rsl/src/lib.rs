//! The Globus Resource Specification Language, RSL 1.0: text → tree → canonical text; substitution; the attributes
//! of a job and their rules. Follows `rsl.md`, byte for byte with the Grid Community Toolkit. No files, sockets or
//! clocks, and nothing here panics, whatever the text: all of it comes from the network.
//!
//! | Module | Subject |
//! |---|---|
//! | [`tree`] | the tree, and finding a relation in it; its literals are [`Text`] |
//! | [`mod@parse`] | text → tree; mistakes are shown underlined |
//! | [`mod@print`] | tree → canonical text, and a form for people |
//! | [`mod@evaluate`] | canonical names; variables replaced by their values |
//! | [`mod@array`] | one request for many jobs: the request of each |
//! | [`attribute`] | the attributes of a job: types, when valid, GRAM error numbers |
//!
//! ```
//! use rsl::{attribute, evaluate, parse};
//!
//! let request = parse(b"&(Executable=/bin/echo)(arguments=$(HOME)/x)")?;
//! let canonical = evaluate::canonicalise(&request);
//! let symbols = [(b"HOME".to_vec(), b"/home/u".to_vec())].into();
//! let job = evaluate::evaluate(&canonical, &symbols)?;
//! attribute::check(&job, attribute::Request::Submit, "fork")?;
//!
//! let arguments = job.first("arguments").map(attribute::list).transpose()?;
//! assert_eq!(arguments, Some(vec![b"/home/u/x".as_slice()]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Left out: the validation files (RVF) of stock job managers; [`attribute`] is the same knowledge as a typed table.

pub mod array;
pub mod attribute;
pub mod evaluate;
pub mod parse;
mod place;
pub mod print;
mod spelling;
mod text;
pub mod tree;

pub use parse::{ParseError, parse};
pub use place::Place;
pub use text::Text;
pub use tree::{Operator, Relation, RelationOperator, Spec, Value};
