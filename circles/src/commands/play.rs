//! `circles play`: play one script on one or several circles, and exit with a code for the outcome.

mod attempts;
mod ordered;
pub(super) mod outcome;
mod reporter;

use client_ws::{ClientError, RpcError};
use std::{path::Path, time::Duration};

use super::store::literal;
use crate::cli::PlayArgs;
use console::{
    commands::split_list,
    session::{FanOut, FanOutEvent, FanOutOutcome as Ended, FanOutRefusal, FanOutTarget, Keyring, Script},
};
use frontend::{connect, error::CliError, script, target};
use terminal::{
    modes::Interrupts,
    output::line_to_stdout,
    runtime::{client_runtime, unlock_into_keyring},
};

use attempts::ConnectAttempt;
use ordered::OrderedOutcomes;
use outcome::FinishedPlay;
use reporter::Reporter;

/// Time for interrupted plays to end.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) fn run(args: &PlayArgs) -> Result<(), CliError> {
    let played =
        read_script_argument(args).and_then(|(script, arguments)| play_with_arguments(args, script, &arguments));
    print_error_object(args.json, played)
}

/// Plays all of standard input as one script on a circle, or on a scratch circle.
pub(crate) fn run_piped(circle: Option<&str>, options: &connect::Options) -> Result<(), CliError> {
    let named = target::argument_or_env(circle).into_iter().collect::<Vec<_>>();
    let script = || {
        let text = script::read(std::io::stdin().lock()).map_err(|error| script::read_error("-", &error))?;
        Ok(Script { text, ..Script::default() })
    };
    play(&named, options, script, false)
}

/// Plays a script of a command on one circle. With `is_json`, an error is printed as an object, too. Errors show no
/// line of the script, which the user has not written.
pub(super) fn play_on(
    circle: String,
    options: &connect::Options,
    script: Script,
    is_json: bool,
) -> Result<(), CliError> {
    print_error_object(is_json, play(&[circle], options, || Ok(script), is_json)).map_err(|error| match error {
        CliError::Play { error: RpcError::Script(mut error), .. } => {
            (error.line, error.column) = (None, None);
            CliError::Play { script: String::new(), error: RpcError::Script(error) }
        }
        error => error,
    })
}

/// Prints an error as JSON if the command is to print JSON.
fn print_error_object(is_json: bool, played: Result<(), CliError>) -> Result<(), CliError> {
    match played {
        Err(error) if is_json && !matches!(error, CliError::AlreadyReported { .. }) => {
            // Even if nobody reads stdout, the exit code tells the outcome.
            let _unread = line_to_stdout(&outcome::error_object(&error).to_string());
            Err(error)
        }
        played => played,
    }
}

fn play_with_arguments(args: &PlayArgs, script: Script, arguments: &[String]) -> Result<(), CliError> {
    let has_arguments = !arguments.is_empty() || script.text.contains("ARGS");
    let before = has_arguments.then(|| format!("const ARGS = {};", array_literal(arguments)));
    let script = Script { prelude: before, timeout: args.timeout, ..script };
    play(&requested_circles(args), &args.connect.options(), || Ok(script), args.json)
}

/// Plays the script, which is read only after the circles are connected.
fn play(
    named: &[String],
    options: &connect::Options,
    script: impl FnOnce() -> Result<Script, CliError>,
    is_json: bool,
) -> Result<(), CliError> {
    client_runtime()?.block_on(async {
        let attempts = open(named, options).await?;
        let script = script()?;
        let names: Vec<String> = attempts.iter().map(|attempt| attempt.label.clone()).collect();
        let reporter = Reporter::start(&names, is_json);
        let mut interrupts = Interrupts::claim()?;
        let (mut outcomes, mut indices, mut targets) = (OrderedOutcomes::new(names.len()), Vec::new(), Vec::new());
        for (index, ConnectAttempt { label, session: opened }) in attempts.into_iter().enumerate() {
            match opened {
                Ok(opened) => {
                    targets.push(FanOutTarget { label, session: opened.drain_events() });
                    indices.push(index);
                }
                Err(error) => outcomes.finish(index, Err(error)),
            }
        }
        report_in_order(&reporter, &mut outcomes).await?;
        let mut plays = FanOut::start(&targets, &script);
        let finished = tokio::select! {
            finished = listen(&mut plays, &targets, &indices, &reporter, &mut outcomes) => Some(finished),
            () = interrupts.next() => None,
        };
        let Some(finished) = finished else {
            plays.cancel();
            // The message is the same whether or not the plays ended in time.
            let ended = async { while plays.next().await.is_some() {} };
            let _late = tokio::time::timeout(CANCEL_TIMEOUT, ended).await;
            if outcomes.waiting().next().is_some() {
                // A reader that reads nothing does not keep the program from ending.
                let _unread = tokio::time::timeout(CANCEL_TIMEOUT, report_waiting(reporter, &outcomes)).await;
            }
            return outcome::report_interrupted(&names, &outcomes.into_outcomes(), is_json);
        };
        finished?;
        // All prints come before the value or the error, unless the user interrupts them.
        tokio::select! {
            written = reporter.finish() => written?,
            () = interrupts.next() => return outcome::report_interrupted(&names, &outcomes.into_outcomes(), is_json),
        }
        outcome::report_outcomes(&names, outcomes.into_outcomes(), is_json)
    })
}

/// Opens sessions on the named circles, or on a scratch circle. Prompts for passphrases where needed.
async fn open(named: &[String], options: &connect::Options) -> Result<Vec<ConnectAttempt>, CliError> {
    if named.is_empty() {
        connect::check_scratch_options(&options.connect)?;
        return attempts::open_scratch().await;
    }
    let keyring = Keyring::default();
    attempts::open_circles(named, options, |name| unlock_into_keyring(&keyring, name, options.passphrase_fd)).await
}

/// The requested circles, as the user named them.
fn requested_circles(args: &PlayArgs) -> Vec<String> {
    let all = if args.circle.is_empty() { target::argument_or_env(None) } else { Some(args.circle.join(",")) };
    let Some(all) = all else { return Vec::new() };
    match split_list(&all) {
        // An empty name is an error: the script must not silently play on a scratch circle instead.
        none if none.is_empty() => vec![String::new()],
        named => named,
    }
}

/// Reports the outcomes that are next in the order of the circles.
async fn report_in_order(reporter: &Reporter, outcomes: &mut OrderedOutcomes) -> Result<(), CliError> {
    while let Some((index, outcome)) = outcomes.next() {
        reporter.report_outcome(index, outcome).await?;
    }
    Ok(())
}

/// Reports the outcomes that wait for an interrupted play, and waits until they are written.
async fn report_waiting(reporter: Reporter, outcomes: &OrderedOutcomes) -> Result<(), CliError> {
    for (index, outcome) in outcomes.waiting() {
        reporter.report_outcome(index, outcome).await?;
    }
    Ok(reporter.finish().await?)
}

/// Reports output as it arrives and outcomes in the order of the circles, until all plays have ended.
async fn listen(
    plays: &mut FanOut,
    targets: &[FanOutTarget],
    indices: &[usize],
    reporter: &Reporter,
    outcomes: &mut OrderedOutcomes,
) -> Result<(), CliError> {
    let mut prints = vec![Vec::new(); indices.iter().max().map_or(0, |last| last + 1)];
    while let Some((player, event)) = plays.next().await {
        let index = indices[player];
        let ended = match event {
            FanOutEvent::Output(output) => {
                prints[index].extend(reporter.output(index, output).await?);
                continue;
            }
            FanOutEvent::Ended(Ended::Value(result)) => {
                Ok(FinishedPlay { result, prints: std::mem::take(&mut prints[index]) })
            }
            FanOutEvent::Ended(Ended::Failed(error)) => Err(error),
            FanOutEvent::Ended(Ended::Cancelled) => Err(CliError::Interrupted),
            FanOutEvent::Refused(why) => {
                let target = targets[player].session.target().clone();
                // The session was ready before, but no longer is.
                let error = match why {
                    FanOutRefusal::NeedsKey => ClientError::Rpc(RpcError::Unauthenticated),
                    FanOutRefusal::Unreachable | FanOutRefusal::Busy => ClientError::NotConnected,
                };
                Err(CliError::Client { target, error })
            }
        };
        outcomes.finish(index, ended);
        report_in_order(reporter, outcomes).await?;
    }
    Ok(())
}

/// Reads the script; returns it with its arguments.
fn read_script_argument(args: &PlayArgs) -> Result<(Script, Vec<String>), CliError> {
    if let Some(script) = &args.expression {
        return Ok((Script { text: script.clone(), ..Script::default() }, args.rest.clone()));
    }
    let Some((file, script_args)) = args.rest.split_first() else {
        return Err(CliError::usage(
            "there is no script to play",
            "",
            "give a FILE, - for standard input, or -e SCRIPT",
        ));
    };
    let (text, name) = if file == "-" {
        (script::read(std::io::stdin().lock()).map_err(|error| script::read_error(file, &error))?, None)
    } else {
        (script::read_file(Path::new(file))?, Script::file_name(Path::new(file)))
    };
    Ok((Script { text, name, ..Script::default() }, script_args.to_vec()))
}

fn array_literal(items: &[String]) -> String {
    let items: String = items.iter().map(|item| literal::string(item) + ", ").collect();
    format!("[{items}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_become_an_escaped_array_literal() {
        let items = ["a\"b", "\\", "\n\u{1b}", "ä${x}`"].map(String::from);
        assert_eq!(array_literal(&items), "[\"a\\\"b\", \"\\\\\", \"\\u000a\\u001b\", \"ä${x}`\", ]");
    }
}
