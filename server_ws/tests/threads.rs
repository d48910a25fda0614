//! A circle whose workers are threads of this process, over a real WebSocket.

use std::{
    rc::Rc,
    sync::{Barrier, Mutex, OnceLock},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use server_ws::{Circle, Workers, run};
use tokio::{
    net::TcpStream,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

/// Bounds every wait: reaching it is a failure, never a way to pass.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// Receives a message at the end of each engine, and so of the thread that owns it.
static ENDS: OnceLock<Mutex<UnboundedSender<()>>> = OnceLock::new();

/// Releases the native function that waits for it.
static RELEASE: Barrier = Barrier::new(2);

struct EngineGuard;

impl Drop for EngineGuard {
    fn drop(&mut self) {
        if let Some(ends) = ENDS.get() {
            // If the test has failed, nobody listens any more.
            let _result = ends.lock().expect("not poisoned").send(());
        }
    }
}

fn natives(engine: &mut worker::rhai::Engine) {
    let guard = Rc::new(EngineGuard);
    engine.register_fn("holds", move || Rc::strong_count(&guard) == 1);
    engine.register_fn("waits", || RELEASE.wait().is_leader());
    engine.register_fn("panics", || -> i64 { panic!("as a defect would") });
}

struct TestClient {
    socket: WebSocketStream<TcpStream>,
    last: u64,
    unmatched: Vec<Value>,
}

impl TestClient {
    async fn connect(authority: &str) -> Self {
        let stream = TcpStream::connect(authority).await.expect("it listens");
        let (socket, _) = client_async(format!("ws://{authority}/"), stream).await.expect("it upgrades");
        Self { socket, last: 0, unmatched: Vec::new() }
    }

    async fn send(&mut self, method: &str, params: Value) -> u64 {
        self.last += 1;
        let request = json!({ "jsonrpc": "2.0", "id": self.last, "method": method, "params": params });
        self.socket.send(Message::text(request.to_string())).await.expect("it takes text");
        self.last
    }

    async fn next(&mut self) -> Value {
        loop {
            let message = timeout(WAIT_TIMEOUT, self.socket.next()).await.expect("in time");
            if let Message::Text(text) = message.expect("it is open").expect("a message") {
                return serde_json::from_str(&text).expect("JSON");
            }
        }
    }

    /// Returns the answer to a request, and keeps other messages before it.
    async fn answer(&mut self, id: u64) -> Value {
        if let Some(at) = self.unmatched.iter().position(|message| message["id"] == id) {
            return self.unmatched.remove(at);
        }
        loop {
            let message = self.next().await;
            if message["id"] == id {
                return message;
            }
            self.unmatched.push(message);
        }
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params).await;
        self.answer(id).await
    }

    async fn value(&mut self, script: &str) -> Value {
        self.call("play", json!([script])).await["result"]["value"].clone()
    }

    /// Starts a play that prints when it has begun, and does not end.
    async fn begin(&mut self, script: &str, timeout_ms: Option<u64>) -> u64 {
        let script = format!("print(\"begun\"); {script} loop {{}}");
        let play = self.send("play", json!({ "script": script, "timeout_ms": timeout_ms.unwrap_or(30_000) })).await;
        while self.next().await["params"]["text"] != "begun" {}
        play
    }
}

async fn ended(ends: &mut UnboundedReceiver<()>) {
    timeout(WAIT_TIMEOUT, ends.recv()).await.expect("in time").expect("an engine ends");
}

#[tokio::test]
async fn circle_on_threads_behaves_like_circle_on_processes() {
    worker::run_if_worker_with(natives);
    let (end_sender, mut ends) = unbounded_channel();
    ENDS.set(Mutex::new(end_sender)).expect("set once");
    let circle = Circle::builder("threads").workers(Workers::TrustedThreads).init("fn twice(x) { 2 * x }");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let authority = listener.local_addr().expect("bound").to_string();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async { drop(stopped.await) };
    let server = tokio::spawn(run(listener, circle.build().expect("it needs no process"), shutdown));

    let (mut client, mut other) = (TestClient::connect(&authority).await, TestClient::connect(&authority).await);
    // The worker of the startup check.
    ended(&mut ends).await;
    assert_eq!(client.call("describe", json!([])).await["result"]["sandbox"], json!([]));
    assert_eq!(client.value("print(\"heard\"); twice(21)").await, 42);
    assert_eq!(client.unmatched.remove(0)["params"]["text"], "heard");
    assert_eq!(client.value("holds()").await, true);
    assert_eq!(other.value("let mine = 1; mine").await, 1);

    // A cancelled play and a play past its limit keep their variables.
    let play = client.begin("let kept = 7;", None).await;
    assert_eq!(other.value("mine").await, 1);
    assert_eq!(client.call("scope", json!([])).await["error"], Value::Null);
    assert_eq!(client.call("cancel", json!([play])).await["result"]["cancelled"], true);
    assert_eq!(client.answer(play).await["error"]["code"], -32005);
    assert_eq!(client.value("kept").await, 7);
    let play = client.begin("", Some(50)).await;
    let error = client.answer(play).await["error"].clone();
    assert_eq!((&error["code"], &error["data"]["limit"]), (&json!(-32004), &json!("time")));
    assert_eq!(client.value("kept").await, 7);

    // A reset ends the thread of the last worker.
    assert_eq!(client.call("reset", json!([])).await["result"]["reset"], true);
    ended(&mut ends).await;
    assert_eq!(client.call("play", json!(["kept"])).await["error"]["code"], -32000);

    // A panic loses only the environment of its own session.
    let error = client.call("play", json!(["panics()"])).await["error"].clone();
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32009), &json!("crash")));
    ended(&mut ends).await;
    assert_eq!(client.value("40 + 2").await, 42);
    assert_eq!(other.value("mine").await, 1);

    // A worker that cannot be stopped is abandoned, and the session gets another.
    let error = client.call("play", json!({ "script": "waits()", "timeout_ms": 10 })).await["error"].clone();
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32009), &json!("time")));
    assert_eq!(client.value("40 + 2").await, 42);
    // Its thread ends when the native function returns.
    RELEASE.wait();
    ended(&mut ends).await;

    // If a client disconnects, its endless play ends.
    client.begin("", None).await;
    drop(client);
    ended(&mut ends).await;

    stop.send(()).expect("it runs");
    server.await.expect("no panic").expect("it ends well");
    ended(&mut ends).await;
}

#[tokio::test]
async fn unconfirmed_circle_is_not_served_beyond_loopback() {
    let listener = std::net::TcpListener::bind("0.0.0.0:0").expect("a port");
    let circle = Circle::builder("threads").workers(Workers::TrustedThreads).build().expect("it needs no process");
    let served = timeout(WAIT_TIMEOUT, run(listener, circle, std::future::pending())).await;
    let error = served.expect("at once").expect_err("it is open");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("allow_open"), "{error}");
}
