//! `circles config`: the settings in force, and where each comes from.

use std::fmt::Display;

use frontend::{
    error::CliError,
    key_bindings::{ActionKeys, KeyBindings, KeyPress, UserAction},
    settings::{LoadedSettings, Setting, SettingSource, Settings},
    visible::visible,
};
use serde_json::{Map, Value, json};
use terminal::output::{self, to_stdout};

use crate::cli::ConfigCommandArgs;

/// Exit code if the file has mistakes.
const MISTAKES_EXIT_CODE: u8 = 2;

/// A setting, or the keys of an action, as both formats show it.
struct Row {
    name: &'static str,
    text: String,
    value: Value,
    source: SettingSource,
}

pub(crate) fn run(args: &ConfigCommandArgs) -> Result<(), CliError> {
    let loaded = Settings::load();
    let (rows, keys) = (rows(&loaded.settings), key_rows(&loaded.settings.keys));
    if args.json {
        to_stdout(&format!("{}\n", as_json(&loaded, rows, keys)))?;
    } else {
        to_stdout(&as_text(&loaded, &rows, &keys))?;
    }
    let is_valid = loaded.errors.is_empty();
    loaded.errors.iter().for_each(output::report);
    if is_valid { Ok(()) } else { Err(CliError::AlreadyReported { exit_code: MISTAKES_EXIT_CODE }) }
}

fn rows(settings: &Settings) -> Vec<Row> {
    fn row<T: Display>(name: &'static str, setting: &Setting<T>, value: Value) -> Row {
        Row { name, text: setting.value.to_string(), value, source: setting.source }
    }
    let Settings { bell, close_brackets, edit_mode, history_size, init, keys: _, mouse, reduced_motion, theme } =
        settings;
    vec![
        row("bell", bell, json!(bell.value)),
        row("close_brackets", close_brackets, json!(close_brackets.value)),
        row("edit_mode", edit_mode, json!(edit_mode.value.to_string())),
        row("history_size", history_size, json!(history_size.value)),
        Row {
            name: "init",
            text: init
                .value
                .as_ref()
                .map_or("none".to_owned(), |file| visible(&file.display().to_string()).into_owned()),
            value: json!(init.value.as_ref().map(|file| file.display().to_string())),
            source: init.source,
        },
        row("mouse", mouse, json!(mouse.value)),
        row("reduced_motion", reduced_motion, json!(reduced_motion.value)),
        row("theme", theme, json!(theme.value.to_string())),
    ]
}

fn key_rows(keys: &KeyBindings) -> Vec<Row> {
    let row = |(action, keys): (UserAction, &Setting<ActionKeys>)| {
        let names: Vec<String> = keys.value.iter().map(KeyPress::to_string).collect();
        let text = if names.is_empty() { "no key".to_owned() } else { names.join(" ") };
        Row { name: action.name(), text, value: json!(names), source: keys.source }
    };
    keys.iter().map(row).collect()
}

fn as_text(loaded: &LoadedSettings, rows: &[Row], keys: &[Row]) -> String {
    let mut text = match &loaded.path {
        Some(path) if loaded.is_found => format!("{}\n", path.display()),
        Some(path) => format!("{} (there is no such file yet)\n", path.display()),
        None => "there is no configuration directory\n".to_owned(),
    };
    text.push_str(&table(rows));
    text.push_str("\n[keys]\n");
    text.push_str(&table(keys));
    text
}

fn table(rows: &[Row]) -> String {
    let width = |of: fn(&Row) -> usize| rows.iter().map(of).max().unwrap_or_default();
    let (name_width, value_width) = (width(|row| row.name.len()), width(|row| row.text.chars().count()));
    let mut text = String::new();
    for Row { name, text: value, source, .. } in rows {
        let source = match source {
            SettingSource::Environment(variable) => format!("${variable}"),
            source => source.kind().to_owned(),
        };
        text.push_str(&format!("  {name:name_width$}  {value:value_width$}  {source}\n"));
    }
    text
}

fn as_json(loaded: &LoadedSettings, rows: Vec<Row>, keys: Vec<Row>) -> Value {
    let as_object = |rows: Vec<Row>| -> Map<String, Value> {
        let as_entry = |row: Row| {
            let mut setting = json!({ "value": row.value, "source": row.source.kind() });
            if let SettingSource::Environment(variable) = row.source {
                setting["variable"] = json!(variable);
            }
            (row.name.to_owned(), setting)
        };
        rows.into_iter().map(as_entry).collect()
    };
    let mut settings = as_object(rows);
    settings.insert("keys".to_owned(), Value::Object(as_object(keys)));
    let errors: Vec<Value> = loaded
        .errors
        .iter()
        .map(|error| {
            let parts = error.parts();
            json!({ "what": parts.what, "why": parts.why, "fix": parts.fix })
        })
        .collect();
    let file = loaded.path.as_ref().map(|path| path.display().to_string());
    json!({ "file": file, "exists": loaded.is_found, "settings": settings, "errors": errors })
}
