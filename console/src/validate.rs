//! Checks whether an input is complete, by Rhai's own parse errors.

use rhai::{Engine, LexError, OptimizationLevel, ParseErrorType, Token};

use crate::{
    commands::{self, shorthand},
    highlight,
};

/// The maximum nesting depth to parse here. The circle refuses deeper inputs.
const MAX_DEPTH: usize = 64;

/// The maximum size of an input to parse, in bytes. Parsing must not delay the Enter key.
const MAX_BYTES: usize = 64 << 10;

/// Parses inputs without playing them.
pub struct Validator {
    engine: Engine,
}

impl Default for Validator {
    fn default() -> Self {
        Self::new()
    }
}

impl Validator {
    /// Returns a validator. Building its engine is slow, so build it once.
    pub fn new() -> Self {
        let mut engine = Engine::new_raw();
        engine.set_optimization_level(OptimizationLevel::None).set_max_expr_depths(MAX_DEPTH, MAX_DEPTH);
        Self { engine }
    }

    /// Whether more lines could complete the input. Other invalid inputs count as complete, so that the circle reports
    /// the error. Two blank lines at the end force an input to be complete.
    pub fn is_incomplete(&self, input: &str) -> bool {
        // To Rhai, `name??` is an operator without its second operand.
        if shorthand::question(input).is_some() {
            return false;
        }
        // A `:` command is complete, unless it ends with a script.
        let Some((_, input)) = commands::script_part(input) else { return false };
        if input.len() > MAX_BYTES || ends_in_two_blank_lines(input) {
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
            // A doc comment whose function may still follow.
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
            // Only strings in backticks span lines; other strings need a backslash at the end of the line.
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

/// Whether the last two lines are blank. An indented line is blank, too.
fn ends_in_two_blank_lines(input: &str) -> bool {
    let mut lines = input.rsplit('\n');
    let mut is_blank = || lines.next().is_some_and(|line| line.trim().is_empty());
    is_blank() && is_blank() && lines.next().is_some()
}

impl Validator {
    /// Whether the input ends within a block comment, so that nothing that follows is a token.
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
            "fn f() {\n  ",
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
            "fn f() {\n\n  ",
            "`abc\n\n",
            deep.as_str(),
            "eval(1)",
            "area??",
            "??area",
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
