//! Commands in the user's shell.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    process::{Command, ExitStatus},
};

use console::session::ShellCommand;
use frontend::{error::CliError, visible::visible};

use crate::{editor, passphrase};

/// Runs a command in the user's shell, or a shell for the user if the command is empty, without the environment variables
/// that hold a passphrase. `run` runs a program that uses the terminal. Blocks until the program ends. Returns how it
/// ended, if not well.
pub fn run(
    shell: &ShellCommand,
    run: impl FnOnce(&mut Command) -> io::Result<ExitStatus>,
) -> Result<Option<String>, CliError> {
    let program = std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "sh".into());
    if !shell.directory.is_dir() {
        let what = format!("cannot run a command in {}", visible(&shell.directory.display().to_string()));
        return Err(CliError::usage(what, "it is not a directory", "change to another: :cd DIRECTORY"));
    }
    let mut command = Command::new(program);
    command.current_dir(&shell.directory);
    if !shell.command.is_empty() {
        command.arg("-c").arg(&shell.command);
    }
    let status = run(passphrase::remove_variables(&mut command)).map_err(|error| editor::start_error(&error))?;
    Ok(match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("the command ended with exit code {code}")),
        (None, signal) => Some(format!("the command was ended by signal {}", signal.unwrap_or_default())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_runs_in_its_directory() {
        let home = tempfile::tempdir().expect("a directory");
        let shell = |command: &str| ShellCommand { command: command.to_owned(), directory: home.path().to_owned() };
        let run_in_home = |command: &str| run(&shell(command), Command::status).expect("it runs");
        assert_eq!(run_in_home("echo x > here"), None);
        assert!(home.path().join("here").exists());
        assert_eq!(run_in_home("exit 3"), Some("the command ended with exit code 3".to_owned()));
        assert_eq!(run_in_home("kill -9 $$"), Some("the command was ended by signal 9".to_owned()));
        let gone = ShellCommand { command: String::new(), directory: home.path().join("gone") };
        assert!(run(&gone, Command::status).expect_err("nothing is there").message().contains("cannot run"));
    }
}
