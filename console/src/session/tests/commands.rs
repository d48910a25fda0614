//! Tests of the commands that a session carries out itself.

use client_ws::{ClientError, RpcError};
use frontend::text::{Style, StyledLine};

use super::{Console, LOST, fake, settle};
use crate::commands::ReplCommand;

const TOOK: &str = "remark 1.50 ms in the circle, 7 operations, 0 µs round trip";

fn line(text: &str) -> Vec<StyledLine> {
    vec![StyledLine::of(Style::Plain, text)]
}

/// Returns a directory, and the path of a file in it that does not exist yet.
fn file() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().expect("there is room");
    let file = directory.path().join("work.rhai").display().to_string();
    (directory, file)
}

#[tokio::test(start_paused = true)]
async fn time_and_plot_show_the_last_play_or_the_given_script() {
    let mut console = Console::ready().await;
    for (input, answer) in [
        (":time", "remark no successful play yet"),
        (":plot", "remark no value yet; play something, or try :plot [1, 4, 9]"),
    ] {
        console.submit(input);
        console.expect_events(&[&format!("began {input}"), answer, "done"]).await;
    }
    console.submit(":time 1 + 1");
    console.expect_events(&["began :time 1 + 1"]).await;
    console.circle.plays("1 + 1").await.answer(2).await;
    console.expect_events(&["value 2", TOOK, "done"]).await;
    console.submit(":time");
    console.expect_events(&["began :time", TOOK, "done"]).await;
    console.submit(":plot [1, 4, 9]");
    console.expect_events(&["began :plot [1, 4, 9]"]).await;
    console.circle.plays("[1, 4, 9]").await.end(Ok(fake::result("array", "[1, 4, 9]"))).await;
    let chart = console.event_text().await;
    assert!(chart.starts_with("value ") && chart.lines().count() > 5, "{chart}");
    console.expect_events(&["done"]).await;
    // The same chart without another play.
    console.submit(":plot");
    console.expect_events(&["began :plot", &chart, "done"]).await;
    console.begin("2").await.answer(2).await;
    console.expect_events(&["value 2", "done"]).await;
    console.submit(":plot");
    assert_eq!(console.event_text().await, "began :plot");
    assert!(console.event_text().await.contains(":plot needs"));
    console.expect_events(&["done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn last_shows_everything_that_the_last_play_printed_and_answered() {
    let mut console = Console::ready().await;
    let playing = console.begin("many()").await;
    let lines: Vec<String> = (0..100).map(|line| format!("line {line}")).collect();
    let text = format!("{lines:?}");
    playing.print("printed").await;
    playing.end(Ok(fake::result("array", &text))).await;
    assert_eq!(console.event_text().await, "output printed");
    let value = console.event_text().await;
    assert!(value.starts_with("value [") && value.contains("line 0"), "{value}");
    console.expect_events(&["done"]).await;
    console.submit(":last");
    assert_eq!(console.event_text().await, "began :last");
    let all = console.event_text().await;
    assert!(all.starts_with("listing printed\n") && all.contains("line 60") && all.contains("line 99"), "{all}");
    console.expect_events(&["done"]).await;
    // An error is part of it.
    console.begin("nowhere").await.fail(RpcError::Internal).await;
    let error = console.event_text().await;
    console.expect_events(&["done"]).await;
    console.submit(":last");
    console.expect_events(&["began :last", &error.replacen("error ", "listing ", 1), "done"]).await;
}

#[tokio::test]
async fn save_writes_successful_inputs_as_a_script() {
    let (_directory, file) = file();
    let mut console = Console::ready().await;
    console.submit(&format!(":save {file}"));
    console.expect_events(&[&format!("began :save {file}"), "remark nothing to save yet", "done"]).await;
    console.play_to_end("let x = 40").await;
    console.begin("nowhere").await.fail(RpcError::Internal).await;
    assert!(console.event_text().await.starts_with("error "));
    console.expect_events(&["done"]).await;
    console.begin("x + 2").await.answer(42).await;
    console.expect_events(&["value 42", "done"]).await;
    let _playing = console.begin("loop {}").await;
    console.submit(&format!(":save {file}"));
    let note = "left out 1 that failed; without running and queued inputs";
    console
        .expect_events(&[&format!("began :save {file}"), &format!("remark saved 2 inputs to {file} ({note})"), "done"])
        .await;
    let saved = std::fs::read_to_string(&file).expect("it is there");
    assert!(saved.contains("let x = 40;\nx + 2;") && !saved.contains("loop"), "{saved}");
    // Only `:save!` overwrites an existing file.
    console.submit(&format!(":save {file}"));
    assert_eq!(console.event_text().await, format!("began :save {file}"));
    let refused = console.event_text().await;
    assert!(refused.starts_with("error ") && refused.contains("already exists"), "{refused}");
    console.expect_events(&["done"]).await;
    console.submit(&format!(":save! {file}"));
    console
        .expect_events(&[&format!("began :save! {file}"), &format!("remark saved 2 inputs to {file} ({note})"), "done"])
        .await;
}

#[tokio::test]
async fn load_plays_a_file_or_shows_its_error() {
    let (directory, file) = file();
    std::fs::write(&file, "#!/usr/bin/env -S circles play\n40 + 2").expect("there is room");
    let mut console = Console::ready().await;
    console.submit(&format!(":load {file}"));
    console.submit("next");
    let playing = console.circle.play().await;
    assert!(playing.script.text.ends_with("\n40 + 2") && !playing.script.text.contains("env"), "{:?}", playing.script);
    let name = std::path::Path::new(&file).file_name().and_then(|name| name.to_str());
    assert_eq!(playing.script.name.as_deref(), name, "without its directory");
    console.expect_events(&[&format!("began :load {file}")]).await;
    playing.answer(42).await;
    console.expect_events(&["value 42", "done", "began next"]).await;
    console.circle.plays("next").await.unit().await;
    console.expect_events(&["value ", "done"]).await;
    let none = directory.path().join("none.rhai").display().to_string();
    console.submit(&format!(":load {none}"));
    console.submit("next");
    assert_eq!(console.event_text().await, format!("began :load {none}"));
    let error = console.event_text().await;
    assert!(error.starts_with("error ") && error.contains("cannot read the script"), "{error}");
    console.expect_events(&["done", "began next"]).await;
    console.circle.plays("next").await.unit().await;
}

#[tokio::test]
async fn file_that_is_too_large_for_the_circle_is_not_played() {
    let (_directory, file) = file();
    std::fs::write(&file, format!("\"{}\"", "x".repeat(2 << 20))).expect("there is room");
    let mut console = Console::ready().await;
    console.submit(&format!(":load {file}"));
    assert_eq!(console.event_text().await, format!("began :load {file}"));
    let error = console.event_text().await;
    assert!(error.starts_with("error ") && error.contains("split it"), "{error}");
    console.expect_events(&["done"]).await;
    assert!(console.circle.pending_call().is_none());
}

#[tokio::test(start_paused = true)]
async fn query_commands_show_the_circles_answers() {
    let mut console = Console::ready().await;
    let cases = [
        (":vars", ReplCommand::Vars),
        (":functions trim", ReplCommand::Functions("trim".to_owned())),
        (":doc push()", ReplCommand::Doc("push".to_owned())),
        (":who", ReplCommand::Who),
    ];
    for (input, command) in cases {
        console.submit(input);
        let (asked, reply) = console.circle.query().await;
        assert_eq!(asked, command);
        assert!(console.state().is_busy());
        reply.send(Ok(line("answer"))).expect("the session waits for it");
        console.expect_events(&[&format!("began {input}"), "listing answer", "done"]).await;
    }
    console.submit(":vars");
    let (_, reply) = console.circle.query().await;
    reply.send(Err(RpcError::Internal.into())).expect("the session waits for it");
    assert_eq!(console.event_text().await, "began :vars");
    assert!(console.event_text().await.starts_with("error "));
    console.expect_events(&["done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn command_who_shows_the_key() {
    let mut console = Console::alice().await;
    console.submit(":who");
    let (_, reply) = console.circle.query().await;
    reply.send(Ok(line("you are  02ab"))).expect("the session waits for it");
    console.expect_events(&["began :who", "listing you are  02ab\nkey      alice", "done"]).await;
}

#[tokio::test(start_paused = true)]
async fn variables_are_cut_at_the_width_of_the_screen() {
    let mut console = Console::ready().await;
    console.submit(":vars");
    let (_, reply) = console.circle.query().await;
    reply.send(Ok([line("x = 1"), line(&"y".repeat(101))].concat())).expect("the session waits for it");
    let cut = format!("listing x = 1\n{}…", "y".repeat(99));
    console.expect_events(&["began :vars", &cut, "done"]).await;
}

#[tokio::test(start_paused = true)]
async fn reset_clears_the_notebook() {
    let mut console = Console::with_inputs(&["let x = 1"]).await;
    console.submit(":reset");
    let (command, reply) = console.circle.query().await;
    assert_eq!((command, console.state().inputs), (ReplCommand::Reset, 1));
    reply.send(Ok(line("environment reset"))).expect("the session waits for it");
    console.expect_events(&["began :reset", "listing environment reset", "done"]).await;
    assert_eq!(console.state().inputs, 0);
    // Nothing is lost with the connection now.
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    console.circle.accept().await;
    console.expect_events(&["connected again", super::RECONNECTED, "ready"]).await;
}

#[tokio::test(start_paused = true)]
async fn query_that_is_cancelled_is_abandoned() {
    let mut console = Console::with_inputs(&["let x = 1"]).await;
    console.submit(":vars");
    console.submit("1");
    let (_, reply) = console.circle.query().await;
    console.cancel();
    let remark = "remark gave up waiting for the answer";
    console.expect_events(&["began :vars", remark, "done", r#"given back ["1"]"#]).await;
    assert!(reply.is_closed() && console.state().inputs == 1);
    // The circle resets the environment all the same.
    console.submit(":reset");
    let _reply = console.circle.query().await;
    console.cancel();
    console.expect_events(&["began :reset", remark, "done"]).await;
    console.expect_no_event().await;
    assert_eq!(console.state().inputs, 0);
}

#[tokio::test(start_paused = true)]
async fn query_reports_the_lost_connection_as_its_error() {
    let mut console = Console::ready().await;
    console.submit(":vars");
    console.submit("1");
    let (_, reply) = console.circle.query().await;
    console.circle.lose();
    settle().await;
    reply.send(Err(fake::lost())).expect("the session waits for it");
    assert_eq!(console.event_text().await, "began :vars");
    assert!(console.event_text().await.starts_with("error "));
    console.expect_events(&["done", r#"given back ["1"]"#, "lost"]).await;
    console.expect_no_event().await;
    console.circle.accept().await;
    console.expect_events(&["connected again", super::RECONNECTED, "ready"]).await;
}

#[tokio::test(start_paused = true)]
async fn query_that_times_out_keeps_the_connection() {
    let mut console = Console::ready().await;
    console.submit(":vars");
    let (_, reply) = console.circle.query().await;
    let after = std::time::Duration::from_secs(10);
    reply.send(Err(ClientError::TimedOut { after })).expect("the session waits for it");
    assert_eq!(console.event_text().await, "began :vars");
    assert!(console.event_text().await.starts_with("error "));
    console.expect_events(&["done"]).await;
    console.expect_no_event().await;
    assert!(console.state().is_ready());
}
