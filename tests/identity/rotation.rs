//! `circles identity rotate`.

use crate::support::background::BackgroundCircles;

#[test]
fn rotation_gives_a_running_circle_a_new_identity() {
    let background =
        BackgroundCircles::start(r#"{ "circles": [{ "name": "a", "port": 0 }, { "name": "b", "port": 0 }] }"#);
    background.run_ok(&["up"]);
    let (before, pid) = (background.identity("a"), background.pid("a"));
    let (other, other_pid) = (background.identity("b"), background.pid("b"));
    let rotated = background.run(&["identity", "rotate", "a", "--yes"]);
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    let after = rotated.stdout.trim();
    assert_ne!(after, before);
    for piece in [&before, "circles known forget", "restarted a"] {
        assert!(rotated.stderr.contains(piece), "{piece}: {rotated:?}");
    }
    assert_eq!(background.identity("a"), after);
    assert_ne!(background.pid("a"), pid);
    assert_eq!((background.identity("b"), background.pid("b")), (other, other_pid), "no other circle is touched");

    background.run_ok(&["down", "a"]);
    let rotated = background.run(&["identity", "rotate", "a", "--yes"]);
    assert!(rotated.stderr.contains("circles up a"), "{rotated:?}");
    assert_eq!(background.state("a"), "down", "what was taken down stays down");
    background.run_ok(&["up", "a"]);
    assert_eq!(background.identity("a"), rotated.stdout.trim());
}

#[test]
fn rotation_without_a_supervisor_says_how_to_start_the_circle() {
    let background = BackgroundCircles::start(r#"{ "circles": [{ "name": "a", "port": 0 }] }"#);
    let none = background.run(&["identity", "rotate", "a", "--yes"]);
    assert_eq!(none.code, Some(2), "{none:?}");
    assert!(none.stderr.contains("no identity yet"), "{none:?}");
    background.run_ok(&["up"]);
    let before = background.identity("a");
    background.run_ok(&["down"]);
    let rotated = background.run(&["identity", "rotate", "a", "--yes"]);
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    assert!(rotated.stderr.contains("circles up a") && rotated.stdout.trim() != before, "{rotated:?}");
    let mistyped = background.run(&["identity", "rotate", "aa", "--yes"]);
    assert_eq!(mistyped.code, Some(2), "{mistyped:?}");
    assert!(mistyped.stderr.contains("did you mean 'a'?"), "{mistyped:?}");
}
