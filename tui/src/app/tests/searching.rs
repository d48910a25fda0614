//! Search in the transcript and in the log.

use ratatui::{
    crossterm::event::{
        Event,
        KeyCode::{Char, Down, End, Enter, Esc, F, Home, Up},
        KeyEvent, KeyModifiers,
    },
    style::Modifier,
};

use super::rig::{LAB, Rig};
use crate::{event::AppEvent, layout::Pane, window::Effect};

async fn with_transcript() -> Rig {
    let mut rig = Rig::start().await;
    rig.keys(&[Down, Enter]).await;
    for number in 0..30 {
        rig.write(&format!("let a{number} = {number}\n")).await;
    }
    rig
}

#[tokio::test(start_paused = true)]
async fn transcript_is_searched_while_typing_and_letters_type_again_afterwards() {
    let mut rig = with_transcript().await;
    rig.shows_not("let a7 =");
    rig.key(F(3)).await;
    rig.write("LET a7").await;
    rig.shows("no match");
    rig.write("\u{8}").await;
    rig.keys(&[ratatui::crossterm::event::KeyCode::Backspace; 16]).await;
    assert!(rig.app.window.search.is_none());
    rig.key(F(3)).await;
    rig.write("let a7").await;
    rig.shows("1/1");
    rig.shows("lab> let a7 = 7");
    rig.keys(&[ratatui::crossterm::event::KeyCode::Backspace]).await;
    rig.shows("8/30");
    rig.write("1").await;
    rig.shows("11/11");
    rig.key(Enter).await;
    rig.write("nn").await;
    rig.shows("9/11");
    rig.write("N").await;
    rig.shows("10/11");
    rig.event(Event::Paste("x".into())).await;
    rig.shows("no match");
    rig.key(Esc).await;
    rig.shows_not("no match");
    assert_eq!(rig.app.window.focus, Pane::Repl);
    rig.write("nN/").await;
    rig.shows("> nN/");
}

#[tokio::test(start_paused = true)]
async fn log_is_searched_from_its_pane_and_the_transcript_from_the_others() {
    let mut rig = with_transcript().await;
    let lines = (0..50).map(|number| format!("INFO line {number}")).collect();
    rig.post(AppEvent::Logged(LAB, lines));
    rig.keys(&[Esc, Char('4'), Char('/')]).await;
    rig.write("line 3").await;
    rig.shows("11/11");
    rig.shows("INFO line 39");
    // New lines are found, and do not move the view.
    rig.post(AppEvent::Logged(LAB, vec!["INFO line 3".into()]));
    rig.settle().await;
    rig.shows("11/12");
    rig.shows("INFO line 39");
    rig.keys(&[Enter, Char('N')]).await;
    rig.shows("12/12");
    rig.keys(&[Esc, Esc, Char('/')]).await;
    rig.write("a12").await;
    rig.shows("1/1");
    rig.shows("lab> let a12 = 12");
    rig.key(Esc).await;
    assert_eq!(rig.app.window.focus, Pane::Circles);
    // Where only one pane is shown, the search goes to its pane.
    rig.event(Event::Resize(60, 20)).await;
    rig.key(Char('/')).await;
    rig.write("a13").await;
    rig.shows("lab> let a13 = 13");
}

/// Returns the rows of the screen that show log lines.
fn shown_lines(rig: &Rig) -> Vec<String> {
    rig.screen()
        .lines()
        .filter_map(|row| Some(row.split_once("INFO")?.1.trim_end_matches(['│', ' ']).to_owned()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn log_stays_in_place_while_it_is_scrolled_or_a_match_is_shown() {
    let mut rig = Rig::start().await;
    rig.keys(&[Down, Char('4')]).await;
    let flood = |from: usize, end: usize| {
        AppEvent::Logged(LAB, (from..end).map(|number| format!("INFO line {number} {}", "word ".repeat(20))).collect())
    };
    rig.post(flood(0, 100));
    rig.settle().await;
    rig.key(Up).await;
    rig.shows("follow ○");
    let before = shown_lines(&rig);
    rig.post(flood(100, 150));
    rig.settle().await;
    assert_eq!(shown_lines(&rig), before);
    // Lines are dropped at the front.
    rig.post(flood(150, 2050));
    rig.settle().await;
    assert_eq!(shown_lines(&rig), before);
    // Another circle has a view of its own.
    rig.keys(&[Esc, Down, Up, Char('4')]).await;
    assert_eq!(shown_lines(&rig), before);
    rig.key(End).await;
    rig.shows("follow ●");
    rig.shows("INFO line 2049");
    // A match within the newest lines holds them.
    rig.key(Char('/')).await;
    rig.write("line 2049").await;
    rig.shows("1/1");
    let before = shown_lines(&rig);
    rig.post(flood(2050, 2100));
    rig.settle().await;
    assert_eq!(shown_lines(&rig), before);
    rig.keys(&[Esc, Home]).await;
    rig.shows("INFO line 100 ");
}

#[tokio::test(start_paused = true)]
async fn any_block_is_selected_and_copied() {
    let mut rig = Rig::start().await;
    rig.keys(&[Down, Enter]).await;
    for number in 0..30 {
        rig.write(&format!("{number} + 1\n")).await;
    }
    let alt = |code| Event::Key(KeyEvent::new(code, KeyModifiers::ALT));
    let copied = |rig: &mut Rig| rig.effects.drain(..).collect::<Vec<_>>();
    copied(&mut rig);
    rig.control('o').await;
    assert_eq!(copied(&mut rig), [Effect::Copy("42".into())]);
    rig.shows_not("copies this block");
    for _ in 0..12 {
        rig.event(alt(Up)).await;
    }
    rig.shows("lab> 18 + 1");
    rig.shows("Ctrl-O copies this block");
    assert!(rig.styles_of("lab> 18 + 1")[0].add_modifier.contains(Modifier::REVERSED));
    // An input that is typed meanwhile stays.
    rig.write("typed").await;
    rig.control('o').await;
    assert_eq!(copied(&mut rig), [Effect::Copy("42".into())]);
    rig.shows("copied the output");
    rig.key(Esc).await;
    rig.shows_not("copies this block");
    assert_eq!(rig.app.window.focus, Pane::Repl);
    rig.event(alt(Up)).await;
    rig.shows("lab> 29 + 1");
    rig.event(alt(Down)).await;
    rig.shows_not("copies this block");
    // Nothing comes of this input.
    rig.control('u').await;
    rig.write("let alone = 1\n").await;
    rig.event(alt(Up)).await;
    rig.control('o').await;
    assert_eq!(copied(&mut rig).len(), 1);
    // In a search, y copies what has the match.
    rig.key(Esc).await;
    rig.key(F(3)).await;
    rig.write("7 + 1").await;
    rig.key(Enter).await;
    rig.write("yny").await;
    assert_eq!(copied(&mut rig), [Effect::Copy("42".into()), Effect::Copy("42".into())]);
    rig.shows("2/3");
}
