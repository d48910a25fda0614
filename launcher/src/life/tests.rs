use super::*;
use crate::link::supervisor_channel;

/// Time passes as fast as nothing happens.
#[tokio::test(start_paused = true)]
async fn what_was_late_once_does_not_hang_and_what_says_nothing_more_does() {
    let (socket, circle) = UnixStream::pair().expect("a pair");
    let (mut link, (mut circle, hears_nothing)) = (Link::new(socket), supervisor_channel(circle));
    let begun = Instant::now();
    let beats = async {
        tokio::time::sleep(LATE + GRACE / 2).await;
        circle.notify(&Heartbeat { connections: 12, ..Heartbeat::default() }).await.expect("it is read");
        std::future::pending::<()>().await;
    };
    let (mut pulse, mut told) = (Pulse::of(&TO_BE_HEARD), Vec::new());
    let hears = async {
        loop {
            match pulse.hear(&mut link).await {
                Heard::Said(Said::Figures(figures)) => told.push(figures.connections),
                Heard::Nothing(patience) => return patience,
                other => panic!("{other:?}"),
            }
        }
    };
    let patience = tokio::select! {
        patience = hears => patience,
        () = beats => unreachable!("it goes on"),
    };
    assert_eq!(patience, LATE + GRACE);
    assert!(begun.elapsed() >= LATE + GRACE / 2 + LATE + GRACE);
    assert_eq!(told, [12]);
    drop((circle, hears_nothing));
    assert!(matches!(Pulse::of(&TO_BE_HEARD).hear(&mut link).await, Heard::End), "a closed socket is no silence");
}

/// A circle's life, and what belongs to it: the events that it has, and the ends that keep its channels open.
type Begun = (Supervised, mpsc::Receiver<CircleEvent>, watch::Sender<Told>, watch::Sender<bool>);

fn life() -> Begun {
    let circle = crate::parse(r#"{ "circles": [{ "name": "a", "port": 0 }] }"#, std::path::Path::new("circles.json"));
    let circle = circle.expect("valid").remove(0);
    let definition = Arc::new(Definition { circle, contents: crate::definition::Contents::default() });
    let (tell, told) = watch::channel(Told { number: 0, definition: definition.clone() });
    let (events, happened) = mpsc::channel(4);
    let (stop, stopped) = watch::channel(false);
    let runs = watch::Sender::new(definition);
    let (name, program, files) = ("a".into(), PathBuf::new(), Files::default());
    (
        Supervised { name, told, runs, program, files, events, stopped, last_words: None, has_been_ready: false },
        happened,
        tell,
        stop,
    )
}

/// Stands for a circle's process: it does not end by itself.
fn process() -> Child {
    Command::new("sleep").arg("1000").kill_on_drop(true).spawn().expect("it is everywhere")
}

/// As one that was stopped.
#[tokio::test(start_paused = true)]
async fn circle_that_hangs_is_killed() {
    let (mut life, mut happened, _tell, _stop) = life();
    let (socket, circle) = UnixStream::pair().expect("a pair");
    let (mut circle, _hears) = supervisor_channel(circle);
    let address = "127.0.0.1:9".parse().expect("an address");
    circle.notify(&crate::link::Ready { address, identity: None }).await.expect("it is read");
    let begun = Instant::now();
    let asking = Asking::of(life.runs.clone());
    let status = life.watch(&mut process(), &mut Link::new(socket), asking).await.expect("it is waited for");
    assert_eq!(how(status), "it was ended by signal 9");
    assert!(begun.elapsed() >= LATE + GRACE);
    drop(life);
    let mut seen = Vec::new();
    while let Some(event) = happened.recv().await {
        seen.push(event.kind);
    }
    let [CircleEventKind::Listening(at), CircleEventKind::Ready, CircleEventKind::Warning(note)] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!((at.address, note.as_str()), (address, "it gives no sign of life for 12 s, and is killed"));
}

/// As one that has closed its socket, or says what nobody understands, and lives on.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_heard_any_more_and_does_not_end_is_killed() {
    let (mut life, mut happened, _tell, _stop) = life();
    let (socket, its_socket) = UnixStream::pair().expect("a pair");
    drop(its_socket);
    let begun = Instant::now();
    let asking = Asking::of(life.runs.clone());
    let status = life.watch(&mut process(), &mut Link::new(socket), asking).await.expect("it is waited for");
    assert_eq!(how(status), "it was ended by signal 9");
    assert!(begun.elapsed() >= DRAINING);
    let told = happened.recv().await.expect("it is told").kind;
    assert!(matches!(&told, CircleEventKind::Warning(note) if note.contains("cannot be heard")), "{told:?}");
}
