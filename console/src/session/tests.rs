//! The session by itself: a circle that the test plays by hand ([`fake`]) on one side, a console that reads events on the
//! other. Where time matters the clock is paused: it goes on once everybody waits.

mod commands;
mod connect;
mod fake;
mod fan_out;
mod inputs;
mod keys;
mod losses;
mod plays;
mod pressure;
mod random;
mod switch;

use std::{sync::Arc, time::Duration};

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

/// Longer than anything that a session waits for by itself.
const NEVER: Duration = Duration::from_hours(1);

/// Long enough for everything that is under way, and shorter than every wait of a session: on a paused clock it is over
/// once everybody waits.
const MOMENT: Duration = Duration::from_millis(1);

const UNREACHABLE: &str = "connect failed: cannot reach the circle at ws://team:9001: connection refused";

/// What is said of a connection that ends without a word.
const LOST: &str =
    "warning the connection to the circle at ws://team:9001 is lost: no reason given; connecting again";

/// What is said of another connection, where nothing was lost with the one before.
const RECONNECTED: &str = "note connected again to the circle at ws://team:9001, with a fresh session";

/// Where a session's keys come from.
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

/// A session, whoever renders it, and its circle.
struct Console {
    session: SessionHandle,
    events: Events,
    circle: FakeCircle,
    keys: Arc<TestKeys>,
}

/// How a console is opened.
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
    /// Whether another circle in the place of this one is refused for good.
    refuses_other: bool,
}

fn key(name: &str) -> KeyName {
    name.parse().expect("it is a name of a key")
}

/// A key of that name: always the same one.
fn keypair(name: &str) -> KeyPair {
    let byte = name.bytes().fold(1u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)).max(1);
    KeyPair::from_secret_hex(&format!("{byte:02x}").repeat(32)).expect("it is a secret key")
}

impl Console {
    fn open(setup: ConsoleSetup) -> Self {
        let ConsoleSetup { access, name, key: named, preferred, unlocked, is_scratch, is_broken, refuses_other } =
            setup;
        let circle = FakeCircle::new(name.unwrap_or("team"), access);
        let keys = Arc::new(TestKeys { ring: Keyring::default(), preferred: preferred.map(key), is_broken });
        for name in unlocked {
            keys.ring.insert(key(name), keypair(name).into());
        }
        let url = format!("ws://{}:9001/", circle.name);
        let opening = SessionOptions {
            target: CircleTarget::from_address(&url, url.clone()),
            remote: circle.remote.clone(),
            keys: keys.clone(),
            key: named.map(key),
            owner: is_scratch.then(|| keypair("owner").into()),
            room: Size { width: 100, height: 30 },
            identity_notes: IdentityNotes::default(),
            other_circle: if refuses_other { OtherCirclePolicy::Refuse } else { OtherCirclePolicy::AcceptAfterNotice },
        };
        let (session, events) = SessionHandle::open(&Handle::current(), opening);
        Self { session, events, circle, keys }
    }

    /// One that is connected to an open circle, and ready.
    async fn ready() -> Self {
        Self::named("team").await
    }

    /// One that is ready on an open circle of that name.
    async fn named(name: &'static str) -> Self {
        let mut console = Self::open(ConsoleSetup { name: Some(name), ..ConsoleSetup::default() });
        console.connect().await;
        console.expect_events(&["connected first", "ready"]).await;
        console
    }

    /// One that is ready on an open circle, where that was played.
    async fn with_inputs(inputs: &[&str]) -> Self {
        let mut console = Self::ready().await;
        for input in inputs {
            console.play_to_end(input).await;
        }
        console
    }

    /// One that is authenticated as alice on an open circle.
    async fn alice() -> Self {
        let setup = ConsoleSetup { key: Some("alice"), unlocked: &["alice"], ..ConsoleSetup::default() };
        let mut console = Self::open(setup);
        console.connect().await;
        console.circle.admit().await;
        console.expect_events(&["connected first", "ready"]).await;
        console
    }

    /// Connects, and is let in.
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

    /// Unlocks a key that was requested.
    fn unlock(&self, name: &str) {
        self.keys.ring.insert(key(name), keypair(name).into());
        self.session.key_unlocked(key(name)).expect("there is room");
    }

    fn stays_locked(&self, name: &str) {
        self.session.keep_locked(key(name)).expect("there is room");
    }

    /// Plays an input that comes to `()`.
    async fn play_to_end(&mut self, input: &str) {
        self.submit(input);
        self.circle.plays(input).await.unit().await;
        self.expect_events(&[&format!("began {input}"), "value ", "done"]).await;
    }

    /// Submits an input, and has the circle play it.
    async fn begin(&mut self, input: &str) -> fake::FakePlay {
        self.submit(input);
        let playing = self.circle.plays(input).await;
        self.expect_events(&[&format!("began {input}")]).await;
        playing
    }

    async fn event(&mut self) -> SessionEvent {
        let event = tokio::time::timeout(NEVER, self.events.next()).await;
        event.expect("the session reports something").expect("the session is there")
    }

    /// The next event, as a line.
    async fn event_text(&mut self) -> String {
        said(&self.event().await)
    }

    /// Waits for these events, and no others between them.
    async fn expect_events(&mut self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.event_text().await, *expected);
        }
    }

    /// Waits until everybody waits: nothing more is reported then, and nothing asked of the circle.
    async fn expect_no_event(&mut self) {
        if let Ok(event) = tokio::time::timeout(MOMENT, self.events.next()).await {
            panic!("the session reports: {}", event.map_or("its end".to_owned(), |event| said(&event)));
        }
        if let Some(call) = self.circle.pending_call() {
            panic!("the session asks: {call:?}");
        }
    }

    /// All that is reported until everybody waits.
    async fn remaining_events(&mut self) -> Vec<String> {
        let mut rest = Vec::new();
        while let Ok(Some(event)) = tokio::time::timeout(MOMENT, self.events.next()).await {
            rest.push(said(&event));
        }
        rest
    }
}

/// Lets everything happen that is under way.
async fn settle() {
    tokio::time::sleep(MOMENT).await;
}

fn joined(lines: &[StyledLine]) -> String {
    lines.iter().map(StyledLine::to_string).collect::<Vec<_>>().join("\n")
}

/// An event as a line.
fn said(event: &SessionEvent) -> String {
    match event {
        SessionEvent::Connected { is_first: true } => "connected first".to_owned(),
        SessionEvent::Connected { is_first: false } => "connected again".to_owned(),
        SessionEvent::Ready => "ready".to_owned(),
        SessionEvent::ConnectFailed(error) => format!("connect failed: {}", error.message()),
        SessionEvent::NotAdmitted(None, error) => format!("not admitted: {}", error.message()),
        SessionEvent::NotAdmitted(Some(key), error) => format!("not admitted {key}: {}", error.message()),
        SessionEvent::ConnectionLost => "lost".to_owned(),
        SessionEvent::InputStarted(input) => format!("began {input}"),
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
