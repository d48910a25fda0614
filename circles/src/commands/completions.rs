//! `circles completions [SHELL]`: print the Tab completion script of a shell.

use std::path::PathBuf;

use crate::cli::CompletionsArgs;
use frontend::error::CliError;
use terminal::output::to_stdout;

const INSTALL_HELP: &str = "\
Tab can complete commands, options, circles and keys. Add a line to the configuration of your shell:

  bash   echo 'source <(circles completions bash)' >> ~/.bashrc
  zsh    echo 'source <(circles completions zsh)' >> ~/.zshrc        (below compinit)
  fish   echo 'circles completions fish | source' > ~/.config/fish/completions/circles.fish

Then open a new shell. Each shell asks the installed program, so completion stays up to date.
";

pub(crate) fn run(args: &CompletionsArgs) -> Result<(), CliError> {
    let Some(shell) = args.shell else { return Ok(to_stdout(INSTALL_HELP)?) };
    Ok(to_stdout(&shell.script(&program()))?)
}

/// The program as the user called it. A bare name stays one, so that the shell finds a later version in `PATH`.
fn program() -> String {
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let is_path = called.components().count() > 1;
    let absolute = if is_path { std::path::absolute(&called).unwrap_or(called) } else { called };
    absolute.to_string_lossy().into_owned()
}
