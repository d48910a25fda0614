//! What every place to type Rhai into needs, without a terminal in it: is an input complete, how is it coloured.

pub(crate) mod highlight;
pub(crate) mod validate;
