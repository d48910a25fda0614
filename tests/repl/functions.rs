//! Functions of a circle: `:functions`, `:call` and `:who`.

use super::PROMPT_ENDS;
use crate::support::{Home, background::BackgroundCircles, pty::Terminal};

#[test]
fn owner_lists_describes_and_calls_functions_beside_plays() {
    let home = Home::new();
    home.add_key("me");
    let here = BackgroundCircles::shop(home);
    let mut terminal = Terminal::run(&here.home, &["repl", "--circle", "shop"]);
    terminal.wait_for("shop ⚿ me> ");
    terminal.keys(":functions\r");
    terminal.wait_for("quote(item: string 1..64, count?: int 1..100 = 1)");
    terminal.wait_for("What some of an item would cost the caller.");
    terminal.wait_for("shop ⚿ me> ");
    // The console has the functions by now. Tab completes names and parameters.
    terminal.keys(":call quo\tit\ttea cou\t3\r");
    terminal.wait_for("\"customer\": \"me\"");
    terminal.wait_for("\"total\": 7.5");
    terminal.wait_for("shop ⚿ me> ");
    terminal.keys("circle::price(\"cake\") * 2\r");
    terminal.wait_for("9.0\r\n");
    terminal.wait_for("shop ⚿ me> ");
    terminal.keys(":call price item=milk\r");
    terminal.wait_for("price threw: {\"code\":\"unknown_item\",\"item\":\"milk\"}");
    terminal.keys(":call price itm=tea\r");
    terminal.wait_for("price has no parameter \"itm\"");
    terminal.keys(":call quote item=tea count=1000\r");
    terminal.wait_for("cannot call quote: count");
    terminal.keys(":call prise\r");
    terminal.wait_for("did you mean price?");
    terminal.wait_for("shop ⚿ me> ");
    terminal.keys(":who\r");
    terminal.wait_for("role     owner");
    terminal.wait_for("shop ⚿ me> ");
    terminal.keys("\x04");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn visitor_calls_what_it_may_and_cannot_play() {
    let here = BackgroundCircles::shop(Home::new());
    let mut terminal = Terminal::run(&here.home, &["repl", "--circle", "shop"]);
    terminal.wait_for("shop (calls only)> ");
    terminal.keys(":call price item=tea\r");
    terminal.wait_for("2.5\r\n");
    terminal.wait_for("(calls only)> ");
    terminal.keys("40 + 2\r");
    terminal.wait_for("you are an anonymous caller, with the role visitor");
    terminal.wait_for("list what you may call instead: :functions");
    terminal.wait_for("(calls only)> ");
    terminal.keys("price?\r");
    terminal.wait_for("price(item: string");
    terminal.wait_for("(calls only)> ");
    terminal.keys(":call quote item=tea\r");
    terminal.wait_for("your role may not call it");
    terminal.wait_for("(calls only)> ");
    terminal.keys(":who\r");
    terminal.wait_for("role     visitor");
    terminal.wait_for("(calls only)> ");
    terminal.keys("\x04");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn reload_changes_the_functions_of_an_open_repl() {
    let home = Home::new();
    home.add_key("me");
    let here = BackgroundCircles::shop(home);
    let mut terminal = Terminal::run(&here.home, &["repl", "--circle", "shop"]);
    terminal.wait_for("shop ⚿ me> ");
    terminal.keys("let kept = 40\r");
    terminal.wait_for("shop ⚿ me> ");
    terminal.keys(":functions greet\r");
    terminal.wait_for("shop ⚿ me> ");
    let file = here.home.path().join("shop/functions/greet.rhai");
    std::fs::write(file, "/// @param {string} who - the guest\nfn greet(who) { `welcome ${who}` }\n").expect("written");
    here.run_ok(&["reload"]);
    terminal.keys(":call greet who=\"tea friends\"\r");
    terminal.wait_for("\"welcome tea friends\"\r\n");
    terminal.wait_for("shop ⚿ me> ");
    // Another type and another parameter: the call is right for the functions as they are now.
    let file = here.home.path().join("shop/functions/greet.rhai");
    let changed = "/// @param {int} who - the number of guests\n/// @param {string} mood - a word\n\
                   fn greet(who, mood) { `${mood} ${who + 1}` }\n";
    std::fs::write(&file, changed).expect("written");
    here.run_ok(&["reload"]);
    terminal.keys(":call greet who=4 mood=hello\r");
    terminal.wait_for("\"hello 5\"\r\n");
    terminal.wait_for("shop ⚿ me> ");
    // The list is the new one; after this reload the circle refuses the call first.
    std::fs::write(&file, changed.replace("int}", "string}").replace("who + 1", "who.len()")).expect("written");
    here.run_ok(&["reload"]);
    terminal.keys(":call greet who=4 mood=bye\r");
    terminal.wait_for("\"bye 1\"\r\n");
    terminal.wait_for("shop ⚿ me> ");
    terminal.keys("kept + 2\r");
    terminal.wait_for("42\r\n");
}

/// The file of a function belongs to the circle, the terminal to the user.
#[test]
fn values_that_a_circle_lists_cannot_control_the_terminal() {
    let home = Home::new();
    home.add_key("me");
    let here = BackgroundCircles::shop(home);
    let file = here.home.path().join("shop/functions/evil.rhai");
    let evil = "/// @param {\"\\u001b]0;OWNED\\u0007x\"} a - the title\nfn evil(a) { `seen ${a.len()}` }\n";
    std::fs::write(file, evil).expect("written");
    here.run_ok(&["reload"]);
    let mut terminal = Terminal::run(&here.home, &["repl", "--circle", "shop"]);
    let mut seen = terminal.wait_for("shop ⚿ me> ");
    terminal.keys(":functions evil\r");
    seen += &terminal.wait_for("the title");
    seen += &terminal.wait_for("shop ⚿ me> ");
    terminal.keys(":call evil a=\t");
    seen += &terminal.wait_for("\\u001b]0;OWNED\\u0007x");
    terminal.keys("\r");
    seen += &terminal.wait_for("\"seen 11\"\r\n");
    seen += &terminal.wait_for("shop ⚿ me> ");
    // The hint is the rest of the last input.
    terminal.keys(":call ev");
    seen += &terminal.wait_for("OWNED");
    terminal.keys("\x03");
    seen += &terminal.wait_for(PROMPT_ENDS);
    seen += &terminal.wait_for("shop ⚿ me> ");
    assert!(!seen.contains("\x1b]0;") && !seen.contains('\x07'), "{seen:?}");
    terminal.keys("\x04");
    assert_eq!(terminal.end(), Some(0));
    let history = std::fs::read_to_string(here.home.path().join("state/circles/history/history.jsonl"));
    let history = history.expect("the history is there");
    // A backslash is two of them in JSON; a control character would have one.
    assert!(history.contains(r"\\u001b]0;OWNED"), "{history}");
    assert!(!history.replace(r"\\u", "").contains(r"\u001b"), "{history}");
}
