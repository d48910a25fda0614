//! The memory of an idle connection and of a session that has played.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use crate::{BoxError, WsConnection, circle::CircleProcess, connect};

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"play","params":["40 + 2"]}"#;
const DESCRIBE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"describe"}"#;

/// Prints the memory of each, averaged over the given numbers.
pub(crate) async fn report(connections: i64, sessions: i64) -> Result<(), BoxError> {
    let circle = CircleProcess::start()?;
    // Exclude the costs of the first session. A second one makes pages that workers share count as shared.
    let _first = [client(&circle, CALL).await?, client(&circle, CALL).await?];
    let before = circle.resident()?;
    let mut idle = Vec::new();
    for _ in 0..connections {
        idle.push(client(&circle, DESCRIBE).await?);
    }
    println!("\nKiB per idle connection, of {connections}: {}", (circle.resident()? - before) / connections);
    let (before, private_before) = (circle.resident()?, circle.private_below()?);
    let mut playing = Vec::new();
    for _ in 0..sessions {
        playing.push(client(&circle, CALL).await?);
    }
    let private = circle.private_below()? - private_before;
    println!("KiB per session that has played, of {sessions}: {} of its worker, private", private / sessions);
    println!("{:>45}: {} of the server, including its connection", "", (circle.resident()? - before) / sessions);
    Ok(())
}

/// Connects a client and waits for the answer to a call.
async fn client(circle: &CircleProcess, call: &str) -> Result<WsConnection, BoxError> {
    let mut client = connect(&circle.authority).await?;
    client.send(Message::text(call)).await?;
    let answer = client.next().await.ok_or("the connection ended")??;
    if answer.to_text()?.contains("\"error\"") {
        return Err(format!("not an answer: {answer}").into());
    }
    Ok(client)
}
