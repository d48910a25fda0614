//! Tests of fan-outs.

use std::{sync::Arc, time::Duration};

use client_ws::RpcError;
use protocol::{Limits, error::LossReason, methods::Access};

use super::{Console, ConsoleSetup, LOST, NEVER, fake, settle};
use crate::session::{FanOut, FanOutEvent, FanOutOutcome, FanOutTarget, Script, SessionRequest};

impl Console {
    fn target(&self, label: &str) -> FanOutTarget {
        FanOutTarget { label: label.to_owned(), session: self.session.clone() }
    }

    /// Starts a fan-out, and finds its circles for the session.
    async fn each(&mut self, script: &str, targets: Vec<FanOutTarget>) {
        let input = format!(":each a,b {script}");
        self.submit(&input);
        let request = SessionRequest::FanOut(vec!["a".to_owned(), "b".to_owned()]);
        self.expect_events(&[&format!("began {input}"), &format!("request {request:?}")]).await;
        self.session.fan_out(targets).expect("there is room");
    }
}

fn script(text: &str) -> Script {
    Script { text: text.to_owned(), ..Script::default() }
}

/// Returns the next event of a fan-out as a line.
async fn next_text(plays: &mut FanOut) -> Option<String> {
    let event = tokio::time::timeout(NEVER, plays.next()).await.expect("something happens");
    event.map(|(index, event)| match event {
        FanOutEvent::Output(output) => format!("{index} output {}", output.text),
        FanOutEvent::Refused(why) => format!("{index} refused: {why:?}"),
        FanOutEvent::Ended(FanOutOutcome::Value(result)) => format!("{index} value {}", result.output),
        FanOutEvent::Ended(FanOutOutcome::Failed(error)) => format!("{index} failed: {}", error.message()),
        FanOutEvent::Ended(FanOutOutcome::Cancelled) => format!("{index} cancelled"),
    })
}

/// Whether a row of a text contains all of the words.
fn has_row(text: &str, words: &[&str]) -> bool {
    text.lines().any(|row| words.iter().all(|word| row.contains(word)))
}

#[tokio::test(start_paused = true)]
async fn circles_answer_side_by_side() {
    let (mut one, mut two) = (Console::named("one").await, Console::named("two").await);
    one.each("f()", vec![one.target("one"), two.target("two")]).await;
    let (here, there) = (one.circle.plays("f()").await, two.circle.plays("f()").await);
    assert_eq!((here.script.bind.as_deref(), there.script.bind.as_deref()), (Some("ans"), Some("ans")));
    one.submit("after");
    there.print("from two").await;
    one.expect_events(&["output two | from two"]).await;
    there.drop_events(7).await;
    let dropped = "output two | 7 prints were dropped here: they came faster than they could be shown";
    one.expect_events(&[dropped]).await;
    here.print("from one").await;
    one.expect_events(&["output one | from one"]).await;
    there.answer(222).await;
    one.expect_no_event().await;
    here.answer(111).await;
    let value = one.event_text().await;
    assert!(has_row(&value, &["one", "two"]) && has_row(&value, &["111", "222"]), "{value}");
    one.expect_events(&["done", "began after"]).await;
    // The other session reports no events of the fan-out.
    two.expect_no_event().await;
    one.circle.plays("after").await.unit().await;
    one.expect_events(&["value ", "done"]).await;
    one.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn part_is_in_the_notebook_of_its_session() {
    let (mut one, mut two) = (Console::named("one").await, Console::named("two").await);
    one.each("f()", vec![two.target("two")]).await;
    let playing = two.circle.plays("f()").await;
    playing.print("printed").await;
    playing.answer(222).await;
    one.expect_events(&["output two | printed"]).await;
    assert!(one.event_text().await.contains("222"));
    one.expect_events(&["done"]).await;
    two.submit(":last");
    two.expect_events(&["began :last", "listing printed\n222", "done"]).await;
    assert_eq!((one.state().inputs, two.state().inputs), (0, 1));
    one.submit(":last");
    one.expect_events(&["began :last", "listing the last play printed nothing, and its value was ()", "done"]).await;
}

#[tokio::test(start_paused = true)]
async fn circle_that_is_not_ready_is_refused_and_the_others_play() {
    let mut one = Console::named("one").await;
    let off = Console::open(ConsoleSetup::default());
    let mut closed = Console::open(ConsoleSetup { access: Access::Members, ..ConsoleSetup::default() });
    closed.connect().await;
    closed.expect_events(&["connected first", "no key for members"]).await;
    one.each("1", vec![off.target("off"), one.target("one"), closed.target("closed")]).await;
    one.circle.plays("1").await.answer(1).await;
    let events = one.remaining_events().await;
    for why in [
        "error error: off: it cannot be reached; connect to it first: :use off",
        "error error: closed: it needs a key; connect to it first: :use closed",
    ] {
        assert!(events.iter().any(|event| event == why), "{events:?}");
    }
    let [value, done] = &events[events.len() - 2..] else { panic!("two at the end") };
    assert!(value.contains("one\n1") && !value.contains("off") && done == "done", "{events:?}");
    assert_eq!(events.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn part_waits_for_the_key_that_its_session_requested() {
    for is_unlocked in [true, false] {
        let mut closed = Console::open(ConsoleSetup {
            access: Access::Members,
            preferred: Some("alice"),
            ..ConsoleSetup::default()
        });
        closed.session.connect(false).expect("there is room");
        let mut plays = FanOut::start(&[closed.target("closed")], &script("1"));
        closed.circle.accept().await;
        closed.expect_events(&["connected first", "unlock alice"]).await;
        closed.expect_no_event().await;
        if is_unlocked {
            closed.unlock("alice");
            closed.circle.admit().await;
            closed.circle.plays("1").await.answer(1).await;
            assert_eq!(next_text(&mut plays).await.as_deref(), Some("0 value 1"));
        } else {
            closed.stays_locked("alice");
            let why = "0 refused: NeedsKey";
            assert_eq!(next_text(&mut plays).await.as_deref(), Some(why));
        }
        assert_eq!(next_text(&mut plays).await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn fan_out_without_any_circle_shows_no_value() {
    let mut one = Console::named("one").await;
    let off = Console::open(ConsoleSetup::default());
    one.each("1", vec![off.target("off")]).await;
    one.expect_events(&["error error: off: it cannot be reached; connect to it first: :use off", "done"]).await;
    one.expect_no_event().await;
    one.submit(":each a 1");
    assert_eq!(one.event_text().await, "began :each a 1");
    one.event().await;
    one.session.fan_out(Vec::new()).expect("there is room");
    one.expect_events(&["done"]).await;
    // Targets without a request are ignored.
    one.session.fan_out(vec![one.target("one")]).expect("there is room");
    one.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn busy_circle_is_refused() {
    let (mut one, mut two) = (Console::named("one").await, Console::named("two").await);
    let playing = two.begin("loop {}").await;
    one.each("1", vec![two.target("two")]).await;
    one.expect_events(&["error error: two: it is busy with another play", "done"]).await;
    playing.unit().await;
    two.expect_events(&["value ", "done"]).await;
    // A part also makes the session busy for other fan-outs and for its user's inputs.
    one.each("2", vec![two.target("two")]).await;
    let part = two.circle.plays("2").await;
    two.submit("mine");
    two.expect_no_event().await;
    let mut plays = FanOut::start(&[two.target("two")], &script("3"));
    assert_eq!(next_text(&mut plays).await.as_deref(), Some("0 refused: Busy"));
    assert_eq!(next_text(&mut plays).await, None);
    part.unit().await;
    two.expect_events(&["began mine"]).await;
}

#[tokio::test(start_paused = true)]
async fn cancel_cancels_on_all_circles() {
    let (mut one, mut two) = (Console::named("one").await, Console::named("two").await);
    one.each("loop {}", vec![one.target("one"), two.target("two")]).await;
    let (here, there) = (one.circle.play().await, two.circle.play().await);
    one.submit("2");
    one.cancel();
    one.expect_events(&[r#"given back ["2"]"#]).await;
    here.cancel().await;
    there.cancel().await;
    let value = one.event_text().await;
    assert!(has_row(&value, &["one", "two"]) && value.matches("cancelled").count() == 2, "{value}");
    one.expect_events(&["done"]).await;
    one.expect_no_event().await;
    assert!(two.state().is_ready() && !two.state().is_busy());
}

#[tokio::test(start_paused = true)]
async fn second_cancel_stops_waiting_for_the_remaining_circles() {
    let (mut one, mut two) = (Console::named("one").await, Console::named("two").await);
    one.each("loop {}", vec![one.target("one"), two.target("two")]).await;
    let (here, there) = (one.circle.play().await, two.circle.play().await);
    one.cancel();
    here.cancel().await;
    settle().await;
    one.cancel();
    let value = one.event_text().await;
    assert!(value.contains("cancelled") && value.contains("gave up waiting"), "{value}");
    one.expect_events(&["done"]).await;
    one.expect_no_event().await;
    assert!(!one.state().is_busy() && !two.state().is_busy());
    drop(there);
    two.begin("2").await.answer(2).await;
}

#[tokio::test(start_paused = true)]
async fn disconnect_cancels_the_fan_out_on_other_circles() {
    let (mut one, mut two) = (Console::named("one").await, Console::named("two").await);
    one.each("loop {}", vec![two.target("two")]).await;
    let mut there = two.circle.play().await;
    one.session.disconnect().expect("there is room");
    one.expect_events(&["done", "note disconnected; variables are gone"]).await;
    there.cancelled().await;
    settle().await;
    // The session keeps the play until its cancellation has arrived.
    assert!(there.has_listener());
    there.cancel().await;
    two.begin("2").await.answer(2).await;
}

#[tokio::test(start_paused = true)]
async fn part_that_loses_the_environment_returns_waiting_inputs() {
    let mut one = Console::with_inputs(&["let k = 1"]).await;
    let mut plays = FanOut::start(&[one.target("one")], &script("loop {}"));
    let playing = one.circle.plays("loop {}").await;
    one.submit("k + 1");
    one.expect_no_event().await;
    playing.fail(RpcError::EnvironmentLost { reason: LossReason::Memory }).await;
    let failed = next_text(&mut plays).await.expect("it ended");
    assert!(failed.starts_with("0 failed: stopped: "), "{failed}");
    let note = "note your input was not played; Enter plays it in the new session";
    one.expect_events(&[note, r#"given back ["k + 1"]"#]).await;
    one.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn script_waits_until_a_session_has_connected() {
    let mut one = Console::open(ConsoleSetup { name: Some("one"), ..ConsoleSetup::default() });
    let setup = ConsoleSetup { name: Some("two"), key: Some("alice"), unlocked: &["alice"], ..ConsoleSetup::default() };
    let mut two = Console::open(setup);
    // Both sessions are still connecting.
    one.session.connect(false).expect("there is room");
    two.session.connect(false).expect("there is room");
    let mut plays = FanOut::start(&[one.target("one"), two.target("two")], &script("1"));
    one.circle.accept().await;
    two.circle.accept().await;
    let (_, reply) = two.circle.key().await;
    one.circle.plays("1").await.answer(1).await;
    assert_eq!(next_text(&mut plays).await.as_deref(), Some("0 value 1"));
    assert!(two.circle.pending_call().is_none());
    reply.send(Ok(())).expect("the session waits for it");
    two.circle.plays("1").await.answer(2).await;
    assert_eq!(next_text(&mut plays).await.as_deref(), Some("1 value 2"));
    assert_eq!(next_text(&mut plays).await, None);
}

#[tokio::test(start_paused = true)]
async fn session_that_cannot_connect_is_refused() {
    let mut one = Console::open(ConsoleSetup::default());
    one.session.connect(false).expect("there is room");
    let mut plays = FanOut::start(&[one.target("one")], &script("1"));
    one.circle.refuse().await;
    let why = "0 refused: Unreachable";
    assert_eq!(next_text(&mut plays).await.as_deref(), Some(why));
    assert_eq!(next_text(&mut plays).await, None);
}

#[tokio::test(start_paused = true)]
async fn cancel_ends_a_part_that_waits_for_its_connection() {
    let mut one = Console::open(ConsoleSetup::default());
    one.session.connect(false).expect("there is room");
    let mut plays = FanOut::start(&[one.target("one")], &script("1"));
    let attempt = one.circle.attempt().await;
    plays.cancel();
    assert_eq!(next_text(&mut plays).await.as_deref(), Some("0 cancelled"));
    assert_eq!(next_text(&mut plays).await, None);
    one.circle.answer(attempt);
    one.expect_events(&["connected first", "ready"]).await;
    one.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn failures_are_shown_with_their_circles() {
    let (mut one, mut two, mut three) =
        (Console::named("one").await, Console::with_inputs(&["let x = 1"]).await, Console::named("three").await);
    let targets = [one.target("one"), two.target("two"), three.target("three")];
    let mut plays = FanOut::start(&targets, &Script { timeout: Some(Duration::from_secs(1)), ..script("f()") });
    let playing = one.circle.plays("f()").await;
    assert_eq!((playing.script.timeout, playing.script.bind.as_deref()), (Some(Duration::from_secs(1)), None));
    playing.fail(RpcError::Internal).await;
    let failed = next_text(&mut plays).await.expect("it ended");
    assert!(failed.starts_with("0 failed: "), "{failed}");
    let reason = LossReason::Memory;
    two.circle.plays("f()").await.fail(RpcError::EnvironmentLost { reason }).await;
    let failed = next_text(&mut plays).await.expect("it ended");
    assert!(failed.starts_with("1 failed: stopped: "), "{failed}");
    // A lost connection is reported once, by the part.
    let playing = three.circle.plays("f()").await;
    three.circle.lose();
    settle().await;
    playing.fail(fake::lost()).await;
    let failed = next_text(&mut plays).await.expect("it ended");
    assert!(failed.starts_with("2 failed: ") && failed.contains("lost the connection"), "{failed}");
    assert_eq!(next_text(&mut plays).await, None);
    three.expect_events(&["lost"]).await;
    three.expect_no_event().await;
    two.expect_no_event().await;
    assert_eq!(two.state().inputs, 0);
}

#[tokio::test(start_paused = true)]
async fn loss_after_a_part_is_reported_by_its_session() {
    let mut one = Console::named("team").await;
    let mut plays = FanOut::start(&[one.target("one")], &script("1"));
    let playing = one.circle.plays("1").await;
    one.circle.lose();
    settle().await;
    playing.answer(1).await;
    assert_eq!(next_text(&mut plays).await.as_deref(), Some("0 value 1"));
    one.expect_events(&["lost", LOST]).await;
    one.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn script_that_is_too_large_for_one_circle_is_played_on_the_others() {
    let mut one = Console::open(ConsoleSetup { name: Some("one"), ..ConsoleSetup::default() });
    one.circle.limits = Limits { message_kib: 1, ..Limits::default() };
    one.connect().await;
    one.expect_events(&["connected first", "ready"]).await;
    let mut two = Console::named("two").await;
    let large = "x".repeat(2000);
    let mut plays = FanOut::start(&[one.target("one"), two.target("two")], &script(&large));
    let failed = next_text(&mut plays).await.expect("it ended");
    assert!(failed.starts_with("0 failed: the circle at ws://one:9001 rejected the script"), "{failed}");
    two.circle.play().await.answer(2).await;
    assert_eq!(next_text(&mut plays).await.as_deref(), Some("1 value 2"));
    assert_eq!(next_text(&mut plays).await, None);
    one.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn dropped_fan_out_frees_its_sessions() {
    let mut one = Console::named("one").await;
    let plays = FanOut::start(&[one.target("one")], &script("loop {}"));
    let playing = one.circle.play().await;
    drop(plays);
    playing.abandoned().await;
    one.begin("2").await.answer(2).await;
    one.expect_events(&["value 2", "done"]).await;
    one.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn printing_parts_wait_for_the_reader_and_their_sessions_do_not() {
    let mut one = Console::named("one").await;
    let mut plays = FanOut::start(&[one.target("one")], &script("loop { print(1) }"));
    let playing = Arc::new(one.circle.play().await);
    let printing = playing.clone();
    let printer = tokio::spawn(async move {
        for _ in 0..1000 {
            printing.print("more").await;
        }
    });
    settle().await;
    assert!(!printer.is_finished());
    // The session still carries out inputs.
    one.submit(":help");
    one.expect_events(&["began :help", "request Help(\"\")", "done"]).await;
    for _ in 0..1000 {
        assert_eq!(next_text(&mut plays).await.as_deref(), Some("0 output more"));
    }
    printer.await.expect("it does not panic");
    Arc::into_inner(playing).expect("nobody else has it").answer(1).await;
    assert_eq!(next_text(&mut plays).await.as_deref(), Some("0 value 1"));
}

/// The user of the session that plays a part can cancel the part, too.
#[tokio::test(start_paused = true)]
async fn part_is_cancelled_by_the_user_of_its_own_session() {
    let (mut one, mut two) = (Console::named("one").await, Console::named("two").await);
    one.each("f()", vec![two.target("two")]).await;
    let mut playing = two.circle.plays("f()").await;
    two.submit("after");
    settle().await;
    two.cancel();
    two.expect_events(&[r#"given back ["after"]"#]).await;
    playing.cancelled().await;
    playing.fail(RpcError::Cancelled).await;
    assert!(has_row(&one.event_text().await, &["cancelled"]));
    one.expect_events(&["done"]).await;
    two.expect_no_event().await;
    assert!(!two.state().is_busy());
}
