//! What was typed for a circle that is not there, or is not what it was: nothing of it is lost, and none of it is played unasked.

use super::Screen;

#[test]
fn inputs_are_given_back_one_by_one() {
    let mut screen = Screen::start(r#"{ "circles": [] }"#, (120, 40));
    screen.play_alone();
    screen.write("print(`be${\"gun\"}`); loop {}\n");
    screen.wait_for_row("begun");
    screen.write("let a = 40 // forty\n:time a\na + 2\nlast");
    screen.wait_for("3 waiting");
    screen.press(&["C-c"]);
    screen.wait_for("4 inputs are given back");
    screen.wait_for("cancelled; the session");
    screen.wait_for_row("> let a = 40 // forty");
    screen.press(&["Enter"]);
    screen.wait_for_row("> :time a");
    // One that is no longer wanted.
    screen.press(&["C-c"]);
    screen.wait_for_row("> a + 2");
    screen.press(&["Enter"]);
    screen.wait_for_row("42");
    screen.wait_for_row("> last");
}
