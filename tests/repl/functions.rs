//! Functions of a circle: `:functions`, `:call` and `:who`.

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
    terminal.wait_for(":functions");
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
    terminal.keys("kept + 2\r");
    terminal.wait_for("42\r\n");
}
