//! Pretty-prints a value over several lines, as in a script.

use super::node::{Node, Shape};
use frontend::text::{Style, StyledLine, SyntaxKind, display_width, truncation_note};

/// The maximum number of lines.
const MAX_LINES: usize = 10_000;

/// The indent of each level, in columns.
const INDENT: usize = 2;

/// Lays out a value: on one line if it fits, otherwise with one item a line. Arrays of scalars have as many items a
/// line as fit.
pub(super) fn lines(node: &Node<'_>, width: usize) -> Vec<StyledLine> {
    let mut pretty = PrettyPrinter { lines: Vec::new(), line: StyledLine::default(), width };
    pretty.node(node, 0, 0);
    pretty.end_line();
    if pretty.is_full() {
        pretty.lines.truncate(MAX_LINES);
        pretty.lines.push(truncation_note(node.text.len()));
    }
    pretty.lines
}

/// Lays out a value on one line, whatever its width.
pub(super) fn flat(node: &Node<'_>) -> StyledLine {
    let mut line = StyledLine::default();
    push_flat(&mut line, node);
    line
}

fn push_flat(line: &mut StyledLine, node: &Node<'_>) {
    match &node.shape {
        Shape::Array(items) => {
            line.push(Style::Plain, "[");
            for (index, item) in items.iter().enumerate() {
                line.push(Style::Plain, if index == 0 { "" } else { ", " });
                push_flat(line, item);
            }
            line.push(Style::Plain, "]");
        }
        Shape::Map(items) => {
            line.push(Style::Plain, "#{");
            for (index, (key, item)) in items.iter().enumerate() {
                line.push(Style::Plain, if index == 0 { "" } else { ", " });
                line.push(Style::Plain, key.text);
                line.push(Style::Plain, ": ");
                push_flat(line, item);
            }
            line.push(Style::Plain, "}");
        }
        _ => line.push(style(node), &node.text),
    }
}

/// The style of a value without parts.
pub(super) fn style(node: &Node<'_>) -> Style {
    match node.shape {
        Shape::Number(_) => Style::Syntax(SyntaxKind::Number),
        Shape::Bool => Style::Syntax(SyntaxKind::Keyword),
        Shape::String(_) | Shape::Char => Style::Syntax(SyntaxKind::String),
        _ => Style::Plain,
    }
}

struct PrettyPrinter {
    lines: Vec<StyledLine>,
    line: StyledLine,
    width: usize,
}

impl PrettyPrinter {
    fn is_full(&self) -> bool {
        self.lines.len() > MAX_LINES
    }

    fn end_line(&mut self) {
        self.lines.push(std::mem::take(&mut self.line));
    }

    fn begin_line(&mut self, indent: usize) {
        self.end_line();
        self.line.push(Style::Plain, &" ".repeat(indent));
    }

    /// Appends a node to the line, which has `used` columns including one for a comma after the node.
    fn node(&mut self, node: &Node<'_>, indent: usize, used: usize) {
        let is_short = used.saturating_add(node.width) <= self.width;
        match &node.shape {
            Shape::Array(items) if !is_short && items.iter().all(|item| !item.has_parts()) => {
                self.fill(items, indent);
            }
            Shape::Array(items) if !is_short => {
                self.line.push(Style::Plain, "[");
                for (index, item) in items.iter().enumerate() {
                    if self.is_full() {
                        return;
                    }
                    self.begin_line(indent + INDENT);
                    self.node(item, indent + INDENT, indent + INDENT + 1);
                    self.line.push(Style::Plain, if index + 1 < items.len() { "," } else { "" });
                }
                self.begin_line(indent);
                self.line.push(Style::Plain, "]");
            }
            Shape::Map(items) if !is_short => {
                self.line.push(Style::Plain, "#{");
                for (index, (key, item)) in items.iter().enumerate() {
                    if self.is_full() {
                        return;
                    }
                    self.begin_line(indent + INDENT);
                    self.line.push(Style::Plain, key.text);
                    self.line.push(Style::Plain, ": ");
                    self.node(item, indent + INDENT, indent + INDENT + key.width + 3);
                    self.line.push(Style::Plain, if index + 1 < items.len() { "," } else { "" });
                }
                self.begin_line(indent);
                self.line.push(Style::Plain, "}");
            }
            _ => push_flat(&mut self.line, node),
        }
    }

    fn fill(&mut self, items: &[Node<'_>], indent: usize) {
        self.line.push(Style::Plain, "[");
        let mut used = 0;
        for (index, item) in items.iter().enumerate() {
            if self.is_full() {
                return;
            }
            let comma = if index + 1 < items.len() { "," } else { "" };
            let width = item.width + comma.len();
            // The first item begins a new line.
            if index == 0 || used + 1 + width > self.width {
                self.begin_line(indent + INDENT);
                used = indent + INDENT;
            } else {
                self.line.push(Style::Plain, " ");
                used += 1;
            }
            self.line.push(style(item), &item.text);
            self.line.push(Style::Plain, comma);
            used += width;
        }
        self.begin_line(indent);
        self.line.push(Style::Plain, "]");
    }
}

/// Shortens a text to `width` columns, and marks the cut with `…`.
pub fn shorten(text: &str, width: usize) -> String {
    if display_width(text) <= width {
        return text.to_owned();
    }
    format!("{}…", StyledLine::of(Style::Plain, text).truncated(width.saturating_sub(1)))
}
