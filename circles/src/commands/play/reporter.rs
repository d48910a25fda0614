//! Output of running plays: prints and, with several circles, labels and the outcome of each play.

use protocol::methods::{Output, Stream};
use unicode_width::UnicodeWidthStr;

use super::outcome::{self, ScriptOutcome};
use frontend::error::{CliError, OutputError};
use terminal::{
    output::{self, OutputLabel},
    printer::Printer,
};

pub(super) struct Reporter {
    printer: Printer,
    /// Empty for a single circle.
    labels: Vec<OutputLabel>,
    is_json: bool,
}

impl Reporter {
    pub(super) fn start(names: &[String], is_json: bool) -> Self {
        let width = names.iter().map(|name| name.width()).max().unwrap_or_default();
        let is_several = names.len() > 1;
        let labels = names.iter().filter(|_| is_several).map(|name| OutputLabel::new(name, width)).collect();
        Self { printer: Printer::start(), labels, is_json }
    }

    /// Prints the output, or returns it for `--json`.
    pub(super) async fn output(&self, circle: usize, output: Output) -> Result<Option<Output>, CliError> {
        if self.is_json {
            return Ok(Some(output));
        }
        match (self.labels.get(circle), output.stream) {
            (None, _) => self.printer.output(output).await?,
            (Some(label), Stream::Debug) => self.printer.note(label.format_debug(&output)).await?,
            (Some(label), _) => self.printer.text(label.format_print(&output.text)).await?,
        }
        Ok(None)
    }

    /// Prints the outcome, if the play is one of several.
    pub(super) async fn report_outcome(&self, circle: usize, outcome: &ScriptOutcome) -> Result<(), CliError> {
        let Some(label) = self.labels.get(circle) else { return Ok(()) };
        match outcome {
            Err(error) => {
                let lines = error.lines(output::stderr_columns().saturating_sub(label.width()));
                self.printer.note(label.error(&lines)).await?;
            }
            Ok(played) if !self.is_json && !played.result.output.is_empty() => {
                let text = match outcome::table(&played.result, label.width()) {
                    Some(table) => label.value_lines(&table),
                    None => label.value(&played.result.output),
                };
                self.printer.text(text).await?;
            }
            Ok(_) => {}
        }
        Ok(())
    }

    /// Waits until all output is written.
    pub(super) async fn finish(self) -> Result<(), OutputError> {
        self.printer.finish().await
    }
}
