//! Plots numbers as text charts.

mod series;

use client_ws::PlayResult;
use ratatui::{
    buffer::Buffer,
    layout::{Alignment, Rect},
    style::{Color, Style as Shown},
    symbols::Marker,
    widgets::{Axis, Chart, Dataset, GraphType, Widget},
};

use crate::truncate::group_digits;
use frontend::text::{Size, Style, StyledLine};
use series::{AxisRange, MAX_SERIES, PlotData, PlotSeries};

/// The minimum size of a chart. A smaller chart would have only axes.
const MIN_SIZE: Size = Size { width: 24, height: 6 };

/// The default maximum height of a chart, in rows.
pub const MAX_ROWS: usize = 16;

/// The maximum size of a chart, which bounds its buffer.
const MAX_SIZE: Size = Size { width: 400, height: 100 };

/// The marks of series, in addition to their colours. A single series uses the finest one.
const MARKS: [(char, Marker); MAX_SERIES] = [
    ('⠒', Marker::Braille),
    ('•', Marker::Dot),
    ('+', Marker::Custom('+')),
    ('x', Marker::Custom('x')),
    ('o', Marker::Custom('o')),
    ('*', Marker::Custom('*')),
];

/// Plots a value in a chart of the given size, with a legend and notes. The error says what can be plotted.
pub fn lines(result: &PlayResult, size: Size) -> Result<Vec<StyledLine>, String> {
    let PlotData { series, skipped, more } = series::from_result(result)?;
    let size = Size {
        width: size.width.clamp(MIN_SIZE.width, MAX_SIZE.width),
        height: size.height.clamp(MIN_SIZE.height, MAX_SIZE.height),
    };
    if let [alone] = series.as_slice()
        && let [(x, y)] = alone.points.as_slice()
    {
        let name = alone.name.as_ref().map_or(String::new(), |name| format!("{name}: "));
        return Ok(vec![StyledLine::of(Style::Dim, &format!("{name}a single point, {y} at {x}"))]);
    }
    let mut notes = Vec::new();
    if skipped > 0 {
        let noun =
            if skipped == 1 { "value that is not a finite number" } else { "values that are not finite numbers" };
        notes.push(format!("left out {} {noun}", group_digits(skipped)));
    }
    if more > 0 {
        notes.push(format!("left out {} more series", group_digits(more)));
    }
    let mut lines: Vec<StyledLine> = legend(&series, size.width).into_iter().collect();
    // The chart keeps its minimum height, even if the notes do not fit then.
    let height = size.height.saturating_sub(lines.len() + notes.len()).max(MIN_SIZE.height - 1);
    lines.extend(chart(&series, Size { height, ..size }));
    lines.extend(notes.iter().map(|note| StyledLine::of(Style::Dim, note).truncated(size.width)));
    Ok(lines)
}

fn legend(series: &[PlotSeries], width: usize) -> Option<StyledLine> {
    let mut line = StyledLine::default();
    for (number, (series, (mark, _))) in (0..).zip(series.iter().zip(MARKS)) {
        let name = series.name.as_ref()?;
        line.push(Style::Plain, if number == 0 { "" } else { "   " });
        line.push(Style::Series(number), &format!("{mark} "));
        line.push(Style::Plain, name);
    }
    Some(line.truncated(width))
}

fn chart(series: &[PlotSeries], size: Size) -> Vec<StyledLine> {
    let (across, up) = (AxisRange::of(series, |point| point.0), AxisRange::of(series, |point| point.1));
    // Scaled to the range from 0 to 1, so that extreme numbers do not overflow.
    let points: Vec<Vec<(f64, f64)>> = series
        .iter()
        .map(|series| series.thin(&across, size.width * 2))
        .map(|points| points.iter().map(|(x, y)| (across.fraction(*x), up.fraction(*y))).collect())
        .collect();
    let is_alone = series.len() == 1;
    let datasets = (0..).zip(series.iter().zip(&points)).map(|(number, (series, points))| {
        let (graph_type, marker) = match series.is_sorted() {
            true => (GraphType::Line, MARKS[usize::from(number)].1),
            // Single points of the finest mark are hard to see.
            false if is_alone => (GraphType::Scatter, Marker::Dot),
            false => (GraphType::Scatter, MARKS[usize::from(number)].1),
        };
        let style = Shown::new().fg(Color::Indexed(number));
        Dataset::default().data(points).marker(marker).graph_type(graph_type).style(style)
    });
    let axis = |labels: Vec<String>| Axis::default().bounds([0.0, 1.0]).labels(labels).style(Shown::new().dim());
    let chart = Chart::new(datasets.collect())
        .x_axis(axis(across.labels(false)).labels_alignment(Alignment::Right))
        .y_axis(axis(up.labels(true)).labels_alignment(Alignment::Right))
        .legend_position(None);
    let cells = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    let area = Rect::new(0, 0, cells(size.width), cells(size.height));
    let mut buffer = Buffer::empty(area);
    chart.render(area, &mut buffer);
    buffer.content().chunks(usize::from(area.width)).map(row).collect()
}

/// Converts a row of cells without trailing empty cells.
fn row(cells: &[ratatui::buffer::Cell]) -> StyledLine {
    let end = cells.iter().rposition(|cell| cell.symbol() != " ").map_or(0, |last| last + 1);
    let mut line = StyledLine::default();
    for cell in &cells[..end] {
        let style = match cell.fg {
            Color::Indexed(number) => Style::Series(number),
            _ => Style::Dim,
        };
        line.push(style, cell.symbol());
    }
    line
}

#[cfg(test)]
mod tests;
