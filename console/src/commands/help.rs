//! The text of `:help`.

use super::{COMMANDS, CommandSpec};
use frontend::{
    suggest,
    text::{Style, StyledLine, lines},
    visible::visible,
};

const INTRODUCTION: &str = "\
The circle plays what you type, and keeps your variables, functions, closures and imports.
  ans        the last value
  40 + 2     shows the value; with a ; at the end, shows nothing
  push?      shows what a function does, push?? its source if it is yours
Commands (:help NAME shows more):";

/// The topics other than commands, with their texts.
const TOPICS: &[(&str, &str)] = &[
    (
        "circles",
        "A circle plays scripts. Each session has its own variables.
WHERE names a circle: a name in circles.json (team), a port (9001), host:port, or a ws:// or wss:// URL.
:use switches to another circle and keeps the session here; :use again returns to it.",
    ),
    (
        "errors",
        "An error shows the line, a caret under the column, and the reason.
In a function, it shows the calls that lead there: \"in f, line 3 of input 12\". Input 12 is the 12th play of the connection.
Changes that a play made before it failed are kept, for example its variables.
A limit (time, memory, output, …) stops the play; the session is kept.",
    ),
    (
        "lost",
        "After a lost connection, the session reconnects and authenticates automatically.
The new session has no variables, and a message says so. Inputs are never played twice automatically.
:replay lists your earlier inputs, and :replay! runs them again. :save FILE saves them as a script for :load FILE.",
    ),
    (
        "values",
        "ans is the last value. Large values span several lines, and arrays of maps become tables.
Long output is truncated: :last shows all of it. :plot draws numbers.
:out lists the last values. :copy copies the last value, and :json FILE writes it to a file.",
    ),
];

/// Returns the help on a topic, or the overview if the topic is empty. `keys` are the key bindings of the user
/// interface.
pub fn help(topic: &str, keys: &[(&str, &str)]) -> Vec<StyledLine> {
    if topic.is_empty() {
        return overview(keys);
    }
    if topic == "keys" {
        return keys.iter().map(|(key, action)| StyledLine::of(Style::Plain, &format!("{key:16} {action}"))).collect();
    }
    if let Some(command) = COMMANDS.iter().find(|command| command.name == topic) {
        return command_help(command);
    }
    if let Some((_, text)) = TOPICS.iter().find(|(name, _)| *name == topic) {
        return lines(Style::Plain, text);
    }
    let near = suggest::nearest(topic, topics());
    let near = near.map_or_else(
        || format!("topics: {}", topics().collect::<Vec<_>>().join(", ")),
        |near| format!("did you mean :help {near}?"),
    );
    vec![StyledLine::of(Style::Plain, &format!("there is no help on {}; {near}", visible(topic)))]
}

/// All topics, including the commands.
pub fn topics() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|command| command.name).chain(TOPICS.iter().map(|(name, _)| *name)).chain(["keys"])
}

fn overview(keys: &[(&str, &str)]) -> Vec<StyledLine> {
    let mut lines = lines(Style::Plain, INTRODUCTION);
    for command in COMMANDS {
        let usage = format!(":{} {}", command.name, command.argument);
        lines.push(StyledLine::of(Style::Plain, &format!("  {usage:23} ")).with(Style::Dim, command.summary));
    }
    lines.push(StyledLine::of(Style::Plain, "Keys:"));
    for (key, action) in keys {
        lines.push(StyledLine::of(Style::Plain, &format!("  {key:23} ")).with(Style::Dim, action));
    }
    let topics: Vec<&str> = TOPICS.iter().map(|(name, _)| *name).collect();
    lines.push(StyledLine::of(Style::Plain, &format!("More: :help {}", topics.join(", :help "))));
    lines
}

fn command_help(command: &CommandSpec) -> Vec<StyledLine> {
    let mut lines = vec![
        StyledLine::of(Style::Plain, format!(":{} {}", command.name, command.argument).trim_end()),
        StyledLine::of(Style::Plain, &format!("  {}", command.summary)),
    ];
    lines.extend(command.details.lines().map(|line| StyledLine::of(Style::Plain, &format!("  {line}"))));
    lines.push(StyledLine::of(Style::Dim, &format!("  {}", command.example)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offered_topic_has_help() {
        for topic in topics() {
            let lines = help(topic, &[("Enter", "runs")]);
            assert!(!lines.is_empty() && !lines[0].to_string().starts_with("there is no"), "{topic}");
        }
        assert_eq!(help("plt", &[])[0].to_string(), "there is no help on plt; did you mean :help plot?");
    }
}
