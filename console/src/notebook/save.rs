//! Joins inputs to one script with the same effect.

use std::{collections::HashSet, ops::Range};

use rhai::{Engine, OptimizationLevel, Token};

use super::{SavedScript, recorded::NotebookInput};
use crate::{LAST_VALUE, highlight::lex};

/// The first line of a saved script. `--` passes all arguments to the script.
const SHEBANG: &str = "#!/usr/bin/env -S circles play --";

pub(crate) fn build_script(inputs: &[NotebookInput], circle: &str) -> SavedScript {
    let mut engine = Engine::new_raw();
    engine.set_optimization_level(OptimizationLevel::None);
    let circle: String = circle.chars().filter(|character| !character.is_control()).collect();
    let mut script = format!("{SHEBANG}\n// Played on {circle}.\n");
    let mut notes = Vec::new();
    let later = redefined_ranges(&engine, inputs);
    for (index, input) in inputs.iter().enumerate() {
        let mut text = input.script.clone();
        for range in later[index].iter().rev() {
            text.replace_range(range.clone(), "");
        }
        let is_used = input.has_value && uses_last_value(&engine, &inputs[index + 1..]);
        if is_used {
            match bind_last_value(&engine, &text) {
                Some(binding) => text = binding,
                None => notes.push(format!("cannot bind `{LAST_VALUE}` to the value of input {}", index + 1)),
            }
        }
        let text = text.trim();
        if !text.is_empty() {
            script.push_str(&terminate_statement(&engine, text));
            script.push('\n');
        }
    }
    for (index, input) in inputs.iter().enumerate() {
        if let Some(word) = find_early_exit(&engine, &input.script) {
            notes.push(format!("input {} may end the script early with `{word}`", index + 1));
        }
    }
    if later.iter().any(|ranges| !ranges.is_empty()) {
        notes.push("redefined functions are saved once, in their last version".to_owned());
    }
    if let Err(error) = engine.compile(&script[SHEBANG.len()..]) {
        notes.push(format!("the script does not run without changes: {error}"));
    }
    SavedScript { script, inputs: inputs.len(), notes }
}

/// Returns the newest definitions of a function, one for each number of parameters, in the order of their inputs.
pub(crate) fn sources(inputs: &[NotebookInput], name: &str) -> Vec<String> {
    let engine = Engine::new_raw();
    let (mut known, mut found) = (HashSet::new(), Vec::new());
    for input in inputs.iter().rev().filter(|input| input.script.contains(name)) {
        for FunctionDefinition { name: (defined, params), range } in definitions(&engine, &input.script) {
            if defined == name && known.insert(params) {
                found.push(input.script[range].to_owned());
            }
        }
    }
    found.reverse();
    found
}

/// Returns the names of the functions that a script defines.
pub(crate) fn function_names(script: &str) -> impl Iterator<Item = String> {
    // Most scripts define none, and need no lexer.
    let defined = if script.contains("fn") { definitions(&Engine::new_raw(), script) } else { Vec::new() };
    defined.into_iter().map(|function| function.name.0)
}

/// Returns, for each input, the ranges of functions that a later input redefines: a script can define a function only
/// once.
fn redefined_ranges(engine: &Engine, inputs: &[NotebookInput]) -> Vec<Vec<Range<usize>>> {
    let mut known = HashSet::new();
    let mut later: Vec<Vec<Range<usize>>> = inputs
        .iter()
        .rev()
        .map(|input| {
            let defined = definitions(engine, &input.script);
            defined.into_iter().filter(|defined| !known.insert(defined.name.clone())).map(|again| again.range).collect()
        })
        .collect();
    later.reverse();
    later
}

/// The definition of a function in a script.
struct FunctionDefinition {
    /// The name and the number of parameters, which together identify a function.
    name: (String, usize),
    range: Range<usize>,
}

/// Returns the functions that a script defines, in order.
fn definitions(engine: &Engine, script: &str) -> Vec<FunctionDefinition> {
    let tokens = lex(engine, script);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].0 != Token::Fn {
            at += 1;
            continue;
        }
        let mut first = at;
        // Doc comments belong to the definition.
        while first > 0 && matches!(tokens[first - 1].0, Token::Private | Token::Comment(_)) {
            first -= 1;
        }
        // Without parameters the parentheses are one token.
        let is_open = |at: &usize| matches!(tokens[*at].0, Token::LeftParen | Token::Unit);
        let is_close = |at: &usize| matches!(tokens[*at].0, Token::RightParen | Token::Unit);
        let Some(open) = (at..tokens.len()).find(is_open) else { break };
        let Some(close) = (open..tokens.len()).find(is_close) else { break };
        let parameters = tokens[open..close].iter().filter(|(token, _)| matches!(token, Token::Identifier(_))).count();
        let Some(end) = block_end(&tokens, close + 1) else { break };
        let name = script[tokens[at].1 + "fn".len()..tokens[open].1].trim().to_owned();
        found.push(FunctionDefinition { name: (name, parameters), range: tokens[first].1..tokens[end].1 + 1 });
        at = end + 1;
    }
    found
}

/// Returns the index of the brace that closes the block that begins at a token.
fn block_end(tokens: &[(Token, usize)], begin: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, (token, _)) in tokens.iter().enumerate().skip(begin) {
        match token {
            Token::LeftBrace | Token::MapStart => depth += 1,
            Token::RightBrace => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Finds a statement outside of functions that ends the whole script.
fn find_early_exit(engine: &Engine, script: &str) -> Option<&'static str> {
    let definitions = definitions(engine, script);
    let is_outside = |at: usize| !definitions.iter().any(|defined| defined.range.contains(&at));
    lex(engine, script).into_iter().find_map(|(token, at)| match token {
        Token::Return if is_outside(at) => Some("return"),
        Token::Identifier(name) if name.as_str() == "exit" => Some("exit"),
        _ => None,
    })
}

/// Whether an input reads `ans` before it is bound again.
fn uses_last_value(engine: &Engine, later: &[NotebookInput]) -> bool {
    for input in later {
        let is_last_value = |token: &Token| matches!(token, Token::Identifier(name) if name.as_str() == LAST_VALUE);
        if lex(engine, &input.script).iter().any(|(token, _)| is_last_value(token)) {
            return true;
        }
        if input.has_value {
            return false;
        }
    }
    false
}

/// Binds the value of the last statement to `ans`; `None` if that is not possible.
fn bind_last_value(engine: &Engine, script: &str) -> Option<String> {
    let script = script.trim_end();
    // Tries the shortest last statement first.
    let mut ends = statement_ends(engine, script);
    ends.insert(0, 0);
    ends.into_iter().rev().find_map(|at| {
        let (before, last) = script.split_at(at);
        let candidate = format!("{}let {LAST_VALUE} = {}", with_newline(before), last.trim_start());
        (!last.trim().is_empty() && engine.compile(before).is_ok() && engine.compile(&candidate).is_ok())
            .then_some(candidate)
    })
}

/// Returns the text with a newline, as a separator before another statement.
fn with_newline(before: &str) -> String {
    let before = before.trim_end();
    if before.is_empty() { String::new() } else { format!("{before}\n") }
}

/// Returns the positions, in bytes, at which top-level statements end.
fn statement_ends(engine: &Engine, script: &str) -> Vec<usize> {
    let mut open = Vec::new();
    let mut ends = Vec::new();
    for (token, start) in lex(engine, script) {
        match token {
            Token::LeftBrace | Token::LeftParen | Token::LeftBracket | Token::MapStart => {
                open.push(token);
            }
            Token::RightParen | Token::RightBracket => drop(open.pop()),
            Token::RightBrace => {
                let is_block = open.pop() == Some(Token::LeftBrace);
                ends.extend((is_block && open.is_empty()).then_some(start + 1));
            }
            Token::SemiColon if open.is_empty() => ends.push(start + 1),
            _ => {}
        }
    }
    ends
}

/// Terminates a statement, so that another one can follow.
fn terminate_statement(engine: &Engine, text: &str) -> String {
    let tokens = lex(engine, text);
    if let Some((Token::SemiColon, at)) = tokens.last()
        && !text[*at..].contains("/*")
    {
        return text.to_owned();
    }
    if tokens.is_empty() && !text.contains("/*") {
        return text.to_owned();
    }
    // A semicolon within a comment at the end, on its line or unclosed, would not count.
    let candidates = [format!("{text};"), format!("{text}\n;"), format!("{text}*/\n;")];
    let is_ended = |candidate: &String| {
        lex(engine, candidate).last().is_some_and(|(token, at)| *token == Token::SemiColon && at + 1 == candidate.len())
    };
    candidates.into_iter().find(is_ended).unwrap_or_else(|| format!("{text};"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the script for inputs, without its header, and the notes. An input that begins with `=` has a value.
    fn saved(inputs: &[&str]) -> (String, Vec<String>) {
        let inputs: Vec<NotebookInput> = inputs
            .iter()
            .map(|input| NotebookInput {
                script: input.strip_prefix('=').unwrap_or(input).to_owned(),
                has_value: input.starts_with('='),
            })
            .collect();
        let saved = build_script(&inputs, "here\n!");
        let body = saved.script.strip_prefix(&format!("{SHEBANG}\n// Played on here!.\n")).expect("its header");
        (body.to_owned(), saved.notes)
    }

    #[test]
    fn inputs_become_consecutive_statements() {
        let cases: [(&[&str], &str); 10] = [
            (&["let x = 1", "=x + 1"], "let x = 1;\nx + 1;\n"),
            (&["let x = 1;", "x += 1 // more"], "let x = 1;\nx += 1 // more\n;\n"),
            (&["fn f(x) { x }", "=f(1)"], "fn f(x) { x };\nf(1);\n"),
            (&["let s = `a;${1}`", "// only a word"], "let s = `a;${1}`;\n// only a word\n"),
            (&["1 /* open", "=2"], "1 /* open*/\n;\n2;\n"),
            (&["1; /* open", "=2"], "1; /* open*/\n;\n2;\n"),
            (&["=40 + 2", "=ans + 1"], "let ans = 40 + 2;\nans + 1;\n"),
            (&["=let x = 1; x + 1", "let y = 2", "=ans * y"], "let x = 1;\nlet ans = x + 1;\nlet y = 2;\nans * y;\n"),
            (&["=fn f() { 1 } f()", "=ans"], "fn f() { 1 }\nlet ans = f();\nans;\n"),
            (&["=if true { 1 } else { 2 }", "=ans"], "let ans = if true { 1 } else { 2 };\nans;\n"),
        ];
        for (inputs, expected) in cases {
            assert_eq!(saved(inputs), (expected.to_owned(), vec![]), "{inputs:?}");
        }
    }

    #[test]
    fn redefined_function_is_saved_once() {
        let (script, _) = saved(&["fn one() { 2 }", "fn one() { 1 }", "=one()"]);
        assert_eq!(script, "fn one() { 1 };\none();\n");
        let (script, notes) = saved(&[
            "/// one\nfn f(x) { `${#{a: x}}` } let a = 1;",
            "fn f(x, y) { 0 }",
            "private fn f(x) { x * 2 }",
            "=f(1)",
        ]);
        assert_eq!(script, "let a = 1;\nfn f(x, y) { 0 };\nprivate fn f(x) { x * 2 };\nf(1);\n");
        assert_eq!(notes.len(), 1, "{notes:?}");
    }

    #[test]
    fn saved_script_has_the_same_result() {
        let inputs = [
            "let x = 40",
            "=x + 2",
            "fn twice(n) { n * 2 }",
            "=twice(ans)",
            "fn twice(n) { n + n }",
            "=#{ a: ans }.a + 0",
        ];
        let (script, notes) = saved(&inputs);
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert_eq!(
            Engine::new().eval::<i64>(script.trim_end().trim_end_matches(';')).expect("it runs"),
            84,
            "{script}"
        );
    }

    #[test]
    fn source_is_the_newest_definition_for_each_number_of_parameters() {
        let inputs =
            ["fn f(x) { 1 }", "/// Twice.\nfn f(x) { x * 2 } fn g() { f(1) }", "private fn f(x, y) { x }", "f(1)"];
        let inputs = inputs.map(|script| NotebookInput { script: script.into(), has_value: false });
        assert_eq!(sources(&inputs, "f"), ["/// Twice.\nfn f(x) { x * 2 }", "private fn f(x, y) { x }"]);
        assert_eq!(sources(&inputs, "g"), ["fn g() { f(1) }"]);
        assert!(sources(&inputs, "h").is_empty());
    }

    #[test]
    fn unsavable_constructs_are_reported() {
        let (_, notes) = saved(&["export let x = 1", "{ break; }"]);
        assert!(notes.iter().any(|note| note.starts_with("the script does not run without changes")), "{notes:?}");
        let (_, notes) = saved(&["fn f() { return 1; }", "if f() == 1 { return 2; }"]);
        assert_eq!(notes, ["input 2 may end the script early with `return`"]);
    }
}
