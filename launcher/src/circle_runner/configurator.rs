//! Live reconfiguration of a running circle.

use std::{sync::Arc, time::Duration};

use protocol::RpcError;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{DesiredDefinition, arguments::serve_arguments, wait_for_new_definition};
use crate::{CircleEventKind, circle_runner::CircleFiles, definition::CircleDefinition, ipc::CircleChannel};

/// Time in which a circle has to apply a change, its init script included.
const CONFIGURE_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest configuration in bytes that is sent to a circle.
const MAX_ARGUMENT_BYTES: usize = 4 << 20;

/// Sends new configurations to one process, one at a time. A late answer still counts.
#[derive(Debug)]
pub(super) struct Configurator {
    /// The definition that the process has, as far as it has confirmed.
    running: watch::Sender<Arc<CircleDefinition>>,
    /// Whether the process is ready; nothing is sent to it before.
    pub(super) is_ready: bool,
    /// The request that has no answer yet, whether in time or late.
    in_flight: Option<ConfigureRequest>,
    /// When an outcome of the newest definition has to be reported.
    deadline: Option<ResponseDeadline>,
    /// Whether the newest definition has to be sent once the request in flight is answered.
    is_outdated: bool,
}

#[derive(Debug)]
struct ConfigureRequest {
    /// Id of the request.
    id: u64,
    desired: DesiredDefinition,
}

#[derive(Debug)]
struct ResponseDeadline {
    /// Generation of the definition.
    generation: u64,
    at: Instant,
}

impl ResponseDeadline {
    fn new(generation: u64) -> Self {
        Self { generation, at: Instant::now() + CONFIGURE_TIMEOUT }
    }
}

impl Configurator {
    /// A configurator for a process that was started with the definition in `running`.
    pub(super) fn new(running: watch::Sender<Arc<CircleDefinition>>) -> Self {
        Self { running, is_ready: false, in_flight: None, deadline: None, is_outdated: false }
    }

    /// Waits until there is something to send, or until an answer is too late. Cancel safe.
    pub(super) async fn wait_until_due(&self, desired: &mut watch::Receiver<DesiredDefinition>) {
        match &self.deadline {
            Some(deadline) => sleep_until(deadline.at).await,
            None if self.in_flight.is_none() && self.is_outdated => {}
            None if self.is_ready => wait_for_new_definition(desired).await,
            None => std::future::pending().await,
        }
    }

    /// Does what is due. Returns the outcome if it is known at once.
    pub(super) async fn handle_due(
        &mut self,
        desired: &mut watch::Receiver<DesiredDefinition>,
        channel: &mut CircleChannel,
    ) -> Option<CircleEventKind> {
        if let Some(ResponseDeadline { generation, .. }) = self.deadline.take() {
            let refused = Some(format!("no answer within {} s", CONFIGURE_TIMEOUT.as_secs()));
            return Some(CircleEventKind::Configured { generation, refused });
        }
        let desired = desired.borrow_and_update().clone();
        self.is_outdated = self.in_flight.is_some();
        if self.is_outdated {
            self.deadline = Some(ResponseDeadline::new(desired.generation));
            return None;
        }
        self.send_request(desired, channel).await
    }

    /// Sends a definition. Returns the outcome if it is known at once.
    async fn send_request(
        &mut self,
        desired: DesiredDefinition,
        channel: &mut CircleChannel,
    ) -> Option<CircleEventKind> {
        let new_arguments = serve_arguments(&desired.definition.circle, &CircleFiles::default());
        let size = new_arguments.iter().map(String::len).sum::<usize>();
        if size > MAX_ARGUMENT_BYTES {
            let refused = Some(format!("the configuration is larger than {} KiB", MAX_ARGUMENT_BYTES >> 10));
            return Some(CircleEventKind::Configured { generation: desired.generation, refused });
        }
        let running = self.running.borrow().clone();
        if new_arguments == serve_arguments(&running.circle, &CircleFiles::default())
            && desired.definition.contents == running.contents
        {
            self.running.send_replace(desired.definition);
            return Some(CircleEventKind::Configured { generation: desired.generation, refused: None });
        }
        // A process that is gone gets the definition with its next start.
        let id = channel.configure(new_arguments).await.ok()?;
        self.deadline = Some(ResponseDeadline::new(desired.generation));
        self.in_flight = Some(ConfigureRequest { id, desired });
        None
    }

    /// Handles a response, however late; `None` if no request with that id is in flight.
    pub(super) fn handle_response(&mut self, id: u64, outcome: Result<(), RpcError>) -> Option<CircleEventKind> {
        let ConfigureRequest { desired, .. } = self.in_flight.take_if(|request| request.id == id)?;
        self.deadline = None;
        let refused = outcome.err().map(|error| error.to_string());
        if refused.is_none() {
            self.running.send_replace(desired.definition);
        }
        Some(CircleEventKind::Configured { generation: desired.generation, refused })
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
        Arc::new(CircleDefinition {
            circle,
            contents: ContentDigests { init: Some([init; 32]), ..ContentDigests::default() },
        })
    }

    fn outcome(happened: Option<CircleEventKind>) -> Option<(u64, bool)> {
        match happened? {
            CircleEventKind::Configured { generation, refused } => Some((generation, refused.is_none())),
            other => panic!("{other:?}"),
        }
    }

    /// Paused time advances as soon as every task waits.
    #[tokio::test(start_paused = true)]
    async fn configurator_sends_changes_when_circle_is_ready() {
        let (one, other) = UnixStream::pair().expect("a pair");
        let (mut channel, (mut circle, mut from_supervisor)) = (CircleChannel::new(one), supervisor_channel(other));
        let (desired_sender, mut desired) =
            watch::channel(DesiredDefinition { generation: 0, definition: definition("", 1) });
        let (running, known) = watch::channel(definition("", 1));
        let mut configurator = Configurator::new(running);
        let set_desired =
            |generation, definition| desired_sender.send_replace(DesiredDefinition { generation, definition });
        let early = Duration::from_mins(1);
        set_desired(1, definition(r#", "restart": "never""#, 1));
        tokio::time::timeout(early, configurator.wait_until_due(&mut desired)).await.expect_err("it is not ready");
        configurator.is_ready = true;
        configurator.wait_until_due(&mut desired).await;
        // `restart` is a field of the supervisor: the circle need not be asked.
        assert_eq!(outcome(configurator.handle_due(&mut desired, &mut channel).await), Some((1, true)));

        // Changed contents alone are sent, and so is a definition that was refused before.
        for (generation, refusal) in [(2, Some(RpcError::Internal)), (3, None)] {
            set_desired(generation, definition("", 2));
            configurator.wait_until_due(&mut desired).await;
            assert_eq!(outcome(configurator.handle_due(&mut desired, &mut channel).await), None);
            let ToCircle::Configure(id, asked) = from_supervisor.next().await else { panic!("it is asked") };
            assert_eq!(asked.arguments[0], "serve");
            circle.respond(&id, refusal.clone().map_or(Ok(ConfigureResult {}), Err)).await.expect("it is there");
            let Some(FromCircle::Response(of, answer)) = channel.next().await else { panic!("it answers") };
            assert_eq!(
                outcome(configurator.handle_response(of, answer.map(drop))),
                Some((generation, refusal.is_none()))
            );
        }
        set_desired(4, definition("", 2));
        configurator.wait_until_due(&mut desired).await;
        assert_eq!(
            outcome(configurator.handle_due(&mut desired, &mut channel).await),
            Some((4, true)),
            "the process has it already"
        );

        // Without an answer in time the outcome is a refusal.
        set_desired(5, definition("", 3));
        configurator.wait_until_due(&mut desired).await;
        assert_eq!(outcome(configurator.handle_due(&mut desired, &mut channel).await), None);
        let started_at = Instant::now();
        configurator.wait_until_due(&mut desired).await;
        assert!(started_at.elapsed() >= CONFIGURE_TIMEOUT);
        assert_eq!(outcome(configurator.handle_due(&mut desired, &mut channel).await), Some((5, false)));
        assert_eq!(known.borrow().contents, definition("", 2).contents);
        // A definition that is reverted meanwhile waits for the answer, and is not mistaken for the running one.
        set_desired(6, definition("", 4));
        set_desired(7, definition("", 2));
        configurator.wait_until_due(&mut desired).await;
        assert_eq!(outcome(configurator.handle_due(&mut desired, &mut channel).await), None);
        let ToCircle::Configure(late, _) = from_supervisor.next().await else { panic!("it is asked") };
        tokio::time::timeout(early, from_supervisor.next()).await.expect_err("one request at a time");
        configurator.wait_until_due(&mut desired).await;
        assert_eq!(outcome(configurator.handle_due(&mut desired, &mut channel).await), Some((7, false)));
        circle.respond(&late, Ok(ConfigureResult {})).await.expect("it is there");
        let Some(FromCircle::Response(of, answer)) = channel.next().await else { panic!("it answers") };
        assert_eq!(outcome(configurator.handle_response(of, answer.map(drop))), Some((5, true)));
        assert_eq!(known.borrow().contents, definition("", 3).contents, "a late answer counts");
        configurator.wait_until_due(&mut desired).await;
        assert_eq!(outcome(configurator.handle_due(&mut desired, &mut channel).await), None);
        let ToCircle::Configure(id, _) = from_supervisor.next().await else { panic!("it is asked again") };
        circle.respond(&id, Ok(ConfigureResult {})).await.expect("it is there");
        let Some(FromCircle::Response(of, answer)) = channel.next().await else { panic!("it answers") };
        assert!(configurator.handle_response(of - 1, Ok(())).is_none(), "that was answered before");
        assert_eq!(outcome(configurator.handle_response(of, answer.map(drop))), Some((7, true)));
        assert_eq!(known.borrow().contents, definition("", 2).contents);

        let many = format!(r#", "origins": [{}]"#, vec![r#""https://a.example""#; 160_000].join(","));
        set_desired(8, definition(&many, 4));
        configurator.wait_until_due(&mut desired).await;
        assert_eq!(outcome(configurator.handle_due(&mut desired, &mut channel).await), Some((8, false)), "too large");
    }
}
