//! Colours: at most the sixteen that every terminal shows as its user likes, or none.

use std::time::Instant;

use ratatui::{
    style::{Color, Modifier, Style as Shown},
    text::{Line as ShownLine, Span},
};

use frontend::text::{Style, StyledLine, SyntaxKind};

/// Colours that distinguish the series of a fan-out.
const SERIES_COLOURS: [Color; 6] = [Color::Cyan, Color::Yellow, Color::Magenta, Color::Green, Color::Blue, Color::Red];

/// State of the screen while a frame is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DrawContext {
    pub theme: Theme,
    pub now: Instant,
    /// Animation that moves while something runs.
    pub spinner: &'static str,
}

/// Background of the terminal, which decides what can be read on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Background {
    /// A dark background.
    #[default]
    Dark,
    /// A light background.
    Light,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Theme {
    has_colours: bool,
    background: Background,
}

impl Theme {
    pub(crate) fn new(has_colours: bool, background: Background) -> Self {
        Self { has_colours, background }
    }

    /// Returns the theme for another background.
    pub(crate) fn on(self, background: Background) -> Self {
        Self { background, ..self }
    }

    /// Theme without colours.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self::new(false, Background::Dark)
    }

    /// Returns the one colour that leads the eye.
    fn accent(self) -> Shown {
        self.fg(match self.background {
            Background::Dark => Color::Cyan,
            Background::Light => Color::Blue,
        })
    }

    pub(crate) fn style(self, style: Style) -> Shown {
        let plain = Shown::new();
        match style {
            Style::Plain => plain,
            Style::Dim | Style::Syntax(SyntaxKind::Comment) => plain.dim(),
            Style::Strong => plain.bold(),
            Style::Success => self.success(),
            Style::Warning => self.warning(),
            Style::Error => self.fg(Color::Red).bold(),
            Style::Series(number) => self.fg(SERIES_COLOURS[usize::from(number) % SERIES_COLOURS.len()]),
            Style::Syntax(SyntaxKind::Keyword) => self.fg(Color::Magenta),
            Style::Syntax(SyntaxKind::String) => self.fg(Color::Green),
            Style::Syntax(SyntaxKind::Number) if self.background == Background::Light => self.fg(Color::Red),
            Style::Syntax(SyntaxKind::Number) => self.fg(Color::Cyan),
            Style::Syntax(SyntaxKind::Function) => self.fg(Color::Blue),
            Style::Syntax(SyntaxKind::Bracket) => plain.bold().add_modifier(Modifier::REVERSED),
            Style::Syntax(SyntaxKind::Error) => self.fg(Color::Red),
        }
    }

    fn fg(self, colour: Color) -> Shown {
        if self.has_colours { Shown::new().fg(colour) } else { Shown::new() }
    }

    pub(crate) fn success(self) -> Shown {
        self.fg(Color::Green)
    }

    pub(crate) fn warning(self) -> Shown {
        self.fg(match self.background {
            Background::Dark => Color::Yellow,
            // Yellow cannot be read on white.
            Background::Light => Color::Magenta,
        })
    }

    pub(crate) fn error(self) -> Shown {
        self.fg(Color::Red)
    }

    pub(crate) fn border(self, has_focus: bool) -> Shown {
        if has_focus { self.accent().bold().not_dim() } else { Shown::new().dim() }
    }

    /// Style of the title of a pane.
    pub(crate) fn title(self, has_focus: bool) -> Shown {
        if has_focus { self.border(true) } else { Shown::new() }
    }

    /// Style of the selected row: reversed where it has the focus, otherwise quiet.
    #[expect(clippy::unused_self, reason = "styles are methods of the theme")]
    pub(crate) fn selected(self, has_focus: bool) -> Shown {
        let style = Shown::new().bold();
        if has_focus { style.reversed() } else { style }
    }

    /// Returns the bar before a row.
    pub(crate) fn bar<'a>(self, is_selected: bool) -> Span<'a> {
        if is_selected { Span::styled("▌", self.accent().bold().not_reversed()) } else { Span::raw(" ") }
    }

    /// Style of text that a search has found.
    pub(crate) fn found(self, is_current: bool) -> Shown {
        let found = self.fg(Color::Yellow).underlined();
        if is_current { found.bold().add_modifier(Modifier::REVERSED) } else { found }
    }

    pub(crate) fn key(self) -> Shown {
        self.accent().bold()
    }

    pub(crate) fn line<'a>(self, line: &StyledLine) -> ShownLine<'a> {
        line.spans()
            .iter()
            .map(|piece| Span::styled(piece.text.clone(), self.style(piece.style)))
            .collect::<Vec<_>>()
            .into()
    }
}
