//! Tests of the queue of inputs.

use super::{Console, ConsoleSetup, LOST, RECONNECTED, UNREACHABLE, fake};

#[tokio::test(start_paused = true)]
async fn inputs_run_in_the_order_in_which_they_were_typed() {
    let mut console = Console::ready().await;
    for input in ["1", "2", ":vars", ":time 3"] {
        console.submit(input);
    }
    console.expect_events(&["began 1"]).await;
    assert_eq!(console.state().waiting, 3);
    console.circle.plays("1").await.answer(1).await;
    console.expect_events(&["value 1", "done", "began 2"]).await;
    console.circle.plays("2").await.answer(2).await;
    console.expect_events(&["value 2", "done", "began :vars"]).await;
    console.answer_query().await;
    console.expect_events(&["listing x", "done", "began :time 3"]).await;
    console.circle.plays("3").await.answer(3).await;
    console.expect_events(&["value 3", "remark 1.50 ms in the circle, 7 operations, 0 µs round trip", "done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn queue_holds_64_inputs() {
    let mut console = Console::ready().await;
    let playing = console.begin("loop {}").await;
    for input in 0..64 {
        console.submit(&input.to_string());
    }
    console.expect_no_event().await;
    assert_eq!(console.state().waiting, 64);
    console.submit("one more");
    console
        .expect_events(&[
            "remark too many inputs are waiting: Ctrl-C returns them to the editor",
            r#"given back ["one more"]"#,
        ])
        .await;
    console.expect_no_event().await;
    playing.unit().await;
    console.expect_events(&["value ", "done", "began 0"]).await;
    console.submit("one more");
    console.expect_only_a_play().await;
    assert_eq!(console.state().waiting, 64);
}

#[tokio::test(start_paused = true)]
async fn submit_fails_when_the_queue_is_full() {
    let console = Console::ready().await;
    let accepted = (0..1000).take_while(|_| console.session.submit("1".to_owned()).is_ok()).count();
    assert_eq!(accepted, 256);
}

#[tokio::test(start_paused = true)]
async fn local_command_never_waits() {
    let mut console = Console::ready().await;
    let playing = console.begin("loop {}").await;
    console.submit("waits");
    let cases = [
        (":help plot", "request Help(\"plot\")"),
        (":use lab", "request Use(\"lab\")"),
        (":history let", "request History(\"let\")"),
        (":edit", "request Edit(\"loop {}\")"),
        (":quit", "request Quit"),
        (":last", "listing the last play printed nothing, and its value was ()"),
        (":time", "remark the play is still running"),
        (":plot", "remark no value yet; play something, or try :plot [1, 4, 9]"),
        (":save x.rhai", "remark nothing to save yet"),
        (":hlep", "remark there is no :hlep; did you mean :help?"),
    ];
    for (input, answer) in cases {
        console.submit(input);
        console.expect_events(&[&format!("began {input}"), answer, "done"]).await;
    }
    console.expect_no_event().await;
    // The circle answers these commands while a play is running.
    console.submit(":doc push");
    console.expect_events(&["began :doc push"]).await;
    console.answer_query().await;
    console.expect_events(&["listing x", "done"]).await;
    playing.unit().await;
    console.expect_events(&["value ", "done", "began waits"]).await;
}

#[tokio::test(start_paused = true)]
async fn local_command_needs_no_connection() {
    let mut console = Console::open(ConsoleSetup::default());
    for (input, answer) in [
        (":help", "request Help(\"\")"),
        (":quit", "request Quit"),
        (":use", "remark :use needs WHERE, for example :use team"),
    ] {
        console.submit(input);
        console.expect_events(&[&format!("began {input}"), answer, "done"]).await;
    }
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn command_that_depends_on_the_session_waits_for_the_play() {
    let mut console = Console::ready().await;
    let playing = console.begin("loop {}").await;
    let inputs = [":vars", ":functions", ":reset", ":load x.rhai", ":time 1", ":plot [1]", ":each a,b 1", ":key alice"];
    for input in inputs {
        console.submit(input);
    }
    console.expect_no_event().await;
    assert_eq!(console.state().waiting, inputs.len());
    console.cancel();
    console.expect_events(&[&format!("given back {inputs:?}")]).await;
    playing.cancel().await;
}

#[tokio::test(start_paused = true)]
async fn cancel_returns_a_waiting_input_though_nothing_runs() {
    let setup = ConsoleSetup {
        access: protocol::methods::Access::Members,
        preferred: Some("alice"),
        ..ConsoleSetup::default()
    };
    let mut console = Console::open(setup);
    console.connect().await;
    console.expect_events(&["connected first", "unlock alice"]).await;
    console.submit("1");
    console.expect_no_event().await;
    console.cancel();
    console.expect_events(&[r#"given back ["1"]"#]).await;
    console.expect_no_event().await;
}

const FUNCTION: &str = "fn area(r) { r * r }";

#[tokio::test(start_paused = true)]
async fn commands_keep_their_order_behind_an_input_that_waits_for_the_connection() {
    let mut console = Console::open(ConsoleSetup::default());
    let inputs = [FUNCTION, ":source area", ":vars", ":doc area", ":out", ":each a 1", "area??"];
    for input in inputs {
        console.submit(input);
    }
    let attempt = console.expect_only_an_attempt().await;
    assert_eq!(console.state().waiting, inputs.len());
    // Commands that do not depend on inputs go at once.
    for (input, answer) in [(":help", "request Help(\"\")"), (":history", "request History(\"\")")] {
        console.submit(input);
        console.expect_events(&[&format!("began {input}"), answer, "done"]).await;
    }
    console.circle.answer(attempt);
    console.expect_events(&["connected first", "ready", &format!("began {FUNCTION}")]).await;
    console.circle.plays(FUNCTION).await.answer(7).await;
    console.expect_events(&["value 7", "done"]).await;
    console.expect_events(&["began :source area", &format!("listing {FUNCTION}"), "done", "began :vars"]).await;
    console.answer_query().await;
    console.expect_events(&["listing x", "done", "began :doc area"]).await;
    console.answer_query().await;
    console.expect_events(&["listing x", "done", "began :out", "listing     1  7 ", "done"]).await;
    console.expect_events(&["began :each a 1", "request FanOut([\"a\"])"]).await;
    console.session.fan_out(Vec::new()).expect("there is room");
    console.expect_events(&["done", "began :source area", &format!("listing {FUNCTION}"), "done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn commands_keep_their_order_behind_an_input_that_waits_for_the_reconnection() {
    let mut console = Console::ready().await;
    console.circle.lose();
    console.expect_events(&["lost", LOST]).await;
    for input in [FUNCTION, ":source area", ":time"] {
        console.submit(input);
    }
    let attempt = console.expect_only_an_attempt().await;
    console.circle.answer(attempt);
    console.expect_events(&["connected again", RECONNECTED, "ready", &format!("began {FUNCTION}")]).await;
    console.circle.plays(FUNCTION).await.unit().await;
    console.expect_events(&["value ", "done", "began :source area", &format!("listing {FUNCTION}"), "done"]).await;
    let took = "remark 1.50 ms in the circle, 7 operations, 0 µs round trip";
    console.expect_events(&["began :time", took, "done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn commands_behind_an_input_are_returned_with_it() {
    let mut console = Console::open(ConsoleSetup::default());
    for input in ["1", ":source f", ":each a 1"] {
        console.submit(input);
    }
    console.circle.refuse().await;
    console.expect_events(&[UNREACHABLE, r#"given back ["1", ":source f", ":each a 1"]"#]).await;
    // Without an input before them, they need no connection.
    console.submit(":source f");
    assert_eq!(console.event_text().await, "began :source f");
    assert!(console.event_text().await.starts_with("listing no input of this session defines f"));
    console.expect_events(&["done"]).await;
    console.expect_no_event().await;
}

/// The circle has closed the connection, and the session does not know it yet.
#[tokio::test(start_paused = true)]
async fn query_stays_behind_an_input_on_a_connection_that_is_lost_without_notice() {
    let mut console = Console::ready().await;
    let playing = console.begin("1").await;
    console.submit("2");
    console.circle.lose_unnoticed();
    playing.answer(1).await;
    console.expect_events(&["value 1", "done"]).await;
    console.submit(":vars");
    console.submit("3");
    console.expect_no_event().await;
    console.circle.lose();
    console.expect_events(&[r#"given back ["2", ":vars", "3"]"#, "lost"]).await;
}

#[tokio::test]
async fn directory_changes_after_the_file_commands_before() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().canonicalize().expect("it is there");
    std::fs::write(root.join("one.rhai"), "1").expect("written");
    let mut console = Console::open(ConsoleSetup::default());
    console.submit(&format!(":cd {}", root.display()));
    console.expect_events(&[&format!("began :cd {}", root.display()), &format!("listing {}", root.display())]).await;
    console.expect_events(&["done"]).await;
    for input in [":load one.rhai", ":cd /", ":sh ls"] {
        console.submit(input);
    }
    console.circle.accept().await;
    console.expect_events(&["connected first", "ready", "began :load one.rhai"]).await;
    console.circle.plays("1").await.answer(1).await;
    console.expect_events(&["value 1", "done", "began :cd /", "listing /", "done", "began :sh ls"]).await;
    let shell = console.event_text().await;
    assert!(shell.contains("directory: \"/"), "{shell}");
    console.expect_events(&["done"]).await;
}

#[tokio::test(start_paused = true)]
async fn command_that_shows_results_waits_for_the_file_that_is_loaded() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), FUNCTION).expect("written");
    let mut console = Console::ready().await;
    let load = format!(":load {}", file.path().display());
    console.submit(&load);
    console.submit(":source area");
    console.expect_events(&[&format!("began {load}")]).await;
    console.circle.plays(FUNCTION).await.unit().await;
    console.expect_events(&["value ", "done", "began :source area", &format!("listing {FUNCTION}"), "done"]).await;
}

impl Console {
    /// Checks that the session waits for a connection, and reports nothing.
    async fn expect_only_an_attempt(&mut self) -> fake::Reply<client_ws::Description> {
        let attempt = self.circle.attempt().await;
        self.expect_no_event().await;
        attempt
    }

    /// Answers the session's query.
    async fn answer_query(&mut self) {
        let (_, reply) = self.circle.query().await;
        let line = frontend::text::StyledLine::of(frontend::text::Style::Plain, "x");
        reply.send(Ok(vec![line])).expect("the session waits for it");
    }

    /// Waits for the session's play, and checks that there is no other event.
    async fn expect_only_a_play(&mut self) -> fake::FakePlay {
        let playing = self.circle.play().await;
        self.expect_no_event().await;
        playing
    }
}
