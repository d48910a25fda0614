//! Welcome text of the REPL pane while there is no session: suggestions what to do.

use ratatui::{
    style::Stylize,
    text::{Line, Span},
};

use super::{
    circles::{CircleAvailability, CircleItem, CircleSource, CirclesPane},
    theme::Theme,
};
use frontend::{
    key_bindings::{KeyBindings, KeyPane, UserAction},
    visible::visible,
};

/// What the user has already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Present {
    /// There is a circles.json.
    pub config: bool,
    /// There is a key.
    pub keys: bool,
}

/// Returns the suggestions for the selected circle. `is_typing` says whether letters are text.
pub(crate) fn lines(
    (theme, bindings): (Theme, &KeyBindings),
    circles: &CirclesPane,
    chosen: Option<&CircleItem>,
    has: Present,
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
        let help = bindings.hint(KeyPane::Repl, UserAction::Help);
        if !help.is_empty() {
            lines.push(offer(&help, "help, everywhere".to_owned()));
        }
    } else {
        lines.extend(commands(offer, bindings, circles, has));
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
        let zoom = bindings.hint(KeyPane::Logs, UserAction::Zoom);
        let zoom = if zoom.is_empty() { String::new() } else { format!(", then {zoom} for the whole screen") };
        lines.push(Line::from(format!("  see its log below (4{zoom})")));
    }
    lines
}

/// Returns the offers of the circles pane.
fn commands(
    offer: impl Fn(&str, String) -> Line<'static>,
    bindings: &KeyBindings,
    circles: &CirclesPane,
    has: Present,
) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let mut push = |action, what: String| {
        let key = bindings.hint(KeyPane::Circles, action);
        if !key.is_empty() {
            lines.push(offer(&key, what));
        }
    };
    let startable: Vec<&str> =
        circles.iter().filter(|(_, entry)| entry.can_be_started()).map(|(_, entry)| entry.name.as_str()).collect();
    if !startable.is_empty() {
        push(UserAction::StartAll, format!("start all: {}", startable.join(", ")));
    }
    let config = if has.config { "edit circles.json" } else { "make a circles.json, with circles of your own" };
    push(UserAction::EditConfig, config.to_owned());
    let key = if has.keys { "make another key" } else { "make a key to sign in with" };
    push(UserAction::NewKey, key.to_owned());
    push(UserAction::ConnectTo, "connect to a circle by its address".to_owned());
    let help = bindings.hint(KeyPane::Circles, UserAction::Help);
    lines.push(offer("↑ ↓", "select another circle".to_owned()));
    if !help.is_empty() {
        lines.push(offer(&help, "help, everywhere".to_owned()));
    }
    lines
}
