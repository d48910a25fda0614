//! The input for a parameter of a function: a text, or a choice where the type lists all values.

use client_ws::{FunctionInfo, FunctionParam};
use console::functions::{ListedValues, argument_text};
use frontend::text::{Style, StyledLine};
use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    style::Stylize,
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::{
    Field,
    field::PasteError,
    frame::{error_rows, shown_tail, wrap_indented},
    schema_check::may_fit,
};
use crate::theme::Theme;

/// Columns before a note below an input.
const INDENT: usize = 4;

/// Columns between the label and the value. A choice has its arrows there.
const VALUE_INDENT: usize = 2;

/// Largest number of rows of the type and the documentation of a parameter.
const MAX_DOC_ROWS: usize = 6;

/// Maximum number of characters of a value that an error quotes.
const MAX_QUOTED_CHARS: usize = 40;

/// The input.
#[derive(Debug)]
pub(super) struct ParamInput {
    param: FunctionParam,
    value: InputValue,
    /// Why the value does not fit.
    pub error: Option<String>,
    /// Whether the error is about a paste, which the value does not have. It stays until the user edits the value: a
    /// call without the pasted text is not the call that the user wants.
    is_paste_refused: bool,
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
        Self { param: param.clone(), value, error: None, is_paste_refused: false }
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

    /// Whether the user types the value.
    pub(super) fn is_typed(&self) -> bool {
        matches!(self.value, InputValue::Text(_))
    }

    /// Sets the value to a text of an earlier form; a choice without this value stays as it is.
    pub(super) fn restore(&mut self, text: &str) {
        match &mut self.value {
            InputValue::Text(field) => {
                field.clear();
                self.paste(text);
            }
            InputValue::Choice { texts, chosen } => {
                *chosen = texts.iter().position(|listed| listed == text).or(*chosen);
            }
        }
    }

    /// Checks the value by its type. The content of a file is checked when the function is called.
    pub(super) fn check(&mut self, function: &FunctionInfo) {
        if self.is_paste_refused {
            return;
        }
        let typed = self.text().filter(|text| !text.starts_with('@'));
        self.error = typed.and_then(|text| self.mismatch(function, text));
    }

    /// Returns why a text is no value of the parameter.
    fn mismatch(&self, function: &FunctionInfo, text: &str) -> Option<String> {
        let FunctionParam { name, schema, type_text, .. } = &self.param;
        let value = match function.argument(name, text) {
            Ok(value) => value,
            Err(error) => return Some(error.to_string()),
        };
        let is_omitted = value.is_null() && !self.param.is_required;
        if is_omitted || may_fit(schema, &value) {
            return None;
        }
        let mut quoted: String = text.chars().take(MAX_QUOTED_CHARS).collect();
        if quoted.len() < text.len() {
            quoted.push('…');
        }
        let hint = if schema["contentEncoding"] == "base64" { "; type base64, or @FILE" } else { "" };
        Some(format!("{name}: expected {type_text}, not {quoted}{hint}"))
    }

    /// Checks the value, which must be there if the parameter is required.
    pub(super) fn check_complete(&mut self, function: &FunctionInfo) {
        self.check(function);
        if self.error.is_none() && self.param.is_required && self.text().is_none() {
            let is_empty_allowed = function.argument(&self.param.name, r#""""#).is_ok_and(|value| value == "")
                && may_fit(&self.param.schema, &"".into());
            let hint = if is_empty_allowed { r#"; type "" for an empty text"# } else { "" };
            self.error = Some(format!("{} is required{hint}", self.param.name));
        }
    }

    fn clear_error(&mut self) {
        (self.error, self.is_paste_refused) = (None, false);
    }

    pub(super) fn key(&mut self, key: KeyEvent) {
        self.clear_error();
        let is_letter = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        match (&mut self.value, key.code) {
            (InputValue::Text(field), _) => field.key(key),
            (InputValue::Choice { .. }, KeyCode::Right | KeyCode::Char(' ')) => self.turn(1),
            (InputValue::Choice { .. }, KeyCode::Left) => self.turn(-1),
            (InputValue::Choice { chosen, .. }, KeyCode::Backspace | KeyCode::Delete) => *chosen = None,
            // As in a text.
            (InputValue::Choice { chosen, .. }, KeyCode::Char('u')) if !is_letter => *chosen = None,
            (InputValue::Choice { texts, chosen }, KeyCode::Char(letter)) if is_letter => {
                let after = chosen.map_or(0, |chosen| chosen + 1);
                let mut places = (after..texts.len()).chain(0..after.min(texts.len()));
                *chosen = places.find(|place| is_begun_by(&texts[*place], letter)).or(*chosen);
            }
            _ => {}
        }
    }

    /// Chooses the next or the previous value; an optional parameter may also have none.
    pub(super) fn turn(&mut self, steps: isize) {
        self.clear_error();
        let InputValue::Choice { texts, chosen } = &mut self.value else { return };
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

    /// Appends a text to the value: all of it or nothing.
    pub(super) fn paste(&mut self, text: &str) {
        self.clear_error();
        let InputValue::Text(field) = &mut self.value else { return };
        if let Err(error) = field.paste_whole(text) {
            let why = match error {
                PasteError::HasControls => "the pasted text has control characters",
                PasteError::TooLong => "the value would be longer than 64 KiB",
            };
            self.error = Some(format!("{}: {why}; name a file with it as @FILE", self.param.name));
            self.is_paste_refused = true;
        }
    }

    /// Returns the column of the cursor behind the label, if the value is typed.
    pub(super) fn cursor(&self, columns: usize) -> Option<usize> {
        match &self.value {
            InputValue::Text(field) => {
                Some(VALUE_INDENT + shown_tail(field.text(), columns.saturating_sub(VALUE_INDENT)).width())
            }
            InputValue::Choice { .. } => None,
        }
    }

    /// Returns the line with the name and the value. `label` and `columns` are the widths of the name and of the value.
    pub(super) fn line(&self, theme: Theme, has_focus: bool, (label, columns): (usize, usize)) -> Line<'static> {
        let mark = if self.param.is_required { "*" } else { "" };
        let name = StyledLine::of(Style::Plain, &self.param.name).truncated(label.saturating_sub(2)).to_string();
        let name = format!("{name}{mark}");
        let name = format!("{name}{}", " ".repeat(label.saturating_sub(name.width())));
        let name = if has_focus { Span::styled(name, theme.key()) } else { Span::raw(name) };
        // A choice has an arrow behind its value, too.
        let columns = columns.saturating_sub(VALUE_INDENT);
        let (shown, arrows) = match &self.value {
            InputValue::Text(field) => (shown_tail(field.text(), columns), None),
            InputValue::Choice { .. } => {
                let text = StyledLine::of(Style::Plain, self.text().unwrap_or_default());
                (text.truncated(columns.saturating_sub(VALUE_INDENT)).to_string(), Some(("‹ ", " ›")))
            }
        };
        let (before, after) = arrows.filter(|_| has_focus).unwrap_or(("  ", ""));
        let placeholder = || StyledLine::of(Style::Plain, &self.placeholder()).truncated(columns).to_string();
        let shown = if shown.is_empty() { Span::raw(placeholder()).dim() } else { Span::raw(shown) };
        vec![name, Span::raw(before), shown, Span::raw(after)].into()
    }

    /// What an empty input stands for.
    fn placeholder(&self) -> String {
        match &self.param.default {
            Some(default) => StyledLine::of(Style::Plain, &default.to_string()).truncated(40).to_string(),
            None if self.param.is_required => "required".into(),
            None => "optional".into(),
        }
    }

    /// Returns the rows below the value: its error, then its type and documentation. Returns the number of rows of the
    /// error, too, which must be visible with the value.
    pub(super) fn notes(&self, frame: &Frame<'_>, theme: Theme) -> (Vec<Line<'static>>, usize) {
        let mut rows = self.error.as_ref().map_or(Vec::new(), |error| error_rows(frame, theme, error, INDENT));
        let error_rows = rows.len();
        let doc = if self.param.doc.is_empty() { String::new() } else { format!("  {}", self.param.doc) };
        let about = StyledLine::of(Style::Dim, &format!("{}{doc}", self.param.type_text).replace(['\n', '\t'], " "));
        // A small screen has room for several inputs, too.
        let max_rows = (usize::from(frame.area().height) / 4).clamp(1, MAX_DOC_ROWS);
        rows.extend(wrap_indented(frame, theme.line(&about), INDENT, max_rows));
        (rows, error_rows)
    }
}

/// Returns whether a letter is the first one of a value, with or without its quote. Ignores case.
fn is_begun_by(text: &str, letter: char) -> bool {
    let is_first = |text: &str| text.chars().next().is_some_and(|first| first.to_lowercase().eq(letter.to_lowercase()));
    is_first(text) || text.strip_prefix('"').is_some_and(is_first)
}

#[cfg(test)]
mod tests {
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
        // A letter of either case, or the quote.
        assert_eq!(press(&mut size, &[Char('S')]).as_deref(), Some("small"));
        assert_eq!(press(&mut size, &[Char('"')]).as_deref(), Some("\"very large\""));
        assert_eq!(press(&mut size, &[Char('x')]).as_deref(), Some("\"very large\""));
        assert_eq!(press(&mut size, &[Backspace]), None);
        size.restore("\"very large\"");
        size.restore("huge");
        assert_eq!(press(&mut size, &[]).as_deref(), Some("\"very large\""));
        size.key(KeyEvent::new(Char('s'), KeyModifiers::CONTROL));
        assert_eq!(press(&mut size, &[]).as_deref(), Some("\"very large\""));
        size.key(KeyEvent::new(Char('u'), KeyModifiers::CONTROL));
        assert_eq!(press(&mut size, &[]), None);
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
    fn value_is_checked_by_its_range() {
        let cases = [
            (json!({ "type": "integer", "minimum": 1, "maximum": 100 }), "500", "a: expected T, not 500"),
            (json!({ "type": "string", "minLength": 2 }), "x", "a: expected T, not x"),
            (
                json!({ "type": "string", "contentEncoding": "base64" }),
                "hello",
                "a: expected T, not hello; type base64, or @FILE",
            ),
        ];
        for (schema, text, error) in cases {
            let (function, mut input) = input(&json!({ "name": "a", "x-type": "T", "schema": schema }));
            input.paste(text);
            input.check(&function);
            assert_eq!(input.error.as_deref(), Some(error), "{schema}");
        }
        let (function, mut input) =
            input(&json!({ "name": "a", "required": true, "schema": { "type": "string", "minLength": 1 } }));
        input.check_complete(&function);
        assert_eq!(input.error.as_deref(), Some("a is required"));
    }

    #[test]
    fn refused_paste_stays_an_error_until_the_value_is_edited() {
        let (function, mut item) = input(&json!({ "name": "item", "schema": { "type": "string" } }));
        for (text, why) in [
            ("x".repeat(100 << 10), "item: the value would be longer than 64 KiB; name a file with it as @FILE"),
            ("\u{1b}[2J".into(), "item: the pasted text has control characters; name a file with it as @FILE"),
        ] {
            item.paste("tea");
            item.paste(&text);
            assert_eq!(item.text(), Some("tea"));
            item.check(&function);
            item.check_complete(&function);
            assert_eq!(item.error.as_deref(), Some(why));
            assert_eq!(press(&mut item, &[KeyCode::Backspace]).as_deref(), Some("te"));
            item.check_complete(&function);
            assert_eq!(item.error, None);
            item.restore("");
        }
        item.paste("two\r\nlines\tand a tab");
        assert_eq!(item.text(), Some("two\nlines\tand a tab"));
    }
}
