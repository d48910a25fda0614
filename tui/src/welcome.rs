//! What stands in the REPL's place while there is no session to show: what one could do now.

use ratatui::{
    style::Stylize,
    text::{Line, Span},
};

use super::{
    circles::{Circles, Entry, Source, State},
    theme::Theme,
};
use frontend::visible::visible;

/// What is offered for the chosen circle.
pub(crate) fn lines(theme: Theme, circles: &Circles, chosen: Option<&Entry>, has_keys: bool) -> Vec<Line<'static>> {
    let offer = |key: &str, what: String| {
        Line::from(vec![Span::raw("  "), Span::styled(format!("{key:7}"), theme.key()), Span::raw(what)])
    };
    let mut lines = vec![Line::default(), Line::from("  circles: live Rhai, guarded by keys").bold(), Line::default()];
    if let Some(entry) = chosen {
        let what = match (entry.source, entry.state()) {
            (Source::Scratch, _) => "play now, on a circle of your own".to_owned(),
            (Source::Config, State::Elsewhere | State::Up) => format!("connect to {}", entry.name),
            (Source::Config, State::Taken) => format!("see what has the port of {}", entry.name),
            (Source::Config, State::Starting) => format!("connect to {} once it is ready", entry.name),
            (Source::Config, _) => format!("start {} and connect to it", entry.name),
            (Source::Address, _) => format!("connect to {}", entry.name),
        };
        lines.push(offer("Enter", what));
    }
    let startable: Vec<&str> =
        circles.iter().filter(|(_, entry)| entry.can_be_started()).map(|(_, entry)| entry.name.as_str()).collect();
    if !startable.is_empty() {
        lines.push(offer("S", format!("start all: {}", startable.join(", "))));
    }
    let key = if has_keys { "make another key" } else { "make a key, to prove who you are" };
    lines.push(offer("n", key.to_owned()));
    lines.push(offer("o", "connect to a circle by its address".to_owned()));
    lines.push(offer("↑ ↓", "choose another circle".to_owned()));
    lines.push(offer("?", "help, wherever you are".to_owned()));
    if let Some((entry, why)) = chosen.and_then(|entry| Some((entry, entry.refused()?))) {
        lines.push(Line::default());
        lines.push(Line::from(Span::styled(
            format!("  {} goes on as it was: {}", entry.name, visible(why)),
            theme.bad(),
        )));
    }
    let has_fallen = |entry: &&Entry| matches!(entry.state(), State::BackingOff | State::Failed);
    if let Some(entry) = chosen.filter(has_fallen) {
        lines.push(Line::default());
        let again = if entry.state() == State::BackingOff { "; it is started again" } else { "" };
        let why = visible(entry.why().unwrap_or("it ended"));
        lines.push(Line::from(Span::styled(format!("  {} failed: {why}{again}", entry.name), theme.bad())));
        lines.push(Line::from("  its log below says why (4, then f for all of it)"));
    }
    lines
}
