//! The input for a parameter of a function: a text, or a choice where the type lists all values.

use client_ws::{FunctionInfo, FunctionParam};
use console::functions::{ListedValues, argument_text};
use frontend::text::{Style, StyledLine};
use ratatui::{
    crossterm::event::{KeyCode, KeyEvent},
    style::Stylize,
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::{Field, call_form::tail};
use crate::theme::Theme;

/// Columns before a note below an input.
const INDENT: &str = "    ";

/// The input.
#[derive(Debug)]
pub(super) struct ParamInput {
    param: FunctionParam,
    value: InputValue,
    /// Why the value does not fit.
    pub error: Option<String>,
}

#[derive(Debug)]
enum InputValue {
    Text(Field),
    /// One of these texts, or none.
    Choice {
        texts: Vec<String>,
        chosen: Option<usize>,
    },
}

impl ParamInput {
    pub(super) fn new(function: &FunctionInfo, param: &FunctionParam) -> Self {
        let listed = ListedValues::of(param);
        let texts: Vec<String> =
            listed.values.iter().filter_map(|value| argument_text(function, &param.name, value)).collect();
        let is_choice = !listed.has_others && !texts.is_empty() && texts.len() == listed.values.len();
        let value = if is_choice {
            let chosen = (param.is_required && texts.len() == 1).then_some(0);
            InputValue::Choice { texts, chosen }
        } else {
            InputValue::Text(Field::long())
        };
        Self { param: param.clone(), value, error: None }
    }

    pub(super) fn name(&self) -> &str {
        &self.param.name
    }

    /// Returns the text of the value; `None` if there is none.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            InputValue::Text(field) => Some(field.text()).filter(|text| !text.is_empty()),
            InputValue::Choice { texts, chosen } => texts.get((*chosen)?).map(String::as_str),
        }
    }

    /// Checks the value by its type. What a file has is checked when the function is called.
    pub(super) fn check(&mut self, function: &FunctionInfo) {
        self.error = match self.text().filter(|text| !text.starts_with('@')) {
            Some(text) => function.argument(&self.param.name, text).err().map(|error| error.to_string()),
            None => None,
        };
    }

    /// Checks the value, which must be there if the parameter is required.
    pub(super) fn check_complete(&mut self, function: &FunctionInfo) {
        self.check(function);
        if self.param.is_required && self.text().is_none() {
            let takes_text = function.argument(&self.param.name, r#""""#).is_ok_and(|value| value == "");
            let hint = if takes_text { r#"; type "" for an empty text"# } else { "" };
            self.error = Some(format!("{} is required{hint}", self.param.name));
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent) {
        self.error = None;
        match (&mut self.value, key.code) {
            (InputValue::Text(field), _) => field.key(key),
            (InputValue::Choice { .. }, KeyCode::Right | KeyCode::Char(' ')) => self.turn(1),
            (InputValue::Choice { .. }, KeyCode::Left) => self.turn(-1),
            (InputValue::Choice { chosen, .. }, KeyCode::Backspace | KeyCode::Delete) => *chosen = None,
            (InputValue::Choice { texts, chosen }, KeyCode::Char(letter)) => {
                let is_match = |text: &str| text.trim_start_matches('"').starts_with(letter);
                let after = chosen.map_or(0, |chosen| chosen + 1);
                let places = (after..texts.len()).chain(0..after.min(texts.len()));
                if let Some(found) = places.into_iter().find(|place| is_match(&texts[*place])) {
                    *chosen = Some(found);
                }
            }
            _ => {}
        }
    }

    /// Chooses the next or the previous value; an optional parameter may also have none.
    pub(super) fn turn(&mut self, steps: isize) {
        let InputValue::Choice { texts, chosen } = &mut self.value else { return };
        self.error = None;
        let places = texts.len() + usize::from(!self.param.is_required);
        // The place after the last value is none.
        let from = match *chosen {
            Some(chosen) => chosen,
            None if self.param.is_required && steps > 0 => places - 1,
            None if self.param.is_required => 0,
            None => texts.len(),
        };
        let to = (from + places).wrapping_add_signed(steps) % places;
        *chosen = (to < texts.len()).then_some(to);
    }

    pub(super) fn paste(&mut self, text: &str) {
        if let InputValue::Text(field) = &mut self.value {
            self.error = None;
            if !field.try_paste(text) {
                self.error = Some("the text was cut: name a file with a longer one as @FILE".into());
            }
        }
    }

    /// Returns the column of the cursor in the value, if the value is typed.
    pub(super) fn cursor(&self, columns: usize) -> Option<usize> {
        match &self.value {
            InputValue::Text(field) => Some(tail(field.text(), columns).width()),
            InputValue::Choice { .. } => None,
        }
    }

    /// Returns the line with the name and the value.
    pub(super) fn line(&self, theme: Theme, has_focus: bool, (label, columns): (usize, usize)) -> Line<'static> {
        let mark = if self.param.is_required { "*" } else { " " };
        let name = format!("{:label$}", format!("{}{mark}", self.param.name));
        let name = if has_focus { Span::styled(name, theme.key()) } else { Span::raw(name) };
        let room = columns.saturating_sub(label + 2);
        let mut spans = vec![name];
        match (&self.value, self.text()) {
            (InputValue::Text(_), Some(text)) => spans.push(Span::raw(tail(text, room).to_owned())),
            (InputValue::Text(_), None) => spans.push(Span::raw(self.placeholder()).dim()),
            (InputValue::Choice { .. }, text) => {
                let is_chosen = text.is_some();
                let shown =
                    StyledLine::of(Style::Plain, text.unwrap_or(&self.placeholder())).truncated(room).to_string();
                let arrows = if has_focus { ("‹ ", " ›") } else { ("  ", "") };
                let shown = if is_chosen { Span::raw(shown) } else { Span::raw(shown).dim() };
                spans.extend([Span::raw(arrows.0), shown, Span::raw(arrows.1)]);
            }
        }
        spans.into()
    }

    /// What an empty input stands for.
    fn placeholder(&self) -> String {
        match &self.param.default {
            Some(default) => StyledLine::of(Style::Plain, &default.to_string()).truncated(40).to_string(),
            None if self.param.is_required => "required".into(),
            None => "optional".into(),
        }
    }

    /// Returns the lines below the value: its type and documentation, and its error.
    pub(super) fn notes(&self, theme: Theme) -> Vec<Line<'static>> {
        let doc = if self.param.doc.is_empty() { String::new() } else { format!("  {}", self.param.doc) };
        let about = format!("{INDENT}{}{}", self.param.type_text, doc.replace('\n', " "));
        let mut lines = vec![theme.line(&StyledLine::of(Style::Dim, &about))];
        if let Some(error) = &self.error {
            let error = StyledLine::of(Style::Plain, &format!("{INDENT}{error}")).to_string();
            lines.push(Line::from(Span::styled(error, theme.error())));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyModifiers;
    use serde_json::json;

    use super::*;

    fn input(param: &serde_json::Value) -> (FunctionInfo, ParamInput) {
        let document = json!({ "methods": [{ "name": "fn.f", "params": [param] }] });
        let function = FunctionInfo::all(&document).remove(0);
        let input = ParamInput::new(&function, &function.params[0]);
        (function, input)
    }

    fn press(input: &mut ParamInput, codes: &[KeyCode]) -> Option<String> {
        for code in codes {
            input.key(KeyEvent::new(*code, KeyModifiers::NONE));
        }
        input.text().map(str::to_owned)
    }

    #[test]
    fn listed_values_are_a_choice() {
        use KeyCode::{Backspace, Char, Left, Right};
        let (_, mut size) = input(&json!({ "name": "size", "schema": { "enum": ["small", "very large"] } }));
        assert_eq!(press(&mut size, &[]), None);
        assert_eq!(press(&mut size, &[Right]).as_deref(), Some("small"));
        assert_eq!(press(&mut size, &[Right]).as_deref(), Some("\"very large\""));
        assert_eq!(press(&mut size, &[Right]), None);
        assert_eq!(press(&mut size, &[Left]).as_deref(), Some("\"very large\""));
        assert_eq!(press(&mut size, &[Char('s')]).as_deref(), Some("small"));
        assert_eq!(press(&mut size, &[Char('v')]).as_deref(), Some("\"very large\""));
        assert_eq!(press(&mut size, &[Backspace]), None);
        let (_, mut gift) = input(&json!({ "name": "gift", "required": true, "schema": { "type": "boolean" } }));
        assert_eq!(press(&mut gift, &[Left]).as_deref(), Some("false"));
        assert_eq!(press(&mut gift, &[Right]).as_deref(), Some("true"));
        assert_eq!(press(&mut gift, &[Char(' ')]).as_deref(), Some("false"));
        let (_, only) = input(&json!({ "name": "a", "required": true, "schema": { "const": 5 } }));
        assert_eq!(only.text(), Some("5"));
        // Other values may fit, too.
        let (_, mut any) =
            input(&json!({ "name": "a", "schema": { "anyOf": [{ "const": 5 }, { "type": "string" }] } }));
        assert_eq!(press(&mut any, &[Char('x')]).as_deref(), Some("x"));
    }

    #[test]
    fn value_is_checked_by_its_type() {
        let (function, mut count) =
            input(&json!({ "name": "count", "required": true, "schema": { "type": "integer" } }));
        count.check(&function);
        assert_eq!(count.error, None);
        count.check_complete(&function);
        assert_eq!(count.error.as_deref(), Some("count is required"));
        count.paste("many");
        count.check(&function);
        assert_eq!(count.error.as_deref(), Some("count: expected integer, not \"many\""));
        press(&mut count, &[KeyCode::Backspace]);
        assert_eq!(count.error, None);
        let (function, mut item) = input(&json!({ "name": "item", "required": true, "schema": { "type": "string" } }));
        item.check_complete(&function);
        assert_eq!(item.error.as_deref(), Some("item is required; type \"\" for an empty text"));
        item.paste("@notes.txt");
        item.check_complete(&function);
        assert_eq!(item.error, None);
    }

    #[test]
    fn cut_paste_is_reported() {
        let (_, mut item) = input(&json!({ "name": "item", "schema": { "type": "string" } }));
        item.paste(&"x".repeat(100 << 10));
        assert!(item.error.is_some() && item.text().is_some_and(|text| text.len() == 64 << 10));
    }
}
