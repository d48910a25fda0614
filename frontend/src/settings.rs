//! The user's settings: `config.toml` in the user's configuration directory, environment variables, and defaults.

mod file;
mod keys;

use std::{ffi::OsStr, fmt, path::PathBuf};

use directories::ProjectDirs;

use crate::{edit_mode::EditMode, error::CliError, key_bindings::KeyBindings};

/// The name of the file.
const FILE: &str = "config.toml";

/// The name of the default init script, beside the file.
const INIT_FILE: &str = "init.rhai";

/// The environment variable that sets the edit mode.
const EDIT_MODE_VARIABLE: &str = "CIRCLES_EDIT_MODE";

/// The environment variable that turns colours off.
const NO_COLOUR_VARIABLE: &str = "NO_COLOR";

/// The maximum number of characters of an invalid value that an error shows.
const MAX_SHOWN: usize = 40;

/// The default of the number of inputs that the history keeps.
pub const HISTORY_SIZE: usize = 50_000;

/// The colours of the consoles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ThemeChoice {
    /// The colours of the terminal.
    #[default]
    Auto,
    /// The colours of the terminal, on a dark background.
    Dark,
    /// The colours of the terminal, on a light background.
    Light,
    /// No colours.
    None,
}

impl ThemeChoice {
    fn named(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "dark" => Some(Self::Dark),
            "light" => Some(Self::Light),
            "none" => Some(Self::None),
            _ => None,
        }
    }
}

impl fmt::Display for ThemeChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Dark => "dark",
            Self::Light => "light",
            Self::None => "none",
        })
    }
}

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingSource {
    /// The built-in default.
    Default,
    /// The user's file.
    File,
    /// This environment variable.
    Environment(&'static str),
    /// readline's settings, `~/.inputrc` or `$INPUTRC`.
    Inputrc,
}

impl SettingSource {
    /// The kind of the source in one word.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment(_) => "environment",
            Self::Inputrc => "inputrc",
        }
    }
}

/// A setting in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where the value comes from.
    pub source: SettingSource,
}

impl<T> Setting<T> {
    fn by_default(value: T) -> Self {
        Self { value, source: SettingSource::Default }
    }

    /// Replaces the setting, if there is a value.
    fn set(&mut self, value: Option<T>, source: SettingSource) {
        if let Some(value) = value {
            *self = Self { value, source };
        }
    }
}

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether the terminal interface rings the bell when a play on a circle that is not shown has ended.
    pub bell: Setting<bool>,
    /// Whether the editor of the terminal interface inserts closing brackets.
    pub close_brackets: Setting<bool>,
    /// Keys that edit an input.
    pub edit_mode: Setting<EditMode>,
    /// The number of inputs that the history keeps; 0 keeps none.
    pub history_size: Setting<usize>,
    /// The script that the consoles play first in each new environment.
    pub init: Setting<Option<PathBuf>>,
    /// The keys of the terminal interface.
    pub keys: KeyBindings,
    /// Whether the terminal interface handles the mouse from its start.
    pub mouse: Setting<bool>,
    /// Whether the terminal interface shows no animation.
    pub reduced_motion: Setting<bool>,
    /// The colours.
    pub theme: Setting<ThemeChoice>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bell: Setting::by_default(false),
            close_brackets: Setting::by_default(true),
            edit_mode: Setting::by_default(EditMode::default()),
            history_size: Setting::by_default(HISTORY_SIZE),
            init: Setting::by_default(None),
            keys: KeyBindings::default(),
            mouse: Setting::by_default(true),
            reduced_motion: Setting::by_default(false),
            theme: Setting::by_default(ThemeChoice::default()),
        }
    }
}

/// The settings in force, and the mistakes in the file and the environment.
#[derive(Debug, Default)]
pub struct LoadedSettings {
    /// The settings. A mistake leaves its setting as it would be without the line or the variable.
    pub settings: Settings,
    /// The file, whether it exists or not; `None` if the user has no configuration directory.
    pub path: Option<PathBuf>,
    /// Whether the file exists.
    pub is_found: bool,
    /// The mistakes in the file and the environment.
    pub errors: Vec<CliError>,
}

impl Settings {
    /// Loads the settings of this user.
    pub fn load() -> LoadedSettings {
        let path = ProjectDirs::from("", "", "circles").map(|dirs| dirs.config_dir().join(FILE));
        let mut loaded = path.map_or_else(LoadedSettings::default, file::load);
        if loaded.settings.init.source == SettingSource::Default {
            loaded.settings.init.value = loaded.path.as_ref().map(|path| path.with_file_name(INIT_FILE));
        }
        let Self { edit_mode, theme, .. } = &mut loaded.settings;
        if edit_mode.source == SettingSource::Default {
            edit_mode.set(EditMode::from_inputrc(), SettingSource::Inputrc);
        }
        match edit_mode_of(std::env::var_os(EDIT_MODE_VARIABLE).as_deref()) {
            Ok(mode) => edit_mode.set(mode, SettingSource::Environment(EDIT_MODE_VARIABLE)),
            Err(error) => loaded.errors.push(error),
        }
        let is_set = std::env::var_os(NO_COLOUR_VARIABLE).is_some_and(|value| !value.is_empty());
        theme.set(is_set.then_some(ThemeChoice::None), SettingSource::Environment(NO_COLOUR_VARIABLE));
        loaded
    }

    /// Whether the consoles show colours, as far as the settings say.
    pub fn has_colours(&self) -> bool {
        self.theme.value != ThemeChoice::None
    }
}

/// Returns the edit mode that the environment variable names. An empty variable names none.
fn edit_mode_of(variable: Option<&OsStr>) -> Result<Option<EditMode>, CliError> {
    let Some(named) = variable.filter(|named| !named.is_empty()) else { return Ok(None) };
    let named = named.to_string_lossy();
    EditMode::named(&named).map(Some).ok_or_else(|| {
        let named: String = named.chars().take(MAX_SHOWN).collect();
        let fix = format!("set it to {}, or unset it", EditMode::NAMES.join(" or "));
        CliError::usage(format!("cannot use the variable {EDIT_MODE_VARIABLE}"), format!("it is {named:?}"), fix)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_sets_a_valid_edit_mode() {
        let mode = |named: &str| edit_mode_of(Some(OsStr::new(named)));
        assert_eq!((mode("vi").ok(), mode("").ok()), (Some(Some(EditMode::Vi)), Some(None)));
        assert_eq!(edit_mode_of(None).ok(), Some(None));
        let error = mode("vim\u{1b}").expect_err("no mode");
        let parts = error.parts();
        assert_eq!(parts.what, "cannot use the variable CIRCLES_EDIT_MODE");
        assert_eq!((&*parts.why, &*parts.fix), ("it is \"vim\\u{1b}\"", "set it to emacs or vi, or unset it"));
    }
}
