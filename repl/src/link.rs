//! One session on one circle, kept connected: a lost connection is said, made again and proved again; nothing is played
//! again.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use client_ws::{CircleWsClient, ClientError, Description, Notice};
use keys::{KeyPair, keystore::KeyName};
use tokio::{
    runtime::Handle,
    sync::{self, Notify},
    task::JoinHandle,
};

use super::notes::Notes;
use frontend::{connect::{Connected, first_answer}, error::CliError, target::{self, Destination, Said}, text};

/// How long the first wait before a new connection is; each is twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_millis(250);

const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A session, and who looks after its connection.
pub(crate) struct Link {
    line: Arc<Line>,
    watching: JoinHandle<()>,
    pub is_throwaway: bool,
}

/// What the session and its watcher share.
pub(crate) struct Line {
    pub client: Arc<CircleWsClient>,
    /// The circle as its user knows it.
    pub place: Destination,
    key: Mutex<Option<KeyName>>,
    circle: Mutex<Description>,
    /// Whether it is connected, and the key proved.
    is_on: AtomicBool,
    /// How many connections there were before this one.
    connections: AtomicU64,
    losses: Mutex<Losses>,
    /// Whether another circle was found in its place.
    is_another: AtomicBool,
    /// How many environments there were before this one.
    environment: AtomicU64,
    /// How many inputs made what the environment holds.
    inputs: AtomicUsize,
    /// Held by who makes the connection again.
    restoring: sync::Mutex<()>,
    restored: Notify,
    notes: Notes,
}

/// Which losses are still to be said. What is asked of the circle says by its own error that the connection is lost, unless
/// it ends in another way.
#[derive(Debug, Default)]
struct Losses {
    /// The connection that something was asked on, as long as it is.
    asking: Option<u64>,
    /// The connection whose loss was said last.
    told: Option<u64>,
    /// What is to be said once what is asked has ended.
    untold: Option<String>,
}

/// While there is one, something is asked of the circle.
pub(crate) struct Asking<'a>(&'a Line);

impl Link {
    pub(crate) fn new(runtime: &Handle, connected: Connected, notes: Notes) -> Self {
        let line = Arc::new(Line {
            client: connected.client,
            place: connected.place,
            key: Mutex::new(connected.key),
            circle: Mutex::new(connected.circle),
            is_on: AtomicBool::new(true),
            connections: AtomicU64::new(0),
            losses: Mutex::default(),
            is_another: AtomicBool::new(false),
            environment: AtomicU64::new(0),
            inputs: AtomicUsize::new(0),
            restoring: sync::Mutex::new(()),
            restored: Notify::new(),
            notes,
        });
        let watching = runtime.spawn(line.clone().watch());
        Self { line, watching, is_throwaway: connected.is_throwaway }
    }

    pub(crate) fn line(&self) -> &Arc<Line> {
        &self.line
    }
}

impl std::ops::Deref for Link {
    type Target = Line;

    fn deref(&self) -> &Line {
        &self.line
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.watching.abort();
        self.line.client.disconnect();
    }
}

impl Line {
    /// The circle, as it last described itself.
    pub(crate) fn circle(&self) -> Description {
        self.circle.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The key that was proved.
    pub(crate) fn key(&self) -> Option<KeyName> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on this key is proved whenever a connection is made.
    pub(crate) fn set_key(&self, key: KeyName) {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::SeqCst) && self.client.is_connected()
    }

    /// Another number is another environment.
    pub(crate) fn environment(&self) -> u64 {
        self.environment.load(Ordering::SeqCst)
    }

    /// How many inputs made what it holds.
    pub(crate) fn set_inputs(&self, inputs: usize) {
        self.inputs.store(inputs, Ordering::SeqCst);
    }

    /// Whether another circle was found in its place when it was last looked.
    pub(crate) fn is_another(&self) -> bool {
        self.is_another.load(Ordering::SeqCst)
    }

    /// Something is asked from now on.
    pub(crate) fn asking(&self) -> Asking<'_> {
        self.losses().asking = Some(self.connections.load(Ordering::SeqCst));
        Asking(self)
    }

    /// What an error of what is asked is to be told with, within so many columns. Does it say that the connection is lost, that
    /// is said then.
    pub(crate) fn answer(&self, script: &str, error: ClientError, columns: usize) -> Vec<text::Line> {
        if matches!(error, ClientError::ConnectionLost { .. } | ClientError::NotConnected) {
            let mut losses = self.losses();
            losses.told = losses.asking;
            losses.untold = None;
        }
        CliError::answer(script, &self.place, error).lines(columns)
    }

    fn losses(&self) -> MutexGuard<'_, Losses> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that this connection is lost, if that is not said otherwise.
    fn tell_lost(&self, error: ClientError) {
        let connection = self.connections.load(Ordering::SeqCst);
        let error = CliError::Client { place: self.place.clone(), error };
        let text = format!("{}; connecting again", error.message());
        let mut losses = self.losses();
        if losses.told == Some(connection) {
            return;
        }
        if losses.asking.is_some() {
            losses.untold = Some(text);
        } else {
            self.notes.complain(&text);
        }
    }

    /// Proves a key on the session as it is. Where it is not known what came of it, the connection is given up: the session may
    /// be that key's by now.
    pub(crate) async fn prove(&self, keypair: Arc<KeyPair>) -> Result<(), CliError> {
        let mut unknown = GivenUp(Some(&self.client));
        let proved = self.client.authenticate_as(keypair).await;
        if matches!(proved, Ok(()) | Err(ClientError::Rpc(_))) {
            unknown.0 = None;
        }
        proved.map_err(|error| CliError::Client { place: self.place.clone(), error })
    }

    /// Connects and proves the key, unless that is done.
    pub(crate) async fn restore(&self) -> Result<(), ClientError> {
        let _one_at_a_time = self.restoring.lock().await;
        if self.is_on() {
            return Ok(());
        }
        let connected = async {
            self.client.connect().await?;
            let circle = first_answer(&self.client).await?;
            self.is_it(&circle)?;
            if self.client.public_key().is_some() {
                self.client.authenticate().await?;
            }
            Ok::<_, ClientError>(circle)
        };
        let circle = connected.await.inspect_err(|_| self.client.disconnect())?;
        *self.circle.lock().unwrap_or_else(PoisonError::into_inner) = circle;
        self.environment.fetch_add(1, Ordering::SeqCst);
        self.connections.fetch_add(1, Ordering::SeqCst);
        let whom = self.key().map_or(String::new(), |key| format!(" as {key}"));
        let lost = self.lost();
        // Before it is said: what is said has the prompt drawn anew, and that has to be true then.
        self.is_on.store(true, Ordering::SeqCst);
        self.notes.note(&format!("connected again to {}{whom}, with a fresh session{lost}", self.place));
        self.restored.notify_waiters();
        Ok(())
    }

    /// Whether what answers there now is the circle that did before: nothing is proved to another one or played on it unasked.
    fn is_it(&self, circle: &Description) -> Result<(), ClientError> {
        let before = self.circle().name;
        self.is_another.store(circle.name != before, Ordering::SeqCst);
        if circle.name == before {
            return Ok(());
        }
        let reason = format!("the circle '{}' is there now, and not '{before}'; :use goes to it", circle.name);
        Err(ClientError::Unreachable { url: self.client.url().to_string(), reason })
    }

    /// What an environment that is gone held.
    fn lost(&self) -> String {
        match self.inputs.swap(0, Ordering::SeqCst) {
            0 => String::new(),
            1 => ": what 1 input had made is gone (:save FILE writes it as a script)".to_owned(),
            inputs => format!(": what {inputs} inputs had made is gone (:save FILE writes them as a script)"),
        }
    }

    async fn watch(self: Arc<Self>) {
        loop {
            match self.client.next_notice().await {
                Ok(Notice::EnvironmentLost { reason }) => {
                    self.environment.fetch_add(1, Ordering::SeqCst);
                    let lost = self.lost();
                    self.notes.complain(&format!("{} lost this session's environment ({reason}){lost}", self.place));
                }
                Ok(_) => {}
                Err(error) => {
                    let restoring = self.restoring.lock().await;
                    // Somebody else has noticed sooner, and there is another connection already.
                    if self.is_on() {
                        continue;
                    }
                    self.is_on.store(false, Ordering::SeqCst);
                    self.tell_lost(error);
                    drop(restoring);
                    self.come_back().await;
                }
            }
        }
    }

    /// Where a circle is that has taken another free port (`"port": 0`) since.
    async fn moved(&self) -> Option<String> {
        let Said::Name { name, config } = &self.place.said else { return None };
        let found = target::find(name, config.as_deref()).await.ok()?;
        (!target::is_same_url(&found.url, &self.place.url)).then(|| found.url.into())
    }

    /// Tries until there is a connection, whoever makes it.
    async fn come_back(&self) {
        let mut wait = FIRST_WAIT;
        loop {
            let restored = self.restored.notified();
            tokio::select! {
                () = tokio::time::sleep(jittered(wait)) => {}
                () = restored => return,
            }
            let restored = self.restored.notified();
            match self.restore().await {
                Ok(()) => return,
                Err(error) => {
                    let error = CliError::Client { place: self.place.clone(), error };
                    // Not admitted any more, or not there: asking again and again changes nothing.
                    if error.exit_code() == 4 || self.is_another() {
                        self.notes.complain(&format!("{}; Enter tries again", error.message()));
                        restored.await;
                        return;
                    }
                    if let Some(url) = self.moved().await {
                        let name = self.place.label();
                        self.notes.complain(&format!("circle '{name}' is at {url} now; :use {name} goes to it there"));
                        restored.await;
                        return;
                    }
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }
}

/// Ends a connection, unless it is taken away.
struct GivenUp<'a>(Option<&'a CircleWsClient>);

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        if let Some(client) = self.0 {
            client.disconnect();
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut losses = self.0.losses();
        losses.asking = None;
        if let Some(text) = losses.untold.take() {
            self.0.notes.complain(&text);
        }
    }
}

/// Half of it to all of it, so that a circle that is back is not asked by all of its clients at once.
fn jittered(wait: Duration) -> Duration {
    let random = RandomState::new().hash_one(()) % 512;
    wait / 2 + wait * u32::try_from(random).unwrap_or(0) / 1024
}
