//! Whether an input is complete, judged by Rhai's own parse errors.

use rhai::{Engine, LexError, OptimizationLevel, ParseErrorType, Token};

use crate::{commands, highlight};

/// How deep an input may nest to be parsed here; a deeper one is the circle's to refuse.
const MAX_DEPTH: usize = 64;

/// Bytes of an input that is looked at: parsing may not make Enter wait.
const MAX_BYTES: usize = 64 << 10;

/// Parses inputs, and plays nothing.
pub struct Validator {
    engine: Engine,
}

impl Default for Validator {
    fn default() -> Self {
        Self::new()
    }
}

impl Validator {
    /// A validator. Building its engine takes long enough to do it once.
    pub fn new() -> Self {
        let mut engine = Engine::new_raw();
        engine.set_optimization_level(OptimizationLevel::None).set_max_expr_depths(MAX_DEPTH, MAX_DEPTH);
        Self { engine }
    }

    /// Whether more lines could make it complete. What is wrong in another way is complete: the circle says what is wrong.
    /// Two blank lines at its end say that it is meant to be complete as it is.
    pub fn is_incomplete(&self, input: &str) -> bool {
        // A `:` command is complete, unless it ends with a script.
        let Some((_, input)) = commands::script_part(input) else { return false };
        if input.len() > MAX_BYTES || input.ends_with("\n\n") {
            return false;
        }
        let Err(error) = self.engine.compile(input) else { return self.is_in_comment(input) };
        let at_end = || {
            let position = error.position();
            let before = position.line().map_or(0, |line| line.saturating_sub(1));
            let rest: Vec<&str> = input.lines().skip(before).collect();
            let column = position.position().unwrap_or(1).saturating_sub(1);
            rest.first().is_none_or(|line| line.chars().skip(column).all(char::is_whitespace))
                && rest.iter().skip(1).all(|line| line.trim().is_empty())
        };
        match error.err_type() {
            // A comment that documents a function, which is still to come.
            ParseErrorType::WrongDocComment => {
                let before = error.position().line().map_or(0, |line| line.saturating_sub(1));
                let is_doc = |line: &str| line.trim().is_empty() || line.trim_start().starts_with("///");
                input.lines().skip(before).all(is_doc)
            }
            ParseErrorType::UnexpectedEOF => true,
            ParseErrorType::MissingToken(..)
            | ParseErrorType::PropertyExpected
            | ParseErrorType::VariableExpected
            | ParseErrorType::FnMissingName => at_end(),
            // Only a string in backticks goes on over lines by itself, any other after a backslash at their ends.
            ParseErrorType::BadInput(LexError::UnterminatedString) => {
                let position = error.position();
                let line = input.lines().nth(position.line().map_or(0, |line| line.saturating_sub(1)));
                let start = line.and_then(|line| line.chars().nth(position.position().unwrap_or(1).saturating_sub(1)));
                start == Some('`') || input.ends_with('\\')
            }
            _ => false,
        }
    }
}

impl Validator {
    /// Whether it ends within a comment that goes on over lines: what follows is no token then.
    fn is_in_comment(&self, input: &str) -> bool {
        let begins = input.contains("/*");
        begins
            && !matches!(highlight::lex(&self.engine, &format!("{input}\n;")).last(), Some((Token::SemiColon, at)) if *at > input.len())
    }
}

#[cfg(test)]
mod tests {
    use super::Validator;

    #[test]
    fn input_that_more_lines_could_complete_is_incomplete() {
        let validator = Validator::new();
        let inputs = [
            "fn f(x) {",
            "fn f(x) {\n  x",
            "let x = (1",
            "[1,",
            "#{a:",
            "1 +",
            "if true",
            "if true {} else",
            "x.",
            "let",
            "fn",
            "foo(",
            "for i in",
            "let x =",
            "`abc",
            "`abc ${1 +",
            "`abc\n",
            "\"abc\\",
            "fn f() {\n\n  1\n",
            "/// doubles",
            "1;\n/// doubles\n/// a number",
            "/* com",
            "1 /* a */ + 2 /* more\n",
            ":time fn f(x) {",
            ":each a,b [1,",
        ];
        for input in inputs {
            assert!(validator.is_incomplete(input), "{input:?}");
        }
    }

    #[test]
    fn complete_and_invalid_inputs_are_sent() {
        let validator = Validator::new();
        let deep = "(".repeat(5000);
        let inputs = [
            "",
            "1",
            "fn f(x) { x }",
            "let x = 1;",
            "foo(1 2)",
            "let x = 1 }",
            "(1))",
            "1 2",
            "\"abc",
            "'a",
            ":help",
            ":load (",
            "a ? ",
            "fn f() {\n\n\n",
            "`abc\n\n",
            deep.as_str(),
            "eval(1)",
            "// comment",
            "// a /* b",
            "`/*`",
            "1 /* a */",
        ];
        for input in inputs {
            assert!(!validator.is_incomplete(input), "{input:?}");
        }
    }
}
