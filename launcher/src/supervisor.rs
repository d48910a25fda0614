//! The supervisor of a configuration: who holds its lock, keeps circles up, and does what is wished at its socket.

mod healing;
mod known;
mod listener;
mod order;
mod reload;
mod snapshot;
mod telling;
mod writer;

use std::{
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use protocol::RpcError;
use tokio::{
    sync::{mpsc, watch},
    task::{Id, JoinSet},
};

use crate::{
    CircleConfig, CircleEvent, CircleEventKind, CircleState, CircleStatus, LogFormat, SdNotifier, SupervisorHandle,
    control::Server,
    definition::{Definition, define},
    diff::News,
    event::EVENTS,
    log,
    place::{LockGuard, SupervisorFiles, SupervisorFilesError},
    reader::Reader,
    state::Change,
};

use healing::Healing;
use known::Known;
use listener::Listener;
pub(crate) use order::{Occasion, Order};
pub use reload::SUPERVISOR_LOG_NAME;
pub(crate) use snapshot::Snapshot;
use writer::Writer;

/// Orders that wait to be taken.
const ORDERS: usize = 16;

/// What a supervisor begins with.
#[derive(Debug)]
pub struct SupervisorOptions {
    /// The circles of circles.json.
    pub circles: Vec<CircleConfig>,
    /// Those to be started at once; all, without names, and then also what is new in circles.json later on.
    pub names: Option<Vec<String>>,
    /// The executable that circles run.
    pub program: PathBuf,
    /// Whether it ends when its last circle has ended, as in the foreground, or waits for more orders.
    pub ends_with_circles: bool,
    /// Each is a wish to reload, as by a signal.
    pub reloads: mpsc::Receiver<()>,
    /// Who is told how it is.
    pub manager: SdNotifier,
}

/// What can be wished of circles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Up,
    Down,
    /// As down, and the supervisor is not needed any more once nothing is up.
    Release,
    Restart,
}

/// Keeps circles up, listens at the place's socket, and takes over what changes in circles.json, until `shutdown` is done or
/// it is told there to take all down. It needs a tokio runtime with I/O and time enabled. It reads the files of the circles
/// before it returns.
pub fn start(
    place: SupervisorFiles,
    mut held: LockGuard,
    options: SupervisorOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<SupervisorHandle, SupervisorFilesError> {
    let listener = place.listen(&mut held)?;
    let listener = tokio::net::UnixListener::from_std(listener)
        .map_err(|source| SupervisorFilesError::Io { path: place.config().to_owned(), source })?;
    let (to_listener, events) = mpsc::channel(EVENTS);
    let (orders, mut ordered) = mpsc::channel(ORDERS);
    let (published, known) = watch::channel(Snapshot::default());
    let (news, to_digest) = mpsc::channel(EVENTS);
    let mut supervisor = Supervisor {
        place: place.clone(),
        program: options.program,
        circles: Vec::new(),
        lives: JoinSet::new(),
        news: news.clone(),
        listener: Listener::of(to_listener),
        writer: Writer::start(),
        manager: options.manager,
        published,
        is_ending: false,
        is_released: false,
        on_new: if options.names.is_some() { News::Leave } else { News::Start },
        refused: None,
    };
    supervisor.learn(define(options.circles).all);
    for known in &mut supervisor.circles {
        known.is_new = false;
        if options.names.as_ref().is_none_or(|names| names.contains(&known.circle.name)) {
            known.begin(&supervisor.place, &supervisor.program, &supervisor.news, &mut supervisor.lives);
        }
    }
    supervisor.publish();
    let reader = Reader::of(place.config().to_owned());
    let reloading = reload::begin(reader.clone(), orders.clone(), options.reloads, news.clone());
    let (to_server, listeners) = mpsc::channel(1);
    let healing = Healing::start(place.clone(), held, to_server, orders.clone(), news);
    let server = Server::start(listener, listeners, reader, orders, known);
    let ended = tokio::spawn(async move {
        supervisor.run(&mut ordered, to_digest, options.ends_with_circles, shutdown).await;
        drop(reloading);
        let held = healing.close().await;
        // Who waits for what will not be done any more is told.
        drop(ordered);
        server.close().await;
        supervisor.writer.close().await;
        if let Some(held) = held {
            place.leave(held);
        }
        let failed = supervisor.circles.into_iter().filter(|known| known.book.state == CircleState::Failed);
        failed.map(|known| known.circle.name).collect()
    });
    Ok(SupervisorHandle { events, task: ended })
}

struct Supervisor {
    place: SupervisorFiles,
    program: PathBuf,
    circles: Vec<Known>,
    /// Each ends with whether the circle failed for good.
    lives: JoinSet<bool>,
    news: mpsc::Sender<CircleEvent>,
    listener: Listener,
    writer: Writer,
    manager: SdNotifier,
    published: watch::Sender<Snapshot>,
    is_ending: bool,
    /// Whether it ends, too, once nothing is up.
    is_released: bool,
    /// What a reload does with circles that are new.
    on_new: News,
    /// Why circles.json was not taken over last, where it was not.
    refused: Option<String>,
}

impl Supervisor {
    async fn run(
        &mut self,
        ordered: &mut mpsc::Receiver<Order>,
        mut to_digest: mpsc::Receiver<CircleEvent>,
        ends_with_circles: bool,
        shutdown: impl Future<Output = ()>,
    ) {
        tokio::pin!(shutdown);
        self.tell_manager();
        while !(self.lives.is_empty() && (self.is_ending || self.is_released || ends_with_circles)) {
            tokio::select! {
                Some(event) = to_digest.recv() => {
                    let is_line = matches!(event.kind, CircleEventKind::Log(_));
                    self.digest(event);
                    if is_line {
                        // It says nothing of how a circle is, and there may be very many.
                        continue;
                    }
                }
                Some(order) = ordered.recv() => self.obey(order),
                Some(over) = self.lives.join_next_with_id() => {
                    // What it told comes before its end.
                    while let Ok(event) = to_digest.try_recv() {
                        self.digest(event);
                    }
                    // A life that panicked has failed, and its process ended with it.
                    let (task, has_failed) = over.unwrap_or_else(|error| (error.id(), true));
                    self.over(task, has_failed);
                }
                () = &mut shutdown, if !self.is_ending => self.end(),
                () = self.manager.wait_until_watchdog_due() => self.manager.notify_watchdog(),
            }
            self.publish();
            self.tell_manager();
        }
    }

    fn end(&mut self) {
        self.is_ending = true;
        self.circles.iter_mut().for_each(|known| known.end(false));
    }

    /// Takes what circles.json says for all that is started from now on.
    fn learn(&mut self, circles: Vec<Definition>) {
        let mut before = std::mem::take(&mut self.circles);
        for definition in circles {
            let known = match before.iter().position(|known| known.circle.name == definition.circle.name) {
                Some(index) => {
                    let Definition { circle, contents } = definition;
                    Known { circle, contents, is_gone: false, ..before.remove(index) }
                }
                None => Known::of(definition),
            };
            self.circles.push(if known.life.is_some() {
                known
            } else {
                Known { url: known.circle.url(), access: known.circle.access, ..known }
            });
        }
        // What runs and is not in the file any more stays until it is taken down.
        self.circles.extend(before.into_iter().filter(|known| known.life.is_some()));
    }

    fn obey(&mut self, order: Order) {
        // Whoever wished it may have gone.
        match order {
            Order::Wish { wish, names, circles, answer } => {
                let done = self.try_obey(wish, names, circles);
                self.publish();
                let _untold = answer.send(done);
            }
            Order::Reload { circles, occasion, answer } => {
                let done = self.reload(circles, occasion);
                self.publish();
                if let Some(answer) = answer {
                    let _untold = answer.send(done);
                }
            }
            Order::Compare { circles, answer } => {
                let _untold = answer.send(self.compare(&circles));
            }
        }
    }

    fn try_obey(
        &mut self,
        wish: Wish,
        names: Option<Vec<String>>,
        circles: Option<Vec<Definition>>,
    ) -> Result<Vec<String>, RpcError> {
        if self.is_ending && matches!(wish, Wish::Up | Wish::Restart) {
            return Err(RpcError::ShuttingDown);
        }
        if let Some(circles) = circles {
            self.learn(circles);
        }
        let is_known = |name: &String| self.circles.iter().any(|known| known.circle.name == *name);
        if let Some(unknown) = names.iter().flatten().find(|name| !is_known(name)) {
            let reason = format!("there is no circle '{}'", unknown.chars().take(64).collect::<String>());
            return Err(RpcError::InvalidParams { param: "names".into(), reason });
        }
        match wish {
            Wish::Up | Wish::Restart => self.is_released = false,
            Wish::Release => self.is_released = true,
            Wish::Down => {}
        }
        let is_all = names.is_none();
        if is_all {
            self.on_new = News::Start;
        }
        let names = names.unwrap_or_else(|| self.circles.iter().map(|known| known.circle.name.clone()).collect());
        if wish == Wish::Down && is_all {
            self.end();
            return Ok(names);
        }
        for index in 0..self.circles.len() {
            let known = &mut self.circles[index];
            if !names.contains(&known.circle.name) {
                continue;
            }
            match (wish, known.book.state) {
                (Wish::Down | Wish::Release, _) => known.end(false),
                // Once more at once, and not in a while.
                (Wish::Up, CircleState::BackingOff | CircleState::Draining) => known.end(true),
                (Wish::Restart, _) if known.life.is_some() => known.end(true),
                (Wish::Up, _) if known.life.is_some() => {}
                _ => self.begin(index),
            }
        }
        Ok(names)
    }

    /// Begins a circle nothing of which runs, or has it wait for one that drains and still has its address.
    fn begin(&mut self, index: usize) {
        let address = self.circles[index].circle.address;
        let is_taken = self.circles.iter().any(|known| known.still_has(address));
        let known = &mut self.circles[index];
        if is_taken {
            known.wait();
        } else {
            known.begin(&self.place, &self.program, &self.news, &mut self.lives);
        }
    }

    fn digest(&mut self, event: CircleEvent) {
        let mut format = LogFormat::default();
        let known = self.circles.iter_mut().find(|known| known.circle.name == event.circle);
        if let Some(known) = known {
            format = known.circle.log;
            let now = Instant::now();
            match &event.kind {
                CircleEventKind::Started { pid } => known.book.note(Change::Started { pid: *pid }, now),
                CircleEventKind::Listening(ready) => {
                    (known.url, known.identity) = (format!("ws://{}", ready.address), ready.identity.clone());
                }
                CircleEventKind::Heartbeat(figures) => known.figures = Some(figures.clone()),
                CircleEventKind::Ready => known.book.note(Change::Ready, now),
                CircleEventKind::Ended { reason: why, restart_in: again_in } => {
                    (known.figures, known.identity) = (None, None);
                    let is_tried_again = again_in.is_some();
                    known.book.note(Change::Ended { why: why.clone(), is_tried_again }, now);
                }
                CircleEventKind::Configured { generation: number, refused } => known.settle(*number, refused.clone()),
                CircleEventKind::Warning(_) | CircleEventKind::Info(_) | CircleEventKind::Log(_) => {}
            }
        }
        // The circle's own lines are in its log already.
        let line = match &event.kind {
            CircleEventKind::Warning(line) | CircleEventKind::Info(line) => Some(line.clone()),
            CircleEventKind::Ended { reason: why, restart_in: Some(wait) } => {
                Some(format!("{why}; again in {:.1} s", secs(*wait)))
            }
            CircleEventKind::Ended { reason: why, restart_in: None } => Some(why.clone()),
            CircleEventKind::Configured { refused: Some(why), .. } => {
                Some(format!("it goes on as it was, and does not take over what circles.json says now: {why}"))
            }
            _ => None,
        };
        if let Some(line) = line {
            let is_well = matches!(event.kind, CircleEventKind::Info(_));
            let level = if is_well { log::LogLevel::Info } else { log::LogLevel::Warn };
            let line = format.format_line(SystemTime::now(), level, &line);
            self.writer.write(self.place.log(&event.circle), line);
        }
        if !matches!(event.kind, CircleEventKind::Heartbeat(_)) {
            self.listener.tell(event);
        }
    }

    fn over(&mut self, task: Id, has_failed: bool) {
        let ended = self.circles.iter_mut().find(|known| known.life.as_ref().is_some_and(|life| life.task == task));
        let Some(known) = ended else { return };
        (known.life, known.figures, known.identity, known.refused) = (None, None, None, None);
        known.book.note(Change::Over { has_failed }, Instant::now());
        if known.is_gone && !known.is_wanted_anew {
            let name = known.circle.name.clone();
            self.circles.retain(|known| known.circle.name != name);
        }
        for index in 0..self.circles.len() {
            let known = &self.circles[index];
            if known.is_wanted_anew && known.life.is_none() && !self.is_ending {
                self.begin(index);
            }
        }
    }

    fn publish(&self) {
        let status = |known: &Known| CircleStatus {
            name: known.circle.name.clone(),
            url: known.url.clone(),
            state: known.book.state,
            pid: known.book.pid,
            restarts: known.book.restarts,
            uptime_s: None,
            access: known.access,
            connections: known.figures.as_ref().map(|figures| figures.connections),
            workers: known.figures.as_ref().map(|figures| figures.workers),
            plays: known.figures.as_ref().map(|figures| figures.plays),
            memory_bytes: known.figures.as_ref().map(|figures| figures.memory_bytes),
            sandbox: known.figures.as_ref().map(|figures| figures.sandbox.clone()),
            identity: known.identity.clone(),
            why: known.book.why.clone(),
            refused: known.refused.clone(),
        };
        let circles = self.circles.iter().map(|known| (status(known), known.book.clone())).collect();
        let unsettled = self.circles.iter().filter(|known| known.life.as_ref().is_some_and(|life| life.is_unsettled));
        let unsettled = unsettled.map(|known| known.circle.name.clone()).collect();
        let (is_ending, refused) = (self.is_ending, self.refused.clone());
        self.published.send_replace(Snapshot { circles, unsettled, is_ending, refused });
    }
}

fn secs(wait: Duration) -> f64 {
    wait.as_secs_f64()
}
