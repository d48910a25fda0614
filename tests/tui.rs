//! `circles tui`: the real event loop on a screen in memory, with real circles; and the real binary on a terminal.

mod background;
mod circles;
mod commands;
mod data;
mod drafts;
mod functions;
mod keys;
mod play;
mod screens;
mod terminal;
mod tour;

use std::path::PathBuf;

use ::keys::keystore::{Keystore, WorkFactor};
use ::tui::{
    Background, Directories, EncryptionOptions, KnownCircles, Settings, Setup, SupervisorSetup, headless::HeadlessApp,
};
use tokio::runtime::{Builder, Runtime};

use crate::support::{BINARY, Home, WAIT_TIMEOUT, background::BackgroundCircles, eventually, free_port};

/// The app, with its home.
struct TuiScreen {
    app: HeadlessApp,
    runtime: Runtime,
    /// `None` after [`TuiScreen::leave`].
    background: Option<BackgroundCircles>,
}

/// Whether a row of a pane begins with this text.
fn has_row(screen: &str, text: &str) -> bool {
    let is_border = |character: char| "│┃┨┠├┤┣┫┩┺┡┴┳┻".contains(character);
    screen.lines().any(|line| line.split(is_border).any(|row| row.trim_end() == text || row.starts_with(text)))
}

impl TuiScreen {
    /// Starts the app with this circles.json and screen size.
    fn start(config: &str, size: (u16, u16)) -> Self {
        Self::start_in(Home::new(), config, size)
    }

    fn start_in(home: Home, config: &str, size: (u16, u16)) -> Self {
        let background = BackgroundCircles { home };
        background.configure(config);
        Self::start_on(background, size)
    }

    /// Starts the app in a home where circles may be up already.
    fn start_on(background: BackgroundCircles, size: (u16, u16)) -> Self {
        let home = &background.home;
        let file = home.path().join("circles.json");
        // The directories that commands in this home use.
        let state = home.path().join("state/circles");
        let directories = Directories { run: state.join("run"), state };
        let setup = Setup {
            config: Some(file),
            keystore: Some(Keystore::at(home.keys_directory())),
            history: Some(home.path().join("history")),
            work_factor: WorkFactor::Log2(1),
            supervisors: SupervisorSetup { program: BINARY.into(), directories, is_watching: true },
            authority: None,
            known_circles: Some(KnownCircles::at(home.path().join("data/circles"))),
            accepts_ephemeral: false,
            encryption: EncryptionOptions::default(),
            passphrase: None,
            has_colours: false,
            background: Background::Dark,
            settings: Settings::default(),
        };
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let app = {
            let _in_runtime = runtime.enter();
            HeadlessApp::start(setup, None, size)
        };
        Self { app, runtime, background: Some(background) }
    }

    /// Starts the app on a screen of 80 by 24, without circles in circles.json.
    fn alone() -> Self {
        Self::start(r#"{ "circles": [] }"#, (80, 24))
    }

    fn home(&self) -> &Home {
        &self.background().home
    }

    /// The same circles, for commands from another terminal.
    fn background(&self) -> &BackgroundCircles {
        self.background.as_ref().expect("it was not left")
    }

    fn config(&self) -> PathBuf {
        self.home().path().join("circles.json")
    }

    /// Ends the app; its home and its circles stay.
    fn leave(self) -> BackgroundCircles {
        self.runtime.block_on(self.app.hang_up());
        self.quit_result().0
    }

    /// Waits for the app to quit; returns its home and its exit code.
    fn quit_result(mut self) -> (BackgroundCircles, u8) {
        let code = self.end();
        (self.background.take().expect("it was not left"), code)
    }

    fn press(&self, keys: &[&str]) {
        self.runtime.block_on(self.app.press(keys));
    }

    fn write(&self, text: &str) {
        self.runtime.block_on(self.app.write(text));
    }

    fn resize(&self, width: u16, height: u16) {
        self.runtime.block_on(self.app.resize(width, height));
    }

    /// Waits until the screen satisfies a condition.
    fn wait_until(&mut self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        match self.runtime.block_on(self.app.wait_until(condition, WAIT_TIMEOUT)) {
            Ok(screen) => screen,
            Err(last) => panic!("{what} does not come; on the screen:\n{last}"),
        }
    }

    /// Waits until the screen shows this text.
    fn wait_for(&mut self, text: &str) -> String {
        self.wait_until(text, |screen| screen.contains(text))
    }

    /// Waits until a row of a pane begins with this text.
    fn wait_for_row(&mut self, text: &str) -> String {
        self.wait_until(text, |screen| has_row(screen, text))
    }

    /// Presses a key again and again until a row of a pane begins with this text: a task in the background reads the history.
    fn press_until_row(&mut self, key: &str, text: &str) {
        eventually(|| {
            self.press(&[key]);
            let shown = self.app.wait_until(|screen| has_row(screen, text), std::time::Duration::from_millis(100));
            self.runtime.block_on(shown).map(|_| ())
        });
    }

    /// Opens a prompt on the scratch circle from the first screen.
    fn play_alone(&mut self) {
        self.wait_for("Enter  play now");
        self.press(&["Enter"]);
        self.wait_for("connected to scratch");
        self.wait_for_row(">");
    }

    /// Waits for the app to quit; returns its exit code.
    fn end(&mut self) -> u8 {
        let ended = async { tokio::time::timeout(WAIT_TIMEOUT, self.app.end()).await };
        self.runtime.block_on(ended).expect("it ends in time").expect("it ends")
    }
}

impl Drop for TuiScreen {
    fn drop(&mut self) {
        self.runtime.block_on(async {
            self.app.hang_up().await;
            // Tests of the exit code call `end` themselves.
            let _ended = self.app.end().await;
        });
    }
}
