//! `circles store get|list|put|delete`: plays of the user. The scripts have keys and values as literals.

use std::io::{Read, stdin};

use console::session::Script;
use frontend::error::CliError;
use protocol::Limits;

use super::{
    circle_name,
    literal::{self, ValueLiteral},
};
use crate::{
    cli::{DeleteArgs, GetArgs, ListArgs, PutArgs, StorePlayArgs},
    commands::play::play_on,
};

/// Argument that stands for standard input.
const STDIN: &str = "-";

/// Prints an entry on one line. A key with quotes, backslashes or characters that are not visible is a string literal,
/// so that no key looks like another key or like several lines.
const PRINT_ENTRY: &str = r#"let key = to_debug(entry.key); if key == "\"" + entry.key + "\"" { key = entry.key; } print(key + "\t" + to_debug(entry.value))"#;

pub(super) fn get(args: &GetArgs) -> Result<(), CliError> {
    run(&args.play, format!("store::get({})", literal::string(&args.key)))
}

pub(super) fn list(args: &ListArgs) -> Result<(), CliError> {
    run(&args.play, list_script(args))
}

fn list_script(args: &ListArgs) -> String {
    let options = [
        args.limit.map(|limit| format!("limit: {limit}")),
        args.after.as_ref().map(|after| format!("after: {}", literal::string(after))),
        args.reverse.then(|| "reverse: true".to_owned()),
    ];
    let options: Vec<String> = options.into_iter().flatten().collect();
    let list = format!("store::list({}, #{{ {} }})", literal::string(&args.prefix), options.join(", "));
    if args.play.json {
        return list;
    }
    format!("for entry in {list} {{ {PRINT_ENTRY} }}")
}

pub(super) fn put(args: &PutArgs) -> Result<(), CliError> {
    let text = if args.value == STDIN { read_value()? } else { args.value.clone() };
    let key = literal::string(&args.key);
    if args.text {
        return run(&args.play, format!("store::put({key}, {});", literal::string(&text)));
    }
    let ValueLiteral { statements, expression, .. } = literal::json(&text).map_err(|why| bad_value(&why))?;
    run(&args.play, format!("{statements}store::put({key}, {expression});"))
}

pub(super) fn delete(args: &DeleteArgs) -> Result<(), CliError> {
    run(&args.play, format!("store::delete({});", literal::string(&args.key)))
}

fn run(args: &StorePlayArgs, script: String) -> Result<(), CliError> {
    let circle = circle_name(args.circle.as_deref(), &args.connect.config)?;
    play_on(circle, &args.connect.options(), Script { text: script, ..Script::default() }, args.json)
}

fn bad_value(why: &str) -> CliError {
    let fix = "write JSON, such as 12, '\"text\"' or '{\"a\": 1}'; --text takes the value as a string";
    CliError::usage("cannot put this value", why, fix)
}

/// Reads a value from standard input, of the size of a script at most.
fn read_value() -> Result<String, CliError> {
    let max_bytes = Limits::default().message_kib * 1024;
    let mut text = String::new();
    match stdin().lock().take(max_bytes + 1).read_to_string(&mut text) {
        Ok(_) if text.len() as u64 <= max_bytes => Ok(text),
        Ok(_) => Err(bad_value(&format!("it is larger than {max_bytes} bytes"))),
        Err(error) => Err(CliError::io("cannot read the value from standard input", &error, "give text in UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, StoreVerb, Verb};

    fn script(arguments: &[&str]) -> String {
        let cli = Cli::try_parse_from(["circles", "store", "list"].iter().chain(arguments)).expect("valid");
        let Some(Verb::Store(StoreVerb::List(args))) = cli.verb else { panic!("another command") };
        list_script(&args)
    }

    #[test]
    fn list_has_the_given_options_as_literals() {
        assert_eq!(script(&["a/", "--json"]), "store::list(\"a/\", #{  })");
        assert_eq!(
            script(&["a\"/", "--json", "--limit", "7", "--after", "a\"/\\", "--reverse"]),
            "store::list(\"a\\\"/\", #{ limit: 7, after: \"a\\\"/\\\\\", reverse: true })"
        );
        assert_eq!(script(&["a/"]), format!("for entry in store::list(\"a/\", #{{  }}) {{ {PRINT_ENTRY} }}"));
    }
}
