//! Tests of a renderer that reads events slowly.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{Console, fake::FakePlay, settle};

/// Prints without end; returns the number of prints so far.
fn print_endlessly(playing: FakePlay) -> Arc<AtomicUsize> {
    let printed = Arc::new(AtomicUsize::new(0));
    let count = printed.clone();
    tokio::spawn(async move {
        loop {
            playing.print("more").await;
            count.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            if count.load(Ordering::SeqCst) > 100_000 {
                // Nothing would stop it.
                break;
            }
        }
    });
    printed
}

#[tokio::test(start_paused = true)]
async fn printing_play_waits_for_the_event_reader() {
    let mut console = Console::ready().await;
    let playing = console.begin("loop { print(1) }").await;
    let printed = print_endlessly(playing);
    settle().await;
    // The capacity between the circle and the renderer: the play's updates, one in transit, and the events.
    let before = printed.load(Ordering::SeqCst);
    assert!((64..=256).contains(&before), "{before} prints");
    for _ in 0..10 {
        console.expect_events(&["output more"]).await;
    }
    settle().await;
    assert_eq!(printed.load(Ordering::SeqCst), before + 10);
}

#[tokio::test(start_paused = true)]
async fn inputs_are_accepted_while_events_are_unread() {
    let mut console = Console::ready().await;
    let mut playing = console.begin("loop { print(1) }").await;
    for _ in 0..64 {
        playing.print("more").await;
    }
    settle().await;
    for input in 0..300 {
        console.submit(&format!("{input}"));
        // The session takes inputs although nobody reads its events.
        settle().await;
    }
    console.cancel();
    playing.cancelled().await;
    assert_eq!(console.state().waiting, 0);
    let mut back = 0;
    while back < 300 {
        let event = console.event_text().await;
        if let Some(inputs) = event.strip_prefix("given back ") {
            back += inputs.split(", ").count();
        }
    }
    assert_eq!(back, 300);
    playing.cancel().await;
    settle().await;
    assert!(console.remaining_events().await.ends_with(&["done".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn loss_is_noticed_while_events_are_unread() {
    let mut console = Console::ready().await;
    let playing = console.begin("loop { print(1) }").await;
    for _ in 0..64 {
        playing.print("more").await;
    }
    settle().await;
    console.cancel();
    console.cancel();
    settle().await;
    assert!(console.state().running.is_none(), "it is given up");
    console.circle.lose();
    console.circle.accept().await;
    settle().await;
    assert!(console.state().is_ready());
}
