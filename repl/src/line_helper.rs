//! Support for rustyline while a line is being typed: validation, highlighting, completion, hints.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    sync::Arc,
};

use rhai::Engine;
use rustyline::{
    Context, Helper, Result,
    completion::Pair,
    highlight::{CmdKind, Highlighter},
    hint::{Hint, Hinter},
    validate::{ValidationContext, ValidationResult, Validator},
};

use unicode_width::UnicodeWidthStr;

use console::{
    commands,
    completer::Completer,
    completion::{CompletionItem, byte},
    highlight,
    indent::INDENT,
    session::SessionHandle,
};
use frontend::{
    text::{self, Style},
    visible::visible,
};
use terminal::output::{self, Paint};

use super::line_state::{self, LineState};

/// Largest number of inputs that the search of the history shows.
const MAX_SEARCH_ROWS: usize = 10;

/// Rows of the screen that the list of a search leaves free, with the line about it.
const SEARCH_MARGIN: usize = 3;

/// Longest name of a circle in the prompt, in columns.
const MAX_NAME: usize = 40;

/// End of the prompt: connected or disconnected.
const CONNECTED: &str = "> ";
const DISCONNECTED: &str = "✗ ";

pub(crate) struct LineHelper {
    lexer: Engine,
    state: Arc<LineState>,
    paint: Paint,
    completer: Completer,
    session: SessionHandle,
    /// Whether the line is drawn for the last time, as it will stay on the screen.
    is_final_draw: Cell<bool>,
    /// The list of a search in colours. rustyline measures the hint, so the hint itself has none.
    styled_list: RefCell<String>,
}

/// Text after the line.
pub(crate) enum LineHint {
    /// The rest of an input of the history.
    Rest {
        /// The rest, with visible characters instead of those that control the terminal.
        shown: String,
        /// The rest as it is.
        text: String,
    },
    /// The list of a search.
    List(String),
}

impl Hint for LineHint {
    fn display(&self) -> &str {
        match self {
            Self::Rest { shown: text, .. } | Self::List(text) => text,
        }
    }

    fn completion(&self) -> Option<&str> {
        match self {
            Self::Rest { text, .. } => Some(text),
            Self::List(_) => None,
        }
    }
}

impl LineHint {
    fn rest(text: String) -> Self {
        Self::Rest { shown: visible(&text).into_owned(), text }
    }
}

impl LineHelper {
    pub(crate) fn new(completer: Completer, session: SessionHandle, state: Arc<LineState>) -> Self {
        Self {
            lexer: Engine::new_raw(),
            state,
            paint: Paint::for_stdout(),
            completer,
            session,
            is_final_draw: Cell::new(false),
            styled_list: RefCell::default(),
        }
    }

    /// Switches to another session.
    pub(crate) fn set_session(&mut self, session: SessionHandle) {
        self.completer.set_session(session.clone());
        self.session = session;
    }
}

/// Returns the prompt: the circle, the key if the session has authenticated, and whether the caller may only call
/// functions. Its end shows whether there is a connection, even if that changes while the prompt is on the screen.
pub(crate) fn prompt(session: &SessionHandle) -> String {
    let (name, state) = (circle_name(session), session.state());
    let rights = state.rights().label();
    // Also while disconnected: the same key authenticates the next connection.
    match state.key {
        Some(key) => format!("{name} ⚿ {key}{rights}{CONNECTED}"),
        None => format!("{name}{rights}{CONNECTED}"),
    }
}

/// Returns the circle's own name, on one line of limited length.
pub(crate) fn circle_name(session: &SessionHandle) -> String {
    let name = session.state().circle.map_or(String::new(), |circle| circle.name.clone());
    text::StyledLine::of(Style::Plain, &name).truncated(MAX_NAME).to_string()
}

/// Removes control characters and marks of direction from a line: rustyline draws them as they are, and counts no columns
/// for them.
fn strip_controls(line: &str) -> Cow<'_, str> {
    let is_hidden = |character: char| match character {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => character.is_control(),
    };
    if line.contains(is_hidden) { Cow::Owned(line.replace(is_hidden, "")) } else { Cow::Borrowed(line) }
}

impl Helper for LineHelper {}

impl rustyline::completion::Completer for LineHelper {
    type Candidate = Pair;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> Result<(usize, Vec<Pair>)> {
        let before = &line[..position];
        // In the indentation of a continuation line there is nothing to complete.
        if before.rsplit_once('\n').is_some_and(|(_, line)| line.trim().is_empty()) {
            return Ok((position, vec![Pair { display: INDENT.into(), replacement: INDENT.into() }]));
        }
        let completion = self.completer.complete(line, before.chars().count());
        let Some(start) = byte(line, completion.start) else { return Ok((position, Vec::new())) };
        let pairs = completion.candidates.into_iter().map(pair).collect();
        Ok((start.min(position), fit_screen(pairs, output::stdout_size().unwrap_or((80, 24)))))
    }
}

/// Returns a candidate as the list shows it, and as the line gets it.
fn pair(candidate: CompletionItem) -> Pair {
    let detail = visible(&candidate.detail);
    let text = visible(&candidate.text);
    // A signature contains the name.
    let is_signature = detail.starts_with(&format!("{}(", text.trim_end()));
    let display = match detail.as_ref() {
        "" => text.into_owned(),
        detail if is_signature => detail.to_owned(),
        detail => format!("{text}  {detail}"),
    };
    // Anything but the candidate itself would be another value.
    Pair { display, replacement: candidate.text }
}

/// Returns as many candidates as fit on the screen, and the number of the hidden ones: a question would block
/// everything else.
fn fit_screen(mut pairs: Vec<Pair>, (columns, rows): (usize, usize)) -> Vec<Pair> {
    let width = pairs.iter().map(|pair| pair.display.width()).max().unwrap_or(0) + 2;
    let room = (columns / width.min(columns.max(1)).max(1)).max(1) * rows.saturating_sub(3).max(1);
    if pairs.len() <= room {
        return pairs;
    }
    // The completion is the common prefix of all candidates, including the hidden ones.
    let common = pairs.iter().skip(1).fold(pairs[0].replacement.clone(), |common, pair| {
        let same = common.chars().zip(pair.replacement.chars()).take_while(|(one, other)| one == other);
        same.map(|(character, _)| character).collect()
    });
    let hidden = pairs.len() - (room - 1);
    pairs.truncate(room - 1);
    pairs.push(Pair { display: format!("… {hidden} more"), replacement: common });
    pairs
}

impl Hinter for LineHelper {
    type Hint = LineHint;

    fn hint(&self, line: &str, position: usize, _: &Context<'_>) -> Option<LineHint> {
        let (columns, rows) = output::stdout_size().unwrap_or((80, 24));
        let typed: usize = line.split('\n').map(|line| 1 + (line.width() + MAX_NAME) / columns.max(1)).sum();
        let room = rows.saturating_sub(typed + SEARCH_MARGIN).min(MAX_SEARCH_ROWS);
        // A row in the last column would make the terminal wrap.
        if let Some((rows, status)) = self.state.search_rows(line, (columns.saturating_sub(1), room)) {
            let (mut plain, mut styled) = (String::new(), String::new());
            for row in &rows {
                let text = row.line.to_string();
                plain.push_str(&format!("\n{text}"));
                let text = if row.is_selected { self.paint.strong(&text) } else { self.paint.line(&row.line) };
                styled.push_str(&format!("\n{text}"));
            }
            plain.push_str(&format!("\n{status}"));
            styled.push_str(&format!("\n{}", self.paint.line(&status)));
            self.styled_list.replace(styled);
            return Some(LineHint::List(plain));
        }
        self.styled_list.take();
        let rest = if position == line.len() { self.state.hint(line) } else { None };
        rest.map(LineHint::rest)
    }
}

impl Validator for LineHelper {
    fn validate(&self, context: &mut ValidationContext<'_>) -> Result<ValidationResult> {
        Ok(if line_state::is_incomplete(context.input()) {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}

impl Highlighter for LineHelper {
    fn highlight<'l>(&self, line: &'l str, position: usize) -> Cow<'l, str> {
        let line = strip_controls(line);
        let Some((begin, script)) = commands::script_part(&line).filter(|_| self.paint.is_on()) else {
            return line;
        };
        let mut coloured = String::with_capacity(line.len() * 2);
        coloured.push_str(&line[..begin]);
        let mut done = 0;
        // A line that has been entered has no cursor for bracket matching.
        let parts = if self.is_final_draw.take() {
            highlight::spans(&self.lexer, script)
        } else {
            highlight::spans_at(&self.lexer, script, position.saturating_sub(begin))
        };
        for (range, kind) in parts {
            coloured.push_str(&script[done..range.start]);
            coloured.push_str(&self.paint.styled(Style::Syntax(kind), &script[range.clone()]));
            done = range.end;
        }
        coloured.push_str(&script[done..]);
        Cow::Owned(coloured)
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, is_default: bool) -> Cow<'b, str> {
        match prompt.strip_suffix(CONNECTED).filter(|_| is_default && !self.session.state().is_ready()) {
            // As wide as the other mark: rustyline has measured the prompt already.
            Some(label) => {
                Cow::Owned(format!("{}{}", self.paint.dim(label), self.paint.styled(Style::Error, DISCONNECTED)))
            }
            None => Cow::Owned(self.paint.strong(prompt)),
        }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        let list = self.styled_list.borrow();
        Cow::Owned(if list.is_empty() { self.paint.dim(hint) } else { list.clone() })
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.is_final_draw.set(kind == CmdKind::ForcedRefresh);
        self.paint.is_on() || kind == CmdKind::ForcedRefresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An input of the history may have any text.
    #[test]
    fn hint_and_line_cannot_control_the_terminal() {
        let hint = LineHint::rest("a=\u{1b}]0;OWNED\u{7}\u{202e}x".to_owned());
        assert_eq!(hint.display(), "a=␛]0;OWNED␇\u{fffd}x");
        assert_eq!(hint.completion(), Some("a=\u{1b}]0;OWNED\u{7}\u{202e}x"));
        assert_eq!(strip_controls("a\u{1b}[2J\u{202e}b\u{9b}\tc\n日本"), "a[2Jb\tc\n日本");
    }

    #[test]
    fn candidate_is_shown_visibly_and_inserted_as_it_is() {
        let item = |text: &str, detail: &str| CompletionItem { text: text.into(), detail: detail.into() };
        let shown = |text: &str, detail: &str| {
            let pair = pair(item(text, detail));
            (pair.display, pair.replacement)
        };
        assert_eq!(shown("a\u{202e}b", "x\u{1b}[2J"), ("a\u{fffd}b  x␛[2J".into(), "a\u{202e}b".into()));
        assert_eq!(shown("price ", "price(item: string)"), ("price(item: string)".into(), "price ".into()));
        assert_eq!(shown("area", ""), ("area".into(), "area".into()));
    }

    #[test]
    fn long_candidate_list_counts_its_hidden_items() {
        let pairs = |count: usize| -> Vec<Pair> {
            (0..count).map(|number| Pair { display: "x".repeat(38), replacement: format!("total_{number}") }).collect()
        };
        assert_eq!(fit_screen(pairs(14), (80, 10)).len(), 14);
        let shown = fit_screen(pairs(20), (80, 10));
        let last = shown.last().expect("there is one");
        assert_eq!((shown.len(), last.display.as_str(), last.replacement.as_str()), (14, "… 7 more", "total_"));
        assert_eq!(fit_screen(pairs(3), (0, 0)).len(), 1);
        assert!(fit_screen(Vec::new(), (0, 0)).is_empty());
    }
}
