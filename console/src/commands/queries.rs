//! The commands that the circle answers.

use std::collections::BTreeSet;

use client_ws::{Candidate, CandidateKind, CircleWsClient, ClientError, FunctionDoc, ScopeResult};
use rhai::Engine;

use super::{ReplCommand, markdown, who};
use crate::{
    highlight,
    truncate::group_digits,
    value::{quote, shorten},
};
use frontend::text::{Style, StyledLine, SyntaxKind, display_width};

/// The maximum number of lines in an answer.
const MAX_LINES: usize = 1_000;

/// The maximum length of a variable's value in bytes, as in the protocol.
const MAX_OUTPUT: usize = 1 << 10;

/// The maximum length of a signature, in bytes.
const MAX_SIGNATURE: usize = 16 << 10;

/// The maximum width of a variable's name, in columns.
const MAX_NAME: usize = 40;

/// Asks the circle for the answer to a command. Returns no lines for commands that need no circle.
pub async fn query(client: &CircleWsClient, command: &ReplCommand) -> Result<Vec<StyledLine>, ClientError> {
    match command {
        ReplCommand::Vars => client.scope().await.map(|scope| variables(&scope)),
        ReplCommand::Functions(part) => {
            let scope = client.scope().await?;
            // Without a prefix, or behind other characters, the circle would list hundreds of functions.
            let is_prefix =
                |text: &str| text.ends_with(|last: char| last.is_ascii_alphanumeric() || "_.:".contains(last));
            let others = match part.as_str() {
                part if is_prefix(part) => client.complete(part, part.chars().count() as u64).await?.candidates,
                _ => Vec::new(),
            };
            Ok(functions(&scope, &others, part))
        }
        ReplCommand::Doc(name) => client.lookup(name.as_str()).await.map(|found| docs(name, &found)),
        ReplCommand::Reset => {
            client.reset().await.map(|()| vec![StyledLine::of(Style::Dim, "environment reset; variables are gone")])
        }
        ReplCommand::Who => client.describe().await.map(|circle| who::lines(&circle, &client.url().to_string())),
        _ => Ok(Vec::new()),
    }
}

/// The lines of an answer up to the maximum. Further lines are only counted.
#[derive(Default)]
struct BoundedLines {
    lines: Vec<StyledLine>,
    omitted: usize,
}

impl BoundedLines {
    fn push(&mut self, line: impl FnOnce() -> StyledLine) {
        if self.lines.len() < MAX_LINES {
            self.lines.push(line());
        } else {
            self.omitted += 1;
        }
    }

    fn finish(mut self) -> Vec<StyledLine> {
        self.lines.extend(omitted_line(self.omitted));
        self.lines
    }
}

/// The note on the number of omitted lines, if any.
fn omitted_line(omitted: usize) -> Option<StyledLine> {
    (omitted > 0).then(|| StyledLine::of(Style::Dim, &format!("… and {} more", group_digits(omitted))))
}

fn variables(scope: &ScopeResult) -> Vec<StyledLine> {
    if scope.variables.is_empty() {
        return vec![StyledLine::of(Style::Dim, "no variables yet")];
    }
    let lexer = Engine::new_raw();
    let names: Vec<String> =
        scope.variables.iter().take(MAX_LINES).map(|variable| shorten(&variable.name, MAX_NAME)).collect();
    let width = names.iter().map(|name| display_width(name)).max().unwrap_or(0);
    let row = |(variable, name): (&client_ws::Variable, &String)| {
        let padding = " ".repeat(width.saturating_sub(display_width(name)));
        let note = if variable.constant { "const " } else { "" };
        let (r#type, size) = (&variable.r#type, size_text(variable));
        let mut line = StyledLine::of(Style::Plain, name).with(Style::Dim, &format!("{padding}  {note}{type}{size}"));
        if let Some(output) = &variable.output {
            line.push(Style::Dim, " = ");
            let output = quote::of_type(&variable.r#type, &output[..output.floor_char_boundary(MAX_OUTPUT)]);
            for piece in highlight::lines(&lexer, &output).iter().flat_map(StyledLine::spans) {
                line.push(piece.style, &piece.text);
            }
        }
        line
    };
    let mut lines: Vec<StyledLine> = scope.variables.iter().zip(&names).map(row).collect();
    lines.extend(omitted_line(scope.variables.len() - lines.len()));
    lines
}

/// The size of a variable's value, as it follows the type.
fn size_text(variable: &client_ws::Variable) -> String {
    let Some(length) = variable.length else { return String::new() };
    let unit = match (variable.r#type.as_str(), length) {
        ("string", 1) => " character",
        ("string", _) => " characters",
        ("blob", 1) => " byte",
        ("blob", _) => " bytes",
        _ => "",
    };
    format!(" of {}{unit}", group_digits(usize::try_from(length).unwrap_or(usize::MAX)))
}

/// Lists the functions of scripts whose names match; no lines if a text matches none.
fn functions(scope: &ScopeResult, others: &[Candidate], part: &str) -> Vec<StyledLine> {
    let fitting = scope.functions.iter().filter(|function| function.name.contains(part));
    let mut lines = BoundedLines::default();
    for function in fitting {
        lines.push(|| {
            StyledLine::of(Style::Syntax(SyntaxKind::Function), &function.name)
                .with(Style::Plain, &format!("({})", function.params.join(", ")))
        });
    }
    let known: BTreeSet<&str> = scope.functions.iter().map(|function| function.name.as_str()).collect();
    let is_function = |kind| matches!(kind, CandidateKind::Function | CandidateKind::Method);
    for other in others.iter().filter(|other| is_function(other.kind)) {
        let is_listed = known.contains(other.text.as_str());
        let Some(params) = other.detail.strip_prefix(&other.text).filter(|_| !is_listed) else { continue };
        lines.push(|| StyledLine::of(Style::Syntax(SyntaxKind::Function), &other.text).with(Style::Dim, params));
    }
    match (lines.lines.is_empty(), part) {
        (false, _) => lines.finish(),
        (true, "") => vec![StyledLine::of(
            Style::Dim,
            "this session has defined no functions; :functions TEXT lists functions of Rhai and of modules whose names \
             begin with TEXT",
        )],
        (true, _) => Vec::new(),
    }
}

fn docs(name: &str, found: &[FunctionDoc]) -> Vec<StyledLine> {
    if found.is_empty() {
        return vec![StyledLine::of(Style::Dim, &format!("there is no function {name}; Tab lists the functions"))];
    }
    let (lexer, mut lines) = (Engine::new_raw(), BoundedLines::default());
    for function in found {
        let signature = &function.signature[..function.signature.floor_char_boundary(MAX_SIGNATURE)];
        let mut signature = highlight::lines(&lexer, signature);
        if let (Some(last), Ok(serde_json::Value::String(origin))) =
            (signature.last_mut(), serde_json::to_value(function.origin))
        {
            last.push(Style::Dim, &format!("  ({origin})"));
        }
        for line in signature {
            lines.push(|| line);
        }
        let room = MAX_LINES.saturating_sub(lines.lines.len());
        lines.lines.extend(markdown::lines(&lexer, &function.doc).take(room));
        lines.omitted += function.doc.lines().count().saturating_sub(room);
    }
    lines.finish()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A circle with an anonymous caller, of a version without roles.
    pub(in crate::commands) fn description() -> client_ws::Description {
        client_ws::Description {
            name: "shop".into(),
            description: None,
            version: String::new(),
            protocol: protocol::VERSION,
            access: client_ws::Access::Members,
            you: client_ws::CallerInfo { public_key: None, admitted: false, name: None, role: None, may: None },
            modules: Vec::new(),
            sandbox: Vec::new(),
            tls: false,
            functions: None,
            limits: client_ws::Limits::default(),
        }
    }

    fn scope(variables: &[Value], functions: &[Value]) -> ScopeResult {
        serde_json::from_value(json!({ "variables": variables, "functions": functions, "imports": [] })).expect("one")
    }

    fn variable(name: &str) -> Value {
        json!({ "name": name, "type": "i64", "constant": false, "output": "1" })
    }

    fn shown(lines: &[StyledLine]) -> Vec<String> {
        lines.iter().map(StyledLine::to_string).collect()
    }

    #[test]
    fn variables_are_aligned_in_columns() {
        let lines = shown(&variables(&scope(&[variable("a"), variable("日本"), variable("x\u{1b}[2J\n")], &[])));
        assert_eq!(lines, ["a       i64 = 1", "日本    i64 = 1", "x␛[2J   i64 = 1"]);
        assert_eq!(shown(&variables(&scope(&[], &[]))), ["no variables yet"]);
    }

    #[test]
    fn variables_have_their_size_and_strings_are_quoted() {
        let variable = |name: &str, of: &str, length: Option<u64>, output: Option<&str>| json!({ "name": name, "type": of, "constant": name == "k", "length": length, "output": output });
        let all = [
            variable("a", "array", Some(12_000), None),
            variable("m", "map", Some(1), Some(r#"#{"f": Fn(anon$0a)}"#)),
            variable("s", "string", Some(5), Some("hello")),
            variable("k", "string", Some(1), Some("4")),
            variable("c", "char", None, Some("'")),
            variable("b", "blob", Some(1), Some("[09]")),
            variable("f", "Fn", None, Some("Fn(anon$0a)")),
        ];
        let expected = [
            "a  array of 12,000",
            r#"m  map of 1 = #{"f": <function>}"#,
            r#"s  string of 5 characters = "hello""#,
            r#"k  const string of 1 character = "4""#,
            r"c  char = '\''",
            "b  blob of 1 byte = [09]",
            "f  Fn = <function>",
        ];
        assert_eq!(shown(&variables(&scope(&all, &[]))), expected);
    }

    /// Padding every name to the longest one must not exhaust the memory.
    #[test]
    fn answers_of_a_hostile_circle_are_bounded() {
        let mut all: Vec<Value> = (0..20_000).map(|number| variable(&format!("v{number}"))).collect();
        all[0] = variable(&"x".repeat(1 << 20));
        let lines = shown(&variables(&scope(&all, &[])));
        assert_eq!(lines[0], format!("{}…  i64 = 1", "x".repeat(MAX_NAME - 1)));
        assert_eq!((lines.len(), lines[MAX_LINES].as_str()), (MAX_LINES + 1, "… and 19,000 more"));
        assert!(lines.iter().all(|line| display_width(line) <= MAX_NAME + "  i64 = 1".len()));

        let many: Vec<Value> = (0..2_000).map(|number| json!({ "name": format!("f{number}"), "params": [] })).collect();
        assert_eq!(functions(&scope(&[], &many), &[], "none"), []);
        let lines = shown(&functions(&scope(&[], &many), &[], ""));
        assert_eq!((lines.len(), lines[MAX_LINES].as_str()), (MAX_LINES + 1, "… and 1,000 more"));
        let doc = json!([{ "signature": "f()", "doc": "line\n".repeat(2_000), "origin": "session" }]);
        let lines = docs("f", &serde_json::from_value::<Vec<FunctionDoc>>(doc).expect("one"));
        assert_eq!(lines.len(), MAX_LINES + 1);
    }
}
