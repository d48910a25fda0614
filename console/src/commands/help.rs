//! What `:help` says.

use super::{COMMANDS, CommandSpec};
use frontend::{
    suggest,
    text::{Style, StyledLine, lines},
    visible::visible,
};

const INTRODUCTION: &str = "\
What you type is played in the circle, and stays: variables, functions, closures, imports.
  ans        the last value
  40 + 2     its value is shown; a trailing ; shows nothing
Commands (:help and a name tells more):";

/// Topics beside the commands, and what is said of them.
const TOPICS: &[(&str, &str)] = &[
    (
        "circles",
        "A circle is a place where scripts are played, each session in variables of its own.
WHERE says which: a name in circles.json (team), a port (9001), host:port, or a ws:// URL.
:use goes to another one and keeps the session here; :use again comes back to it.",
    ),
    (
        "errors",
        "An error shows the line, a caret under the column, and why.
What a play had done before it failed stays done: variables that it made are there.
Limits (time, memory, output, …) end the play alone; the session is kept.",
    ),
    (
        "lost",
        "A lost connection is made again by itself, and the key proved again.
The session is a new one then: variables are gone, and that is said. Nothing is played twice by itself.
:save writes what was played before as a script, :load plays it again.",
    ),
    (
        "values",
        "ans is the last value. Large values are shown over lines, arrays of maps as tables.
What is too long is folded: :last shows all of it, in $PAGER. :plot draws numbers.",
    ),
];

/// What `:help` says in all, with the keys of the place that it is said in, or of one topic.
pub fn help(topic: &str, keys: &[(&str, &str)]) -> Vec<StyledLine> {
    if topic.is_empty() {
        return overview(keys);
    }
    if topic == "keys" {
        return keys.iter().map(|(key, does)| StyledLine::of(Style::Plain, &format!("{key:16} {does}"))).collect();
    }
    if let Some(command) = COMMANDS.iter().find(|command| command.name == topic) {
        return command_help(command);
    }
    if let Some((_, text)) = TOPICS.iter().find(|(name, _)| *name == topic) {
        return lines(Style::Plain, text);
    }
    let near = suggest::nearest(topic, topics());
    let near = near.map_or_else(
        || format!("there are: {}", topics().collect::<Vec<_>>().join(", ")),
        |near| format!("did you mean :help {near}?"),
    );
    vec![StyledLine::of(Style::Plain, &format!("there is no help on {}; {near}", visible(topic)))]
}

/// Everything that there is help on.
pub fn topics() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|command| command.name).chain(TOPICS.iter().map(|(name, _)| *name)).chain(["keys"])
}

fn overview(keys: &[(&str, &str)]) -> Vec<StyledLine> {
    let mut lines = lines(Style::Plain, INTRODUCTION);
    for command in COMMANDS {
        let usage = format!(":{} {}", command.name, command.argument);
        lines.push(StyledLine::of(Style::Plain, &format!("  {usage:20} ")).with(Style::Dim, command.summary));
    }
    lines.push(StyledLine::of(Style::Plain, "Keys:"));
    for (key, does) in keys {
        lines.push(StyledLine::of(Style::Plain, &format!("  {key:20} ")).with(Style::Dim, does));
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
