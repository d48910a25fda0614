use super::*;
use crate::{WorkerMachineStatus, WorkerPoolState};

fn channel_pair() -> (CircleChannel, SupervisorSender, SupervisorReceiver) {
    let (one, other) = UnixStream::pair().expect("a pair");
    let (to, from) = supervisor_channel(other);
    (CircleChannel::new(one), to, from)
}

#[tokio::test]
async fn each_end_receives_what_the_other_sends() {
    let (mut channel, mut to, mut from) = channel_pair();
    let address = "127.0.0.1:9001".parse().expect("an address");
    let ready = Ready { address, identity: Some("02ab".into()) };
    to.notify(&ready).await.expect("it is there");
    assert!(matches!(channel.next().await, Some(FromCircle::Ready(received)) if received == ready));
    let sandbox = vec!["process".to_owned()];
    let store = Some(StoreStatus { revision: 7, ..StoreStatus::default() });
    let list = vec![WorkerMachineStatus { name: "m1".into(), places: 4, ..WorkerMachineStatus::default() }];
    let pool = WorkerPoolStatus { state: WorkerPoolState::OtherBuild, list, ..WorkerPoolStatus::default() };
    let worker_pool = Some(Box::new(pool));
    let figures =
        Heartbeat { connections: 12, workers: 3, plays: 4, memory_bytes: 1 << 40, sandbox, store, worker_pool };
    to.notify(&figures).await.expect("it is there");
    assert!(matches!(channel.next().await, Some(FromCircle::Heartbeat(received)) if received == figures));

    let arguments = vec!["serve".to_owned(), "--name=\u{e4}\n".to_owned()];
    channel.start(arguments.clone()).await.expect("it is there");
    assert_eq!(from.receive_arguments().await.as_ref(), Some(&arguments));
    let request = channel.configure(arguments.clone()).await.expect("it is there");
    let ToCircle::Configure(id, configuration) = from.next().await else { panic!("it is asked") };
    assert_eq!(configuration.arguments, arguments);
    to.respond(&id, Err::<ConfigureResult, _>(RpcError::Internal)).await.expect("it is there");
    assert!(matches!(channel.next().await, Some(FromCircle::Response(number, Err(_))) if number == request));
    let request = channel.export("/a\u{e4}".into()).await.expect("it is there");
    let ToCircle::Export(id, file) = from.next().await else { panic!("it is asked") };
    assert_eq!(file, PathBuf::from("/a\u{e4}"));
    to.respond(&id, Ok(ExportResult { entries: 3 })).await.expect("it is there");
    let Some(FromCircle::Response(number, Ok(result))) = channel.next().await else { panic!("it answers") };
    assert_eq!((number, result.get()), (request, r#"{"entries":3}"#));

    channel.cancel_export().await.expect("it is there");
    assert_eq!(from.next().await, ToCircle::CancelExport);
    channel.drain().await.expect("it is there");
    assert_eq!(from.next().await, ToCircle::Drain);
}

#[tokio::test]
async fn roles_and_members_of_a_whole_config_fit_in_a_message() {
    let (mut channel, _to, mut from) = channel_pair();
    // Quotes are escaped in the message, and make it longer than the text.
    let arguments = vec![format!("--roles={}", "\"key\",".repeat(700_000))];
    assert!(arguments[0].len() > 4 << 20);
    let (sent, received) = tokio::join!(channel.start(arguments.clone()), from.receive_arguments());
    sent.expect("it is there");
    assert_eq!(received, Some(arguments));
}

#[tokio::test]
async fn each_end_notices_close_and_ignores_unknown_messages() {
    let (mut channel, mut to, mut from) = channel_pair();
    for line in ["", "12", "{", r#"{"jsonrpc":"2.0","method":"later","params":{}}"#] {
        channel.lines.send(line).await.expect("it is there");
        to.0.send(line).await.expect("it is there");
    }
    drop(to);
    assert!(channel.next().await.is_none());
    drop(channel);
    assert_eq!(from.next().await, ToCircle::Drain);
}
