//! What a process is, and what it is asked to be while it runs.

use std::{sync::Arc, time::Duration};

use protocol::RpcError;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{DesiredDefinition, arguments::serve_arguments, wait_for_new_definition};
use crate::{CircleEventKind, circle_runner::CircleFiles, definition::CircleDefinition, ipc::CircleChannel};

/// How long a circle may take to take over what is changed, its init script included.
const CONFIGURE_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of what a circle can be told.
const MAX_ARGUMENT_BYTES: usize = 1 << 20;

/// One is asked after the other: a circle answers one at a time, and what it answers late holds all the same.
#[derive(Debug)]
pub(super) struct Configurator {
    /// What the process is, as far as it has answered.
    runs: watch::Sender<Arc<CircleDefinition>>,
    /// Nothing else is told to one that is not.
    pub(super) is_ready: bool,
    /// What it has not answered yet, in time or not.
    in_flight: Option<ConfigureRequest>,
    /// Of what it was told last there has to be an outcome.
    deadline: Option<ResponseDeadline>,
    /// What it was told last is to be asked once it has answered what it was asked before.
    is_outdated: bool,
}

#[derive(Debug)]
struct ConfigureRequest {
    /// What the answer has.
    id: u64,
    desired: DesiredDefinition,
}

#[derive(Debug)]
struct ResponseDeadline {
    /// Of the times that it was told.
    generation: u64,
    at: Instant,
}

impl ResponseDeadline {
    fn new(number: u64) -> Self {
        Self { generation: number, at: Instant::now() + CONFIGURE_TIMEOUT }
    }
}

impl Configurator {
    /// Of a process that was started as that.
    pub(super) fn new(runs: watch::Sender<Arc<CircleDefinition>>) -> Self {
        Self { runs, is_ready: false, in_flight: None, deadline: None, is_outdated: false }
    }

    /// Waits until there is something to ask, or an answer is too late. Cancel safe.
    pub(super) async fn wait_until_due(&self, told: &mut watch::Receiver<DesiredDefinition>) {
        match &self.deadline {
            Some(awaited) => sleep_until(awaited.at).await,
            None if self.in_flight.is_none() && self.is_outdated => {}
            None if self.is_ready => wait_for_new_definition(told).await,
            None => std::future::pending().await,
        }
    }

    /// Does what is due; the outcome, where it need not be waited for.
    pub(super) async fn handle_due(
        &mut self,
        told: &mut watch::Receiver<DesiredDefinition>,
        link: &mut CircleChannel,
    ) -> Option<CircleEventKind> {
        if let Some(ResponseDeadline { generation: number, .. }) = self.deadline.take() {
            let refused = Some(format!("it has not answered within {} s", CONFIGURE_TIMEOUT.as_secs()));
            return Some(CircleEventKind::Configured { generation: number, refused });
        }
        let told = told.borrow_and_update().clone();
        self.is_outdated = self.in_flight.is_some();
        if self.is_outdated {
            self.deadline = Some(ResponseDeadline::new(told.generation));
            return None;
        }
        self.send_request(told, link).await
    }

    /// Asks it to be that; the outcome, where it need not be waited for.
    async fn send_request(&mut self, told: DesiredDefinition, link: &mut CircleChannel) -> Option<CircleEventKind> {
        let new_arguments = serve_arguments(&told.definition.circle, &CircleFiles::default());
        let size = new_arguments.iter().map(String::len).sum::<usize>();
        if size > MAX_ARGUMENT_BYTES {
            let refused = Some(format!("it cannot be told more than {} KiB at a time", MAX_ARGUMENT_BYTES >> 10));
            return Some(CircleEventKind::Configured { generation: told.generation, refused });
        }
        let runs = self.runs.borrow().clone();
        if new_arguments == serve_arguments(&runs.circle, &CircleFiles::default())
            && told.definition.contents == runs.contents
        {
            self.runs.send_replace(told.definition);
            return Some(CircleEventKind::Configured { generation: told.generation, refused: None });
        }
        // One that is gone takes it over with its next start.
        let number = link.configure(new_arguments).await.ok()?;
        self.deadline = Some(ResponseDeadline::new(told.generation));
        self.in_flight = Some(ConfigureRequest { id: number, desired: told });
        None
    }

    /// What an answer of that number means, however late it comes; nothing, if nothing with that number was asked.
    pub(super) fn handle_response(&mut self, number: u64, outcome: Result<(), RpcError>) -> Option<CircleEventKind> {
        let ConfigureRequest { desired: told, .. } = self.in_flight.take_if(|asked| asked.id == number)?;
        self.deadline = None;
        let refused = outcome.err().map(|error| error.to_string());
        if refused.is_none() {
            self.runs.send_replace(told.definition);
        }
        Some(CircleEventKind::Configured { generation: told.generation, refused })
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;
    use crate::{
        definition::ContentDigests,
        ipc::{ConfigureResult, FromCircle, ToCircle, supervisor_channel},
    };

    fn definition(fields: &str, init: u8) -> Arc<CircleDefinition> {
        let text = format!(r#"{{ "circles": [{{ "name": "a", "port": 1{fields} }}] }}"#);
        let circle = crate::parse(&text, std::path::Path::new("circles.json")).expect("valid").remove(0);
        Arc::new(CircleDefinition { circle, contents: ContentDigests { init: Some([init; 32]), modules: None } })
    }

    fn outcome(happened: Option<CircleEventKind>) -> Option<(u64, bool)> {
        match happened? {
            CircleEventKind::Configured { generation: number, refused } => Some((number, refused.is_none())),
            other => panic!("{other:?}"),
        }
    }

    /// Time passes as fast as nothing happens.
    #[tokio::test(start_paused = true)]
    async fn configurator_sends_changes_when_circle_is_ready() {
        let (one, other) = UnixStream::pair().expect("a pair");
        let (mut link, (mut circle, mut from_supervisor)) = (CircleChannel::new(one), supervisor_channel(other));
        let (tell, mut told) = watch::channel(DesiredDefinition { generation: 0, definition: definition("", 1) });
        let (runs, known) = watch::channel(definition("", 1));
        let mut asking = Configurator::new(runs);
        let set_desired = |number, definition| tell.send_replace(DesiredDefinition { generation, definition });
        let early = Duration::from_mins(1);
        set_desired(1, definition(r#", "restart": "never""#, 1));
        tokio::time::timeout(early, asking.wait_until_due(&mut told)).await.expect_err("it is not ready");
        asking.is_ready = true;
        asking.wait_until_due(&mut told).await;
        // That is not the circle's.
        assert_eq!(outcome(asking.handle_due(&mut told, &mut link).await), Some((1, true)));

        // Another content alone is worth asking, and so is what was refused before.
        for (number, refusal) in [(2, Some(RpcError::Internal)), (3, None)] {
            set_desired(number, definition("", 2));
            asking.wait_until_due(&mut told).await;
            assert_eq!(outcome(asking.handle_due(&mut told, &mut link).await), None);
            let ToCircle::Configure(id, asked) = from_supervisor.next().await else { panic!("it is asked") };
            assert_eq!(asked.arguments[0], "serve");
            circle.respond(&id, refusal.clone().map_or(Ok(ConfigureResult {}), Err)).await.expect("it is there");
            let Some(FromCircle::ConfigureResponse(of, answer)) = link.next().await else { panic!("it answers") };
            assert_eq!(outcome(asking.handle_response(of, answer)), Some((number, refusal.is_none())));
        }
        set_desired(4, definition("", 2));
        asking.wait_until_due(&mut told).await;
        assert_eq!(outcome(asking.handle_due(&mut told, &mut link).await), Some((4, true)), "it is so already");

        // An answer that does not come in time is told as none.
        set_desired(5, definition("", 3));
        asking.wait_until_due(&mut told).await;
        assert_eq!(outcome(asking.handle_due(&mut told, &mut link).await), None);
        let begun = Instant::now();
        asking.wait_until_due(&mut told).await;
        assert!(begun.elapsed() >= CONFIGURE_TIMEOUT);
        assert_eq!(outcome(asking.handle_due(&mut told, &mut link).await), Some((5, false)));
        assert_eq!(known.borrow().contents, definition("", 2).contents);
        // What is taken back meanwhile waits for it, and is not taken for what runs.
        set_desired(6, definition("", 4));
        set_desired(7, definition("", 2));
        asking.wait_until_due(&mut told).await;
        assert_eq!(outcome(asking.handle_due(&mut told, &mut link).await), None);
        let ToCircle::Configure(late, _) = from_supervisor.next().await else { panic!("it is asked") };
        tokio::time::timeout(early, from_supervisor.next()).await.expect_err("it is asked one at a time");
        asking.wait_until_due(&mut told).await;
        assert_eq!(outcome(asking.handle_due(&mut told, &mut link).await), Some((7, false)));
        circle.respond(&late, Ok(ConfigureResult {})).await.expect("it is there");
        let Some(FromCircle::ConfigureResponse(of, answer)) = link.next().await else { panic!("it answers") };
        assert_eq!(outcome(asking.handle_response(of, answer)), Some((5, true)));
        assert_eq!(known.borrow().contents, definition("", 3).contents, "a late answer holds");
        asking.wait_until_due(&mut told).await;
        assert_eq!(outcome(asking.handle_due(&mut told, &mut link).await), None);
        let ToCircle::Configure(id, _) = from_supervisor.next().await else { panic!("it is asked again") };
        circle.respond(&id, Ok(ConfigureResult {})).await.expect("it is there");
        let Some(FromCircle::ConfigureResponse(of, answer)) = link.next().await else { panic!("it answers") };
        assert!(asking.handle_response(of - 1, Ok(())).is_none(), "that was answered before");
        assert_eq!(outcome(asking.handle_response(of, answer)), Some((7, true)));
        assert_eq!(known.borrow().contents, definition("", 2).contents);

        let many = format!(r#", "origins": [{}]"#, vec![r#""https://a.example""#; 70_000].join(","));
        set_desired(8, definition(&many, 4));
        asking.wait_until_due(&mut told).await;
        assert_eq!(outcome(asking.handle_due(&mut told, &mut link).await), Some((8, false)), "it is too much");
    }
}
