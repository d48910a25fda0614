//! Popups over the panes: forms, questions, help.

mod call_form;
mod choice;
mod field;
mod forms;
mod frame;
mod functions;
mod key_form;
mod palette;
mod param_input;
mod schema_check;
mod text;

use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    layout::Position,
    text::Line,
};

use super::{action::Action, theme::Theme};
pub(crate) use call_form::{CallDraft, CallForm};
pub(crate) use choice::Choice;
use field::Field;
pub(crate) use forms::{AddressForm, NewKeyForm, PassphraseForm};
pub(crate) use functions::FunctionsPopup;
pub(crate) use key_form::{KeyForm, KeyJob};
pub(crate) use palette::{Palette, PaletteItem};
pub(crate) use text::TextPopup;

/// The popup on the screen.
#[derive(Debug)]
pub(crate) enum Popup {
    Text(TextPopup),
    /// Question about something that would be lost.
    Choice(Choice),
    /// Circles that were started here are draining before the app ends.
    Quitting(Choice),
    NewKey(NewKeyForm),
    Passphrase(PassphraseForm),
    Address(AddressForm),
    Key(KeyForm),
    Palette(Palette),
    /// The functions of a circle.
    Functions(FunctionsPopup),
    Call(CallForm),
}

impl Popup {
    /// A popup with a text to read.
    pub(crate) fn text(title: &str, lines: &[String]) -> Self {
        Self::Text(TextPopup::new(title, lines.iter().map(|line| Line::from(line.clone())).collect()))
    }

    pub(crate) fn address() -> Self {
        Self::Address(AddressForm::new())
    }

    /// Returns whether the user types into the popup, so that its text must not be lost.
    pub(crate) fn is_form(&self) -> bool {
        matches!(self, Self::NewKey(_) | Self::Passphrase(_) | Self::Address(_) | Self::Key(_) | Self::Call(_))
    }

    /// Returns whether the popup waits for an outcome.
    pub(crate) fn is_busy(&self) -> bool {
        match self {
            Self::NewKey(form) => form.is_busy,
            Self::Passphrase(form) => form.is_busy,
            Self::Address(form) => form.is_busy,
            Self::Key(form) => form.is_busy,
            Self::Quitting(_) => true,
            _ => false,
        }
    }

    /// Handles a key press. The popup closes with the action unless it waits for the outcome ([`Popup::is_busy`]).
    pub(crate) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        if is_interrupt {
            return Some(Action::Close);
        }
        match self {
            Self::Text(text) => text.key(key),
            Self::Choice(choice) | Self::Quitting(choice) => choice.key(key),
            Self::NewKey(form) => form.key(key),
            Self::Passphrase(form) => form.key(key),
            Self::Address(form) => form.key(key),
            Self::Key(form) => form.key(key),
            Self::Palette(palette) => palette.key(key),
            Self::Functions(list) => list.key(key),
            Self::Call(form) => form.key(key),
        }
    }

    /// Handles a step of the wheel, as an arrow key where there is something to scroll.
    pub(crate) fn wheel(&mut self, key: KeyEvent) {
        match self {
            Self::Text(text) => drop(text.key(key)),
            Self::Palette(palette) => drop(palette.key(key)),
            Self::Functions(list) => drop(list.key(key)),
            Self::Call(form) => drop(form.key(key)),
            _ => {}
        }
    }

    /// Handles a click: it chooses a button, a row or an input.
    pub(crate) fn click(&mut self, at: Position) -> Option<Action> {
        match self {
            Self::Choice(choice) | Self::Quitting(choice) => choice.click(at),
            Self::Palette(palette) => palette.click(at),
            Self::Functions(list) => list.click(at),
            Self::Call(form) => form.click(at),
            _ => None,
        }
    }

    pub(crate) fn paste(&mut self, text: &str) {
        match self {
            Self::NewKey(form) => form.paste(text),
            Self::Passphrase(form) if !form.is_busy => form.field.paste(text),
            Self::Address(form) if !form.is_busy => form.field.paste(text),
            Self::Key(form) => form.paste(text),
            Self::Palette(palette) => palette.paste(text),
            Self::Functions(list) => list.paste(text),
            Self::Call(form) => form.paste(text),
            _ => {}
        }
    }

    pub(crate) fn draw(&mut self, frame: &mut Frame<'_>, theme: Theme, spinner: &str) {
        match self {
            Self::Text(text) => text.draw(frame, theme),
            Self::Choice(choice) => choice.draw(frame, theme, None),
            Self::Quitting(choice) => choice.draw(frame, theme, Some(spinner)),
            Self::NewKey(form) => form.draw(frame, theme, spinner),
            Self::Passphrase(form) => form.draw(frame, theme, spinner),
            Self::Address(form) => form.draw(frame, theme, spinner),
            Self::Key(form) => form.draw(frame, theme, spinner),
            Self::Palette(palette) => palette.draw(frame, theme),
            Self::Functions(list) => list.draw(frame, theme),
            Self::Call(form) => form.draw(frame, theme),
        }
    }
}
