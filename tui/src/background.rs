//! Background of the terminal: light or dark.

use std::env;

use frontend::settings::{Settings, ThemeChoice};

use super::theme::Background;

/// Returns the background that the user has set, or that the terminal names in the environment.
pub(crate) fn of(settings: &Settings) -> Background {
    match settings.theme.value {
        ThemeChoice::Light => Background::Light,
        ThemeChoice::Dark => Background::Dark,
        ThemeChoice::Auto | ThemeChoice::None => from_environment(),
    }
}

/// Returns whether the terminal decides, because the user has set no background.
pub(crate) fn is_unset(settings: &Settings) -> bool {
    settings.theme.value == ThemeChoice::Auto
}

/// Returns the background that the environment names, as some terminals do.
fn from_environment() -> Background {
    env::var("COLORFGBG").ok().and_then(|colours| parse_colours(&colours)).unwrap_or_default()
}

/// Parses `COLORFGBG`: the numbers of the foreground and the background among the sixteen colours.
fn parse_colours(colours: &str) -> Option<Background> {
    match colours.rsplit(';').next()?.parse().ok()? {
        0..=6 | 8 => Some(Background::Dark),
        7 | 9..=15 => Some(Background::Light),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn background_is_the_last_number_of_the_variable() {
        for (colours, background) in [
            ("15;0", Some(Background::Dark)),
            ("0;15", Some(Background::Light)),
            ("0;default;7", Some(Background::Light)),
            ("12;8", Some(Background::Dark)),
            ("0;default", None),
            ("", None),
            ("0;99", None),
        ] {
            assert_eq!(parse_colours(colours), background, "{colours}");
        }
    }
}
