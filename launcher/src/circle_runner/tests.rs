use super::*;
use crate::ipc::supervisor_channel;

/// Paused time advances as soon as every task waits.
#[tokio::test(start_paused = true)]
async fn heartbeat_monitor_times_out_only_after_lasting_silence() {
    let (socket, circle) = UnixStream::pair().expect("a pair");
    let (mut channel, (mut circle, from_supervisor)) = (CircleChannel::new(socket), supervisor_channel(circle));
    let started_at = Instant::now();
    let heartbeats = async {
        tokio::time::sleep(HEARTBEAT_TIMEOUT + HEARTBEAT_GRACE_PERIOD / 2).await;
        circle.notify(&Heartbeat { connections: 12, ..Heartbeat::default() }).await.expect("it is read");
        std::future::pending::<()>().await;
    };
    let (mut monitor, mut reports) = (HeartbeatMonitor::new(&HEARTBEAT_TIMEOUTS), Vec::new());
    let monitoring = async {
        loop {
            match monitor.next(&mut channel).await {
                MonitorEvent::Message(FromCircle::Heartbeat(heartbeat)) => reports.push(heartbeat.connections),
                MonitorEvent::TimedOut(timeout) => return timeout,
                other => panic!("{other:?}"),
            }
        }
    };
    let timeout = tokio::select! {
        timeout = monitoring => timeout,
        () = heartbeats => unreachable!("it goes on"),
    };
    assert_eq!(timeout, HEARTBEAT_TIMEOUT + HEARTBEAT_GRACE_PERIOD);
    assert!(
        started_at.elapsed()
            >= HEARTBEAT_TIMEOUT + HEARTBEAT_GRACE_PERIOD / 2 + HEARTBEAT_TIMEOUT + HEARTBEAT_GRACE_PERIOD
    );
    assert_eq!(reports, [12]);
    drop((circle, from_supervisor));
    assert!(
        matches!(HeartbeatMonitor::new(&HEARTBEAT_TIMEOUTS).next(&mut channel).await, MonitorEvent::Closed),
        "a closed socket is not a timeout"
    );
}

/// Paused time advances as soon as every task waits.
#[tokio::test(start_paused = true)]
async fn circle_that_recovers_its_store_has_more_time_to_become_ready() {
    let (socket, circle) = UnixStream::pair().expect("a pair");
    let (mut channel, (mut circle, _from_supervisor)) = (CircleChannel::new(socket), supervisor_channel(circle));
    let reports = async {
        for percent in [10, 20, 30] {
            tokio::time::sleep(READY_TIMEOUT / 4 * 3).await;
            circle.notify(&Recovering { percent }).await.expect("it is read");
        }
        std::future::pending::<()>().await;
    };
    let (mut monitor, mut seen) = (HeartbeatMonitor::new(&READY_TIMEOUTS), Vec::new());
    let monitoring = async {
        loop {
            match monitor.next(&mut channel).await {
                MonitorEvent::Message(FromCircle::Recovering(Recovering { percent })) => seen.push(percent),
                MonitorEvent::TimedOut(_) => return,
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::select! {
        () = monitoring => {}
        () = reports => unreachable!("it goes on"),
    }
    assert_eq!(seen, [10, 20, 30]);
}

/// A runner with its event queue, and the senders that keep its channels open.
type RunnerParts = (CircleRunner, mpsc::Receiver<CircleEvent>, watch::Sender<DesiredDefinition>, watch::Sender<bool>);

fn test_runner() -> RunnerParts {
    let circle = crate::parse(r#"{ "circles": [{ "name": "a", "port": 0 }] }"#, std::path::Path::new("circles.json"));
    let circle = circle.expect("valid").remove(0);
    let definition = Arc::new(CircleDefinition { circle, contents: crate::definition::ContentDigests::default() });
    let (desired_sender, desired) = watch::channel(DesiredDefinition { generation: 0, definition: definition.clone() });
    let (events, event_receiver) = mpsc::channel(4);
    let (stop, stopped) = watch::channel(false);
    let running = watch::Sender::new(definition);
    let (name, program, files) = ("a".into(), PathBuf::new(), CircleFiles::default());
    (
        CircleRunner {
            name,
            desired,
            running,
            program,
            files,
            events,
            exporter: Exporter::new().1,
            drain_timeout: DRAIN_TIMEOUT,
            stop_requested: stopped,
            exit_reason: None,
            has_been_ready: false,
        },
        event_receiver,
        desired_sender,
        stop,
    )
}

/// A process that does not end on its own, in the place of a circle.
fn hanging_process() -> Child {
    Command::new("sleep").arg("1000").kill_on_drop(true).spawn().expect("it is everywhere")
}

/// Like a circle that was stopped by a signal.
#[tokio::test]
async fn hanging_circle_is_killed() {
    let (mut runner, mut event_receiver, _desired_sender, _stop) = test_runner();
    let (socket, circle) = UnixStream::pair().expect("a pair");
    let (mut circle, _from_supervisor) = supervisor_channel(circle);
    let address = "127.0.0.1:9".parse().expect("an address");
    circle.notify(&crate::ipc::Ready { address, identity: None }).await.expect("it is read");
    let configurator = Configurator::new(runner.running.clone());
    let (mut process, mut channel) = (hanging_process(), CircleChannel::new(socket));
    let events = async {
        let mut next = async || event_receiver.recv().await.expect("an event").kind;
        assert!(matches!(next().await, CircleEventKind::Listening(at) if at.address == address));
        assert!(matches!(next().await, CircleEventKind::Ready));
        // The circle sends nothing more, so from now on time may advance as soon as every task waits.
        tokio::time::pause();
        let ready_at = Instant::now();
        let CircleEventKind::Warning(warning) = next().await else { panic!("the circle is silent") };
        assert_eq!(warning, "no heartbeat for 12 s; killing it");
        assert!(ready_at.elapsed() >= HEARTBEAT_GRACE_PERIOD);
    };
    let (status, ()) = tokio::join!(runner.monitor(&mut process, &mut channel, configurator), events);
    assert_eq!(describe_exit(status.expect("it is waited for")), "killed by signal 9");
}

/// Like a circle that has closed its socket, or sends invalid messages, and keeps running.
#[tokio::test]
async fn circle_with_closed_socket_is_killed_after_drain_timeout() {
    let (mut runner, mut event_receiver, _desired_sender, _stop) = test_runner();
    runner.drain_timeout = Duration::from_millis(20);
    let (socket, its_socket) = UnixStream::pair().expect("a pair");
    drop(its_socket);
    let started_at = Instant::now();
    let configurator = Configurator::new(runner.running.clone());
    let status = runner
        .monitor(&mut hanging_process(), &mut CircleChannel::new(socket), configurator)
        .await
        .expect("it is waited for");
    assert_eq!(describe_exit(status), "killed by signal 9");
    assert!(started_at.elapsed() >= runner.drain_timeout);
    let reports = event_receiver.recv().await.expect("an event").kind;
    assert!(matches!(&reports, CircleEventKind::Warning(note) if note.contains("closed its socket")), "{reports:?}");
}
