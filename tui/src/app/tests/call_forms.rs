//! The form for a call: its inputs on every screen, and what keeps them.

use client_ws::{FunctionInfo, RpcError};
use ratatui::crossterm::event::{
    Event,
    KeyCode::{BackTab, Backspace, Char, Enter, Esc, F, Right, Tab},
};
use serde_json::json;

use super::{
    functions::{calls, shop, start_with},
    rig::Rig,
};

/// Starts the app with an open form for `order.place`.
async fn open_form() -> Rig {
    let mut rig = start_with(shop(), true).await;
    rig.keys(&[F(4), Enter]).await;
    rig.shows("Call order.place");
    rig
}

/// A function with many parameters, long names and long documentation.
fn survey() -> Vec<FunctionInfo> {
    let doc = "The answer of the guest, word for word. ".repeat(20);
    let params: Vec<_> = (0..12)
        .map(|number| {
            json!({
                "name": format!("answer_to_the_question_number_{number}"), "required": number == 3,
                "x-type": "string 1..2000", "description": format!("{doc}\n\nNo. {number}"),
                "schema": { "type": "string", "minLength": 1, "maxLength": 2000 },
            })
        })
        .collect();
    let names: Vec<_> = (0..12).map(|number| format!("answer_to_the_question_number_{number}?: string")).collect();
    let signature = format!("survey({}) -> any", names.join(", "));
    FunctionInfo::all(&json!({ "methods": [{ "name": "fn.survey", "params": params, "x-signature": signature }] }))
}

#[tokio::test(start_paused = true)]
async fn input_with_the_focus_is_visible_on_every_screen() {
    let mut rig = start_with(survey(), true).await;
    rig.keys(&[F(4), Enter]).await;
    for size @ (width, height) in [(40, 10), (80, 24), (41, 11), (200, 60), (40, 11)] {
        rig.event(Event::Resize(width, height)).await;
        for number in 0..12 {
            let text = format!("v{number}.");
            rig.write(&text).await;
            rig.shows(&text);
            if height < 60 {
                assert!(rig.screen().contains(['▲', '▼']), "{size:?}:\n{}", rig.screen());
            }
            rig.key(Tab).await;
        }
        rig.shows("[ Call ]");
        rig.key(Tab).await;
    }
    for size in [(1, 1), (39, 9), (40, 10)] {
        rig.event(Event::Resize(size.0, size.1)).await;
        rig.keys(&[Tab, BackTab]).await;
    }
    rig.shows("Enter next input · Esc close");
}

#[tokio::test(start_paused = true)]
async fn error_stands_below_its_input_before_long_documentation() {
    let mut rig = start_with(survey(), true).await;
    rig.event(Event::Resize(40, 10)).await;
    rig.keys(&[F(4), Enter, BackTab, Enter]).await;
    assert_eq!(calls(&rig), [] as [serde_json::Value; 0]);
    // The focus is at the missing value.
    let screen = rig.screen();
    let error = screen.lines().position(|line| line.contains("    answer_to_the_question_number_3")).expect(&screen);
    let input = screen.lines().position(|line| line.contains("required")).expect(&screen);
    assert_eq!(error, input + 1, "{screen}");
    rig.shows("is required");
    rig.write("yes").await;
    rig.shows("yes");
    rig.shows_not("is required");
}

#[tokio::test(start_paused = true)]
async fn form_checks_ranges_before_the_call() {
    let mut rig = open_form().await;
    rig.write("tea").await;
    rig.key(Tab).await;
    rig.write("500").await;
    rig.keys(&[Tab, Tab, Enter]).await;
    rig.shows("count: expected int 1..100, not 500");
    assert_eq!(calls(&rig), [] as [serde_json::Value; 0]);
    rig.keys(&[Backspace, BackTab, BackTab, Enter]).await;
    assert_eq!(calls(&rig), [json!(["order.place", { "item": "tea", "count": 50 }])]);
}

#[tokio::test(start_paused = true)]
async fn refused_call_opens_its_form_again() {
    let mut rig = open_form().await;
    let refusal = RpcError::InvalidParams { param: "count".into(), reason: "too many for today".into() };
    rig.outside.fail_calls(Some(refusal));
    rig.write("green tea").await;
    rig.key(Tab).await;
    rig.write("9").await;
    rig.keys(&[Tab, Right, Tab, Enter]).await;
    assert!(!calls(&rig).is_empty());
    rig.shows("Call order.place");
    rig.shows("green tea");
    rig.shows("    count: too many for today");
    // The focus is at the input that the circle refuses.
    rig.keys(&[Backspace, Char('2')]).await;
    rig.outside.fail_calls(None);
    rig.keys(&[BackTab, BackTab, Enter]).await;
    assert_eq!(calls(&rig), [json!(["order.place", { "item": "green tea", "count": 2, "gift": true }])]);
    rig.shows_not("Call order.place");
    // The call has succeeded: the next form is empty.
    rig.keys(&[F(4), Enter]).await;
    rig.shows("Call order.place");
    rig.shows_not("green tea ");
}

#[tokio::test(start_paused = true)]
async fn value_from_a_missing_file_keeps_the_form() {
    let mut rig = open_form().await;
    rig.write("@/nonexistent/tea.txt").await;
    rig.keys(&[Tab, Tab, Tab, Enter]).await;
    assert_eq!(calls(&rig), [] as [serde_json::Value; 0]);
    rig.shows("Call order.place");
    rig.shows("item*    @/nonexistent/tea.txt");
    rig.shows("cannot read the value of item");
}

#[tokio::test(start_paused = true)]
async fn form_of_a_failed_call_has_its_inputs_when_it_opens_again() {
    let mut rig = open_form().await;
    rig.outside.fail_calls(Some(RpcError::Internal));
    rig.write("green tea").await;
    rig.keys(&[Tab, Tab, Tab, Enter]).await;
    assert_eq!(calls(&rig).len(), 1);
    // The function has run, so the user reads the transcript.
    rig.shows_not("Call order.place");
    rig.keys(&[F(4), Enter]).await;
    rig.shows("item*    green tea");
}

#[tokio::test(start_paused = true)]
async fn closed_form_keeps_its_inputs() {
    let mut rig = open_form().await;
    rig.key(Esc).await;
    rig.shows_not("again, with these inputs");
    rig.keys(&[F(4), Enter]).await;
    rig.write("green tea").await;
    rig.keys(&[Tab, Tab, Right, Esc]).await;
    rig.shows("F4 opens the form of order.place again, with these inputs");
    rig.keys(&[F(4), Enter]).await;
    rig.shows("item*    green tea");
    rig.shows("gift     true");
    rig.keys(&[BackTab, Enter]).await;
    assert_eq!(calls(&rig), [json!(["order.place", { "item": "green tea", "gift": true }])]);
}

#[tokio::test(start_paused = true)]
async fn refused_call_does_not_interrupt_typing() {
    let mut rig = start_with(shop(), true).await;
    rig.write("let a = ").await;
    rig.keys(&[F(4), Enter]).await;
    rig.outside.fail_calls(Some(RpcError::InvalidParams { param: "item".into(), reason: "sold out".into() }));
    rig.write("tea").await;
    rig.keys(&[BackTab, Enter]).await;
    rig.shows("item: sold out");
    rig.shows("F4 opens the form of order.place again, with these inputs");
    rig.shows_not("Call order.place");
    rig.write("1").await;
    rig.shows("> let a = 1");
}

#[tokio::test(start_paused = true)]
async fn pasted_value_is_sent_whole_or_not_at_all() {
    let mut rig = open_form().await;
    rig.event(Event::Paste("two\r\nlines\tof tea".into())).await;
    rig.shows("two⏎lines⇥of tea");
    // The value would be too long, and the call is not the one that the user wants.
    rig.event(Event::Paste("x".repeat(100_000))).await;
    rig.keys(&[Tab, Tab, Tab, Enter]).await;
    rig.shows("item: the value would be longer than 64 KiB");
    assert_eq!(calls(&rig), [] as [serde_json::Value; 0]);
    rig.keys(&[Backspace, BackTab, Enter]).await;
    assert_eq!(calls(&rig), [json!(["order.place", { "item": "two\nlines\tof te" }])]);
}
