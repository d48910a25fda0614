//! Tests of the commands about values and files: `:out`, `:copy`, `:json`, `:sh`, `:cd`.

use super::{Console, fake};

/// Plays an input with a number as its value.
async fn play(console: &mut Console, input: &str, number: i64) {
    console.begin(input).await.answer(number).await;
    console.expect_events(&[&format!("value {number}"), "done"]).await;
}

#[tokio::test(start_paused = true)]
async fn out_shows_earlier_values_by_the_numbers_of_their_inputs() {
    let mut console = Console::ready().await;
    console.submit(":out");
    console.expect_events(&["began :out", "remark no value yet", "done"]).await;
    play(&mut console, "6", 6).await;
    console.play_to_end("let x = 1").await;
    play(&mut console, "7", 7).await;
    console.submit(":out");
    console.expect_events(&["began :out", "listing     1  6 \n    3  7 ", "done"]).await;
    console.submit(":out 1");
    console.expect_events(&["began :out 1", "listing 6", "done"]).await;
    for number in ["0", "2", "4"] {
        console.submit(&format!(":out {number}"));
        let none = format!("remark there is no value of input {number}; :out lists the last values");
        console.expect_events(&[&format!("began :out {number}"), &none, "done"]).await;
    }
    // They are kept without a connection, and while a play runs.
    let playing = console.begin("loop {}").await;
    console.submit(":out 3");
    console.expect_events(&["began :out 3", "listing 7", "done"]).await;
    playing.unit().await;
    console.expect_events(&["value ", "done"]).await;
    console.expect_no_event().await;
}

#[tokio::test(start_paused = true)]
async fn copy_requests_the_last_value() {
    let mut console = Console::ready().await;
    console.submit(":copy");
    console.expect_events(&["began :copy", "remark no value yet", "done"]).await;
    console.begin("[1]").await.end(Ok(fake::result("array", "[1]"))).await;
    console.expect_events(&["value [1]", "done"]).await;
    console.submit(":copy");
    let request = r#"request Copy { text: "[1]", message: "copied the last value" }"#;
    console.expect_events(&["began :copy", request, "done"]).await;
    console.submit(":copy json");
    let request = r#"request Copy { text: "[\n  1\n]", message: "copied the last value as JSON" }"#;
    console.expect_events(&["began :copy json", request, "done"]).await;
    let long = format!("\"{}\"", "é".repeat(40 << 10));
    console.begin("long").await.end(Ok(fake::result("string", &long))).await;
    assert!(console.event_text().await.starts_with("value "));
    console.expect_events(&["done"]).await;
    console.submit(":copy json");
    let refused = "remark not copied: the value is 80 KiB of JSON, and terminals take 64 KiB; :json FILE writes it";
    console.expect_events(&["began :copy json", refused, "done"]).await;
    console.submit(":copy");
    console.expect_events(&["began :copy"]).await;
    let request = console.event_text().await;
    let part = r#"message: "copied the first 64 KiB of 80 KiB: terminals take no more; :json FILE writes all of it" }"#;
    assert!(request.starts_with("request Copy { text: ") && request.ends_with(part), "{part}");
    console.expect_events(&["done"]).await;
    console.expect_no_event().await;
}

#[tokio::test]
async fn json_is_shown_or_written_to_a_new_file() {
    let home = tempfile::tempdir().expect("a directory");
    let mut console = Console::ready().await;
    console.begin("#{a: 1}").await.end(Ok(fake::result("map", r#"{"a":[1,2]}"#))).await;
    assert!(console.event_text().await.starts_with("value "));
    console.expect_events(&["done"]).await;
    console.submit(":json");
    let json = "{\n  \"a\": [\n    1,\n    2\n  ]\n}";
    console.expect_events(&["began :json", &format!("listing {json}"), "done"]).await;
    let file = home.path().join("out.json");
    let command = format!(":json {}", file.display());
    console.submit(&command);
    let wrote = format!("remark wrote the last value to {} (30 bytes)", file.display());
    console.expect_events(&[&format!("began {command}"), &wrote, "done"]).await;
    assert_eq!(std::fs::read_to_string(&file).expect("written"), format!("{json}\n"));
    std::fs::write(&file, "precious").expect("written");
    console.submit(&command);
    console.expect_events(&[&format!("began {command}")]).await;
    let refused = console.event_text().await;
    assert!(refused.contains("already exists") && refused.contains(":json! "), "{refused}");
    console.expect_events(&["done"]).await;
    assert_eq!(std::fs::read_to_string(&file).expect("kept"), "precious");
    console.submit(&command.replace(":json", ":json!"));
    assert!(console.event_text().await.starts_with("began "));
    console.expect_events(&[&wrote, "done"]).await;
}

#[tokio::test]
async fn cd_changes_where_files_and_commands_are() {
    let home = tempfile::tempdir().expect("a directory");
    let root = home.path().canonicalize().expect("it exists");
    std::fs::create_dir(root.join("sub")).expect("made");
    std::fs::write(root.join("sub/six.rhai"), "6").expect("written");
    let mut console = Console::ready().await;
    // Commands that follow at once wait for it.
    console.submit(&format!(":cd {}", root.display()));
    console.submit(":cd sub");
    console.submit(":sh ls");
    console.submit(":load six.rhai");
    console
        .expect_events(&[&format!("began :cd {}", root.display()), &format!("listing {}", root.display()), "done"])
        .await;
    let sub = root.join("sub");
    console.expect_events(&["began :cd sub", &format!("listing {}", sub.display()), "done"]).await;
    let request = format!("request Shell(ShellCommand {{ command: \"ls\", directory: {:?} }})", sub.join("."));
    console.expect_events(&["began :sh ls", &request, "done", "began :load six.rhai"]).await;
    console.circle.plays("6").await.answer(6).await;
    console.expect_events(&["value 6", "done"]).await;
    console.submit(":save work.rhai");
    assert_eq!(console.event_text().await, "began :save work.rhai");
    assert!(console.event_text().await.contains("saved 1 input to "));
    console.expect_events(&["done"]).await;
    assert!(sub.join("work.rhai").exists());
    console.submit(":cd nowhere");
    assert_eq!(console.event_text().await, "began :cd nowhere");
    assert!(console.event_text().await.contains("cannot change to nowhere"));
    console.expect_events(&["done"]).await;
    console.submit(":cd");
    console.expect_events(&["began :cd", &format!("listing {}", sub.display()), "done"]).await;
}
