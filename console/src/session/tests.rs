//! Tests of the session between a fake circle ([`fake`]), which the test controls, and a console that reads events.
//! Tests of timeouts use a paused clock, which advances once all tasks wait.

mod calls;
mod commands;
mod connect;
mod fake;
mod fan_out;
mod init;
mod inputs;
mod keys;
mod losses;
mod plays;
mod pressure;
mod random;
mod replay;
mod rights;
mod shorthand;
mod stale_calls;
mod switch;
mod timing;
mod values;
mod watch;

use std::{path::PathBuf, sync::Arc, time::Duration};

use ::keys::{KeyPair, keystore::KeyName};
use frontend::{
    error::CliError,
    known_circles::check::IdentityNotes,
    target::CircleTarget,
    text::{Size, StyledLine},
};
use protocol::methods::Access;
use tokio::runtime::Handle;

use self::fake::FakeCircle;
use super::{
    DisplayKind, DisplayLines, Events, KeySource, Keyring, OtherCirclePolicy, SessionEvent, SessionHandle,
    SessionOptions, SessionRequest, SessionState,
};

/// A timeout longer than all timeouts of a session.
const NEVER: Duration = Duration::from_hours(1);

/// Long enough for running tasks to settle, and shorter than all timeouts of a session. On a paused clock it passes
/// once all tasks wait.
const MOMENT: Duration = Duration::from_millis(1);

const UNREACHABLE: &str = "connect failed: cannot reach the circle at ws://team:9001: connection refused";

/// The event of a lost connection.
const LOST: &str = "warning lost the connection to the circle at ws://team:9001: no reason given; reconnecting…";

/// The event of a new connection when no variables were lost.
const RECONNECTED: &str = "note reconnected to the circle at ws://team:9001 with a new session";

/// The source of a test session's keys.
#[derive(Default)]
struct TestKeys {
    ring: Keyring,
    /// The name of the default key.
    preferred: Option<KeyName>,
    /// Whether the keystore cannot be read.
    is_broken: bool,
}

impl KeySource for TestKeys {
    fn preferred(&self) -> Result<Option<KeyName>, CliError> {
        if self.is_broken {
            return Err(CliError::usage("cannot read the keystore", "it is a file", "move it"));
        }
        Ok(self.preferred.clone())
    }

    fn unlocked(&self, name: &KeyName) -> Option<Arc<KeyPair>> {
        self.ring.get(name)
    }
}

/// A session, its events, its circle and its keys.
struct Console {
    session: SessionHandle,
    events: Events,
    circle: FakeCircle,
    keys: Arc<TestKeys>,
    /// The reports of calls whose function did not run.
    refused_calls: Vec<String>,
}

/// The setup of a console.
#[derive(Clone, Copy, Default)]
struct ConsoleSetup {
    access: Access,
    name: Option<&'static str>,
    /// The key that the user named.
    key: Option<&'static str>,
    /// The keystore's default key.
    preferred: Option<&'static str>,
    /// Keys that are unlocked from the start.
    unlocked: &'static [&'static str],
    /// Whether the circle is a scratch circle.
    is_scratch: bool,
    /// Whether the keystore cannot be read.
    is_broken: bool,
    /// Whether the session always refuses another circle at its address.
    refuses_other: bool,
}

fn key(name: &str) -> KeyName {
    name.parse().expect("it is a name of a key")
}

/// Returns the same keypair for the same name.
fn keypair(name: &str) -> KeyPair {
    let byte = name.bytes().fold(1u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)).max(1);
    KeyPair::from_secret_hex(&format!("{byte:02x}").repeat(32)).expect("it is a secret key")
}

impl Console {
    fn open(setup: ConsoleSetup) -> Self {
        Self::with_init(setup, None)
    }

    /// Opens a session with an init script.
    fn with_init(setup: ConsoleSetup, init: Option<PathBuf>) -> Self {
        let ConsoleSetup { access, name, key: named, preferred, unlocked, is_scratch, is_broken, refuses_other } =
            setup;
        let circle = FakeCircle::new(name.unwrap_or("team"), access);
        let keys = Arc::new(TestKeys { ring: Keyring::default(), preferred: preferred.map(key), is_broken });
        for name in unlocked {
            keys.ring.insert(key(name), keypair(name).into());
        }
        let url = format!("ws://{}:9001/", circle.name);
        let options = SessionOptions {
            target: CircleTarget::from_address(&url, url.clone()),
            remote: circle.remote.clone(),
            keys: keys.clone(),
            key: named.map(key),
            owner: is_scratch.then(|| keypair("owner").into()),
            room: Size { width: 100, height: 30 },
            identity_notes: IdentityNotes::default(),
            directory: Arc::default(),
            init,
            other_circle: if refuses_other { OtherCirclePolicy::Refuse } else { OtherCirclePolicy::AcceptAfterNotice },
        };
        let (session, events) = SessionHandle::open(&Handle::current(), options);
        Self { session, events, circle, keys, refused_calls: Vec::new() }
    }

    /// Returns a console that is ready on an open circle.
    async fn ready() -> Self {
        Self::named("team").await
    }

    /// Returns a console that is ready on an open circle of the given name.
    async fn named(name: &'static str) -> Self {
        let mut console = Self::open(ConsoleSetup { name: Some(name), ..ConsoleSetup::default() });
        console.connect().await;
        console.expect_events(&["connected first", "ready"]).await;
        console
    }

    /// Returns a console that is ready on an open circle, after playing some inputs.
    async fn with_inputs(inputs: &[&str]) -> Self {
        let mut console = Self::ready().await;
        for input in inputs {
            console.play_to_end(input).await;
        }
        console
    }

    /// Returns a console that is authenticated as alice on an open circle.
    async fn alice() -> Self {
        let setup = ConsoleSetup { key: Some("alice"), unlocked: &["alice"], ..ConsoleSetup::default() };
        let mut console = Self::open(setup);
        console.connect().await;
        console.circle.admit().await;
        console.expect_events(&["connected first", "ready"]).await;
        console
    }

    /// Connects to the circle, which accepts the connection.
    async fn connect(&mut self) {
        self.session.connect(true).expect("there is room");
        self.circle.accept().await;
    }

    fn submit(&self, input: &str) {
        self.session.submit(input.to_owned()).expect("there is room");
    }

    fn cancel(&self) {
        self.session.cancel().expect("there is room");
    }

    fn state(&self) -> SessionState {
        self.session.state()
    }

    /// Unlocks a requested key.
    fn unlock(&self, name: &str) {
        self.keys.ring.insert(key(name), keypair(name).into());
        self.session.key_unlocked(key(name)).expect("there is room");
    }

    fn stays_locked(&self, name: &str) {
        self.session.keep_locked(key(name)).expect("there is room");
    }

    /// Plays an input whose value is `()`.
    async fn play_to_end(&mut self, input: &str) {
        self.submit(input);
        self.circle.plays(input).await.unit().await;
        self.expect_events(&[&format!("began {input}"), "value ", "done"]).await;
    }

    /// Submits an input, and waits until the circle plays it.
    async fn begin(&mut self, input: &str) -> fake::FakePlay {
        self.submit(input);
        let playing = self.circle.plays(input).await;
        self.expect_events(&[&format!("began {input}")]).await;
        playing
    }

    /// Returns the next event; refused calls are collected.
    async fn event(&mut self) -> SessionEvent {
        loop {
            let event = tokio::time::timeout(NEVER, self.events.next()).await;
            match event.expect("the session reports something").expect("the session is there") {
                SessionEvent::CallRefused(message) => self.refused_calls.push(message),
                event => return event,
            }
        }
    }

    /// Returns the next event as a line.
    async fn event_text(&mut self) -> String {
        event_line(&self.event().await)
    }

    /// Waits for exactly these events.
    async fn expect_events(&mut self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.event_text().await, *expected);
        }
    }

    /// Waits until all tasks wait, and checks that there is no event and no request to the circle.
    async fn expect_no_event(&mut self) {
        if let Ok(event) = tokio::time::timeout(MOMENT, self.events.next()).await {
            panic!("the session reports: {}", event.map_or("its end".to_owned(), |event| event_line(&event)));
        }
        if let Some(call) = self.circle.pending_call() {
            panic!("the session asks: {call:?}");
        }
    }

    /// Returns all events until all tasks wait.
    async fn remaining_events(&mut self) -> Vec<String> {
        let mut rest = Vec::new();
        while let Ok(Some(event)) = tokio::time::timeout(MOMENT, self.events.next()).await {
            rest.push(event_line(&event));
        }
        rest
    }
}

/// Waits until all tasks wait.
async fn settle() {
    tokio::time::sleep(MOMENT).await;
}

fn joined(lines: &[StyledLine]) -> String {
    lines.iter().map(StyledLine::to_string).collect::<Vec<_>>().join("\n")
}

/// Formats an event as a line.
fn event_line(event: &SessionEvent) -> String {
    match event {
        SessionEvent::Connected { is_first: true } => "connected first".to_owned(),
        SessionEvent::Connected { is_first: false } => "connected again".to_owned(),
        SessionEvent::Ready => "ready".to_owned(),
        SessionEvent::ConnectFailed(error) => format!("connect failed: {}", error.message()),
        SessionEvent::NotAdmitted(None, error) => format!("not admitted: {}", error.message()),
        SessionEvent::NotAdmitted(Some(key), error) => format!("not admitted {key}: {}", error.message()),
        SessionEvent::ConnectionLost => "lost".to_owned(),
        SessionEvent::InputStarted(input) => format!("began {input}"),
        SessionEvent::CallRefused(message) => format!("refused {message}"),
        SessionEvent::InputFinished => "done".to_owned(),
        SessionEvent::Output(output, None) => format!("output {}", output.text),
        SessionEvent::Output(output, Some(label)) => format!("output {label} | {}", output.text),
        SessionEvent::Display(DisplayLines { lines, kind, .. }) => {
            let kind = match kind {
                DisplayKind::Value => "value",
                DisplayKind::Listing => "listing",
                DisplayKind::Error => "error",
                DisplayKind::Remark => "remark",
                DisplayKind::Note => "note",
                DisplayKind::Warning => "warning",
            };
            format!("{kind} {}", joined(lines))
        }
        SessionEvent::InputsReturned(inputs) => format!("given back {inputs:?}"),
        SessionEvent::Request(SessionRequest::Unlock(name)) => format!("unlock {name}"),
        SessionEvent::Request(SessionRequest::NoKey(access)) => format!("no key for {access}"),
        SessionEvent::Request(request) => format!("request {request:?}"),
    }
}
