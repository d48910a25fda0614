//! Extracts series of numbers from a value.

use client_ws::PlayResult;

use crate::value::{Key, Node, Shape};
use frontend::text::{Style, StyledLine};

/// The maximum number of series, limited by the number of marks.
pub(crate) const MAX_SERIES: usize = 6;

/// The maximum width of a name, in columns.
const MAX_NAME: usize = 24;

/// The numbers of digits to try for axis labels, until the labels of both ends differ.
const DIGITS: [usize; 4] = [4, 7, 11, 17];

#[derive(Debug, Default)]
pub(crate) struct PlotSeries {
    pub name: Option<String>,
    pub points: Vec<(f64, f64)>,
    skipped: usize,
}

#[derive(Debug)]
pub(crate) struct PlotData {
    /// The series; at least one, and each has a point.
    pub series: Vec<PlotSeries>,
    /// The number of values that are not finite numbers.
    pub skipped: usize,
    /// The number of series beyond the maximum.
    pub more: usize,
}

/// Extracts the series of a value. The error says what can be plotted.
pub(crate) fn from_result(result: &PlayResult) -> Result<PlotData, String> {
    let expected = |what: &str| format!(":plot needs an array of numbers; this is {what}");
    let node = match result.r#type.as_str() {
        "array" | "map" => Node::of(result).ok_or_else(|| expected("something else"))?,
        "i64" | "f64" => return Err(expected("a single number")),
        "()" => return Err(expected("()")),
        other => return Err(expected(&format!("a {}", short_name(other)))),
    };
    let found = match &node.shape {
        Shape::Array(items) => series_of_array(items),
        Shape::Map(items) => series_of_map(items),
        _ => None,
    };
    let mut series = found.ok_or_else(|| {
        format!("{}. Pairs [x, y], maps with numbers and a map of arrays work, too", expected(describe_shape(&node)))
    })?;
    let skipped = series.iter().map(|series| series.skipped).sum();
    series.retain(|series| !series.points.is_empty());
    if series.is_empty() {
        return Err(expected("an array without finite numbers"));
    }
    let more = series.len().saturating_sub(MAX_SERIES);
    series.truncate(MAX_SERIES);
    Ok(PlotData { series, skipped, more })
}

fn describe_shape(node: &Node<'_>) -> &'static str {
    match &node.shape {
        Shape::Map(_) => "a map",
        Shape::Array(items) => match items.iter().find(|item| number(item).is_none()).map(|item| &item.shape) {
            None => "an empty array",
            Some(Shape::String(_)) => "an array with strings",
            Some(Shape::Array(_)) => "an array with arrays",
            Some(Shape::Map(_)) => "an array with maps",
            Some(_) => "an array with other values",
        },
        _ => "something else",
    }
}

/// Returns a number, or NaN for a missing number.
fn number(node: &Node<'_>) -> Option<f64> {
    match node.shape {
        Shape::Number(number) => Some(number),
        Shape::Unit => Some(f64::NAN),
        _ => None,
    }
}

fn series_of_array(items: &[Node<'_>]) -> Option<Vec<PlotSeries>> {
    if let Some(Shape::Map(first)) = items.first().map(|item| &item.shape) {
        return series_of_rows(items, first);
    }
    Some(vec![series_of_items(items)?])
}

/// Returns the series of an array of numbers or pairs.
fn series_of_items(items: &[Node<'_>]) -> Option<PlotSeries> {
    let mut series = PlotSeries::default();
    let is_pairs = matches!(items.first()?.shape, Shape::Array(_));
    for (index, item) in items.iter().enumerate() {
        let (x, y) = match &item.shape {
            Shape::Array(pair) if is_pairs => match pair.as_slice() {
                [x, y] => (number(x)?, number(y)?),
                _ => return None,
            },
            _ if is_pairs => return None,
            _ => (as_float(index), number(item)?),
        };
        series.push(x, y);
    }
    Some(series)
}

/// Returns the numeric columns of an array of maps.
fn series_of_rows(items: &[Node<'_>], first: &[(Key<'_>, Node<'_>)]) -> Option<Vec<PlotSeries>> {
    let mut columns: Vec<Option<PlotSeries>> = first.iter().map(|(key, _)| Some(PlotSeries::named(key))).collect();
    for (index, item) in items.iter().enumerate() {
        let Shape::Map(map) = &item.shape else { return None };
        if map.len() != first.len() {
            return None;
        }
        for ((column, (expected, _)), (key, cell)) in columns.iter_mut().zip(first).zip(map) {
            if key.name != expected.name {
                return None;
            }
            match (column.as_mut(), number(cell)) {
                (Some(series), Some(number)) => series.push(as_float(index), number),
                _ => *column = None,
            }
        }
    }
    let columns: Vec<PlotSeries> = columns.into_iter().flatten().collect();
    (!columns.is_empty()).then_some(columns)
}

fn series_of_map(items: &[(Key<'_>, Node<'_>)]) -> Option<Vec<PlotSeries>> {
    let series = items.iter().map(|(key, node)| match &node.shape {
        Shape::Array(items) => Some(PlotSeries { name: PlotSeries::named(key).name, ..series_of_items(items)? }),
        _ => None,
    });
    series.collect::<Option<Vec<_>>>().filter(|series| !series.is_empty())
}

/// Escapes and shortens a name from the circle.
fn short_name(name: &str) -> String {
    let name = StyledLine::of(Style::Plain, name);
    let cut = name.truncated(MAX_NAME);
    let mark = if cut.width() < name.width() { "…" } else { "" };
    format!("{cut}{mark}")
}

impl PlotSeries {
    fn named(key: &Key<'_>) -> Self {
        let name = if key.name.is_empty() { "\"\"" } else { key.name.as_ref() };
        Self { name: Some(short_name(name)), ..Self::default() }
    }

    fn push(&mut self, x: f64, y: f64) {
        if x.is_finite() && y.is_finite() {
            self.points.push((x, y));
        } else {
            self.skipped += 1;
        }
    }

    /// Whether the points go from left to right, so that a line through them makes sense.
    pub(crate) fn is_sorted(&self) -> bool {
        self.points.is_sorted_by(|left, right| left.0 <= right.0)
    }

    /// Reduces the points to those visible in `columns`: the first, last, lowest and highest point of each column.
    pub(crate) fn thin(&self, across: &AxisRange, columns: usize) -> Vec<(f64, f64)> {
        if self.points.len() <= columns.saturating_mul(4) || !self.is_sorted() {
            return self.points.clone();
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of the columns")]
        let column = |point: &(f64, f64)| (across.fraction(point.0) * as_float(columns)) as usize;
        let mut thinned = Vec::new();
        for same in self.points.chunk_by(|left, right| column(left) == column(right)) {
            let (mut low, mut high) = (0, 0);
            for (index, point) in same.iter().enumerate() {
                low = if point.1 < same[low].1 { index } else { low };
                high = if point.1 > same[high].1 { index } else { high };
            }
            let mut kept = [0, low.min(high), low.max(high), same.len() - 1].map(Some);
            for index in 1..kept.len() {
                if kept[index] == kept[index - 1] {
                    kept[index - 1] = None;
                }
            }
            thinned.extend(kept.into_iter().flatten().map(|index| same[index]));
        }
        thinned
    }
}

#[expect(clippy::cast_precision_loss, reason = "an index of an array")]
fn as_float(number: usize) -> f64 {
    number as f64
}

/// The range of numbers on an axis.
#[derive(Debug)]
pub(crate) struct AxisRange {
    min: f64,
    max: f64,
}

impl AxisRange {
    pub(crate) fn of(series: &[PlotSeries], number: fn(&(f64, f64)) -> f64) -> Self {
        let numbers = series.iter().flat_map(|series| &series.points).map(number);
        let range = Self { min: f64::INFINITY, max: f64::NEG_INFINITY };
        numbers.fold(range, |range, number| Self { min: range.min.min(number), max: range.max.max(number) })
    }

    /// Returns the position of a number in the range, from 0 to 1. Halves the numbers, because the width of the full
    /// range of floats would overflow.
    pub(crate) fn fraction(&self, number: f64) -> f64 {
        let width = self.max / 2.0 - self.min / 2.0;
        let part = (number / 2.0 - self.min / 2.0) / width;
        if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.5 }
    }

    /// Returns the labels of both ends, with one in the middle if wanted, or only one in the middle if the ends are equal.
    pub(crate) fn labels(&self, has_middle: bool) -> Vec<String> {
        if self.fraction(self.min) >= self.fraction(self.max) {
            return vec![String::new(), label(self.min, DIGITS[1]), String::new()];
        }
        let is_distinct = |digits: &usize| label(self.min, *digits) != label(self.max, *digits);
        let digits = DIGITS.into_iter().find(is_distinct).unwrap_or(DIGITS[3]);
        let (min, max) = (label(self.min, digits), label(self.max, digits));
        let middle = label(self.min / 2.0 + self.max / 2.0, digits);
        // A longer label would take room from the chart. Close ends may leave no number between them.
        let is_short = middle.len() <= min.len().max(max.len());
        if has_middle && is_short && middle != min && middle != max { vec![min, middle, max] } else { vec![min, max] }
    }
}

/// Formats a number with so many significant digits, but with all digits before the decimal point.
fn label(number: f64, digits: usize) -> String {
    let text = format!("{number:.*e}", digits - 1);
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let trimmed = |text: &str| {
        let is_fraction = text.contains('.');
        if is_fraction { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
    };
    match exponent.parse::<i32>() {
        Ok(exponent) if (-4..7).contains(&exponent) => {
            let places = usize::try_from(exponent).map_or(digits + 3, |exponent| (digits - 1).saturating_sub(exponent));
            trimmed(&format!("{number:.places$}"))
        }
        _ => format!("{}e{exponent}", trimmed(mantissa)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_and_distinct() {
        let cases = [
            (0.0, 9.0, ["0", "9"]),
            (-1.5, 2.25, ["-1.5", "2.25"]),
            (1_234_567.0, 7_654_321.0, ["1234567", "7654321"]),
            (1_000_000.1, 1_000_000.2, ["1000000.1", "1000000.2"]),
            (0.1, 0.1 + 0.2, ["0.1", "0.3"]),
            (-9_223_372_036_854_775_808.0, 9_223_372_036_854_775_807.0, ["-9.223e18", "9.223e18"]),
            (1e-9, f64::MAX, ["1e-9", "1.798e308"]),
            (0.001, 0.002, ["0.001", "0.002"]),
        ];
        for (min, max, expected) in cases {
            assert_eq!(AxisRange { min, max }.labels(false), expected);
        }
        let labels = |min, max| AxisRange { min, max }.labels(true);
        assert_eq!(labels(5.0, 5.0), ["", "5", ""]);
        assert_eq!(labels(0.0, 10.0), ["0", "5", "10"]);
        assert_eq!(labels(0.0, 9.0), ["0", "9"]);
        assert_eq!(labels(f64::MIN, f64::MAX), ["-1.798e308", "0", "1.798e308"]);
        assert_eq!(labels(1.0, 1.0 + f64::EPSILON).len(), 2);
    }

    #[test]
    fn fractions_are_from_0_to_1_for_every_range() {
        for (min, max) in [(f64::MIN, f64::MAX), (0.0, 5e-324), (1.0, 1.0), (-1e300, 1e-300), (0.0, 1.0)] {
            let range = AxisRange { min, max };
            for number in [min, max, 0.0, min / 3.0] {
                assert!((0.0..=1.0).contains(&range.fraction(number)), "{min} {max} {number}");
            }
            assert!(!range.labels(true).is_empty());
        }
    }

    #[test]
    fn thinned_points_have_the_same_ends_in_every_column() {
        let points: Vec<(f64, f64)> = (0..100_000).map(|n| (f64::from(n), f64::from(n * 7919 % 1000))).collect();
        let series = PlotSeries { points, ..PlotSeries::default() };
        let all = std::slice::from_ref(&series);
        let (across, up) = (AxisRange::of(all, |point| point.0), AxisRange::of(all, |point| point.1));
        let thinned = PlotSeries { points: series.thin(&across, 200), ..PlotSeries::default() };
        assert!(thinned.points.len() <= 4 * 201 && thinned.is_sorted(), "{}", thinned.points.len());
        for columns in [0, usize::MAX] {
            assert!(!series.thin(&across, columns).is_empty());
        }
        let still = AxisRange::of(std::slice::from_ref(&thinned), |point| point.1);
        assert_eq!((still.min, still.max), (up.min, up.max));
    }
}
