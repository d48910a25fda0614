//! `circles play`: one script, its prints and its value, an exit code.

use std::{fmt::Write as _, path::Path, time::Duration};

use client_ws::{ClientError, PlayEvent, PlayResult, RpcError};
use serde_json::{Value, json};

use crate::{
    cli::PlayArgs,
    connect::{self, Connected},
    error::CliError,
    printer::Printer,
    printing::{line_to_stdout, to_stdout},
    script,
    terminal::Interrupts,
};

/// How long a play with a timeout is waited for after that: the circle takes a second to kill it, and the answer its way.
const OVERDUE: Duration = Duration::from_secs(10);

/// How long an interrupted play is waited for.
const FAREWELL: Duration = Duration::from_secs(2);

pub(crate) fn run(args: &PlayArgs) -> Result<(), CliError> {
    let played = given_script(args).and_then(|(script, script_args)| play(args, &script, &script_args));
    match played {
        Err(error) if args.json => {
            // Whether or not anybody reads it, the exit code says what happened to the script.
            let _unread = to_stdout(&format!("{}\n", json!({ "error": as_json(&error) })));
            Err(error)
        }
        played => played,
    }
}

fn play(args: &PlayArgs, script: &str, script_args: &[String]) -> Result<(), CliError> {
    let runtime = connect::client_runtime()?;
    let connected = connect::connect(&runtime, args.circle.as_deref(), &args.connect)?;
    runtime.block_on(async {
        if !script_args.is_empty() || script.contains("ARGS") {
            let definition = format!("const ARGS = {};", array_literal(script_args));
            connected.client.play(definition).await.map_err(|error| failed(&connected, script, error))?;
        }
        let mut prints = Vec::new();
        let result = listen(args, &connected, script, &mut prints).await?;
        if args.json {
            let mut object = serde_json::to_value(&result).unwrap_or_default();
            object["prints"] = prints.into();
            to_stdout(&format!("{object}\n"))?;
        } else if !result.output.is_empty() {
            line_to_stdout(&result.output)?;
        }
        Ok(())
    })
}

/// Plays it, printing as it prints.
async fn listen(
    args: &PlayArgs,
    connected: &Connected,
    script: &str,
    prints: &mut Vec<Value>,
) -> Result<PlayResult, CliError> {
    let mut request = connected.client.play(script);
    if let Some(timeout) = args.timeout {
        request = request.timeout(timeout);
    }
    let mut running = request.start().await.map_err(|error| failed(connected, script, error))?;
    let mut interrupts = Interrupts::claim()?;
    let patience = args.timeout.map_or(Duration::MAX, |timeout| timeout.saturating_add(OVERDUE));
    let mut overdue = std::pin::pin!(tokio::time::sleep(patience));
    let printer = Printer::start();
    let played = async {
        while let Some(event) = running.next().await {
            match event {
                PlayEvent::Output(output) if args.json => {
                    prints.push(json!({ "stream": output.stream, "text": output.text }));
                }
                PlayEvent::Output(output) => printer.output(output).await?,
                _ => {}
            }
        }
        Ok::<(), CliError>(())
    };
    let played = tokio::select! {
        played = played => Some(played),
        () = &mut overdue => return Err(failed(connected, script, ClientError::TimedOut { after: patience })),
        () = interrupts.next() => None,
    };
    let Some(played) = played else {
        // Whether it was cancelled in time or not, the user is told the same.
        let _ended = tokio::time::timeout(FAREWELL, running.cancel()).await;
        return Err(CliError::Interrupted);
    };
    played?;
    let result = running.result().await.map_err(|error| failed(connected, script, error));
    // What is printed still is all there before the value or the error, unless the user has had enough of it.
    tokio::select! {
        written = printer.finish() => written?,
        () = interrupts.next() => return Err(CliError::Interrupted),
    }
    result
}

fn failed(connected: &Connected, script: &str, error: ClientError) -> CliError {
    match error {
        ClientError::Rpc(error) => CliError::Play { script: script.to_owned(), error },
        error => CliError::Client { place: connected.place.clone(), error },
    }
}

/// The script, and what is left of the arguments for it.
fn given_script(args: &PlayArgs) -> Result<(String, Vec<String>), CliError> {
    if let Some(script) = &args.expression {
        return Ok((script.clone(), args.rest.clone()));
    }
    let Some((file, script_args)) = args.rest.split_first() else {
        return Err(CliError::usage(
            "there is no script to play",
            "",
            "give a FILE, - for standard input, or -e SCRIPT",
        ));
    };
    let script = if file == "-" {
        script::read(std::io::stdin().lock()).map_err(|error| script::cannot_read(file, &error))?
    } else {
        script::read_file(Path::new(file))?
    };
    Ok((script, script_args.to_vec()))
}

fn array_literal(items: &[String]) -> String {
    let mut literal = String::from("[");
    for item in items {
        literal.push('"');
        for character in item.chars() {
            match character {
                '"' => literal.push_str("\\\""),
                '\\' => literal.push_str("\\\\"),
                character if character.is_control() => {
                    let _infallible = write!(literal, "\\u{:04x}", u32::from(character));
                }
                character => literal.push(character),
            }
        }
        literal.push_str("\", ");
    }
    literal.push(']');
    literal
}

/// The error object of `--json`; one that the circle did not answer has no code.
fn as_json(error: &CliError) -> Value {
    match error {
        CliError::Play { error, .. } | CliError::Client { error: ClientError::Rpc(error), .. } => rpc_as_json(error),
        other => json!({ "code": null, "message": other.message(), "data": null }),
    }
}

fn rpc_as_json(error: &RpcError) -> Value {
    let object = error.to_object().ok();
    object.map_or(Value::Null, |object| json!({ "code": object.code, "message": object.message, "data": object.data }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_become_an_array_of_strings_whatever_is_in_them() {
        let items = ["a\"b", "\\", "\n\u{1b}", "ä${x}`"].map(String::from);
        assert_eq!(array_literal(&items), "[\"a\\\"b\", \"\\\\\", \"\\u000a\\u001b\", \"ä${x}`\", ]");
    }
}
