//! The setting that disables the console.

use super::{BROWSER, browse, directory, text};
use crate::support::{background::BackgroundCircles, http::request, process::ServeProcess, pty::Terminal};

const CONFIG: &str = r#"{ "circles": [{ "name": "a", "port": 0, "console": CONSOLE }] }"#;

#[test]
fn disabled_console_has_no_page_and_no_files() {
    let with = ServeProcess::open();
    let without = ServeProcess::start(&["--no-console"]);
    let greeting = browse(&without, "/");
    assert_eq!((greeting.status, greeting.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert!(text(&greeting).contains("circles repl ws://") && !text(&greeting).contains("browser"), "{greeting:?}");
    let path = format!("{}app.js", directory(&with));
    assert_eq!((browse(&with, &path).status, browse(&without, &path).status), (200, 404));
    assert_eq!(without.connect().value("40 + 2"), 42);
}

#[test]
fn console_of_circles_json_changes_without_a_restart() {
    let here = BackgroundCircles::start(&CONFIG.replace("CONSOLE", "false"));
    here.run_ok(&["up"]);
    let url = here.status("a")["url"].as_str().expect("a URL").to_owned();
    let authority = url.strip_prefix("ws://").expect("a WebSocket URL");
    let content_type = || {
        let response = request(authority, "GET", "/", &format!("host: {authority}\r\n{BROWSER}"));
        response.header("content-type").expect("a type").to_owned()
    };
    let mut wire = here.connect("a");
    assert_eq!((wire.value("let x = 40; x + 2"), &*content_type()), (42.into(), "text/plain; charset=utf-8"));
    here.configure(&CONFIG.replace("CONSOLE", "true"));
    here.run_ok(&["reload"]);
    assert_eq!((&*content_type(), wire.value("x + 2")), ("text/html; charset=utf-8", 42.into()));
    here.configure(&CONFIG.replace("CONSOLE", "\"no\""));
    let ran = here.run(&["check"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("boolean"), "{ran:?}");
}

#[test]
fn address_for_a_browser_is_shown_on_a_terminal_only() {
    let here = BackgroundCircles::start(&CONFIG.replace("CONSOLE", "true"));
    let ran = here.run(&["up"]);
    assert!(ran.stdout.contains("a  ready  ws://") && ran.stderr.is_empty(), "{ran:?}");
    let url = here.status("a")["url"].as_str().expect("a URL").replace("ws://", "http://");
    let mut terminal = Terminal::run(&here.home, &["up"]);
    terminal.wait_for(&format!("open {url}/ in a browser for a console"));
    assert_eq!(terminal.end(), Some(0));
    let mut serve = Terminal::run(&here.home, &["serve", "--port", "0"]);
    serve.wait_for("listening on ws://");
    serve.wait_for("open http://127.0.0.1:");
}
