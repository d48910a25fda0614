//! Words and members of later versions of the protocol.

use futures_util::future;

use super::*;
use crate::{Access, CandidateKind, LossReason, Origin, OutputStream, PlayEvent};

#[tokio::test]
async fn unknown_words_of_notifications_end_nothing() {
    let (client, mut circle) = connect_identified().await;
    let mut play = client.play("1").start().await.expect("it is sent");
    for text in [
        r#"{"jsonrpc":"2.0","method":"later"}"#,
        r#"{"jsonrpc":"2.0","method":"event","params":[1]}"#,
        r#"{"jsonrpc":"2.0","method":"session.reset","params":{"reason":"upgraded","more":1},"more":1}"#,
        r#"{"jsonrpc":"2.0","method":"play.output","params":{"play":2,"stream":"warn","text":"x","more":{}}}"#,
    ] {
        circle.send(text.into()).await.expect("it is sent");
    }
    let event = play.next().await;
    assert!(matches!(&event, Some(PlayEvent::Output(output)) if output.stream == OutputStream::Unknown), "{event:?}");
    assert_eq!(client.take_notice(), Some(Notice::EnvironmentLost { reason: LossReason::Unknown }));
    play.detach();
}

#[tokio::test]
async fn unknown_words_of_answers_are_unknown() {
    let (client, mut circle) = connect_identified().await;
    let description = json!({
        "name": "team", "version": "9", "protocol": 1, "access": "invited", "modules": [], "sandbox": ["moat"],
        "you": { "public_key": null, "admitted": true, "more": 1 }, "limits": { "later": 1 }, "more": [1],
    });
    let candidate = json!({ "text": "x", "kind": "widget", "detail": "", "more": 1 });
    let function = json!({ "signature": "f()", "doc": "", "origin": "cloud" });
    let results = [
        ("describe", description),
        ("complete", json!({ "start": 0, "candidates": [candidate] })),
        ("lookup", json!({ "functions": [function] })),
    ];
    let ((described, completed, found), ()) = future::join(
        async { (client.describe().await, client.complete("x", 1).await, client.lookup("f").await) },
        async {
            for (id, (method, result)) in (2..).zip(&results) {
                next_params(&mut circle, method).await;
                answer(&mut circle, id, result).await;
            }
        },
    )
    .await;
    assert_eq!(described.expect("a description").access, Access::Unknown);
    assert_eq!(completed.expect("candidates").candidates[0].kind, CandidateKind::Unknown);
    assert_eq!(found.expect("functions")[0].origin, Origin::Unknown);
}
