//! The `:` commands that a session obeys itself.

use client_ws::{ClientError, RpcError};
use frontend::text::{Style, StyledLine};

use super::{Console, LOST, fake, settle};
use crate::commands::ReplCommand;

const TOOK: &str = "remark 1.50 ms in the circle, 7 operations, 0 µs until the answer was here";

fn line(text: &str) -> Vec<StyledLine> {
    vec![StyledLine::of(Style::Plain, text)]
}

/// A directory, and a file in it that is not there yet.
fn file() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().expect("there is room");
    let file = directory.path().join("work.rhai").display().to_string();
    (directory, file)
}

#[tokio::test(start_paused = true)]
async fn time_and_plot_show_the_last_play_or_one_of_their_own() {
    let mut console = Console::ready().await;
    for (input, answer) in [
        (":time", "remark there is no play yet that went well"),
        (":plot", "remark there is no value yet: play something, or :plot [1, 4, 9]"),
    ] {
        console.submit(input);
        console.says(&[&format!("began {input}"), answer, "done"]).await;
    }
    console.submit(":time 1 + 1");
    console.says(&["began :time 1 + 1"]).await;
    console.circle.plays("1 + 1").await.answer(2).await;
    console.says(&["value 2", TOOK, "done"]).await;
    console.submit(":time");
    console.says(&["began :time", TOOK, "done"]).await;
    console.submit(":plot [1, 4, 9]");
    console.says(&["began :plot [1, 4, 9]"]).await;
    console.circle.plays("[1, 4, 9]").await.end(Ok(fake::result("array", "[1, 4, 9]"))).await;
    let chart = console.said().await;
    assert!(chart.starts_with("value ") && chart.lines().count() > 5, "{chart}");
    console.says(&["done"]).await;
    // Again, without a play.
    console.submit(":plot");
    console.says(&["began :plot", &chart, "done"]).await;
    console.begin("2").await.answer(2).await;
    console.says(&["value 2", "done"]).await;
    console.submit(":plot");
    assert_eq!(console.said().await, "began :plot");
    assert!(console.said().await.contains(":plot wants"));
    console.says(&["done"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn last_shows_everything_that_the_last_play_printed_and_answered() {
    let mut console = Console::ready().await;
    let playing = console.begin("many()").await;
    let lines: Vec<String> = (0..100).map(|line| format!("line {line}")).collect();
    let text = format!("{lines:?}");
    playing.print("printed").await;
    playing.end(Ok(fake::result("array", &text))).await;
    assert_eq!(console.said().await, "output printed");
    let value = console.said().await;
    assert!(value.starts_with("value [") && value.contains("line 0"), "{value}");
    console.says(&["done"]).await;
    console.submit(":last");
    assert_eq!(console.said().await, "began :last");
    let all = console.said().await;
    assert!(all.starts_with("listing printed\n") && all.contains("line 60") && all.contains("line 99"), "{all}");
    console.says(&["done"]).await;
    // What went wrong is a part of it.
    console.begin("nowhere").await.fail(RpcError::Internal).await;
    let error = console.said().await;
    console.says(&["done"]).await;
    console.submit(":last");
    console.says(&["began :last", &error.replacen("error ", "listing ", 1), "done"]).await;
}

#[tokio::test]
async fn save_writes_what_went_well_as_a_script() {
    let (_directory, file) = file();
    let mut console = Console::ready().await;
    console.submit(&format!(":save {file}"));
    console.says(&[&format!("began :save {file}"), "remark nothing was played here yet", "done"]).await;
    console.plays("let x = 40").await;
    console.begin("nowhere").await.fail(RpcError::Internal).await;
    assert!(console.said().await.starts_with("error "));
    console.says(&["done"]).await;
    console.begin("x + 2").await.answer(42).await;
    console.says(&["value 42", "done"]).await;
    let _playing = console.begin("loop {}").await;
    console.submit(&format!(":save {file}"));
    let note =
        "1 play that went wrong left out, with what came before the error; what still runs or waits is not in it";
    console.says(&[&format!("began :save {file}"), &format!("remark 2 inputs in {file}; {note}"), "done"]).await;
    let saved = std::fs::read_to_string(&file).expect("it is there");
    assert!(saved.contains("let x = 40;\nx + 2;") && !saved.contains("loop"), "{saved}");
    // It is written over where that is meant.
    console.submit(&format!(":save {file}"));
    assert_eq!(console.said().await, format!("began :save {file}"));
    let refused = console.said().await;
    assert!(refused.starts_with("error ") && refused.contains("is there already"), "{refused}");
    console.says(&["done"]).await;
    console.submit(&format!(":save! {file}"));
    console.says(&[&format!("began :save! {file}"), &format!("remark 2 inputs in {file}; {note}"), "done"]).await;
}

#[tokio::test]
async fn load_plays_a_file_and_shows_why_it_cannot() {
    let (directory, file) = file();
    std::fs::write(&file, "#!/usr/bin/env -S circles play\n40 + 2").expect("there is room");
    let mut console = Console::ready().await;
    console.submit(&format!(":load {file}"));
    console.submit("next");
    let playing = console.circle.play().await;
    assert!(playing.script.text.ends_with("\n40 + 2") && !playing.script.text.contains("env"), "{:?}", playing.script);
    console.says(&[&format!("began :load {file}")]).await;
    playing.answer(42).await;
    console.says(&["value 42", "done", "began next"]).await;
    console.circle.plays("next").await.unit().await;
    console.says(&["value ", "done"]).await;
    let none = directory.path().join("none.rhai").display().to_string();
    console.submit(&format!(":load {none}"));
    console.submit("next");
    assert_eq!(console.said().await, format!("began :load {none}"));
    let error = console.said().await;
    assert!(error.starts_with("error ") && error.contains("cannot read the script"), "{error}");
    console.says(&["done", "began next"]).await;
    console.circle.plays("next").await.unit().await;
}

#[tokio::test]
async fn file_that_is_too_large_for_the_circle_is_not_played() {
    let (_directory, file) = file();
    std::fs::write(&file, format!("\"{}\"", "x".repeat(2 << 20))).expect("there is room");
    let mut console = Console::ready().await;
    console.submit(&format!(":load {file}"));
    assert_eq!(console.said().await, format!("began :load {file}"));
    let error = console.said().await;
    assert!(error.starts_with("error ") && error.contains("split it"), "{error}");
    console.says(&["done"]).await;
    assert!(console.circle.asked().is_none());
}

#[tokio::test(start_paused = true)]
async fn circle_answers_what_it_knows() {
    let mut console = Console::ready().await;
    let cases = [
        (":vars", ReplCommand::Vars),
        (":functions trim", ReplCommand::Functions("trim".to_owned())),
        (":doc push()", ReplCommand::Doc("push".to_owned())),
        (":who", ReplCommand::Who),
    ];
    for (input, command) in cases {
        console.submit(input);
        let (asked, reply) = console.circle.question().await;
        assert_eq!(asked, command);
        assert!(console.state().is_busy());
        reply.send(Ok(line("answer"))).expect("the session waits for it");
        console.says(&[&format!("began {input}"), "listing answer", "done"]).await;
    }
    console.submit(":vars");
    let (_, reply) = console.circle.question().await;
    reply.send(Err(RpcError::Internal.into())).expect("the session waits for it");
    assert_eq!(console.said().await, "began :vars");
    assert!(console.said().await.starts_with("error "));
    console.says(&["done"]).await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn reset_forgets_what_was_played() {
    let mut console = Console::with_inputs(&["let x = 1"]).await;
    console.submit(":reset");
    let (command, reply) = console.circle.question().await;
    assert_eq!((command, console.state().inputs), (ReplCommand::Reset, 1));
    reply.send(Ok(line("a fresh environment"))).expect("the session waits for it");
    console.says(&["began :reset", "listing a fresh environment", "done"]).await;
    assert_eq!(console.state().inputs, 0);
    // Nothing is lost with the connection now.
    console.circle.lose();
    console.says(&["lost", LOST]).await;
    console.circle.accept().await;
    console.says(&["connected again", super::AGAIN, "ready"]).await;
}

#[tokio::test(start_paused = true)]
async fn question_that_is_cancelled_is_not_waited_for() {
    let mut console = Console::with_inputs(&["let x = 1"]).await;
    console.submit(":vars");
    console.submit("1");
    let (_, reply) = console.circle.question().await;
    console.cancel();
    let told = "remark no longer waiting for it";
    console.says(&["began :vars", told, "done", r#"given back ["1"]"#]).await;
    assert!(reply.is_closed() && console.state().inputs == 1);
    // A reset is carried out all the same.
    console.submit(":reset");
    let _reply = console.circle.question().await;
    console.cancel();
    console.says(&["began :reset", told, "done"]).await;
    console.is_quiet().await;
    assert_eq!(console.state().inputs, 0);
}

#[tokio::test(start_paused = true)]
async fn question_reports_the_loss_of_its_connection_by_its_own_error() {
    let mut console = Console::ready().await;
    console.submit(":vars");
    console.submit("1");
    let (_, reply) = console.circle.question().await;
    console.circle.lose();
    settle().await;
    reply.send(Err(fake::lost())).expect("the session waits for it");
    assert_eq!(console.said().await, "began :vars");
    assert!(console.said().await.starts_with("error "));
    console.says(&["done", r#"given back ["1"]"#, "lost"]).await;
    console.is_quiet().await;
    console.circle.accept().await;
    console.says(&["connected again", super::AGAIN, "ready"]).await;
}

#[tokio::test(start_paused = true)]
async fn question_that_times_out_keeps_the_connection() {
    let mut console = Console::ready().await;
    console.submit(":vars");
    let (_, reply) = console.circle.question().await;
    let after = std::time::Duration::from_secs(10);
    reply.send(Err(ClientError::TimedOut { after })).expect("the session waits for it");
    assert_eq!(console.said().await, "began :vars");
    assert!(console.said().await.starts_with("error "));
    console.says(&["done"]).await;
    console.is_quiet().await;
    assert!(console.state().is_ready());
}
