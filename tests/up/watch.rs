//! `circles status`: circles by name, numbers, and `--watch`.

use std::{
    io::{BufRead, BufReader},
    sync::mpsc::channel,
};

use super::*;
use crate::support::{
    process::{ReapedChild, wait_until_stopped},
    pty::Terminal,
};

#[test]
fn status_accepts_names() {
    let here = BackgroundCircles::start(TWO);
    for is_up in [false, true] {
        if is_up {
            here.run_ok(&["up", "a"]);
        }
        let table = here.run(&["status", "b"]).stdout;
        assert!(table.lines().count() == 2 && table.contains("\nb     down"), "{table}");
        assert_eq!(here.run(&["status", "b", "a"]).stdout.lines().count(), 3);
        for args in [&["status", "aa"][..], &["status", "--watch", "aa"], &["status", "--json", "aa"]] {
            let ran = here.run(args);
            assert!(ran.code == Some(2) && ran.stdout.is_empty(), "{ran:?}");
            assert!(ran.stderr.contains("there is no circle 'aa'") && ran.stderr.contains("did you mean"), "{ran:?}");
        }
    }
}

#[test]
fn status_shows_connections_memory_and_plays() {
    let here = BackgroundCircles::start(TWO);
    here.run_ok(&["up", "a"]);
    let mut wire = here.connect("a");
    for number in 0..7 {
        wire.value(&format!("let x = {number}; 1"));
    }
    let status = eventually(|| {
        let status = here.status("a");
        if status["plays"] == 7 && status["workers"] == 1 { Ok(status) } else { Err(status) }
    });
    // Includes the memory of the server process itself.
    assert!(status["memory_bytes"].as_u64().expect("a number") > 1 << 20, "{status}");
    assert_eq!(status["sandbox"].as_array().expect("layers")[..3], ["process", "memory", "syscalls"]);
    let down = here.status("b");
    for field in ["connections", "workers", "plays", "memory_bytes", "sandbox"] {
        assert!(down[field].is_null(), "{down}");
    }
    let table = here.run_ok(&["status", "a"]);
    // The column SANDBOX is hidden if all sandboxes are complete.
    assert!(table.contains("MEMORY") && table.contains(" MiB  7\n") && !table.contains("SANDBOX"), "{table}");
}

#[test]
fn watch_draws_in_place_and_restores_the_terminal() {
    let here = BackgroundCircles::start(TWO);
    here.run_ok(&["up"]);
    let supervisor = here.supervisor("a");
    let mut terminal = Terminal::run(&here.home, &["status", "--watch"]);
    terminal.wait_until("a table on a screen of its own", |screen| {
        let rows: Vec<String> = screen.rows(0, 100).collect();
        screen.alternate_screen()
            && screen.hide_cursor()
            && rows[0].starts_with("NAME")
            && rows[1].starts_with("a     ready")
    });
    terminal.keys("typed");
    terminal.resize(30, 3);
    terminal.wait_until("a small table", |screen| {
        let rows: Vec<String> = screen.rows(0, 30).collect();
        rows[0].starts_with("NAME  STATE") && rows[1].starts_with("a     ready") && rows[2].starts_with("b     ready")
    });
    terminal.resize(30, 2);
    terminal.wait_for_screen("… 2 more lines");
    terminal.resize(100, 30);
    terminal.wait_until("a large one", |screen| screen.contents().contains("MEMORY"));

    // Shows the circles without a supervisor, and with a new one.
    kill_process(supervisor, Signal::KILL).expect("it is there");
    terminal.wait_until("both down", |screen| screen.contents().matches(" down ").count() == 2);
    here.run_ok(&["up"]);
    terminal.wait_until("both up again", |screen| screen.contents().matches(" ready ").count() == 2);

    // Ctrl-Z restores the terminal until the process continues.
    terminal.keys("\x1a");
    wait_until_stopped(terminal.pid());
    terminal.wait_until("the terminal as it was", |screen| !screen.alternate_screen() && !screen.hide_cursor());
    terminal.signal(Signal::CONT);
    terminal.wait_until("the table again", |screen| screen.alternate_screen() && screen.contents().contains("NAME"));

    terminal.keys("\x03");
    terminal.wait_until("the last table below what was there", |screen| {
        let shown = screen.contents();
        !screen.alternate_screen()
            && !screen.hide_cursor()
            && shown.matches(" ready ").count() == 2
            && !shown.contains("typed")
    });
    assert_eq!(terminal.end(), Some(0));

    let terminal = Terminal::run(&here.home, &["status", "--watch"]);
    let mut terminal = terminal;
    terminal.wait_for_screen("NAME");
    terminal.signal(Signal::TERM);
    terminal.wait_until("the terminal as it was", |screen| !screen.alternate_screen() && !screen.hide_cursor());
    assert_eq!(terminal.end(), Some(143));
}

#[test]
fn watch_without_a_terminal_prints_changes() {
    let here = BackgroundCircles::start(TWO);
    here.run_ok(&["up", "a"]);
    let mut watch =
        ReapedChild(here.home.command().args(["status", "--watch", "--json", "a"]).spawn().expect("it runs"));
    let (sender, lines) = channel();
    let stdout = BufReader::new(watch.0.stdout.take().expect("piped"));
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut seen = Vec::<Value>::new();
    let mut next = |what: &str, is_right: &dyn Fn(&Value) -> bool| loop {
        let line = lines.recv_timeout(WAIT_TIMEOUT).expect(what);
        let statuses: Value = serde_json::from_str(&line).expect("JSON");
        let [status] = &statuses["circles"].as_array().expect("a list")[..] else { panic!("only that one: {line}") };
        // A different uptime alone is no change.
        let mut timeless = status.clone();
        timeless["uptime_s"] = Value::Null;
        assert_ne!(seen.last(), Some(&timeless));
        seen.push(timeless);
        if is_right(status) {
            break;
        }
    };
    next("how it is", &|status| status["state"] == "ready");
    let wire = here.connect("a");
    next("a connection", &|status| status["connections"] == 1);
    drop(wire);
    here.run_ok(&["down"]);
    next("its end", &|status| status["state"] == "down");
    here.run_ok(&["up", "a"]);
    next("its return", &|status| status["state"] == "ready");
    // Changes that do not affect the output neither print nor end it.
    here.configure("{");
    here.run_ok(&["down"]);
    here.configure(TWO);
    next("its end again", &|status| status["state"] == "down");
    kill_process(Pid::from_child(&watch.0), Signal::INT).expect("it is there");
    assert_eq!(watch.0.wait().expect("it ends").code(), Some(0));
}
