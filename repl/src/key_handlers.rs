//! Keys whose effect depends on the line: the history, its search, and leaving.

use std::sync::Arc;

use rustyline::{
    Cmd, ConditionalEventHandler, EditMode, Event, EventContext, EventHandler, InputMode, KeyCode, KeyEvent, Modifiers,
    Movement, RepeatCount,
};

use super::line_state::LineState;

/// Meaning of a key.
#[derive(Debug, Clone, Copy)]
enum LineKey {
    /// Shows an older input, on the first line of the input.
    Older,
    /// Shows a newer input, on the last line of the input.
    Newer,
    /// A letter with which vi moves through the history, outside of its insert mode.
    ViMove(char, bool),
    /// Opens the search of the history.
    Search,
    /// Plays a complete input, and continues an incomplete one.
    Enter,
    /// A closing bracket.
    Closing(char),
    /// Inserts a line.
    Newline,
    /// Alt-Enter. Terminals send the same bytes for Esc and then Enter, which vi users type to play an input.
    AltEnter,
    /// Keys that take the selected input of a search.
    Accept,
    /// Keys that close a search.
    Close,
    /// Clears the line.
    Interrupt,
    /// Opens the line in the editor.
    Edit,
    /// Accepts the hint at the end of the line, as Right does by default.
    AcceptHint,
    /// Any other key.
    Other,
}

/// Handler of a key.
struct KeyHandler(LineKey, Arc<LineState>);

/// Returns the handlers of all keys.
pub(super) fn handlers(state: &Arc<LineState>) -> Vec<(Event, EventHandler)> {
    let plain = |code: KeyCode| Event::from(KeyEvent(code, Modifiers::NONE));
    let letter = |letter: char| plain(KeyCode::Char(letter));
    let control = |letter: char| Event::from(KeyEvent::ctrl(letter));
    let keys = [
        (plain(KeyCode::Up), LineKey::Older),
        (control('P'), LineKey::Older),
        (plain(KeyCode::Down), LineKey::Newer),
        (control('N'), LineKey::Newer),
        (letter('k'), LineKey::ViMove('k', true)),
        (letter('-'), LineKey::ViMove('-', true)),
        (letter('j'), LineKey::ViMove('j', false)),
        (letter('+'), LineKey::ViMove('+', false)),
        (control('R'), LineKey::Search),
        (plain(KeyCode::Enter), LineKey::Enter),
        (letter('}'), LineKey::Closing('}')),
        (letter(']'), LineKey::Closing(']')),
        (letter(')'), LineKey::Closing(')')),
        (control('J'), LineKey::Newline),
        (Event::from(KeyEvent::alt('\r')), LineKey::AltEnter),
        (plain(KeyCode::Tab), LineKey::Accept),
        (plain(KeyCode::Esc), LineKey::Close),
        (control('G'), LineKey::Close),
        (control('D'), LineKey::Close),
        (control('C'), LineKey::Interrupt),
        (Event::KeySeq(vec![KeyEvent::ctrl('X'), KeyEvent::ctrl('E')]), LineKey::Edit),
        (control('F'), LineKey::AcceptHint),
        (Event::Any, LineKey::Other),
    ];
    let handler = |key| EventHandler::Conditional(Box::new(KeyHandler(key, state.clone())));
    keys.into_iter().map(|(event, key)| (event, handler(key))).collect()
}

impl ConditionalEventHandler for KeyHandler {
    fn handle(&self, event: &Event, count: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        let Self(key, state) = self;
        // Characters, and Enter or Ctrl-J between lines.
        let is_text = match event.get(0) {
            Some(KeyEvent(KeyCode::Char(_) | KeyCode::Enter, Modifiers::NONE)) => true,
            Some(key) => *key == KeyEvent::ctrl('J'),
            None => false,
        };
        let is_pasted = state.is_pasted(is_text);
        if !matches!(key, LineKey::Enter | LineKey::Closing(_)) {
            state.end_indentation();
        }
        if state.is_searching() {
            search_key(*key, state, event, context)
        } else {
            line_key(*key, state, context, is_pasted, count)
        }
    }
}

/// Handles a key while no search is open; `None` leaves the key to rustyline.
fn line_key(
    key: LineKey,
    state: &LineState,
    context: &EventContext<'_>,
    is_pasted: bool,
    count: RepeatCount,
) -> Option<Cmd> {
    let (line, position) = (context.line(), context.pos());
    match key {
        LineKey::Older if !line[..position].contains('\n') => Some(state.older(line, position)),
        LineKey::Newer if !line[position..].contains('\n') => Some(state.newer(line)),
        // rustyline itself would move with Up and Down, but show its own history with Ctrl-P and Ctrl-N.
        LineKey::Older => Some(Cmd::LineUpOrPreviousHistory(count)),
        LineKey::Newer => Some(Cmd::LineDownOrNextHistory(count)),
        LineKey::ViMove(_, is_older) if is_vi_command(context) => {
            line_key(if is_older { LineKey::Older } else { LineKey::Newer }, state, context, is_pasted, count)
        }
        LineKey::Search => {
            state.search(line);
            Some(Cmd::Repaint)
        }
        LineKey::Enter if !is_pasted => state.continue_line(line, position),
        LineKey::Closing(closing) if position == line.len() && !is_vi_command(context) => {
            state.close_bracket(line, closing, is_pasted)
        }
        LineKey::Newline => Some(Cmd::Newline),
        LineKey::AltEnter => Some(match context.mode() {
            EditMode::Vi => {
                state.continue_line(line, position).unwrap_or(Cmd::AcceptOrInsertLine { accept_in_the_middle: true })
            }
            _ => Cmd::Newline,
        }),
        LineKey::Interrupt => {
            state.set_empty(line.is_empty());
            Some(Cmd::Interrupt)
        }
        LineKey::Edit => {
            state.set_external_edit(line);
            Some(Cmd::Interrupt)
        }
        LineKey::AcceptHint if context.has_hint() && position == line.len() => Some(Cmd::CompleteHint),
        // With vi keys, rustyline would wait for another key.
        LineKey::AcceptHint => Some(Cmd::Move(Movement::ForwardChar(1))),
        LineKey::ViMove(..)
        | LineKey::Enter
        | LineKey::Closing(_)
        | LineKey::Accept
        | LineKey::Close
        | LineKey::Other => None,
    }
}

/// Handles a key while a search is open; the line is its text.
fn search_key(key: LineKey, state: &LineState, event: &Event, context: &EventContext<'_>) -> Option<Cmd> {
    let line = context.line();
    match key {
        LineKey::Older | LineKey::Newer => {
            // The list has the newest input at the top.
            state.select(matches!(key, LineKey::Newer));
            Some(Cmd::Repaint)
        }
        LineKey::Search => {
            state.search(line);
            Some(Cmd::Repaint)
        }
        LineKey::Enter | LineKey::Newline | LineKey::AltEnter | LineKey::Accept => Some(state.accept_search(line)),
        LineKey::Close | LineKey::Interrupt => Some(state.cancel_search()),
        LineKey::Edit => Some(Cmd::Noop),
        LineKey::AcceptHint => Some(Cmd::Move(Movement::ForwardChar(1))),
        // In vi's command mode, too, letters are the text of the search.
        LineKey::ViMove(letter, _) | LineKey::Closing(letter) if is_vi_command(context) => {
            Some(state.replace(format!("{line}{letter}")))
        }
        LineKey::Other if is_vi_command(context) => match event.get(0)? {
            KeyEvent(KeyCode::Char(letter), Modifiers::NONE) => Some(state.replace(format!("{line}{letter}"))),
            KeyEvent(KeyCode::Backspace, Modifiers::NONE) => {
                let mut shorter = line.to_owned();
                shorter.pop();
                Some(state.replace(shorter))
            }
            _ => None,
        },
        LineKey::ViMove(..) | LineKey::Closing(_) | LineKey::Other => None,
    }
}

fn is_vi_command(context: &EventContext<'_>) -> bool {
    context.mode() == EditMode::Vi && context.input_mode() == InputMode::Command
}
