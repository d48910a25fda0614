//! The tour of the README, typed as it is written.

use super::{TuiScreen, free_port};

#[test]
fn tour_of_the_readme_works_as_written() {
    let config = format!(
        r#"{{ "circles": [{{ "name": "sandbox", "port": {} }},
                          {{ "name": "team", "port": {}, "access": "members", "members": [] }}] }}"#,
        free_port(),
        free_port()
    );
    let mut screen = TuiScreen::start(&config, (80, 24));
    screen.wait_for("team");
    screen.press(&["Enter"]);
    screen.write("40 + 2\n");
    screen.wait_for_row("42");
    screen.press(&["Esc", "n"]);
    screen.wait_for("New key");
    screen.write("alice\npw\npw\n");
    screen.wait_for("created key alice");
    screen.press(&["Down", "Down", "Enter"]);
    screen.wait_for("your public key: 0");
    screen.press(&["C-o"]);
    screen.wait_for("copied your public key");
    let key = screen.app.clipboard();
    screen.press(&["Esc", "m"]);
    screen.wait_for("alice is now a member of team");
    // The supervisor applies the file in a moment.
    screen.wait_for("⚿ alice");
    let file = std::fs::read_to_string(screen.config()).expect("text");
    assert!(file.contains(&format!("[\"{key}\"]")), "{file}");
    screen.write(":each scratch,team 6 * 7\n");
    screen.wait_until("both", |shown| shown.lines().any(|row| row.matches("42").count() == 2));
    screen.press(&["F2"]);
    screen.wait_until("one pane", |shown| shown.contains("3 REPL") && !shown.contains("▌● team"));
    screen.press(&["F2", "Esc", "q"]);
    screen.wait_for("You started team.");
    screen.press(&["Right", "Right", "Enter"]);
    assert_eq!(screen.quit_result().1, 0);
}
