use super::*;
use crate::ipc::supervisor_channel;

/// Time passes as fast as nothing happens.
#[tokio::test(start_paused = true)]
async fn heartbeat_monitor_times_out_only_after_lasting_silence() {
    let (socket, circle) = UnixStream::pair().expect("a pair");
    let (mut link, (mut circle, from_supervisor)) = (CircleChannel::new(socket), supervisor_channel(circle));
    let begun = Instant::now();
    let heartbeats = async {
        tokio::time::sleep(HEARTBEAT_TIMEOUT + HEARTBEAT_GRACE_PERIOD / 2).await;
        circle.notify(&Heartbeat { connections: 12, ..Heartbeat::default() }).await.expect("it is read");
        std::future::pending::<()>().await;
    };
    let (mut pulse, mut reports) = (HeartbeatMonitor::new(&HEARTBEAT_TIMEOUTS), Vec::new());
    let monitoring = async {
        loop {
            match pulse.next(&mut link).await {
                MonitorEvent::Message(FromCircle::Heartbeat(figures)) => reports.push(figures.connections),
                MonitorEvent::TimedOut(patience) => return patience,
                other => panic!("{other:?}"),
            }
        }
    };
    let patience = tokio::select! {
        patience = monitoring => patience,
        () = heartbeats => unreachable!("it goes on"),
    };
    assert_eq!(patience, HEARTBEAT_TIMEOUT + HEARTBEAT_GRACE_PERIOD);
    assert!(
        begun.elapsed() >= HEARTBEAT_TIMEOUT + HEARTBEAT_GRACE_PERIOD / 2 + HEARTBEAT_TIMEOUT + HEARTBEAT_GRACE_PERIOD
    );
    assert_eq!(reports, [12]);
    drop((circle, from_supervisor));
    assert!(
        matches!(HeartbeatMonitor::new(&HEARTBEAT_TIMEOUTS).next(&mut link).await, MonitorEvent::Closed),
        "a closed socket is no silence"
    );
}

/// A circle's life, and what belongs to it: the events that it has, and the ends that keep its channels open.
type RunnerParts = (CircleRunner, mpsc::Receiver<CircleEvent>, watch::Sender<DesiredDefinition>, watch::Sender<bool>);

fn test_runner() -> RunnerParts {
    let circle = crate::parse(r#"{ "circles": [{ "name": "a", "port": 0 }] }"#, std::path::Path::new("circles.json"));
    let circle = circle.expect("valid").remove(0);
    let definition = Arc::new(CircleDefinition { circle, contents: crate::definition::ContentDigests::default() });
    let (tell, reports) = watch::channel(DesiredDefinition { generation: 0, definition: definition.clone() });
    let (events, event_receiver) = mpsc::channel(4);
    let (stop, stopped) = watch::channel(false);
    let runs = watch::Sender::new(definition);
    let (name, program, files) = ("a".into(), PathBuf::new(), CircleFiles::default());
    (
        CircleRunner {
            name,
            desired: reports,
            running: runs,
            program,
            files,
            events,
            stop_requested: stopped,
            exit_reason: None,
            has_been_ready: false,
        },
        event_receiver,
        tell,
        stop,
    )
}

/// Stands for a circle's process: it does not end by itself.
fn hanging_process() -> Child {
    Command::new("sleep").arg("1000").kill_on_drop(true).spawn().expect("it is everywhere")
}

/// As one that was stopped.
#[tokio::test(start_paused = true)]
async fn hanging_circle_is_killed() {
    let (mut life, mut event_receiver, _tell, _stop) = test_runner();
    let (socket, circle) = UnixStream::pair().expect("a pair");
    let (mut circle, _from_supervisor) = supervisor_channel(circle);
    let address = "127.0.0.1:9".parse().expect("an address");
    circle.notify(&crate::ipc::Ready { address, identity: None }).await.expect("it is read");
    let begun = Instant::now();
    let asking = Configurator::new(life.running.clone());
    let status =
        life.monitor(&mut hanging_process(), &mut CircleChannel::new(socket), asking).await.expect("it is waited for");
    assert_eq!(describe_exit(status), "it was ended by signal 9");
    assert!(begun.elapsed() >= HEARTBEAT_TIMEOUT + HEARTBEAT_GRACE_PERIOD);
    drop(life);
    let mut seen = Vec::new();
    while let Some(event) = event_receiver.recv().await {
        seen.push(event.kind);
    }
    let [CircleEventKind::Listening(at), CircleEventKind::Ready, CircleEventKind::Warning(note)] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!((at.address, note.as_str()), (address, "it gives no sign of life for 12 s, and is killed"));
}

/// As one that has closed its socket, or says what nobody understands, and lives on.
#[tokio::test(start_paused = true)]
async fn circle_with_closed_socket_is_killed_after_drain_timeout() {
    let (mut life, mut event_receiver, _tell, _stop) = test_runner();
    let (socket, its_socket) = UnixStream::pair().expect("a pair");
    drop(its_socket);
    let begun = Instant::now();
    let asking = Configurator::new(life.running.clone());
    let status =
        life.monitor(&mut hanging_process(), &mut CircleChannel::new(socket), asking).await.expect("it is waited for");
    assert_eq!(describe_exit(status), "it was ended by signal 9");
    assert!(begun.elapsed() >= DRAIN_TIMEOUT);
    let reports = event_receiver.recv().await.expect("it is told").kind;
    assert!(matches!(&reports, CircleEventKind::Warning(note) if note.contains("cannot be heard")), "{reports:?}");
}
