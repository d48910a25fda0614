//! What rustyline asks while a line is typed: is it complete, how is it coloured, what did the history have.

use std::borrow::Cow;

use rhai::Engine;
use rustyline::{
    Context, Helper, Result,
    completion::Pair,
    highlight::{CmdKind, Highlighter, MatchingBracketHighlighter},
    hint::{Hinter, HistoryHinter},
    validate::{ValidationContext, ValidationResult, Validator},
};

use crate::{
    console::{
        completion::{Candidate, Completer, byte},
        highlight,
        text::Style,
        validate,
    },
    printing::Paint,
    visible::visible,
};

/// What Tab inserts where there is nothing to complete.
const INDENT: &str = "  ";

pub(crate) struct Typing {
    validator: validate::Validator,
    lexer: Engine,
    brackets: MatchingBracketHighlighter,
    history: HistoryHinter,
    paint: Paint,
    completer: Completer,
}

impl Typing {
    pub(crate) fn new(completer: Completer) -> Self {
        Self {
            validator: validate::Validator::new(),
            lexer: Engine::new_raw(),
            brackets: MatchingBracketHighlighter::new(),
            history: HistoryHinter::new(),
            paint: Paint::for_stdout(),
            completer,
        }
    }
}

impl Helper for Typing {}

impl rustyline::completion::Completer for Typing {
    type Candidate = Pair;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> Result<(usize, Vec<Pair>)> {
        let before = &line[..position];
        // At the begin of a line that goes on with an input there is nothing to complete, only to indent.
        if before.rsplit_once('\n').is_some_and(|(_, line)| line.trim().is_empty()) {
            return Ok((position, vec![Pair { display: INDENT.into(), replacement: INDENT.into() }]));
        }
        let completion = self.completer.complete(line, before.chars().count());
        let Some(start) = byte(line, completion.start) else { return Ok((position, Vec::new())) };
        let pair = |candidate: Candidate| {
            let detail = visible(&candidate.detail);
            let text = visible(&candidate.text).into_owned();
            // A signature has the name in it.
            let is_signature = detail.starts_with(&format!("{text}("));
            let display = match detail.as_ref() {
                "" => text.clone(),
                detail if is_signature => detail.to_owned(),
                detail => format!("{text}  {detail}"),
            };
            Pair { display, replacement: text }
        };
        Ok((start.min(position), completion.candidates.into_iter().map(pair).collect()))
    }
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
