//! `circles completions [SHELL]`: what a shell is to evaluate, so that Tab completes.

use std::path::PathBuf;

use crate::cli::CompletionsArgs;
use frontend::error::CliError;
use terminal::output::to_stdout;

const INSTALL_HELP: &str = "\
Tab completes commands, options, and the circles and keys that there are. Say so to your shell once:

  bash   echo 'source <(circles completions bash)' >> ~/.bashrc
  zsh    echo 'source <(circles completions zsh)' >> ~/.zshrc        (below compinit)
  fish   echo 'circles completions fish | source' > ~/.config/fish/completions/circles.fish

It works from the next shell on. As it is evaluated anew by each shell, it fits the program that is installed.
";

pub(crate) fn run(args: &CompletionsArgs) -> Result<(), CliError> {
    let Some(shell) = args.shell else { return Ok(to_stdout(INSTALL_HELP)?) };
    Ok(to_stdout(&shell.script(&program()))?)
}

/// As it was called: a name that is looked for in `PATH` stays one, so that what is installed later is found, too.
fn program() -> String {
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let is_path = called.components().count() > 1;
    let absolute = if is_path { std::path::absolute(&called).unwrap_or(called) } else { called };
    absolute.to_string_lossy().into_owned()
}
