//! Key presses as key bindings name them.

use frontend::key_bindings::KeyPress;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Returns the key press of an event; `None` if no action can be bound to it.
pub(crate) fn key_press(event: KeyEvent) -> Option<KeyPress> {
    let has = |modifier| event.modifiers.contains(modifier);
    match (event.code, has(KeyModifiers::CONTROL), has(KeyModifiers::ALT)) {
        (KeyCode::Char(character), false, false) => Some(KeyPress::character(character)),
        (KeyCode::Char(letter), true, false) if letter.is_ascii_alphabetic() => Some(KeyPress::control(letter)),
        (KeyCode::Char(character), false, true) => Some(KeyPress::alt(character)),
        (KeyCode::F(number), false, false) => Some(KeyPress::function(number)),
        _ => None,
    }
}
