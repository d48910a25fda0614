//! The key bindings in the file of the settings: a table of lists of keys, by the name of the action.

use std::ops::Range;

use toml_edit::Item;

use super::file::shown;
use crate::{
    error::CliError,
    key_bindings::{ActionKeys, KeyBindings, KeyConflict, KeyPress, KeyPressError, UserAction},
    suggest,
    visible::visible,
};

/// Names of keys, for an error.
const KEY_NAMES: &str = "name a character, F1 to F12, Ctrl- with a letter, or Alt- with a character";

/// Applies the table of keys. Returns the mistakes; an action with a mistake keeps its default keys.
pub(super) fn apply(
    bindings: &mut KeyBindings,
    table: &Item,
    line_of: impl Fn(Option<Range<usize>>) -> String,
) -> Vec<CliError> {
    let Some(table) = table.as_table_like() else {
        let why = format!("{} says {}", line_of(table.span()), shown(table));
        return vec![CliError::usage(
            "cannot use the setting keys",
            why,
            "write a table: [keys], then lines such as zoom = [\"F2\"]",
        )];
    };
    let (mut errors, mut lines) = (Vec::new(), Vec::new());
    for (name, item) in table.iter() {
        let line = line_of(item.span());
        let Some(action) = UserAction::named(name) else {
            let fix = match suggest::nearest(name, UserAction::ALL.map(UserAction::name)) {
                Some(near) => format!("did you mean {near}?"),
                None => "list the actions: circles config".to_owned(),
            };
            errors.push(CliError::usage(format!("there is no action `{}` to bind", visible(name)), line, fix));
            continue;
        };
        match keys(action, item) {
            Ok(keys) => {
                bindings.bind(action, keys);
                lines.push((action, line));
            }
            Err((why, fix)) => errors.push(CliError::usage(what(action), format!("{line} {why}"), fix)),
        }
    }
    for conflict in bindings.resolve_conflicts() {
        let line = lines.iter().find(|(action, _)| *action == conflict.action).map_or("", |(_, line)| line);
        errors.push(conflict_error(conflict, line));
    }
    errors
}

fn what(action: UserAction) -> String {
    format!("cannot use the keys of {}, so it keeps its default ones", action.name())
}

/// Returns the keys of an action, or what is wrong and what to do.
fn keys(action: UserAction, item: &Item) -> Result<ActionKeys, (String, String)> {
    let Some(list) = item.as_array() else {
        let fix = format!("write a list: {} = [\"F5\"], or [] for no key", action.name());
        return Err((format!("says {}", shown(item)), fix));
    };
    let mut keys = Vec::new();
    for value in list {
        let text = value.as_str().ok_or_else(|| ("has a key without quotes".to_owned(), KEY_NAMES.to_owned()))?;
        let said = format!("{:?}", text.chars().take(40).collect::<String>());
        let key = KeyPress::parse(text).map_err(|error| match error {
            KeyPressError::Unknown => (format!("says {said}, which is not a key"), KEY_NAMES.to_owned()),
            KeyPressError::Fixed => {
                (format!("says {said}, which has a fixed meaning"), "choose another key".to_owned())
            }
        })?;
        if let Some(why) = action.refusal(key) {
            return Err((format!("says {said}, which {why}"), "choose a key such as F5".to_owned()));
        }
        keys.push(key);
    }
    Ok(keys)
}

fn conflict_error(KeyConflict { key, pane, action, other }: KeyConflict, line: &str) -> CliError {
    if action == other {
        return CliError::usage(what(action), format!("{line} says {key} twice"), "write it once");
    }
    let why = format!("{line} says {key}, which in {pane} is a key of {}, too", other.name());
    let fix = format!("choose another key, or give {} another one", other.name());
    CliError::usage(what(action), why, fix)
}
