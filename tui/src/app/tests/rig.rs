//! The app on a screen in memory. Its circles are faked, and the test posts what the supervisor reports.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ::keys::{
    KeyPair,
    keystore::{Keystore, WorkFactor},
};
use frontend::{
    connect::EncryptionOptions,
    settings::Settings,
    supervisor::{Directories, SupervisorSetup},
};
use launcher::{CircleStatus, Statuses};
use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Cell,
    crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers},
    style::Style,
};
use tokio::{runtime::Handle, sync::mpsc};

use crate::{
    app::App,
    circle_id::CircleId,
    event::{AppEvent, Message, SupervisorReport},
    event_loop::QUEUE_CAPACITY,
    setup::Setup,
    tasks::{FakeOutside, Tasks},
    theme::Background,
    window::Effect,
};

/// On a paused clock it passes once all tasks wait.
const MOMENT: Duration = Duration::from_millis(1);

/// The circles in the list, in order.
pub(super) const SCRATCH: CircleId = CircleId(0);
pub(super) const LAB: CircleId = CircleId(1);

/// Status of a circle as the supervisor reports it.
pub(super) fn status(name: &str, state: &str, pid: Option<u32>) -> CircleStatus {
    serde_json::from_value(serde_json::json!({
        "name": name, "url": format!("ws://127.0.0.1:900{}", name.len()), "state": state, "pid": pid, "restarts": 0,
        "uptime_s": pid.map(|_| 7), "access": "open", "connections": pid.map(|_| 3),
    }))
    .expect("a status")
}

pub(super) struct Rig {
    pub(super) app: App,
    pub(super) outside: Arc<FakeOutside>,
    /// What only the event loop can do, as the app has asked for it.
    pub(super) effects: Vec<Effect>,
    messages: mpsc::Receiver<Message>,
    terminal: Terminal<TestBackend>,
}

impl Rig {
    /// Starts the app with `scratch`, and `lab` and `team`, which are up.
    pub(super) async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    /// Starts the app with settings, and with the circles of [`Self::start`].
    pub(super) async fn start_with(settings: Settings) -> Self {
        Self::report_circles(Self::unread_with(settings, None).await).await
    }

    /// Starts the app with the history in a directory, and with the circles of [`Self::start`].
    pub(super) async fn start_with_history(directory: &Path) -> Self {
        let mut rig =
            Self::report_circles(Self::unread_with(Settings::default(), Some(directory.to_owned())).await).await;
        rig.wait_for_history().await;
        rig
    }

    async fn report_circles(mut rig: Self) -> Self {
        rig.post(AppEvent::ConfigRead(Ok(None)));
        rig.report(&[status("lab", "ready", Some(7)), status("team", "ready", Some(8))]).await;
        rig
    }

    /// Starts the app, which has not read anything yet.
    pub(super) async fn unread() -> Self {
        Self::unread_with(Settings::default(), None).await
    }

    async fn unread_with(settings: Settings, history: Option<PathBuf>) -> Self {
        let nowhere = Path::new("/nonexistent");
        let setup = Setup {
            config: Some(nowhere.join("circles.json")),
            keystore: Some(Keystore::at(nowhere.join("keys"))),
            history,
            work_factor: WorkFactor::Log2(1),
            supervisors: SupervisorSetup {
                program: nowhere.join("circles"),
                directories: Directories { run: nowhere.join("run"), state: nowhere.join("state") },
                is_watching: true,
            },
            authority: None,
            known_circles: None,
            accepts_ephemeral: false,
            encryption: EncryptionOptions::default(),
            passphrase: None,
            has_colours: true,
            background: Background::Dark,
            settings,
        };
        let (queue, messages) = mpsc::channel(QUEUE_CAPACITY);
        let outside = Arc::new(FakeOutside::default());
        let mut app = App::new(setup, Tasks::faked(Handle::current(), queue, outside.clone()), None, None);
        app.add_scratch("scratch", "ws://127.0.0.1:1/".into(), KeyPair::generate().expect("a key"));
        let terminal = Terminal::new(TestBackend::new(80, 24)).expect("a screen");
        let mut rig = Self { app, outside, effects: Vec::new(), messages, terminal };
        rig.settle().await;
        rig
    }

    /// Waits until the history is read and written.
    pub(super) async fn wait_for_history(&mut self) {
        assert!(self.app.repl.editor_setup().history.flush());
        self.settle().await;
    }

    /// Posts a report of the supervisor.
    pub(super) async fn report(&mut self, circles: &[CircleStatus]) {
        let statuses = serde_json::json!({ "circles": circles, "is_ending": false });
        let statuses: Statuses = serde_json::from_value(statuses).expect("statuses");
        self.post(AppEvent::Supervisor(SupervisorReport::Present(statuses)));
        self.settle().await;
    }

    pub(super) fn post(&mut self, event: AppEvent) {
        self.app.update(Message(event));
        while self.app.replay() {}
        let effects = self.app.take_effects();
        self.effects.extend(effects);
    }

    /// Waits until all tasks wait, and draws the screen.
    pub(super) async fn settle(&mut self) {
        loop {
            tokio::time::sleep(MOMENT).await;
            let Ok(Message(event)) = self.messages.try_recv() else { break };
            self.post(event);
        }
        self.terminal.draw(|frame| self.app.draw(frame)).expect("drawn");
    }

    /// Lets the pauses between two attempts to connect pass.
    pub(super) async fn pass_time(&mut self) {
        tokio::time::sleep(Duration::from_mins(1)).await;
        self.settle().await;
    }

    pub(super) async fn event(&mut self, event: Event) {
        if let Event::Resize(width, height) = event {
            self.terminal.backend_mut().resize(width, height);
        }
        self.post(AppEvent::Terminal(event));
        self.settle().await;
    }

    pub(super) async fn key(&mut self, code: KeyCode) {
        self.event(Event::Key(KeyEvent::new(code, KeyModifiers::NONE))).await;
    }

    pub(super) async fn control(&mut self, letter: char) {
        self.event(Event::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL))).await;
    }

    pub(super) async fn keys(&mut self, codes: &[KeyCode]) {
        for code in codes {
            self.key(*code).await;
        }
    }

    /// Types a text; a newline is Enter.
    pub(super) async fn write(&mut self, text: &str) {
        for character in text.chars() {
            self.key(if character == '\n' { KeyCode::Enter } else { KeyCode::Char(character) }).await;
        }
    }

    /// Connects to `lab`, and plays an input there.
    pub(super) async fn play_on_lab(&mut self) {
        self.keys(&[KeyCode::Down, KeyCode::Enter]).await;
        self.write("let precious = 42\n").await;
        assert_eq!(self.inputs(LAB), 1);
    }

    /// Returns the number of inputs that the session on a circle has variables of.
    pub(super) fn inputs(&self, id: CircleId) -> usize {
        self.app.repl.get(id).map_or(0, |session| session.session.state().inputs)
    }

    pub(super) fn screen(&self) -> String {
        let buffer = self.terminal.backend().buffer();
        let rows = buffer.content().chunks(usize::from(buffer.area.width.max(1)));
        rows.map(|row| row.iter().map(Cell::symbol).collect::<String>() + "\n").collect()
    }

    /// Returns the style of each cell of a text on the screen.
    #[track_caller]
    pub(super) fn styles_of(&self, text: &str) -> Vec<Style> {
        let buffer = self.terminal.backend().buffer();
        let cells = buffer.content().windows(text.chars().count());
        let is_text = |cells: &&[Cell]| cells.iter().map(Cell::symbol).collect::<String>() == text;
        let Some(found) = cells.into_iter().find(is_text) else { panic!("{text:?} is not shown:\n{}", self.screen()) };
        found.iter().map(Cell::style).collect()
    }

    #[track_caller]
    pub(super) fn shows(&self, text: &str) {
        let screen = self.screen();
        assert!(screen.contains(text), "{text:?} is not shown:\n{screen}");
    }

    #[track_caller]
    pub(super) fn shows_not(&self, text: &str) {
        let screen = self.screen();
        assert!(!screen.contains(text), "{text:?} is shown:\n{screen}");
    }
}
