//! Welcome text of the REPL pane while there is no session: suggestions what to do.

use ratatui::{
    style::Stylize,
    text::{Line, Span},
};

use super::{
    circles::{CircleAvailability, CircleItem, CircleSource, CirclesPane},
    theme::Theme,
};
use frontend::visible::visible;

/// Returns the suggestions for the selected circle. `is_typing` says whether letters are text.
pub(crate) fn lines(
    theme: Theme,
    circles: &CirclesPane,
    chosen: Option<&CircleItem>,
    has_config: bool,
    has_keys: bool,
    is_typing: bool,
) -> Vec<Line<'static>> {
    let offer = |key: &str, what: String| {
        Line::from(vec![Span::raw("  "), Span::styled(format!("{key:7}"), theme.key()), Span::raw(what)])
    };
    let mut lines = vec![Line::default(), Line::from("  circles: live Rhai, guarded by keys").bold(), Line::default()];
    if let Some(entry) = chosen {
        let what = match (entry.source, entry.state()) {
            (CircleSource::Scratch, _) => "play now, in your own scratch circle".to_owned(),
            (CircleSource::Config, CircleAvailability::Unsupervised | CircleAvailability::Up) => {
                format!("connect to {}", entry.name)
            }
            (CircleSource::Config, CircleAvailability::PortTaken) => {
                format!("see which program uses the port of {}", entry.name)
            }
            (CircleSource::Config, CircleAvailability::Starting) => {
                format!("connect to {} once it is ready", entry.name)
            }
            (CircleSource::Config, _) => format!("start {} and connect to it", entry.name),
            (CircleSource::Address, _) => format!("connect to {}", entry.name),
        };
        lines.push(offer("Enter", what));
    }
    if is_typing {
        lines.push(offer("Esc", "go to Circles, where letters are commands".to_owned()));
        lines.push(offer("F1", "help, everywhere".to_owned()));
    } else {
        lines.extend(commands(offer, circles, has_config, has_keys));
    }
    if let Some((entry, why)) = chosen.and_then(|entry| Some((entry, entry.refused()?))) {
        lines.push(Line::default());
        lines.push(Line::from(Span::styled(
            format!("  {} keeps its previous configuration: {}", entry.name, visible(why)),
            theme.error(),
        )));
    }
    let has_failed =
        |entry: &&CircleItem| matches!(entry.state(), CircleAvailability::BackingOff | CircleAvailability::Failed);
    if let Some(entry) = chosen.filter(has_failed) {
        lines.push(Line::default());
        let again = if entry.state() == CircleAvailability::BackingOff { "; restarting" } else { "" };
        let why = visible(entry.failure_reason().unwrap_or("exited"));
        lines.push(Line::from(Span::styled(format!("  {} failed: {why}{again}", entry.name), theme.error())));
        lines.push(Line::from("  see its log below (4, then f for the whole screen)"));
    }
    lines
}

/// Returns the offers of the circles pane.
fn commands(
    offer: impl Fn(&str, String) -> Line<'static>,
    circles: &CirclesPane,
    has_config: bool,
    has_keys: bool,
) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let startable: Vec<&str> =
        circles.iter().filter(|(_, entry)| entry.can_be_started()).map(|(_, entry)| entry.name.as_str()).collect();
    if !startable.is_empty() {
        lines.push(offer("S", format!("start all: {}", startable.join(", "))));
    }
    let config = if has_config { "edit circles.json" } else { "make a circles.json, with circles of your own" };
    lines.push(offer("e", config.to_owned()));
    let key = if has_keys { "make another key" } else { "make a key to sign in with" };
    lines.push(offer("n", key.to_owned()));
    lines.push(offer("o", "connect to a circle by its address".to_owned()));
    lines.push(offer("↑ ↓", "select another circle".to_owned()));
    lines.push(offer("?", "help, everywhere".to_owned()));
    lines
}
