//! `circles play`: one script, its prints and its value, an exit code. On several circles at once, if they are named.

mod outcome;
mod telling;

use std::{fmt::Write as _, path::Path, sync::Arc, time::Duration};

use client_ws::PlayEvent;

use crate::cli::PlayArgs;
use frontend::{connect::{self, Attempt, Choice, Connected, Keyring}, error::CliError, script, target};
use console::{commands::listed, fan_out::{self, Happened, Plays, Script}};
use terminal::{modes::Interrupts, printing::line_to_stdout};
use outcome::{Outcome, Played};
use telling::Telling;

/// How long interrupted plays are waited for.
const FAREWELL: Duration = Duration::from_secs(2);

pub(crate) fn run(args: &PlayArgs) -> Result<(), CliError> {
    match given_script(args).and_then(|(text, arguments)| play(args, text, &arguments)) {
        Err(error) if args.json && !matches!(error, CliError::Told { .. }) => {
            // Whether or not anybody reads it, the exit code says what happened to the script.
            let _unread = line_to_stdout(&outcome::error_object(&error).to_string());
            Err(error)
        }
        played => played,
    }
}

fn play(args: &PlayArgs, text: String, arguments: &[String]) -> Result<(), CliError> {
    let has_arguments = !arguments.is_empty() || text.contains("ARGS");
    let before = has_arguments.then(|| format!("const ARGS = {};", array_literal(arguments)));
    let script = Script { text, before, timeout: args.timeout, bind: None };
    let runtime = connect::client_runtime()?;
    runtime.block_on(async {
        let attempts = connect(args).await?;
        let names: Vec<String> = attempts.iter().map(|attempt| attempt.label.clone()).collect();
        let telling = Telling::start(&names, args.json);
        let mut interrupts = Interrupts::claim()?;
        let (mut outcomes, mut players) = (Vec::new(), Vec::new());
        for (index, attempt) in attempts.into_iter().enumerate() {
            // What stands for it until it has ended.
            outcomes.push(Err(CliError::Interrupted));
            match attempt.connected {
                Ok(connected) => players.push((index, connected)),
                Err(error) => outcomes[index] = telling.ended(index, Err(error)).await?,
            }
        }
        let mut plays = fan_out::start(players.iter().map(|(_, connected)| Arc::clone(&connected.client)), &script);
        let heard = tokio::select! {
            heard = listen(&mut plays, &players, &script, &telling, &mut outcomes) => Some(heard),
            () = interrupts.next() => None,
        };
        let Some(heard) = heard else {
            plays.cancel();
            // Whether they were cancelled in time or not, the user is told the same.
            let ended = async { while plays.next().await.is_some() {} };
            let _late = tokio::time::timeout(FAREWELL, ended).await;
            return outcome::interrupted(&names, &outcomes, args.json);
        };
        heard?;
        // What is printed still is all there before the value or the error, unless the user has had enough of it.
        tokio::select! {
            written = telling.finish() => written?,
            () = interrupts.next() => return outcome::interrupted(&names, &outcomes, args.json),
        }
        outcome::tell(&names, outcomes, args.json)
    })
}

/// Connects to the circles that were named, or to a throw-away one. A passphrase that is needed is asked for here.
async fn connect(args: &PlayArgs) -> Result<Vec<Attempt>, CliError> {
    let choice = Choice::of(&args.connect);
    let said = asked(args);
    if said.is_empty() {
        connect::is_for_throwaway(&choice)?;
        let connected = Ok(connect::to_throwaway().await?);
        return Ok(vec![Attempt { label: frontend::scratch::NAME.into(), connected }]);
    }
    let mut keyring = Keyring::default();
    let unlock = async |name: &_| keyring.unlock(name, &args.connect.passphrase);
    connect::several(&said, &args.connect.config, &choice, unlock).await
}

/// The circles that were named, as they were said.
fn asked(args: &PlayArgs) -> Vec<String> {
    let all = if args.circle.is_empty() { target::asked(None) } else { Some(args.circle.join(",")) };
    let Some(all) = all else { return Vec::new() };
    match listed(&all) {
        // It was meant to name one: played elsewhere it would seem to have been played there.
        none if none.is_empty() => vec![String::new()],
        named => named,
    }
}

/// Tells what happens as it happens, until all have ended.
async fn listen(
    plays: &mut Plays,
    players: &[(usize, Connected)],
    script: &Script,
    telling: &Telling,
    outcomes: &mut [Outcome],
) -> Result<(), CliError> {
    let mut prints = vec![Vec::new(); outcomes.len()];
    while let Some((player, happened)) = plays.next().await {
        let (index, connected) = &players[player];
        match happened {
            Happened::Event(PlayEvent::Output(output)) => {
                prints[*index].extend(telling.output(*index, output).await?);
            }
            Happened::Event(_) => {}
            Happened::Ended(ended) => {
                let prints = std::mem::take(&mut prints[*index]);
                let ended = ended.map(|result| Played { result, prints });
                let ended = ended.map_err(|error| CliError::answer(&script.text, &connected.place, error));
                outcomes[*index] = telling.ended(*index, ended).await?;
            }
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_become_an_array_of_strings_whatever_is_in_them() {
        let items = ["a\"b", "\\", "\n\u{1b}", "ä${x}`"].map(String::from);
        assert_eq!(array_literal(&items), "[\"a\\\"b\", \"\\\\\", \"\\u000a\\u001b\", \"ä${x}`\", ]");
    }
}
