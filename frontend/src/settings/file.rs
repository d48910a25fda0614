//! The file of the settings. A mistake in it never keeps a console from starting.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use toml_edit::{Document, Item, Value};

use super::{EditMode, LoadedSettings, MAX_SHOWN, Setting, SettingSource, Settings, ThemeChoice, keys};
use crate::{
    error::{CliError, os_error_text},
    files, suggest,
    visible::visible,
};

/// The maximum size of the file, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// The maximum number of inputs that the history keeps.
const MAX_HISTORY_SIZE: usize = 1_000_000;

/// The names of the settings.
const NAMES: [&str; 9] =
    ["bell", "close_brackets", "edit_mode", "history_size", "init", "keys", "mouse", "reduced_motion", "theme"];

/// Loads a file, if it exists.
pub(super) fn load(path: PathBuf) -> LoadedSettings {
    let mut loaded = LoadedSettings::default();
    match read(&path) {
        Ok(Some(text)) => {
            loaded.is_found = true;
            loaded.errors = apply(&mut loaded.settings, &path, &text);
        }
        Ok(None) => {}
        Err(error) => {
            loaded.is_found = true;
            let why = format!("{}: {}", path.display(), os_error_text(&error));
            loaded.errors.push(CliError::usage(
                "cannot read the settings",
                why,
                "make it a text file that you can read",
            ));
        }
    }
    loaded.path = Some(path);
    loaded
}

fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match files::open_regular(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut text = String::new();
    if file.take(MAX_BYTES + 1).read_to_string(&mut text)? as u64 > MAX_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(Some(text))
}

/// Applies the settings in a text. Returns the mistakes.
fn apply(settings: &mut Settings, path: &Path, text: &str) -> Vec<CliError> {
    let line_of = |place: Option<std::ops::Range<usize>>| {
        let start = text.floor_char_boundary(place.map_or(0, |place| place.start));
        format!("{}, line {}", path.display(), text[..start].matches('\n').count() + 1)
    };
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let why = format!("{}: {}", line_of(error.span()), visible(error.message()).replace('\n', " "));
            let fix = "write each setting as `name = value`, with text in double quotes";
            return vec![CliError::usage("cannot read the settings, so the defaults apply", why, fix)];
        }
    };
    let mut errors = Vec::new();
    for (name, item) in document.iter() {
        let line = line_of(item.span());
        let expected = match name {
            "bell" => flag(&mut settings.bell, item),
            "close_brackets" => flag(&mut settings.close_brackets, item),
            "edit_mode" => {
                let mode = item.as_str().and_then(EditMode::named);
                settings.edit_mode.set(mode, SettingSource::File);
                mode.is_none().then_some("\"emacs\" or \"vi\"")
            }
            "history_size" => {
                let size = item.as_integer().and_then(|size| usize::try_from(size).ok());
                let size = size.filter(|size| *size <= MAX_HISTORY_SIZE);
                settings.history_size.set(size, SettingSource::File);
                size.is_none().then_some("a number from 0 (which keeps no history) to 1000000")
            }
            "init" => {
                // Relative to the file, wherever the console starts.
                let named = item.as_str().filter(|named| !named.is_empty());
                let script = named.map(|named| path.with_file_name(files::expanded(named)));
                settings.init.set(script.clone().map(Some), SettingSource::File);
                script.is_none().then_some("the path of a script")
            }
            "keys" => {
                errors.extend(keys::apply(&mut settings.keys, item, line_of));
                None
            }
            "mouse" => flag(&mut settings.mouse, item),
            "reduced_motion" => flag(&mut settings.reduced_motion, item),
            "theme" => {
                let theme = item.as_str().and_then(ThemeChoice::named);
                settings.theme.set(theme, SettingSource::File);
                theme.is_none().then_some("\"auto\", \"dark\", \"light\" or \"none\"")
            }
            _ => {
                let fix = match suggest::nearest(name, NAMES) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("the settings are {}", NAMES.join(", ")),
                };
                errors.push(CliError::usage(format!("there is no setting `{}`", visible(name)), line, fix));
                continue;
            }
        };
        if let Some(expected) = expected {
            let why = format!("{line} says {}", shown(item));
            errors.push(CliError::usage(format!("cannot use the setting {name}"), why, format!("write {expected}")));
        }
    }
    errors
}

/// Applies a setting that is true or false. Returns what is expected, if the value is something else.
fn flag(setting: &mut Setting<bool>, item: &Item) -> Option<&'static str> {
    setting.set(item.as_bool(), SettingSource::File);
    item.as_bool().is_none().then_some("true or false")
}

/// Formats a value as the file has it.
pub(super) fn shown(item: &Item) -> String {
    match item.as_value() {
        Some(Value::String(text)) => format!("{:?}", text.value().chars().take(MAX_SHOWN).collect::<String>()),
        Some(Value::Integer(number)) => number.value().to_string(),
        Some(Value::Float(number)) => number.value().to_string(),
        Some(Value::Boolean(truth)) => truth.value().to_string(),
        _ => format!("a value of the type {}", item.type_name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_bindings::{KeyBindings, UserAction};

    fn loaded(text: &str) -> (Settings, Vec<String>) {
        let mut settings = Settings::default();
        let errors = apply(&mut settings, Path::new("config.toml"), text);
        let texts = errors.iter().map(|error| {
            let parts = error.parts();
            format!("{} | {} | {}", parts.what, parts.why, parts.fix)
        });
        (settings, texts.collect())
    }

    #[test]
    fn settings_come_from_the_file() {
        let text = "# mine\nedit_mode = \"vi\"\nhistory_size = 10\nreduced_motion = true\ntheme = \"none\"\nbell = true\nmouse = false\n";
        let (settings, errors) = loaded(text);
        assert_eq!(errors, [""; 0]);
        assert_eq!((settings.edit_mode.value, settings.history_size.value), (EditMode::Vi, 10));
        assert!(settings.reduced_motion.value && !settings.has_colours());
        assert_eq!(settings.theme.source, SettingSource::File);
        assert!(settings.bell.value && !settings.mouse.value);
        assert_eq!(loaded("mouse = 1\n").1.len(), 1);
        for (named, expected) in [("my.rhai", "/home/me/my.rhai"), ("/etc/x", "/etc/x"), ("../x", "/home/me/../x")] {
            let mut settings = Settings::default();
            let text = format!("init = \"{named}\"\n");
            assert!(apply(&mut settings, Path::new("/home/me/config.toml"), &text).is_empty());
            assert_eq!(settings.init.value.as_deref(), Some(Path::new(expected)));
        }
        assert_eq!(loaded("init = \"\"\n").1.len(), 1);
        assert_eq!(loaded(""), (Settings::default(), Vec::new()));
    }

    #[test]
    fn mistake_names_its_line_and_leaves_the_other_settings() {
        let (settings, errors) =
            loaded("edit_mode = \"vim\"\nhistory_sise = 1\n\nhistory_size = -1\ntheme = true\nreduced_motion = true\n");
        assert_eq!(
            errors,
            [
                "cannot use the setting edit_mode | config.toml, line 1 says \"vim\" | write \"emacs\" or \"vi\"",
                "there is no setting `history_sise` | config.toml, line 2 | did you mean history_size?",
                "cannot use the setting history_size | config.toml, line 4 says -1 | write a number from 0 (which keeps no history) to 1000000",
                "cannot use the setting theme | config.toml, line 5 says true | write \"auto\", \"dark\", \"light\" or \"none\"",
            ]
        );
        assert_eq!(settings, Settings { reduced_motion: settings.reduced_motion, ..Settings::default() });
        assert!(settings.reduced_motion.value);
    }

    #[test]
    fn keys_come_from_the_file_and_a_mistake_leaves_the_default_ones() {
        let (settings, errors) = loaded("[keys]\nrestart = [\"F5\", \"X\"]\nzoom = []\nkeys.quit = []\n");
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(settings.keys.shown(UserAction::Restart), "F5 X");
        assert_eq!(settings.keys.shown(UserAction::Zoom), "");
        let text = "[keys]\nrestrat = [\"X\"]\nrestart = \"X\"\nstop = [\"Hyper-x\"]\nquit = [\"Esc\"]\nzoom = [\"Ctrl-E\"]\n\
                    copy_output = [\"c\"]\nlog_level = [1]\nhelp = [\"q\"]\nmouse = [\"F5\", \"F5\"]\n";
        let (settings, errors) = loaded(text);
        let kept = |action: &str| format!("cannot use the keys of {action}, so it keeps its default ones");
        assert_eq!(
            errors,
            [
                "there is no action `restrat` to bind | config.toml, line 2 | did you mean restart?".to_owned(),
                kept("restart")
                    + " | config.toml, line 3 says \"X\" | write a list: restart = [\"F5\"], or [] for no key",
                kept("stop")
                    + " | config.toml, line 4 says \"Hyper-x\", which is not a key | name a character, F1 to F12, Ctrl- with a letter, or Alt- with a character",
                kept("quit") + " | config.toml, line 5 says \"Esc\", which has a fixed meaning | choose another key",
                kept("zoom")
                    + " | config.toml, line 6 says \"Ctrl-E\", which edits the input in the REPL pane | choose a key such as F5",
                kept("copy_output")
                    + " | config.toml, line 7 says \"c\", which is text in the REPL pane | choose a key such as F5",
                kept("log_level")
                    + " | config.toml, line 8 has a key without quotes | name a character, F1 to F12, Ctrl- with a letter, or Alt- with a character",
                kept("help")
                    + " | config.toml, line 9 says q, which in Circles is a key of quit, too | choose another key, or give quit another one",
                kept("mouse") + " | config.toml, line 10 says F5 twice | write it once",
            ]
        );
        assert_eq!(settings.keys, KeyBindings::default());
        assert!(loaded("keys = 1\n").1[0].contains("write a table"));
    }

    #[test]
    fn unreadable_file_leaves_the_defaults() {
        let (settings, errors) = loaded("edit_mode = vi\n");
        assert_eq!((settings, errors.len()), (Settings::default(), 1));
        assert!(errors[0].contains("config.toml, line 1: ") && errors[0].contains("double quotes"), "{errors:?}");
        for text in [
            "=",
            "[",
            "a",
            "\"",
            "theme = [[[",
            "theme = \"\u{1b}[2J\"",
            "a.b.c = 1\nx = 1979-05-27",
            "[theme]",
            "[[theme]]",
        ] {
            assert!(!loaded(text).1.is_empty(), "{text}");
        }
        let directory = tempfile::tempdir().expect("a directory");
        let none = load(directory.path().join("config.toml"));
        assert!(!none.is_found && none.errors.is_empty());
        let folder = load(directory.path().to_owned());
        assert!(folder.is_found && folder.errors.len() == 1);
        std::fs::write(directory.path().join("config.toml"), vec![b'#'; 100 << 10]).expect("written");
        assert_eq!(load(directory.path().join("config.toml")).errors.len(), 1);
    }
}
