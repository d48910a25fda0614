//! What is done elsewhere than in the app's loop, and posts what comes of it: network, disk, passphrases, processes.

mod each;
mod files;
mod follow;
mod supervisor;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use client_ws::{CircleWsClient, ClientError, Description, PlayEvent};
use keys::{
    Authority, KeyPair,
    keystore::{KeyName, Keystore, WorkFactor},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Handle,
    sync::{Notify, mpsc, oneshot},
};
use zeroize::Zeroizing;

use super::{
    id::{CircleId, Connection, PlayNumber},
    message::{CircleNews, Listening, Message, News, SessionNews},
};
use frontend::{config, connect::first_answer, error::CliError, supervisor::Supervisors, target::{self, Destination}};
use console::{LAST_VALUE, commands::{self, Meta}, completion::Completion, history::{HistoryFile, Keeper}};
pub(crate) use follow::Follower;
pub(crate) use supervisor::Meant;

/// How often it is looked whether something listens where circles are that their supervisor does not have up.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// How long such a look may take.
const PROBE_PATIENCE: Duration = Duration::from_secs(1);

/// Where things are that the app works with.
#[derive(Debug)]
pub struct Setup {
    /// The circles.json that was named; otherwise the default ones are looked for.
    pub config: Option<PathBuf>,
    /// Where the keys are; `None` if there is no home directory to have them in.
    pub keystore: Option<Keystore>,
    /// The directory in which what is typed is kept; `None` keeps nothing.
    pub history: Option<PathBuf>,
    /// What it costs to try one passphrase of a key that is made here.
    pub work_factor: WorkFactor,
    /// How the supervisor of circles.json is found and started.
    pub supervisors: Supervisors,
    /// How circles know themselves when they are dialled through a tunnel.
    pub authority: Option<Authority>,
    /// The passphrase that was given, so that none is asked for.
    pub passphrase: Option<Zeroizing<String>>,
    /// Whether colours are wanted.
    pub has_colours: bool,
}

impl Setup {
    /// Which processes evaluate the scripts of the throw-away circle.
    pub(crate) fn workers(&self) -> server_ws::Workers {
        server_ws::Workers::Process { program: self.supervisors.program.clone() }
    }

    /// The supervisor of the circles.json that is meant.
    pub(crate) fn supervisor(&self) -> Meant {
        Meant { supervisors: self.supervisors.clone(), config: self.config.clone() }
    }
}

/// Starts what is to be done, and hands on what comes of it.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    runtime: Handle,
    queue: mpsc::Sender<Message>,
}

impl Work {
    pub(crate) fn new(runtime: Handle, queue: mpsc::Sender<Message>) -> Self {
        Self { runtime, queue }
    }

    /// Waits for room: what comes too fast is made to wait, not dropped.
    async fn post(&self, news: News) {
        // An app that has ended needs no news.
        let _ended = self.queue.send(Message(news)).await;
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(future);
    }

    /// Runs what blocks, and posts its outcome.
    fn block<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
        news: impl FnOnce(T) -> News + Send + 'static,
    ) {
        let work = self.clone();
        self.spawn(async move {
            // A panic has been reported by its hook, and ends the process.
            if let Ok(done) = tokio::task::spawn_blocking(job).await {
                work.post(news(done)).await;
            }
        });
    }

    pub(crate) fn read_config(&self, named: Option<PathBuf>) {
        self.block(move || config::find(named), News::Configured);
    }

    pub(crate) fn list_keys(&self, store: Keystore) {
        self.block(move || store.list().map_err(Into::into), News::Listed);
    }

    pub(crate) fn set_default_key(&self, store: Keystore, name: KeyName) {
        let listed = move || {
            store.set_default(&name)?;
            Ok(store.list()?)
        };
        self.block(listed, News::Listed);
    }

    pub(crate) fn make_key(&self, store: Keystore, name: KeyName, passphrase: Zeroizing<String>, work: WorkFactor) {
        let made = move || {
            let keypair = KeyPair::generate().map_err(|error| {
                CliError::usage("cannot make a key", error.to_string(), "the operating system gives no random bytes")
            })?;
            let entry = store.create(&name, &keypair, &passphrase, work)?;
            Ok((entry, Arc::new(keypair)))
        };
        self.block(made, News::Made);
    }

    pub(crate) fn unlock(&self, store: Keystore, name: KeyName, passphrase: Zeroizing<String>) {
        let named = name.clone();
        let unlocked = move || Ok(Arc::new(store.unlock(&name, &passphrase)?));
        self.block(unlocked, move |unlocked| News::Unlocked(named, unlocked));
    }

    /// Looks, again and again, whether something takes connections there.
    pub(crate) fn probe(&self, circle: CircleId, address: SocketAddr) -> Probing {
        let work = self.clone();
        let (stop, mut stopped) = oneshot::channel::<()>();
        self.spawn(async move {
            let mut known = None;
            let mut interval = tokio::time::interval(PROBE_INTERVAL);
            loop {
                tokio::select! {
                    _ = interval.tick() => {}
                    _ = &mut stopped => return,
                }
                let listening = listening(address).await;
                if known.replace(listening) != Some(listening) {
                    work.post(News::Circle(circle, CircleNews::Probed(listening))).await;
                }
            }
        });
        Probing(stop)
    }

    /// Connects, and asks whom it is connected to.
    pub(crate) fn connect(
        &self,
        id: CircleId,
        connection: Connection,
        place: Destination,
        authority: Option<Authority>,
    ) {
        let work = self.clone();
        self.spawn(async move {
            let connected = connect(&place.url, authority).await.map(Box::new);
            let connected = connected.map_err(|error| CliError::Client { place, error });
            work.post(News::Session(id, connection, SessionNews::Connected(connected))).await;
        });
    }

    /// Proves a key to a circle. `name` is `None` for the key that a throw-away circle is for.
    pub(crate) fn prove(
        &self,
        to: (CircleId, Connection),
        client: Arc<CircleWsClient>,
        name: Option<KeyName>,
        keypair: Arc<KeyPair>,
        place: Destination,
    ) {
        let work = self.clone();
        self.spawn(async move {
            client.set_keypair(keypair);
            let proved = client.authenticate().await.map_err(|error| CliError::Client { place, error });
            work.post(News::Session(to.0, to.1, SessionNews::Proved(name, proved))).await;
        });
    }

    /// Plays a script. What is returned cancels it when it is notified.
    pub(crate) fn play(
        &self,
        to: (CircleId, Connection),
        number: PlayNumber,
        client: Arc<CircleWsClient>,
        script: String,
    ) -> Arc<Notify> {
        let (work, cancel) = (self.clone(), Arc::new(Notify::new()));
        let cancelled = cancel.clone();
        let say = move |work: Work, news: SessionNews| async move { work.post(News::Session(to.0, to.1, news)).await };
        self.spawn(async move {
            let mut running = match client.play(script).bind(LAST_VALUE).start().await {
                Ok(running) => running,
                Err(error) => return say(work, SessionNews::Ended(number, Err(error))).await,
            };
            let mut is_cancelled = false;
            loop {
                let event = tokio::select! {
                    event = running.next() => event,
                    () = cancelled.notified(), if !is_cancelled => {
                        is_cancelled = true;
                        let (client, play) = (client.clone(), running.id().clone());
                        // How it ended is what its own answer says.
                        tokio::spawn(async move { drop(client.cancel(&play).await) });
                        continue;
                    }
                };
                let news = match event {
                    Some(PlayEvent::Output(output)) => SessionNews::Output(number, output),
                    Some(PlayEvent::Progress(progress)) => SessionNews::Progress(number, progress),
                    Some(_) => continue,
                    None => break,
                };
                say(work.clone(), news).await;
            }
            let ended = running.result().await;
            say(work, SessionNews::Ended(number, ended)).await;
        });
        cancel
    }

    /// Reads what was typed in earlier days.
    pub(crate) fn recall(&self, to: (CircleId, Connection), history: HistoryFile) {
        // Without it there is only less to walk through.
        let read = move || history.read().unwrap_or_default();
        self.block(read, move |inputs| News::Session(to.0, to.1, SessionNews::History(inputs)));
    }

    /// Keeps what is typed for other days.
    pub(crate) fn keep_history(&self) -> Keeper {
        let work = self.clone();
        Keeper::start(move |error| {
            // An app that has ended, or has no time for it, need not know.
            let _untold = work.queue.try_send(Message(News::Complaint(error)));
        })
    }

    /// Finds out where a circle is that was named as people say it.
    ///
    /// `from`: the circle that was shown, if it was named in a command.
    pub(crate) fn resolve(&self, place: String, config: Option<PathBuf>, from: Option<CircleId>) {
        let resolved = move || target::parse(&place, config.as_deref()).map(|found| found.url.into());
        self.block(resolved, move |resolved| News::Resolved(from, resolved));
    }

    /// Has the circle answer a command.
    pub(crate) fn ask(&self, to: (CircleId, Connection), client: Arc<CircleWsClient>, command: Meta) {
        let work = self.clone();
        self.spawn(async move {
            let answered = commands::ask(&client, &command).await;
            work.post(News::Session(to.0, to.1, SessionNews::Answered(command, answered))).await;
        });
    }

    /// Asks what may stand at the cursor. Without an answer there is nothing to offer.
    pub(crate) fn complete(
        &self,
        to: (CircleId, Connection),
        client: Arc<CircleWsClient>,
        (input, cursor): (String, usize),
        (script, at, offset): (String, usize, usize),
    ) {
        let work = self.clone();
        self.spawn(async move {
            let Ok(answer) = client.complete(script, at as u64).await else { return };
            let completion = Completion::of_answer(input, cursor, offset, answer);
            work.post(News::Session(to.0, to.1, SessionNews::Completed(completion))).await;
        });
    }
}

/// Looks what listens there. A circle says how it is to whoever asks (`GET /healthz`), also while it drains.
async fn listening(address: SocketAddr) -> Listening {
    let asked = async {
        let Ok(mut socket) = TcpStream::connect(address).await else { return Listening::Nothing };
        let mut answer = [0; 12];
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let answered = async {
            socket.write_all(request.as_bytes()).await?;
            socket.read_exact(&mut answer).await
        };
        match answered.await {
            Ok(_) if &answer == b"HTTP/1.1 200" => Listening::Circle,
            Ok(_) if &answer == b"HTTP/1.1 503" => Listening::Draining,
            _ => Listening::Other,
        }
    };
    tokio::time::timeout(PROBE_PATIENCE, asked).await.unwrap_or(Listening::Other)
}

/// Ends the looking when it is dropped.
#[derive(Debug)]
pub(crate) struct Probing(#[expect(dead_code, reason = "its end is what counts")] oneshot::Sender<()>);

async fn connect(url: &str, authority: Option<Authority>) -> Result<(Arc<CircleWsClient>, Description), ClientError> {
    let mut builder = CircleWsClient::builder(url);
    if let Some(authority) = authority {
        builder = builder.authority(authority);
    }
    let client = builder.build()?;
    client.connect().await?;
    let description = first_answer(&client).await?;
    Ok((Arc::new(client), description))
}
