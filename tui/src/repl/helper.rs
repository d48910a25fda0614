//! What rustyline asks while a line is typed: is it complete, how is it coloured, what did the history have.

use std::borrow::Cow;

use rhai::Engine;
use rustyline::{
    Context, Helper, Result,
    completion::Completer,
    highlight::{CmdKind, Highlighter, MatchingBracketHighlighter},
    hint::{Hinter, HistoryHinter},
    validate::{ValidationContext, ValidationResult, Validator},
};

use crate::{
    console::{highlight, text::Style, validate},
    printing::Paint,
};

pub(crate) struct Typing {
    validator: validate::Validator,
    lexer: Engine,
    brackets: MatchingBracketHighlighter,
    history: HistoryHinter,
    paint: Paint,
}

impl Typing {
    pub(crate) fn new() -> Self {
        Self {
            validator: validate::Validator::new(),
            lexer: Engine::new_raw(),
            brackets: MatchingBracketHighlighter::new(),
            history: HistoryHinter::new(),
            paint: Paint::for_stdout(),
        }
    }
}

impl Helper for Typing {}

impl Completer for Typing {
    type Candidate = String;
}

impl Hinter for Typing {
    type Hint = String;

    fn hint(&self, line: &str, position: usize, context: &Context<'_>) -> Option<String> {
        // A hint of several lines would push about what stands below.
        self.history.hint(line, position, context).filter(|hint| !hint.contains('\n'))
    }
}

impl Validator for Typing {
    fn validate(&self, context: &mut ValidationContext<'_>) -> Result<ValidationResult> {
        Ok(if self.validator.is_incomplete(context.input()) {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}

impl Highlighter for Typing {
    fn highlight<'l>(&self, line: &'l str, position: usize) -> Cow<'l, str> {
        if !self.paint.is_on() || line.trim_start().starts_with(':') {
            return Cow::Borrowed(line);
        }
        // Beside a bracket its counterpart is what one wants to see.
        if let Cow::Owned(line) = self.brackets.highlight(line, position) {
            return Cow::Owned(line);
        }
        let mut coloured = String::with_capacity(line.len() * 2);
        let mut done = 0;
        for (range, kind) in highlight::parts(&self.lexer, line) {
            coloured.push_str(&line[done..range.start]);
            coloured.push_str(&self.paint.styled(Style::Syntax(kind), &line[range.clone()]));
            done = range.end;
        }
        coloured.push_str(&line[done..]);
        Cow::Owned(coloured)
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(self.paint.dim(hint))
    }

    fn highlight_char(&self, line: &str, position: usize, kind: CmdKind) -> bool {
        self.brackets.highlight_char(line, position, kind) || self.paint.is_on()
    }
}
