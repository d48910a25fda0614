//! What a circle answers to `:` commands.

use client_ws::{Candidate, CandidateKind, CircleWsClient, ClientError, FunctionDoc, ScopeResult};
use rhai::Engine;
use unicode_width::UnicodeWidthStr;

use super::Meta;
use crate::console::{
    highlight,
    text::{Kind, Line, Style, lines},
};

/// What the circle answers to a command; nothing to those that are not for it.
pub(crate) async fn ask(client: &CircleWsClient, command: &Meta) -> Result<Vec<Line>, ClientError> {
    match command {
        Meta::Vars => client.scope().await.map(|scope| variables(&scope)),
        Meta::Functions(part) => {
            let scope = client.scope().await?;
            // Without a beginning there would be hundreds.
            let others = match part.as_str() {
                "" => Vec::new(),
                part => client.complete(part, part.chars().count() as u64).await?.candidates,
            };
            Ok(functions(&scope, &others, part))
        }
        Meta::Doc(name) => client.lookup(name.as_str()).await.map(|found| docs(name, &found)),
        Meta::Reset => client.reset().await.map(|()| vec![Line::of(Style::Dim, "a fresh environment")]),
        Meta::Who => {
            let circle = client.describe().await?;
            let who = circle.you.public_key.as_deref().unwrap_or("nobody (no key was proved)");
            let (name, url) = (&circle.name, client.url());
            let text = format!("circle   {name} at {url}\naccess   {}\nyou are  {who}", circle.access);
            Ok(lines(Style::Plain, &text))
        }
        _ => Ok(Vec::new()),
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

fn functions(scope: &ScopeResult, others: &[Candidate], part: &str) -> Vec<Line> {
    let fitting = scope.functions.iter().filter(|function| function.name.contains(part));
    let mut said: Vec<Line> = fitting
        .map(|function| {
            Line::of(Style::Syntax(Kind::Function), &function.name)
                .with(Style::Plain, &format!("({})", function.params.join(", ")))
        })
        .collect();
    let is_function = |kind| matches!(kind, CandidateKind::Function | CandidateKind::Method);
    for other in others.iter().filter(|other| is_function(other.kind)) {
        let is_told = scope.functions.iter().any(|function| function.name == other.text);
        let Some(params) = other.detail.strip_prefix(&other.text).filter(|_| !is_told) else { continue };
        said.push(Line::of(Style::Syntax(Kind::Function), &other.text).with(Style::Dim, params));
    }
    match (said.is_empty(), part) {
        (false, _) => said,
        (true, "") => vec![Line::of(Style::Dim, "no functions in this session yet; :functions TEXT shows the circle's that begin so")],
        (true, part) => vec![Line::of(Style::Dim, &format!("no function has {part} in its name, or begins so in the circle"))],
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

