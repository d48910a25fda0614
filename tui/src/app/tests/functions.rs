//! The list of functions, and the form for a call.

use client_ws::FunctionInfo;
use ratatui::crossterm::event::{
    Event,
    KeyCode::{BackTab, Backspace, Char, Down, Enter, Esc, F, PageDown, Right, Tab, Up},
    KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use serde_json::json;

use super::rig::{LAB, Rig};

/// The functions of a shop.
pub(super) fn shop() -> Vec<FunctionInfo> {
    FunctionInfo::all(&json!({ "methods": [
        {
            "name": "fn.order.place", "summary": "Orders some of an item.",
            "description": "Orders some of an item.\nThe stock shrinks.",
            "params": [
                { "name": "item", "required": true, "x-type": "string 1..64", "description": "what",
                  "schema": { "type": "string" } },
                { "name": "count", "x-type": "int 1..100", "schema": { "type": "integer", "minimum": 1, "maximum": 100, "default": 1 } },
                { "name": "gift", "x-type": "bool", "schema": { "type": "boolean" } },
            ],
            "result": { "x-type": "int", "schema": { "type": "integer" } },
            "x-signature": "order.place(item: string 1..64, count?: int 1..100 = 1, gift?: bool) -> int",
        },
        { "name": "fn.now", "summary": "The time.", "x-signature": "now() -> any" },
        { "name": "fn.evil\u{1b}", "summary": "no" },
    ] }))
}

/// Starts the app, connected to `lab`, which offers the functions of a shop.
async fn start(may_play: bool) -> Rig {
    start_with(shop(), may_play).await
}

/// Starts the app, connected to `lab`, which offers functions.
pub(super) async fn start_with(functions: Vec<FunctionInfo>, may_play: bool) -> Rig {
    let mut rig = Rig::start().await;
    rig.outside.offer(functions, may_play);
    rig.keys(&[Down, Enter]).await;
    rig
}

/// Clicks on the first cell of a text.
pub(super) async fn click(rig: &mut Rig, text: &str) {
    let screen = rig.screen();
    let (row, line) = screen.lines().enumerate().find(|(_, line)| line.contains(text)).expect("it is shown");
    let column = line[..line.find(text).expect("it is there")].chars().count();
    let (column, row) = (u16::try_from(column).expect("small"), u16::try_from(row).expect("small"));
    let kind = MouseEventKind::Down(MouseButton::Left);
    rig.event(Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })).await;
}

/// Returns the calls of functions as JSON.
pub(super) fn calls(rig: &Rig) -> Vec<serde_json::Value> {
    rig.outside.take_calls().into_iter().map(|call| json!([call.name, call.params])).collect()
}

#[tokio::test(start_paused = true)]
async fn list_shows_signatures_and_documentation() {
    let mut rig = start(true).await;
    rig.key(F(4)).await;
    insta::assert_snapshot!(rig.screen());
    rig.key(Down).await;
    rig.shows("▌now() -> any");
    rig.shows("The time.");
    rig.shows_not("The stock shrinks.");
    rig.shows("2/2");
    // Typing narrows the list.
    rig.write("orders some").await;
    rig.shows("▌order.place(");
    rig.shows("1/1");
    rig.shows_not("now()");
    rig.write("x").await;
    rig.shows("no matches");
    rig.key(Enter).await;
    rig.shows("no matches");
    rig.key(Esc).await;
    rig.shows_not("Functions of lab");
}

#[tokio::test(start_paused = true)]
async fn form_has_an_input_for_each_parameter_and_calls_the_function() {
    let mut rig = start(true).await;
    rig.keys(&[F(4), Enter]).await;
    insta::assert_snapshot!(rig.screen());
    rig.write("green tea").await;
    rig.key(Tab).await;
    rig.write("many").await;
    rig.key(Tab).await;
    rig.shows("count: expected int 1..100, not \"many\"");
    rig.keys(&[Right, Tab, Enter]).await;
    assert_eq!(calls(&rig), [] as [serde_json::Value; 0]);
    // The focus is at the error.
    rig.keys(&[Backspace, Backspace, Backspace, Backspace, Char('2')]).await;
    rig.shows_not("expected int");
    rig.keys(&[BackTab, BackTab, Enter]).await;
    assert_eq!(calls(&rig), [json!(["order.place", { "item": "green tea", "count": 2, "gift": true }])]);
    rig.shows("lab> :call order.place item=\"green tea\" count=2");
    rig.shows("42");
    rig.shows_not("Call order.place");
    assert_eq!(rig.inputs(LAB), 0);
}

#[tokio::test(start_paused = true)]
async fn required_parameter_is_not_left_out() {
    let mut rig = start(true).await;
    rig.keys(&[F(4), Enter, BackTab, Enter]).await;
    rig.shows("item is required; type \"\" for an empty text");
    assert_eq!(calls(&rig), [] as [serde_json::Value; 0]);
    rig.write("\"\"").await;
    rig.keys(&[BackTab, Enter]).await;
    assert_eq!(calls(&rig), [json!(["order.place", { "item": "" }])]);
}

#[tokio::test(start_paused = true)]
async fn mouse_selects_focuses_chooses_and_calls() {
    let mut rig = start(true).await;
    rig.key(F(4)).await;
    click(&mut rig, "now() -> any").await;
    rig.shows("▌now()");
    click(&mut rig, "order.place(item").await;
    click(&mut rig, "order.place(item").await;
    rig.shows("Call order.place");
    rig.write("tea").await;
    click(&mut rig, "    bool").await;
    click(&mut rig, "    bool").await;
    rig.shows("‹ true ›");
    click(&mut rig, "Call  ").await;
    assert_eq!(calls(&rig), [json!(["order.place", { "item": "tea", "gift": true }])]);
}

#[tokio::test(start_paused = true)]
async fn list_fits_every_screen() {
    let mut rig = start(true).await;
    rig.key(F(4)).await;
    for (width, height) in [(80, 24), (200, 60), (1, 1), (41, 11), (40, 10)] {
        rig.event(Event::Resize(width, height)).await;
        rig.keys(&[Down, PageDown, Up]).await;
    }
    rig.shows("▌order.place(");
    rig.shows("1/2");
    // The documentation is longer than the window, and the footer is shortened.
    rig.shows(" Enter call · Esc close ");
}

#[tokio::test(start_paused = true)]
async fn caller_who_may_not_play_sees_it_and_calls() {
    let mut rig = start(false).await;
    rig.shows("lab (calls only)");
    rig.shows("you may call functions here");
    rig.shows_not("type Rhai");
    rig.write(":call now\n").await;
    assert_eq!(calls(&rig), [json!(["now", {}])]);
    rig.shows("42");
}

#[tokio::test(start_paused = true)]
async fn title_says_that_the_role_grants_nothing() {
    let mut rig = Rig::start().await;
    rig.outside.offer(Vec::new(), false);
    rig.keys(&[Down, Enter]).await;
    rig.shows("lab (no rights)");
}

#[tokio::test(start_paused = true)]
async fn tab_completes_a_call_with_summaries() {
    let mut rig = start(true).await;
    rig.write(":call ").await;
    rig.key(Tab).await;
    rig.shows("order.place");
    rig.shows("Orders some of an item.");
    rig.keys(&[Down, Enter]).await;
    rig.shows("> :call now");
    rig.key(Enter).await;
    assert_eq!(calls(&rig), [json!(["now", {}])]);
    rig.write(":call order.place item=tea ").await;
    rig.key(Tab).await;
    rig.shows("int 1..100 · = 1");
    rig.keys(&[Enter, Char('5'), Enter]).await;
    assert_eq!(calls(&rig), [json!(["order.place", { "item": "tea", "count": 5 }])]);
}

#[tokio::test(start_paused = true)]
async fn list_without_functions_says_so() {
    let mut rig = Rig::start().await;
    rig.keys(&[Down, F(4)]).await;
    rig.shows("connect to the circle first");
    rig.keys(&[Enter, F(4)]).await;
    rig.shows("the circle has no function for you");
    // A reload is seen when the list opens again.
    rig.outside.offer(shop(), true);
    rig.keys(&[Esc, F(4)]).await;
    rig.shows("▌order.place(");
}

#[tokio::test(start_paused = true)]
async fn list_and_palette_say_that_the_connection_is_lost() {
    let mut rig = start(true).await;
    rig.key(F(4)).await;
    rig.shows("▌order.place(");
    rig.outside.refuse_connections(true);
    rig.outside.lose_connections();
    rig.settle().await;
    rig.shows("not connected to the circle");
    rig.shows_not("asking the circle");
    rig.outside.refuse_connections(false);
    rig.pass_time().await;
    rig.shows("▌order.place(");
    rig.key(Esc).await;
    rig.control('p').await;
    rig.write("call now").await;
    rig.outside.refuse_connections(true);
    rig.outside.lose_connections();
    rig.settle().await;
    rig.key(Enter).await;
    rig.shows("connect to the circle first");
    rig.shows_not("you may not call");
}

#[tokio::test(start_paused = true)]
async fn palette_finds_every_function() {
    let many = (0..500).map(|number| json!({ "name": format!("fn.gen.f{number}"), "summary": "" })).collect::<Vec<_>>();
    let mut rig = start_with(FunctionInfo::all(&json!({ "methods": many })), true).await;
    rig.control('p').await;
    rig.write("call gen.f499").await;
    rig.shows("call gen.f499");
    rig.shows("Palette 1/1 ");
    rig.key(Enter).await;
    rig.shows("Call gen.f499");
    rig.key(Enter).await;
    assert_eq!(calls(&rig), [json!(["gen.f499", {}])]);
    rig.shows(":call gen.f499");
}
