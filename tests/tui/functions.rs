//! The list of the functions of a real circle, and the form for a call.

use super::TuiScreen;
use crate::support::{Home, PASSPHRASE, background::BackgroundCircles};

#[test]
fn functions_of_a_circle_are_listed_filled_in_and_called() {
    let home = Home::new();
    home.add_key("me");
    let mut screen = TuiScreen::start_on(BackgroundCircles::shop(home), (120, 40));
    screen.wait_for("● shop");
    screen.press(&["Down", "Enter"]);
    screen.wait_for("passphrase of me");
    screen.write(&format!("{PASSPHRASE}\n"));
    screen.wait_for("F4 lists the circle's functions");
    screen.press(&["F4"]);
    screen.wait_for("Functions of shop");
    screen.wait_for("quote(item: string 1..64, count?: int 1..100 = 1)");
    screen.write("quote");
    screen.press(&["Enter"]);
    screen.wait_for("Call quote");
    screen.write("tea");
    screen.press(&["Tab"]);
    screen.write("1x\n");
    screen.wait_for("count: expected int 1..100, not \"1x\"");
    screen.press(&["BackTab", "Backspace", "Backspace"]);
    screen.write("500\n");
    screen.wait_for("count: expected int 1..100, not 500");
    // A closed form keeps its values.
    screen.press(&["Esc", "F4"]);
    screen.wait_for("Functions of shop");
    screen.write("quote");
    screen.press(&["Enter"]);
    screen.wait_for("item*    tea");
    screen.press(&["Tab", "Backspace", "Backspace", "Backspace"]);
    screen.write("10\n\n");
    screen.wait_for(":call quote item=tea count=10");
    screen.wait_for("\"total\": 25.0");
    screen.write("circle::price(\"cake\")\n");
    screen.wait_for_row("4.5");
    screen.write(":call price item=milk\n");
    screen.wait_for("price threw: {\"code\":\"unknown_item\",\"item\":\"milk\"}");
}
