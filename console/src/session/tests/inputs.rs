//! Which inputs wait, and which do not.

use super::{Console, Setup, fake};

#[tokio::test(start_paused = true)]
async fn inputs_run_in_the_order_in_which_they_were_typed() {
    let mut console = Console::ready().await;
    for input in ["1", "2", ":vars", ":time 3"] {
        console.submit(input);
    }
    console.says(&["began 1"]).await;
    assert_eq!(console.state().waiting, 3);
    console.circle.plays("1").await.answer(1).await;
    console.says(&["value 1", "done", "began 2"]).await;
    console.circle.plays("2").await.answer(2).await;
    console.says(&["value 2", "done", "began :vars"]).await;
    console.answers_a_question().await;
    console.says(&["listing x", "done", "began :time 3"]).await;
    console.circle.plays("3").await.answer(3).await;
    console
        .says(&["value 3", "remark 1.50 ms in the circle, 7 operations, 0 µs until the answer was here", "done"])
        .await;
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn no_more_than_64_inputs_wait() {
    let mut console = Console::ready().await;
    let playing = console.begin("loop {}").await;
    for input in 0..64 {
        console.submit(&input.to_string());
    }
    console.is_quiet().await;
    assert_eq!(console.state().waiting, 64);
    console.submit("one more");
    console.says(&["remark too much waits already: Ctrl-C gives it back", r#"given back ["one more"]"#]).await;
    console.is_quiet().await;
    playing.unit().await;
    console.says(&["value ", "done", "began 0"]).await;
    console.submit("one more");
    console.is_quiet_while_it_plays().await;
    assert_eq!(console.state().waiting, 64);
}

#[tokio::test(start_paused = true)]
async fn more_inputs_than_are_taken_are_refused() {
    let console = Console::ready().await;
    let accepted = (0..1000).take_while(|_| console.session.submit("1".to_owned()).is_ok()).count();
    assert_eq!(accepted, 256);
}

#[tokio::test(start_paused = true)]
async fn command_that_needs_no_play_never_waits() {
    let mut console = Console::ready().await;
    let playing = console.begin("loop {}").await;
    console.submit("waits");
    let cases = [
        (":help plot", "request Help(\"plot\")"),
        (":use lab", "request Use(\"lab\")"),
        (":history let", "request History(\"let\")"),
        (":edit", "request Edit(\"loop {}\")"),
        (":quit", "request Quit"),
        (":last", "listing the last play printed nothing, and its value is ()"),
        (":time", "remark the play still runs"),
        (":plot", "remark there is no value yet: play something, or :plot [1, 4, 9]"),
        (":save x.rhai", "remark nothing was played here yet"),
        (":hlep", "remark there is no :hlep; did you mean :help?"),
    ];
    for (input, answer) in cases {
        console.submit(input);
        console.says(&[&format!("began {input}"), answer, "done"]).await;
    }
    console.is_quiet().await;
    // Also of a circle that answers beside a play.
    console.submit(":doc push");
    console.says(&["began :doc push"]).await;
    console.answers_a_question().await;
    console.says(&["listing x", "done"]).await;
    playing.unit().await;
    console.says(&["value ", "done", "began waits"]).await;
}

#[tokio::test(start_paused = true)]
async fn command_that_needs_no_play_needs_no_connection() {
    let mut console = Console::open(Setup::default());
    for (input, answer) in
        [(":help", "request Help(\"\")"), (":quit", "request Quit"), (":use", "remark :use needs WHERE: :use team")]
    {
        console.submit(input);
        console.says(&[&format!("began {input}"), answer, "done"]).await;
    }
    console.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn command_that_depends_on_the_session_waits_for_the_play() {
    let mut console = Console::ready().await;
    let playing = console.begin("loop {}").await;
    let inputs = [":vars", ":functions", ":reset", ":load x.rhai", ":time 1", ":plot [1]", ":each a,b 1", ":key alice"];
    for input in inputs {
        console.submit(input);
    }
    console.is_quiet().await;
    assert_eq!(console.state().waiting, inputs.len());
    console.cancel();
    console.says(&[&format!("given back {inputs:?}")]).await;
    playing.cancel().await;
}

#[tokio::test(start_paused = true)]
async fn input_that_waits_is_given_back_by_cancel_though_nothing_runs() {
    let setup = Setup { access: protocol::methods::Access::Members, preferred: Some("alice"), ..Setup::default() };
    let mut console = Console::open(setup);
    console.connect().await;
    console.says(&["connected first", "unlock alice"]).await;
    console.submit("1");
    console.is_quiet().await;
    console.cancel();
    console.says(&[r#"given back ["1"]"#]).await;
    console.is_quiet().await;
}

impl Console {
    /// Answers the one question that the session has asked.
    async fn answers_a_question(&mut self) {
        let (_, reply) = self.circle.question().await;
        let line = frontend::text::StyledLine::of(frontend::text::Style::Plain, "x");
        reply.send(Ok(vec![line])).expect("the session waits for it");
    }

    /// Waits until everybody waits for the play that the session has begun.
    async fn is_quiet_while_it_plays(&mut self) -> fake::Playing {
        let playing = self.circle.play().await;
        self.is_quiet().await;
        playing
    }
}
