//! GRAM error numbers (gram.md §15): one table of number, symbol and text.

/// A GRAM protocol error number. Unknown numbers survive decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GramError(pub u16);

impl GramError {
    /// No error.
    pub const SUCCESS: GramError = GramError(0);
    // … one constant per row of the table: PARAMETER_NOT_SUPPORTED, …, INVALID_USER_NAME
    /// Symbol without the GLOBUS_GRAM_PROTOCOL_ERROR_ prefix; None when unknown.
    pub fn symbol(self) -> Option<&'static str> {
        todo!()
    }
    /// Text that follows "failed because", as the stock library words it (observe `globusrun`'s output / the library).
    pub fn text(self) -> &'static str {
        todo!()
    }
}
