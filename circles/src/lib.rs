//! The `circles` program: plays Rhai in live circles, keeps keys, and serves circles. The binary's `main` calls [`main`].

mod cli;
mod commands;
mod confirmation;
mod console_hint;
mod process_1;
mod shell_completion;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;

use cli::{Cli, Verb};
use frontend::{
    error::{BUG_EXIT_CODE, CliError},
    supervisor::StartCommand,
    visible::visible,
};
use shell_completion::{COMPLETE_VARIABLE, SHELLS};
use terminal::{output, passphrase, secrets};

/// Runs the program. Call it first thing in `main`: workers are processes of this same executable, and in a worker this
/// function never returns.
pub fn main() -> ExitCode {
    worker::run_if_worker();
    passphrase::take_from_environment(worker::take_variable);
    if let Some(exit_code) = complete_for_shell() {
        return exit_code;
    }
    worker::keep_descriptors();
    worker::limit_arenas();
    worker::unblock_signals();
    // A process that is started through /proc/self/exe would be listed as `exe`.
    #[cfg(target_os = "linux")]
    let _unnamed = rustix::thread::set_name(c"circles");
    std::panic::set_hook(Box::new(|panic| {
        // A panic message can quote text from a circle.
        let panic = panic.to_string();
        let panic = visible(&panic);
        eprintln!("error: this is a bug in circles: {panic}\n  please report it, with what you did");
    }));
    // The hook has printed the message; only the exit code is left.
    std::panic::catch_unwind(run).unwrap_or(ExitCode::from(BUG_EXIT_CODE))
}

/// Prints completion candidates if a shell asks for them; `None` otherwise. Call it before anything is printed and before
/// any thread starts.
fn complete_for_shell() -> Option<ExitCode> {
    std::env::var_os(COMPLETE_VARIABLE).filter(|value| !value.is_empty() && value != "0")?;
    // An error message would land in the line that the user is typing.
    std::panic::set_hook(Box::new(|_| {}));
    let complete = || {
        let here = std::env::current_dir().ok();
        let environment = CompleteEnv::with_factory(Cli::command).var(COMPLETE_VARIABLE).shells(SHELLS);
        environment.try_complete(std::env::args_os(), here.as_deref())
    };
    match std::panic::catch_unwind(complete) {
        Ok(Ok(_)) => Some(ExitCode::SUCCESS),
        _ => Some(ExitCode::FAILURE),
    }
}

const WELCOME: &str = "\
circles: live Rhai, guarded by keys

  circles tui               open the terminal interface: circles, keys, a REPL, logs
  circles repl              type Rhai now, on a scratch circle in this process
  circles keygen alice      make a key to sign in with

circles --help lists all commands.
";

/// Parses the arguments, runs the command and returns its exit code.
fn run() -> ExitCode {
    let cli = Cli::parse();
    // Before the first secret is read, made or prompted for.
    if !cli.verb.as_ref().is_some_and(Verb::reads_passphrases) {
        passphrase::wipe();
    }
    let holds_secrets = cli.verb.as_ref().is_some_and(Verb::holds_secrets);
    if holds_secrets && let Err(error) = secrets::protect_process() {
        let what = "cannot keep the memory of this process from other processes";
        return failed(&CliError::io(what, &error, "allow prctl and setrlimit to this process"));
    }
    // The only command that chooses its exit code itself.
    if let Some(Verb::Tui(args)) = &cli.verb {
        return commands::tui::run(args).unwrap_or_else(|error| failed(&error));
    }
    if let Some(Verb::Launch(_) | Verb::Serve(_) | Verb::Worker(_)) = &cli.verb
        && process_1::is_process_1()
    {
        return process_1::run_as_process_1().unwrap_or_else(|error| failed(&error));
    }
    let done = match cli.verb {
        None | Some(Verb::Tui(_)) => output::to_stdout(WELCOME).map_err(Into::into),
        Some(Verb::Repl(args)) => commands::repl::run(&args),
        Some(Verb::Play(args)) => commands::play::run(&args),
        Some(Verb::Call(args)) => commands::call::run(&args),
        Some(Verb::Functions(args)) => commands::functions::run(&args),
        Some(Verb::Watch(args)) => commands::watch::run(&args),
        Some(Verb::Store(verb)) => commands::store::run(&verb),
        Some(Verb::Keygen(args)) => commands::keygen::run(&args),
        Some(Verb::Keys(verb)) => commands::keys::run(&verb),
        Some(Verb::Known(verb)) => commands::known::run(&verb),
        Some(Verb::Init(args)) => commands::init::run(&args),
        Some(Verb::New(args)) => commands::new::run(&args),
        Some(Verb::Admit(args)) => commands::admit::run(&args),
        Some(Verb::Roles(args)) => commands::roles::run(&args),
        Some(Verb::Check(args)) => commands::check::run(&args),
        Some(Verb::Doctor(args)) => commands::doctor::run(&args),
        Some(Verb::Launch(args)) => commands::launch::run(&args),
        Some(Verb::Up(args)) => commands::up::run(&args, StartCommand::Up),
        Some(Verb::Restart(args)) => commands::up::run(&args, StartCommand::Restart),
        Some(Verb::Down(args)) => commands::down::run(&args),
        Some(Verb::Reload(args)) => commands::reload::run(&args),
        Some(Verb::Diff(args)) => commands::diff::run(&args),
        Some(Verb::Status(args)) => commands::status::run(&args),
        Some(Verb::Logs(args)) => commands::logs::run(&args),
        Some(Verb::Supervise(args)) => commands::supervise::run(&args),
        Some(Verb::Identity(verb)) => commands::identity::run(&verb),
        Some(Verb::Serve(args)) => commands::serve::run(&args),
        Some(Verb::Worker(args)) => commands::worker::run(&args),
        Some(Verb::Config(args)) => commands::config::run(&args),
        Some(Verb::Completions(args)) => commands::completions::run(&args),
        Some(Verb::Man(args)) => commands::man::run(&args),
        Some(Verb::Openrpc) => output::to_stdout(protocol::OPENRPC).map_err(Into::into),
    };
    done.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

fn failed(error: &CliError) -> ExitCode {
    output::report(error);
    ExitCode::from(error.exit_code())
}
