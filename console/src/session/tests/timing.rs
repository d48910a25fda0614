//! Tests of `:timeit`.

use std::time::Duration;

use client_ws::RpcError;

use super::{Console, fake};

#[tokio::test(start_paused = true)]
async fn timed_script_runs_for_a_second() {
    let mut console = Console::ready().await;
    console.submit(":timeit sq(2)");
    console.submit("1");
    console.expect_events(&["began :timeit sq(2)"]).await;
    for run in 0..3 {
        let playing = console.circle.plays("sq(2)").await;
        assert_eq!(playing.script.bind, None);
        tokio::time::sleep(Duration::from_millis(400)).await;
        playing.print("printed").await;
        playing.answer(4).await;
        // Only the first run prints.
        if run == 0 {
            console.expect_events(&["output printed"]).await;
        }
    }
    let times = "value in the circle  1.50 ms (1.50 ms–1.50 ms)\nround trip     400 ms (400 ms–400 ms)\n\
                 median and range of 3 runs";
    console.expect_events(&[times, "done", "began 1"]).await;
    console.circle.plays("1").await.answer(1).await;
    console.expect_events(&["value 1", "done"]).await;
    // The runs are no inputs.
    assert_eq!(console.state().inputs, 1);
}

#[tokio::test(start_paused = true)]
async fn timed_script_runs_a_thousand_times_at_most() {
    let mut console = Console::ready().await;
    console.submit(":timeit 1");
    for _ in 0..1000 {
        console.circle.plays("1").await.answer(1).await;
    }
    console.expect_events(&["began :timeit 1"]).await;
    assert!(console.event_text().await.ends_with("median and range of 1000 runs"));
    console.expect_events(&["done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn timed_script_stops_at_a_cancellation_and_at_an_error() {
    let mut console = Console::ready().await;
    console.submit(":timeit 1");
    console.expect_events(&["began :timeit 1"]).await;
    console.circle.plays("1").await.answer(1).await;
    let playing = console.circle.plays("1").await;
    console.cancel();
    playing.cancel().await;
    assert!(console.event_text().await.ends_with("median and range of 1 run"));
    console.expect_events(&["remark cancelled; your variables are kept", "done"]).await;
    // The run ends before the cancellation arrives.
    console.submit(":timeit 1");
    console.expect_events(&["began :timeit 1"]).await;
    let mut playing = console.circle.plays("1").await;
    console.cancel();
    playing.cancelled().await;
    playing.answer(1).await;
    assert!(console.event_text().await.ends_with("median and range of 1 run"));
    console.expect_events(&["done"]).await;
    console.submit(":timeit 1");
    console.expect_events(&["began :timeit 1"]).await;
    console.circle.plays("1").await.answer(1).await;
    console.circle.plays("1").await.fail(RpcError::Internal).await;
    assert!(console.event_text().await.starts_with("error "));
    console.expect_events(&["done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn timed_script_stops_with_the_connection() {
    let mut console = Console::ready().await;
    console.submit(":timeit 1");
    console.expect_events(&["began :timeit 1"]).await;
    console.circle.plays("1").await.answer(1).await;
    let playing = console.circle.plays("1").await;
    console.circle.lose();
    playing.fail(fake::lost()).await;
    assert!(console.event_text().await.starts_with("error "));
    console.expect_events(&["lost", "done"]).await;
    console.expect_no_event().await;
}
