//! The `:` commands, kept apart from what a circle could ever understand.

use client_ws::{CircleWsClient, ClientError, FunctionDoc, ScopeResult};
use rhai::Engine;
use unicode_width::UnicodeWidthStr;

use super::{
    highlight,
    text::{Kind, Line, Style, lines},
};

/// A command for the REPL itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meta {
    Help,
    /// The session's variables.
    Vars,
    /// The session's functions whose names have that in them.
    Functions(String),
    /// What is known of a function.
    Doc(String),
    Who,
    Reset,
    Quit,
}

/// Name, argument, what it does.
pub(crate) const COMMANDS: &[(&str, &str, &str)] = &[
    ("help", "", "this"),
    ("vars", "", "the session's variables"),
    ("functions", "[TEXT]", "the session's functions"),
    ("doc", "NAME", "what a function does, and where it comes from"),
    ("who", "", "which circle, and who it takes you for"),
    ("reset", "", "a fresh environment"),
    ("quit", "", "leave"),
];

const INTRODUCTION: &str = "\
What you type is played in the circle, and stays: variables, functions, closures, imports.
  ans        the last value
  40 + 2     its value is shown; a trailing ; shows nothing
Commands:";

impl Meta {
    /// Reads what follows the colon; the error says what to type instead.
    pub(crate) fn parse(command: &str) -> Result<Self, String> {
        let (name, argument) = command.trim().split_once(char::is_whitespace).unwrap_or((command.trim(), ""));
        let argument = argument.trim();
        let parsed = match name {
            "help" | "h" | "?" => Self::Help,
            "vars" => Self::Vars,
            "functions" => return Ok(Self::Functions(argument.to_owned())),
            "doc" if argument.is_empty() => return Err(":doc needs a name: :doc push".into()),
            "doc" => return Ok(Self::Doc(argument.trim_end_matches("()").to_owned())),
            "who" => Self::Who,
            "reset" => Self::Reset,
            "quit" | "q" | "exit" => Self::Quit,
            other => {
                let other = crate::visible::visible(other);
                let near = crate::suggest::nearest(&other, COMMANDS.iter().map(|(name, ..)| *name));
                return Err(match near {
                    Some(name) => format!("there is no :{other}; did you mean :{name}?"),
                    None => format!("there is no :{other}; :help lists what there is"),
                });
            }
        };
        if argument.is_empty() { Ok(parsed) } else { Err(format!(":{name} takes nothing behind it")) }
    }
}

/// What `:help` says, with the keys of the place that it is said in.
pub(crate) fn help(keys: &[(&str, &str)]) -> Vec<Line> {
    let mut said = lines(Style::Plain, INTRODUCTION);
    for (name, argument, does) in COMMANDS {
        said.push(Line::of(Style::Plain, &format!("  {:18} {does}", format!(":{name} {argument}"))));
    }
    said.push(Line::of(Style::Plain, "Keys:"));
    said.extend(keys.iter().map(|(key, does)| Line::of(Style::Plain, &format!("  {key:18} {does}"))));
    said
}

/// What the circle answers to a command; nothing to those that are not for it.
pub(crate) async fn ask(client: &CircleWsClient, command: &Meta) -> Result<Vec<Line>, ClientError> {
    match command {
        Meta::Vars => client.scope().await.map(|scope| variables(&scope)),
        Meta::Functions(part) => client.scope().await.map(|scope| functions(&scope, part)),
        Meta::Doc(name) => client.lookup(name.as_str()).await.map(|found| docs(name, &found)),
        Meta::Reset => client.reset().await.map(|()| vec![Line::of(Style::Dim, "a fresh environment")]),
        Meta::Who => {
            let circle = client.describe().await?;
            let who = circle.you.public_key.as_deref().unwrap_or("nobody (no key was proved)");
            let (name, url) = (&circle.name, client.url());
            let text = format!("circle   {name} at {url}\naccess   {}\nyou are  {who}", circle.access);
            Ok(lines(Style::Plain, &text))
        }
        Meta::Help | Meta::Quit => Ok(Vec::new()),
    }
}

fn variables(scope: &ScopeResult) -> Vec<Line> {
    if scope.variables.is_empty() {
        return vec![Line::of(Style::Dim, "no variables yet")];
    }
    let lexer = Engine::new_raw();
    let width = scope.variables.iter().map(|variable| variable.name.width()).max().unwrap_or(0);
    let row = |variable: &client_ws::Variable| {
        let padding = " ".repeat(width - variable.name.width());
        let note = if variable.constant { "const " } else { "" };
        let mut line =
            Line::of(Style::Plain, &variable.name).with(Style::Dim, &format!("{padding}  {note}{}", variable.r#type));
        if let Some(output) = &variable.output {
            line.push(Style::Dim, " = ");
            for piece in highlight::lines(&lexer, output).iter().flat_map(Line::pieces) {
                line.push(piece.style, &piece.text);
            }
        }
        line
    };
    scope.variables.iter().map(row).collect()
}

fn functions(scope: &ScopeResult, part: &str) -> Vec<Line> {
    let fitting: Vec<Line> = scope
        .functions
        .iter()
        .filter(|function| function.name.contains(part))
        .map(|function| {
            Line::of(Style::Syntax(Kind::Function), &function.name)
                .with(Style::Plain, &format!("({})", function.params.join(", ")))
        })
        .collect();
    if fitting.is_empty() {
        vec![Line::of(Style::Dim, "no such functions in this session; Tab shows the others")]
    } else {
        fitting
    }
}

fn docs(name: &str, found: &[FunctionDoc]) -> Vec<Line> {
    if found.is_empty() {
        return vec![Line::of(Style::Dim, &format!("there is no function {name}; Tab shows what there is"))];
    }
    let (lexer, mut said) = (Engine::new_raw(), Vec::new());
    for function in found {
        said.extend(highlight::lines(&lexer, &function.signature));
        if let (Some(last), Ok(serde_json::Value::String(origin))) =
            (said.last_mut(), serde_json::to_value(function.origin))
        {
            last.push(Style::Dim, &format!("  ({origin})"));
        }
        if !function.doc.is_empty() {
            said.extend(function.doc.lines().map(|line| Line::of(Style::Dim, &format!("  {line}"))));
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::Meta;

    #[test]
    fn a_mistyped_command_gets_a_suggestion() {
        assert_eq!(Meta::parse("hlep").expect_err("no command"), "there is no :hlep; did you mean :help?");
        assert_eq!(Meta::parse("xyzzy").expect_err("no command"), "there is no :xyzzy; :help lists what there is");
        assert_eq!(Meta::parse(" quit "), Ok(Meta::Quit));
        assert_eq!(Meta::parse("doc  push() "), Ok(Meta::Doc("push".into())));
        assert_eq!(Meta::parse("doc").expect_err("no name"), ":doc needs a name: :doc push");
        assert_eq!(Meta::parse("quit now").expect_err("too much"), ":quit takes nothing behind it");
    }
}
