//! Values as lines, coloured by what they are.

use client_ws::PlayResult;
use rhai::Engine;

use super::{
    highlight,
    text::{Kind, Line, Style, lines},
};

/// Shows what a play ended with; nothing for `()`.
pub(crate) fn lines_of(lexer: &Engine, result: &PlayResult) -> Vec<Line> {
    if result.output.is_empty() && result.r#type != "string" {
        return Vec::new();
    }
    match result.r#type.as_str() {
        "array" | "map" => highlight::lines(lexer, &result.output),
        "i64" | "f64" | "bool" => lines(Style::Syntax(Kind::Number), &result.output),
        _ => lines(Style::Plain, &result.output),
    }
}
