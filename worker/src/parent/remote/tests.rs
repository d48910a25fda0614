use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use proptest::prelude::*;

use super::*;
use crate::{
    message::{EvalOutcome, FromControl, FromWorker, Play, Print, Stream, frame},
    parent::{Loss, Usage, WorkerEvent},
};

fn remote() -> (Worker, RemotePeer) {
    Worker::remote(&WorkerSetup::default(), "other", Some(7))
}

fn play(number: u64, script: &str) -> Play<'_> {
    Play { number, script, name: None, bind: None }
}

fn frames<'a>(messages: impl IntoIterator<Item = &'a (impl serde::Serialize + 'a)>) -> Vec<u8> {
    messages.into_iter().fold(Vec::new(), |bytes, message| frame::encode(message, bytes))
}

fn print(text: &str) -> FromWorker {
    FromWorker::Print(Print { play: 1, stream: Stream::Print, text: text.into(), position: None })
}

fn done(play: u64) -> FromWorker {
    FromWorker::Done { play, outcome: EvalOutcome::Stopped, live_bytes: 0 }
}

/// The result of a future that is ready now.
async fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn read_all(peer: &mut RemotePeer, channel: WorkerChannel) -> usize {
    let mut buffer = [0; 1000];
    std::iter::from_fn(|| Some(peer.try_read(channel, &mut buffer)).filter(|read| *read > 0)).sum()
}

#[tokio::test]
async fn peer_sees_each_change_once() {
    let (mut worker, mut peer) = remote();
    assert_eq!(now(peer.changed()).await, None);
    worker.play(&play(1, "1"));
    worker.flush();
    assert_eq!((now(peer.changed()).await, now(peer.changed()).await), (Some(()), None));
    assert!(read_all(&mut peer, WorkerChannel::Work) > 0);
    worker.stop(1);
    worker.lower_priority();
    worker.kill();
    assert_eq!(now(peer.changed()).await, Some(()));
    assert!(read_all(&mut peer, WorkerChannel::Control) > 0);
    let both = RemoteCommands { kill: true, lower_priority: true, sample: false };
    assert_eq!((peer.take_commands(), peer.take_commands()), (both, RemoteCommands::default()));
    assert!(!peer.is_closed());
    drop(worker);
    assert_eq!(now(peer.changed()).await, Some(()));
    assert!(peer.is_closed());
    assert_eq!(peer.try_write(WorkerChannel::Work, &vec![0; 1 << 20]), 1 << 20, "nobody reads it");
}

#[tokio::test]
async fn plays_wait_until_peer_has_read() {
    let (mut worker, mut peer) = remote();
    let script = " ".repeat(100 << 10);
    worker.play(&play(1, &script));
    worker.flush();
    let mut sent = 0;
    loop {
        assert!(now(worker.event()).await.is_none());
        match read_all(&mut peer, WorkerChannel::Work) {
            0 => break,
            read => sent += read,
        }
        assert!(read_all(&mut peer, WorkerChannel::Control) == 0);
    }
    assert!((script.len()..script.len() + 100).contains(&sent), "{sent}");
}

#[tokio::test]
async fn bytes_of_worker_wait_until_handle_has_read() {
    let (mut worker, mut peer) = remote();
    worker.play(&play(1, ""));
    let text = "x".repeat(100 << 10);
    let bytes = frames(&[FromWorker::Sealed(Vec::new()), print(&text), done(1)]);
    let mut written = peer.try_write(WorkerChannel::Work, &bytes);
    assert_eq!(written, WorkerChannel::Work.capacity());
    assert_eq!(peer.try_write(WorkerChannel::Work, &bytes[written..]), 0);
    assert_eq!(now(peer.changed()).await, None);
    assert!(now(worker.event()).await.is_none(), "the print is not complete");
    assert_eq!(now(peer.changed()).await, Some(()), "there is room");
    written += peer.try_write(WorkerChannel::Work, &bytes[written..]);
    assert_eq!(written, bytes.len());
    assert!(matches!(now(worker.event()).await, Some(WorkerEvent::Print(print)) if print.text == text));
    assert!(matches!(now(worker.event()).await, Some(WorkerEvent::Done { play: 1, .. })));
}

#[tokio::test]
async fn loss_follows_what_arrived_before() {
    for loss in [Loss::Memory, Loss::Drained, Loss::Killed, Loss::Crashed, Loss::Unreachable] {
        let (mut worker, mut peer) = remote();
        worker.play(&play(1, ""));
        let bytes = frames(&[FromWorker::Sealed(Vec::new()), print("a")]);
        assert_eq!(peer.try_write(WorkerChannel::Work, &bytes), bytes.len());
        peer.report_loss(loss);
        peer.report_loss(Loss::Crashed);
        // The loss may arrive before the last bytes.
        let rest = frames(&[done(1)]);
        assert_eq!(peer.try_write(WorkerChannel::Work, &rest), rest.len());
        peer.end(WorkerChannel::Work);
        worker.play(&play(2, ""));
        assert!(matches!(worker.event().await, WorkerEvent::Print(_)));
        assert!(matches!(worker.event().await, WorkerEvent::Done { play: 1, .. }));
        assert!(matches!(worker.event().await, WorkerEvent::Lost(lost) if lost == loss), "{loss}");
    }
}

#[tokio::test]
async fn dropped_peer_is_out_of_reach() {
    let (mut worker, peer) = remote();
    worker.play(&play(1, ""));
    drop(peer);
    assert!(matches!(worker.event().await, WorkerEvent::Lost(Loss::Unreachable)));
    let (mut worker, peer) = remote();
    worker.kill();
    drop(peer);
    assert!(matches!(worker.event().await, WorkerEvent::Lost(Loss::Killed)));
}

/// Another machine may be compromised.
#[tokio::test(start_paused = true)]
async fn machine_that_ignores_kill_is_out_of_reach() {
    let (mut worker, mut peer) = remote();
    worker.play(&play(1, ""));
    peer.end(WorkerChannel::Work);
    assert!(matches!(worker.event().await, WorkerEvent::Lost(Loss::Unreachable)));
    assert!(peer.take_commands().kill);
    // One that goes on as if nothing had happened.
    let (mut worker, mut peer) = remote();
    worker.play(&play(1, ""));
    let bytes = frames(&[FromWorker::Sealed(Vec::new())]);
    assert_eq!(peer.try_write(WorkerChannel::Work, &bytes), bytes.len());
    let killed_at = tokio::time::Instant::now();
    worker.kill();
    assert!(matches!(worker.control_event().await, WorkerEvent::Lost(Loss::Killed)));
    assert!(matches!(worker.event().await, WorkerEvent::Lost(Loss::Killed)));
    assert_eq!(killed_at.elapsed(), std::time::Duration::from_secs(1));
    assert!(peer.take_commands().kill);
    let (mut worker, mut peer) = remote();
    let noise = [0xff; 64];
    assert_eq!(peer.try_write(WorkerChannel::Work, &noise), noise.len());
    assert!(matches!(worker.event().await, WorkerEvent::Lost(Loss::Crashed)));
    assert!(peer.take_commands().kill);
}

#[tokio::test]
async fn leaving_is_reported_once_after_what_arrived_before() {
    let (mut worker, mut peer) = remote();
    worker.play(&play(1, ""));
    let bytes = frames(&[FromWorker::Sealed(Vec::new()), print("a"), done(1)]);
    assert_eq!(peer.try_write(WorkerChannel::Work, &bytes), bytes.len());
    peer.leave();
    assert!(matches!(now(worker.event()).await, Some(WorkerEvent::Print(_))));
    assert!(matches!(now(worker.event()).await, Some(WorkerEvent::Done { .. })));
    assert!(matches!(now(worker.event()).await, Some(WorkerEvent::Leaving)));
    assert!(now(worker.event()).await.is_none());
    // A handle that waits wakes up.
    let (event, ()) = tokio::join!(worker.event(), async { peer.leave() });
    assert!(matches!(event, WorkerEvent::Leaving));
}

#[tokio::test]
async fn silence_of_the_machine_is_reported_after_what_arrived_before() {
    let (mut worker, mut peer) = remote();
    worker.play(&play(1, ""));
    let (first, second) = (Instant::now(), Instant::now());
    let bytes = frames(&[FromWorker::Sealed(Vec::new()), print("a")]);
    assert_eq!(peer.try_write(WorkerChannel::Work, &bytes), bytes.len());
    peer.note_silence(first);
    assert!(matches!(now(worker.event()).await, Some(WorkerEvent::Print(_))));
    assert!(matches!(now(worker.event()).await, Some(WorkerEvent::Silent { lost_at }) if lost_at == first));
    assert!(now(worker.event()).await.is_none());
    // A handle that waits wakes up, and the worker goes on.
    let (event, ()) = tokio::join!(worker.event(), async { peer.note_silence(second) });
    assert!(matches!(event, WorkerEvent::Silent { lost_at } if lost_at == second));
    let bytes = frames(&[done(1)]);
    assert_eq!(peer.try_write(WorkerChannel::Work, &bytes), bytes.len());
    assert!(matches!(now(worker.event()).await, Some(WorkerEvent::Done { .. })));
}

#[tokio::test]
async fn usage_is_that_of_time_after_request() {
    let sample = |n: u64| UsageSample { memory_bytes: n, cpu_time: std::time::Duration::from_millis(n) };
    let before = Instant::now();
    let (worker, mut peer) = remote();
    peer.report_usage(sample(1));
    assert_eq!(worker.memory_usage(before), Usage::Known(1), "of the fresh worker");
    assert!(peer.take_commands().sample);
    let since = Instant::now();
    assert_eq!(worker.cpu_usage(since), Usage::Pending);
    assert_eq!(peer.take_commands(), RemoteCommands::default(), "one request at a time");
    peer.report_usage(sample(2));
    // It may have been taken before.
    assert_eq!(worker.cpu_usage(since), Usage::Pending);
    peer.report_usage(sample(3));
    assert_eq!(worker.cpu_usage(since), Usage::Known(sample(3).cpu_time));
    assert_eq!(worker.memory_usage(since), Usage::Known(3));
    peer.report_loss(Loss::Killed);
    assert_eq!((worker.memory_usage(since), worker.cpu_usage(since)), (Usage::Unknown, Usage::Unknown));
    assert_eq!((worker.pid(), worker.machine()), (Some(7), Some("other")));
}

/// Passes bytes to a handle in pieces, and returns how the handle ends.
async fn end_after(work: &[u8], control: &[u8], piece: usize) -> Loss {
    let (mut worker, mut peer) = remote();
    (1..=3).for_each(|number| worker.play(&play(number, "")));
    worker.hold();
    worker.send_query(1, crate::message::Query::Scope);
    for (channel, bytes) in [(WorkerChannel::Work, work), (WorkerChannel::Control, control)] {
        for mut piece in bytes.chunks(piece) {
            while !piece.is_empty() && !peer.take_commands().kill {
                let written = peer.try_write(channel, piece);
                piece = &piece[written..];
                if let Some(WorkerEvent::Lost(loss)) = now(worker.event()).await {
                    return loss;
                }
            }
        }
    }
    drop(peer);
    loop {
        if let WorkerEvent::Lost(loss) = worker.event().await {
            return loss;
        }
    }
}

proptest! {
    /// Another machine may be compromised.
    #[test]
    fn any_bytes_end_in_loss(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
        noise in proptest::collection::vec(any::<u8>(), 0..200),
        piece in 1_usize..70_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let mut work = frames(&[FromWorker::Sealed(Vec::new()), print("a"), done(1), print("b"), done(2), done(3)]);
        let mut control = frames(&[FromControl::Begun { play: 3 }]);
        for (at, byte) in changes {
            for bytes in [&mut work, &mut control] {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        for (work, control) in [(&work, &control), (&noise, &noise), (&work, &noise), (&noise, &control)] {
            let loss = runtime.block_on(end_after(work, control, piece));
            prop_assert!(matches!(loss, Loss::Unreachable | Loss::Crashed), "{}", loss);
        }
    }
}
