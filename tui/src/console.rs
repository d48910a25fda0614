//! What every place to type Rhai into needs, without a terminal in it: is an input complete, how is it coloured, how are
//! values and errors shown, which `:` commands there are.

pub(crate) mod completion;
pub(crate) mod highlight;
pub(crate) mod history;
pub(crate) mod meta;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod text;
pub(crate) mod validate;
pub(crate) mod value;

/// The variable that holds the last value (`_` is no name in Rhai).
pub(crate) const LAST_VALUE: &str = "ans";
