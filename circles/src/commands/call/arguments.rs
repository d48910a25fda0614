//! The parameters of a call, as the user types them.

use std::{fs::File, io::stdin};

use client_ws::FunctionInfo;
use frontend::{
    error::{AdviceCommands, CliError},
    functions::{Argument, FileContent},
    visible::visible,
};
use serde_json::{Map, Value};

use crate::cli::CallArgs;

/// The parameters as the user typed them, before the types are known.
pub(super) struct Arguments {
    function: String,
    /// The JSON of `--args`.
    json: Value,
    /// Parameters and their values.
    named: Vec<(String, Argument)>,
}

impl Arguments {
    /// Reads the arguments, and the files that they name.
    ///
    /// # Errors
    ///
    /// An argument is not `PARAM=VALUE`, is given twice, names a file that cannot be read, or `--args` is not JSON.
    pub(super) fn read(args: &CallArgs) -> Result<Self, CliError> {
        let function = visible(&args.name).into_owned();
        let json = match &args.args {
            None => Value::Object(Map::new()),
            Some(text) => parse_json(&read("--args", text)?)?,
        };
        let mut named: Vec<(String, Argument)> = Vec::new();
        for argument in &args.params {
            let Some((param, value)) = argument.split_once('=').filter(|(param, _)| !param.is_empty()) else {
                return Err(CliError::usage(
                    format!("cannot call {function}"),
                    format!("'{}' is not a parameter", visible(argument)),
                    format!("write PARAM=VALUE; circles functions {function} lists the parameters"),
                ));
            };
            if named.iter().any(|(given, _)| given == param) || json.get(param).is_some() {
                let why = format!("the parameter {} is given twice", visible(param));
                return Err(CliError::usage(format!("cannot call {function}"), why, "give it once"));
            }
            named.push((param.to_owned(), read(param, value)?));
        }
        if json.is_array() && !named.is_empty() {
            return Err(CliError::usage(
                format!("cannot call {function}"),
                "--args has the parameters by position, so there can be no others",
                "write them as an object: --args '{…}'",
            ));
        }
        Ok(Self { function, json, named })
    }

    /// The parameters by name, read by their declared types.
    ///
    /// # Errors
    ///
    /// The function has no such parameter, or an argument is no value of its type.
    pub(super) fn params(self, function: &FunctionInfo) -> Result<Map<String, Value>, CliError> {
        let Self { function: name, json, named } = self;
        let cannot = |why: String| CliError::bad_argument(&name, &why, AdviceCommands::SHELL);
        let mut params = match json {
            Value::Object(params) => params,
            Value::Array(values) if values.len() > function.params.len() => {
                let most = function.params.len();
                return Err(cannot(format!("there are {} values for at most {most} parameters", values.len())));
            }
            Value::Array(values) => function.params.iter().map(|param| param.name.clone()).zip(values).collect(),
            _ => return Err(cannot("--args is neither an object nor an array".into())),
        };
        for (param, argument) in named {
            let value = argument.value(function, &param, AdviceCommands::SHELL)?;
            params.insert(param, value);
        }
        Ok(params)
    }
}

fn parse_json(argument: &Argument) -> Result<Value, CliError> {
    let parsed = match argument {
        Argument::Text(text) => serde_json::from_str(text),
        Argument::File(file) => serde_json::from_slice(file.bytes()),
    };
    parsed.map_err(|error| {
        CliError::usage(
            "--args is not JSON",
            visible(&error.to_string()),
            "write an object in quotes: '{\"item\": \"tea\"}'",
        )
    })
}

/// Reads `@FILE`, and standard input for `@-`; other texts are the argument itself.
fn read(param: &str, value: &str) -> Result<Argument, CliError> {
    let content = match value.strip_prefix('@') {
        None => return Ok(Argument::Text(value.to_owned())),
        Some("") => {
            let what = format!("{}=@ names no file", visible(param));
            return Err(CliError::usage(
                what,
                "",
                "write PARAM=@FILE; for the text @, write a JSON string: PARAM='\"@\"'",
            ));
        }
        Some("-") => FileContent::read(param, "standard input", Ok(stdin().lock()), AdviceCommands::SHELL),
        Some(file) => FileContent::read(param, file, File::open(file), AdviceCommands::SHELL),
    };
    content.map(Argument::File)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;
    use crate::cli::{Cli, Verb};

    fn function() -> FunctionInfo {
        let param =
            |name: &str, schema: Value, type_text: &str| json!({ "name": name, "schema": schema, "x-type": type_text });
        let document = json!({ "methods": [{ "name": "fn.order", "params": [
            param("item", json!({ "type": "string" }), "string"),
            param("count", json!({ "type": "integer" }), "int 1..100"),
        ] }] });
        FunctionInfo::all(&document).remove(0)
    }

    /// The parameters of a command line, or the text of its error.
    fn params(words: &[&str]) -> Result<Value, String> {
        let words = ["circles", "call", "order"].iter().chain(words);
        let Some(Verb::Call(args)) = Cli::parse_from(words).verb else { panic!("a call") };
        let params = Arguments::read(&args).and_then(|arguments| arguments.params(&function()));
        params.map(Value::from).map_err(|error| error.advice())
    }

    #[test]
    fn values_are_read_by_the_declared_types() {
        assert_eq!(params(&[]), Ok(json!({})));
        assert_eq!(params(&["item=5", "count=5"]), Ok(json!({ "item": "5", "count": 5 })));
        assert_eq!(params(&["item=a=b"]), Ok(json!({ "item": "a=b" })));
        assert_eq!(params(&["item=\"@tea\""]), Ok(json!({ "item": "@tea" })));
        assert_eq!(params(&["--args", r#"{"count": 2}"#, "item="]), Ok(json!({ "item": "", "count": 2 })));
        assert_eq!(params(&["--args", r#"["tea"]"#]), Ok(json!({ "item": "tea" })));
    }

    #[test]
    fn values_come_from_files() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(&file, "green\ntea").expect("written");
        let path = file.path().display();
        assert_eq!(params(&[&format!("item=@{path}")]), Ok(json!({ "item": "green\ntea" })));
        std::fs::write(&file, r#"["tea", 3]"#).expect("written");
        assert_eq!(params(&["--args", &format!("@{path}")]), Ok(json!({ "item": "tea", "count": 3 })));
        std::fs::write(&file, [0xff]).expect("written");
        assert!(params(&[&format!("item=@{path}")]).expect_err("no UTF-8").ends_with("save it as UTF-8"));
        assert!(params(&["item=@/nonexistent/file"]).expect_err("no file").contains("no such file"));
        let no_name = "item=@ names no file; write PARAM=@FILE; for the text @, write a JSON string: PARAM='\"@\"'";
        assert_eq!(params(&["item=@"]), Err(no_name.to_owned()));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let hint = "describe its parameters: circles functions order";
        let cases = [
            (vec!["tea"], "cannot call order: 'tea' is not a parameter; write PARAM=VALUE; circles functions order lists the parameters".into()),
            (vec!["count=many"], format!("cannot call order: count: expected int 1..100, not \"many\"; {hint}")),
            (vec!["prise=1"], format!("cannot call order: order has no parameter \"prise\"; its parameters: item, count; {hint}")),
            (vec!["count=1", "count=2"], "cannot call order: the parameter count is given twice; give it once".into()),
            (vec!["--args", r#"{"count":1}"#, "count=2"], "cannot call order: the parameter count is given twice; give it once".into()),
            (vec!["--args", "[1,2,3]"], format!("cannot call order: there are 3 values for at most 2 parameters; {hint}")),
            (vec!["--args", "5"], format!("cannot call order: --args is neither an object nor an array; {hint}")),
            (vec!["--args", "[1]", "count=2"], "cannot call order: --args has the parameters by position, so there can be no others; write them as an object: --args '{…}'".into()),
        ];
        for (words, expected) in cases {
            assert_eq!(params(&words), Err(expected), "{words:?}");
        }
        assert!(params(&["--args", "{"]).expect_err("no JSON").starts_with("--args is not JSON: EOF"));
    }
}
