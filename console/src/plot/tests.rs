use serde_json::{Value, json};

use super::*;
use crate::value::tests::{result, result_of};

const SIZE: Size = Size { width: 60, height: 12 };

fn plotted(value: &Value) -> String {
    let lines = lines(&result_of(value), SIZE).expect("it can be plotted");
    lines.iter().map(|line| line.to_string() + "\n").collect()
}

#[test]
fn numbers_are_drawn_as_a_chart() {
    let wave: Vec<f64> = (0..200).map(|n| (f64::from(n) / 15.0).sin() * 100.0).collect();
    let charts = [
        plotted(&json!(wave)),
        plotted(&json!([3, 1, 4, 1, 5, 9, 2, 6])),
        plotted(&json!([[0, 0], [1, 1], [2, 4], [10, 100]])),
        plotted(&json!([[5, 1], [1, 2], [3, 9], [2, 2]])),
    ];
    insta::assert_snapshot!(charts.join("\n"));
}

#[test]
fn single_point_is_a_sentence() {
    assert_eq!(plotted(&json!([5])), "a single point, 5 at 0\n");
    assert_eq!(plotted(&json!([[2.5, -1]])), "a single point, -1 at 2.5\n");
    assert_eq!(plotted(&json!({ "a": [7] })), "a: a single point, 7 at 0\n");
    assert!(plotted(&json!({ "a": [7], "b": [8] })).lines().count() > 5);
}

#[test]
fn chart_accepts_any_size() {
    let result = result_of(&json!([3, 1, 4]));
    for width in [0, usize::MAX] {
        for height in [0, usize::MAX] {
            let lines = lines(&result, Size { width, height }).expect("it can be plotted");
            assert!((MIN_SIZE.height - 1..=MAX_SIZE.height).contains(&lines.len()));
            assert!(lines.iter().all(|line| line.width() <= MAX_SIZE.width));
        }
    }
}

#[test]
fn name_of_an_unplottable_type_is_escaped() {
    let hostile = result(&format!("\u{1b}[2J\u{202e}{}", "x".repeat(100_000)), "", "null");
    let error = lines(&hostile, SIZE).expect_err("it is no number");
    assert_eq!(error, format!(":plot needs an array of numbers; this is a ␛[2J\u{fffd}{}…", "x".repeat(19)));
}

#[test]
fn series_are_distinguished() {
    let line = |slope: i64| (0..30).map(|n| n * slope).collect::<Vec<_>>();
    let rows: Vec<Value> =
        (0..20).map(|n| json!({ "day": format!("d{n}"), "in": n * n, "out": 400 - n * 10 })).collect();
    let charts =
        [plotted(&json!({ "up": line(2), "down": line(-1), "\u{202e}\n日本": line(0) })), plotted(&json!(rows))];
    insta::assert_snapshot!(charts.join("\n"));
    let lines = lines(&result_of(&json!({ "a": [1, 2], "b": [2, 1] })), SIZE).expect("it can be plotted");
    let styles = |line: &StyledLine| line.spans().iter().map(|piece| piece.style).collect::<Vec<_>>();
    assert_eq!(styles(&lines[0]), [Style::Series(0), Style::Plain, Style::Series(1), Style::Plain]);
}

#[test]
fn unplottable_values_are_skipped_and_counted() {
    let gaps = result("array", "[1, NaN, (), inf, 2]", "[1,null,null,null,2]");
    let lines = lines(&gaps, SIZE).expect("it can be plotted");
    assert_eq!(lines.len(), SIZE.height);
    assert_eq!(lines[11].to_string(), "left out 3 values that are not finite numbers");
    let many: serde_json::Map<_, _> = (0..10).map(|n| (n.to_string(), json!([n, n]))).collect();
    assert!(plotted(&many.into()).ends_with("left out 4 more series\n"));
}

#[test]
fn every_number_and_every_size_has_a_chart() {
    let values = [
        json!([5]),
        json!([7, 7, 7]),
        json!([i64::MAX, i64::MIN]),
        json!([f64::MAX, f64::MIN, 0]),
        json!([5e-324, 0]),
        json!([[1e300, 1], [1e300, 1]]),
        json!((0..100_000).map(|n| n * 7919 % 1000).collect::<Vec<i64>>()),
        json!((0..20_000).map(|n| [n * 7919 % 1000, n]).collect::<Vec<_>>()),
    ];
    for value in values {
        let value = result_of(&value);
        for size in [0, 1, 7, 24, 80, 1000, usize::MAX] {
            for height in [0, 1, 6, 24, usize::MAX] {
                let lines = lines(&value, Size { width: size, height }).expect("it can be plotted");
                assert!(lines.len() <= height.clamp(MIN_SIZE.height, MAX_SIZE.height), "{}", lines.len());
                assert!(lines.iter().all(|line| line.width() <= size.clamp(MIN_SIZE.width, MAX_SIZE.width)));
            }
        }
    }
    insta::assert_snapshot!(format!("{}\n{}", plotted(&json!([7, 7, 7])), plotted(&json!([i64::MIN, 0, i64::MAX]))));
}

#[test]
fn plot_error_names_plottable_values() {
    let more = ". Pairs [x, y], maps with numbers and a map of arrays work, too";
    let cases = [
        (json!({ "a": 1 }), "a map", more),
        (json!({ "a": [1], "b": ["x"] }), "a map", more),
        (json!({}), "a map", more),
        (json!([]), "an empty array", more),
        (json!([1, "x"]), "an array with strings", more),
        (json!([[1, 2, 3]]), "an array with arrays", more),
        (json!([{ "a": "x" }]), "an array with maps", more),
        (json!([true]), "an array with other values", more),
        (json!([null]), "an array without finite numbers", ""),
        (json!("x"), "a string", ""),
        (json!(1), "a single number", ""),
    ];
    for (value, what, more) in cases {
        let error = lines(&result_of(&value), SIZE).expect_err("it cannot be plotted");
        assert_eq!(error, format!(":plot needs an array of numbers; this is {what}{more}"));
    }
}
