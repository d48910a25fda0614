//! `circles play` on several circles.

use std::io::{BufRead, BufReader};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Home, process::ServeProcess};

#[test]
fn script_is_played_on_several_circles_concurrently() {
    let (one, other) = (ServeProcess::start(&["--name", "one"]), ServeProcess::start(&["--name", "other"]));
    let home = Home::new();
    let circles =
        |down: bool| format!("{},{}{}", one.url, other.authority(), if down { ",ws://127.0.0.1:2" } else { "" });
    let script = "print(`from ${CIRCLE_NAME}\n${ARGS[0]}`); debug(1); CIRCLE_NAME";
    let ran = home.run(&["play", "--circle", &circles(false), "-e", script, "x"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let width = one.url.len();
    let lines = |label: &str, mark: char, rest: &str| format!("{label:width$} {mark} {rest}");
    let mut of_one: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("ws")).collect();
    assert_eq!(of_one, [lines(&one.url, '|', "from one"), lines(&one.url, '|', "x"), lines(&one.url, '=', "one")]);
    of_one = ran.stdout.lines().filter(|line| !line.starts_with("ws")).collect();
    let label = other.authority();
    assert_eq!(of_one, [lines(label, '|', "from other"), lines(label, '|', "x"), lines(label, '=', "other")]);
    assert!(
        ran.stderr.contains(&lines(label, '|', "[2:")) || ran.stderr.contains(&lines(label, '|', "[1:")),
        "{ran:?}"
    );

    // An unreachable circle does not affect the others. The option can be repeated.
    let ran = home.run(&["play", "--json", "--circle", "1", "--circle", &circles(true), "-e", "print(1); CIRCLE_NAME"]);
    let all: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let of = |index: usize, field: &str| all["circles"][index][field].clone();
    assert_eq!((ran.code, of(0, "circle"), of(1, "circle")), (Some(3), json!("1"), json!(one.url)), "{ran:?}");
    assert_eq!((of(1, "value"), of(2, "value")), (json!("one"), json!("other")));
    assert_eq!(of(1, "prints"), json!([{ "stream": "print", "text": "1" }]));
    assert_eq!((of(0, "error")["code"].clone(), of(3, "error").is_object()), (Value::Null, true));
    // The exit code is that of the first failed circle, in the order of the arguments.
    let ran = home.run(&["play", "--circle", &circles(true), "-e", "if CIRCLE_NAME == \"other\" { throw 1 }"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
}

#[test]
fn values_are_in_the_order_of_the_circles() {
    let (slow, fast) = (ServeProcess::start(&["--name", "slow"]), ServeProcess::start(&["--name", "fast"]));
    // The first circle has much more to do, and its print still comes at once.
    let script = "print(CIRCLE_NAME); if CIRCLE_NAME == \"slow\" { for i in 0..2000000 {} } CIRCLE_NAME";
    let circles = format!("{},{},ws://127.0.0.1:2", slow.url, fast.url);
    let ran = Home::new().run(&["play", "--circle", &circles, "-e", script]);
    let values: Vec<_> = ran.stdout.lines().filter(|line| line.contains(" = ")).collect();
    assert!(values.len() == 2 && values[0].ends_with("slow") && values[1].ends_with("fast"), "{ran:?}");
    assert!(ran.code == Some(3) && ran.stderr.contains("ws://127.0.0.1:2"), "{ran:?}");
}

#[test]
fn circle_named_twice_plays_once() {
    let (server, other) = (ServeProcess::start(&["--name", "team"]), ServeProcess::start(&["--name", "other"]));
    let home = Home::new();
    let port = server.authority().rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).expect("a port");
    let circles = json!({ "circles": [{ "name": "team", "port": port }] });
    std::fs::write(home.path().join("circles.json"), circles.to_string()).expect("written");
    let names = ["team".to_owned(), port.to_string(), format!("127.0.0.1:{port}"), format!("ws://127.0.0.1:{port}/")];
    // The same circle named twice prints as a single one.
    let ran = home.run(&["play", "--circle", &names.join(", "), "--circle", "team", "-e", "print(1); CIRCLE_NAME"]);
    assert_eq!((ran.code, &*ran.stdout), (Some(0), "1\nteam\n"), "{ran:?}");
    // The one note: no supervisor has started the circle of circles.json.
    let note = format!("no supervisor started the circle that circles.json has at 127.0.0.1:{port}");
    assert!(ran.stderr.lines().count() == 1 && ran.stderr.starts_with(&note), "{ran:?}");
    let two = format!("{port},{},team", other.url);
    let ran = home.run(&["play", "--json", "--circle", &two, "-e", "CIRCLE_NAME"]);
    let all: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let played = all["circles"].as_array().expect("several").iter();
    let played: Vec<_> = played.map(|one| (one["circle"].clone(), one["value"].clone())).collect();
    assert_eq!(played, [(json!(port.to_string()), json!("team")), (json!(other.url), json!("other"))]);
    // An empty name is an error, and does not mean a scratch circle.
    for empty in ["", " , "] {
        let ran = home.run(&["play", "--circle", empty, "-e", "1"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
    }
}

#[test]
fn circles_named_by_the_environment_share_one_passphrase() {
    let home = Home::new();
    let alice = home.add_key("alice").public_key().to_hex();
    let (one, other) =
        (ServeProcess::start(&["--member", &alice]), ServeProcess::start(&["--access", "authenticated"]));
    let mut command = home.command();
    command
        .args(["play", "--json", "-e", "CALLER_PUBLIC_KEY"])
        .env("CIRCLES_CIRCLE", format!("{},{}", one.url, other.url));
    // A pipe can be read only once.
    let (passphrase, mut written) = std::io::pipe().expect("a pipe");
    std::io::Write::write_all(&mut written, crate::support::PASSPHRASE.as_bytes()).expect("written");
    drop(written);
    let output = command.arg("--passphrase-fd=0").stdin(passphrase).output().expect("runs");
    let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&all["circles"][0]["value"], &all["circles"][1]["value"]), (&json!(alice), &json!(alice)));
    // With a wrong passphrase nothing is played.
    let ran = home
        .command()
        .args(["play", "-e", "1"])
        .env("CIRCLES_PASSPHRASE", "wrong")
        .env("CIRCLES_CIRCLE", format!("{},{}", one.url, other.url))
        .output()
        .expect("runs");
    assert_eq!((ran.status.code(), ran.stdout.as_slice()), (Some(6), &b""[..]));
}

#[test]
fn ctrl_c_cancels_the_plays_on_all_circles() {
    let (one, other) = (ServeProcess::open(), ServeProcess::open());
    let circles = format!("{},{}", one.url, other.url);
    let mut child = Home::new()
        .command()
        .args(["play", "--circle", &circles, "-e", "print(\"begun\"); loop {}"])
        .spawn()
        .expect("runs");
    let mut stdout = BufReader::new(child.stdout.as_mut().expect("piped"));
    for _ in 0..2 {
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it prints");
        assert!(line.ends_with(" | begun\n"), "{line}");
    }
    kill_process(Pid::from_child(&child), Signal::INT).expect("it is there");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
}
