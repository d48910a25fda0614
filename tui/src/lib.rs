//! The terminal interface: ratatui in front of console sessions.

mod action;
mod app;
mod background;
mod background_query;
mod chrome;
mod circle_id;
mod circles;
mod data;
mod event;
mod event_loop;
pub mod headless;
mod help;
mod key_press;
mod keys;
mod layout;
mod list;
mod logs;
mod popup;
mod repl;
mod screen;
mod scroll;
mod search;
mod selection;
mod session_status;
mod setup;
mod tasks;
mod theme;
mod toast;
mod welcome;
mod window;
mod wrap;

use std::io::{IsTerminal, stdin, stdout};

use ::keys::keystore::Keystore;
use console::history;
use frontend::{
    connect::Options,
    error::CliError,
    scratch,
    settings::LoadedSettings,
    signals::{is_ignored, listen},
};
use terminal::{
    output::{Paint, to_stdout},
    passphrase,
};
use tokio::{signal::unix::SignalKind, sync::mpsc};

use app::App;
use background_query::AnswerFilter;
use event::Message;
use event_loop::QUEUE_CAPACITY;
use screen::AlternateScreen;
use tasks::Tasks;

pub use frontend::{
    connect::EncryptionOptions,
    known_circles::KnownCircles,
    settings::Settings,
    supervisor::{Directories, SupervisorSetup},
};
pub use setup::Setup;
pub use theme::Background;

/// Takes over the terminal, and runs the interface until the user quits.
///
/// `first` is the circle to connect to at once: a name, a port, host:port or a URL.
///
/// # Errors
///
/// There is no terminal, or the named key does not exist.
pub fn run(
    first: Option<String>,
    options: Options,
    loaded: LoadedSettings,
) -> Result<std::process::ExitCode, CliError> {
    if !(stdin().is_terminal() && stdout().is_terminal()) {
        return Err(CliError::usage(
            "cannot open the screen of circles tui",
            "standard input or output is not a terminal",
            "to run a script, pipe it into circles play -",
        ));
    }
    let keystore = Keystore::open_default();
    if let (Some(name), Ok(store)) = (&options.connect.key, &keystore) {
        store.show(name)?;
    }
    let key = options.connect.key;
    let has_colours = Paint::for_stdout().is_on() && loaded.settings.has_colours();
    let asks_background = has_colours && background::is_unset(&loaded.settings) && background_query::is_supported();
    let setup = Setup {
        config: options.config,
        keystore: keystore.ok(),
        history: history::default_directory(),
        work_factor: passphrase::WORK_FACTOR,
        supervisors: SupervisorSetup::for_user()?,
        authority: options.connect.authority,
        known_circles: KnownCircles::open_default().ok(),
        accepts_ephemeral: options.connect.accepts_ephemeral,
        encryption: options.connect.encryption,
        passphrase: passphrase::read_given(options.passphrase_fd)?,
        has_colours,
        background: background::of(&loaded.settings),
        settings: loaded.settings,
    };
    let runtime = terminal::runtime::runtime()?;
    let (queue, messages) = mpsc::channel(QUEUE_CAPACITY);
    let scratch_circle = scratch::start(runtime.handle(), setup.workers());
    let tasks = Tasks::new(runtime.handle().clone(), queue.clone());
    let has_mouse = setup.settings.mouse.value;
    let mut app = App::new(setup, tasks, first, key);
    for error in loaded.errors {
        app.report_error(error.advice());
    }
    match scratch_circle {
        Ok((url, keypair)) => app.add_scratch(scratch::NAME, url, keypair),
        // Everything else works without a scratch circle.
        Err(error) => app.report_error(error.advice()),
    }
    {
        let _in_runtime = runtime.enter();
        end_on_signals(&queue)?;
    }
    let unusable = |error: std::io::Error| CliError::io("cannot use this terminal", &error, "try circles repl");
    let mut screen = AlternateScreen::take(has_mouse).map_err(unusable)?;
    if asks_background {
        background_query::send().map_err(unusable)?;
    }
    let (host, answer) = screen::listen(queue, AnswerFilter::new(asks_background));
    let ended = runtime.block_on(event_loop::run(app, &mut screen.terminal, messages, host));
    screen.end(&answer);
    let ended = ended.map_err(unusable)?;
    if let Some(exit_message) = ended.exit_message {
        // The terminal may be gone.
        let _unreported = to_stdout(&exit_message);
    }
    // No wait: remaining tasks end with the process.
    runtime.shutdown_background();
    Ok(ended.code.into())
}

/// Ends the app in its loop on a signal, so that the terminal is restored.
fn end_on_signals(queue: &mpsc::Sender<Message>) -> Result<(), CliError> {
    for kind in [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()] {
        if is_ignored(kind) {
            continue;
        }
        let (mut signal, queue) = (listen(kind)?, queue.clone());
        tokio::spawn(async move {
            loop {
                signal.recv().await;
                // While another program has the terminal, Ctrl-C is meant for that program.
                if kind != SignalKind::interrupt() || !screen::is_lent() {
                    break;
                }
            }
            // The exit code that a shell reports for a process that was killed by a signal.
            let code = u8::try_from(128 + kind.as_raw_value()).unwrap_or(u8::MAX);
            let _ended = queue.send(Message::end(code)).await;
        });
    }
    Ok(())
}
