//! From a script's text to what is evaluated.

use rhai::{AST, Engine, ParseError, ParseErrorType};

use crate::inspection;

/// Compiles a script. A doc comment that documents no function is a comment like any other, although Rhai refuses it.
pub(crate) fn compile(engine: &Engine, script: &str) -> Result<AST, ParseError> {
    match engine.compile(script) {
        Err(error) if *error.err_type() == ParseErrorType::WrongDocComment => {
            engine.compile(inspection::without_stray_docs(script))
        }
        compiled => compiled,
    }
}
