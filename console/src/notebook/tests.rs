//! Tests of the notebook.

use super::*;

fn result(of: &str, value: &str) -> Arc<PlayResult> {
    let raw = serde_json::value::RawValue::from_string(value.to_owned()).expect("JSON").into();
    PlayResult { output: value.into(), r#type: of.into(), value: raw, elapsed_us: 1500, operations: 7 }.into()
}

#[test]
fn lost_inputs_can_be_saved_until_the_next_play() {
    let mut notebook = Notebook::default();
    notebook.record_success("let x = 1", result("()", "null"), Duration::ZERO);
    notebook.mark_lost();
    assert_eq!(notebook.inputs(), 0);
    let saved = notebook.save("here");
    assert!(saved.script.contains("let x = 1;") && saved.notes.len() == 1, "{saved:?}");
    notebook.record_success("2", result("i64", "2"), Duration::ZERO);
    let saved = notebook.save("here");
    assert!(!saved.script.contains("let x") && saved.script.contains("2;"), "{saved:?}");
    assert_eq!(saved.notes, ["left out 1 of the lost session; :replay lists them"]);
}

fn notebook_of(inputs: &[&str]) -> Notebook {
    let mut notebook = Notebook::default();
    play(&mut notebook, inputs);
    notebook
}

fn play(notebook: &mut Notebook, inputs: &[&str]) {
    for input in inputs {
        notebook.record_success(input, result("()", "null"), Duration::ZERO);
    }
}

fn take(notebook: &mut Notebook) -> Vec<String> {
    assert!(notebook.list_lost().is_some());
    notebook.take_lost().expect("they are listed").into_iter().map(|input| input.script).collect()
}

#[test]
fn lost_inputs_are_taken_only_after_they_were_listed() {
    let mut notebook = notebook_of(&["a"]);
    assert!(notebook.list_lost().is_none());
    notebook.mark_lost();
    assert!(notebook.take_lost().is_none());
    let lines: Vec<_> = notebook.list_lost().expect("one").iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["    1  a"]);
    // Another loss without new inputs changes nothing, and one with new inputs lists them first.
    notebook.mark_lost();
    play(&mut notebook, &["b"]);
    notebook.mark_lost();
    assert!(notebook.take_lost().is_none());
    assert_eq!(take(&mut notebook), ["a", "b"]);
    assert!(notebook.list_lost().is_none());
}

#[test]
fn lost_inputs_keep_their_order_in_a_stopped_replay() {
    let mut notebook = notebook_of(&["a", "b", "c"]);
    notebook.mark_lost();
    play(&mut notebook, &["new"]);
    notebook.list_lost();
    let mut rest = notebook.take_lost().expect("they are listed");
    let first = rest.pop_front().expect("three").script;
    play(&mut notebook, &[&first]);
    // The loss is noticed before or after the replay stops.
    notebook.return_lost(rest);
    play(&mut notebook, &["newer"]);
    notebook.mark_lost();
    assert_eq!(take(&mut notebook), ["new", "a", "b", "c", "newer"]);
    play(&mut notebook, &["a"]);
    notebook.mark_lost();
    notebook.return_lost([NotebookInput { script: "b".to_owned(), has_value: false }].into());
    assert_eq!(take(&mut notebook), ["a", "b"]);
}

#[test]
fn reset_replaces_the_lost_inputs() {
    let mut notebook = notebook_of(&["a"]);
    notebook.mark_lost();
    play(&mut notebook, &["b"]);
    notebook.reset();
    assert_eq!(notebook.save("here").notes, ["from before the :reset"]);
    play(&mut notebook, &["c"]);
    assert_eq!(notebook.save("here").notes, [""; 0]);
    // A loss does not bring back what was reset.
    notebook.mark_lost();
    assert_eq!(take(&mut notebook), ["c"]);
}

#[test]
fn last_play_is_kept_with_bounded_prints() {
    let mut notebook = Notebook::default();
    notebook.begin_play("1");
    notebook.add_print("one");
    notebook.record_success("1", result("i64", "1"), Duration::from_millis(12));
    let format = |notebook: &Notebook| {
        let lines = notebook.last(|value, _| vec![StyledLine::of(Style::Plain, &value.output)]);
        lines.iter().map(StyledLine::to_string).collect::<Vec<_>>()
    };
    assert_eq!(format(&notebook), ["one", "1"]);
    assert_eq!(notebook.timing_line().to_string(), "1.50 ms in the circle, 7 operations, 12 ms round trip");
    notebook.begin_play("1");
    for number in 0..5 {
        notebook.add_print(&number.to_string().repeat(1 << 20));
    }
    let kept = format(&notebook);
    assert_eq!((kept.len(), kept[0].as_str()), (3, "… more than 4 MiB: the beginning was not kept"));
    assert!(kept[1] == "3".repeat(1 << 20) && kept[2] == "4".repeat(1 << 20));
    notebook.add_print(&"é".repeat(5 << 20));
    let kept = format(&notebook);
    // Without the newline, and without half a character.
    assert_eq!((kept.len(), kept[1].len()), (2, MAX_PRINTS / 2 - 2));
    // `:plot` still has the value of the play before.
    assert_eq!(notebook.value().map(|value| value.output.as_str()), Some("1"));
}
