//! A circle with functions and roles that serves until it is dropped.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde_json::{Value, json};
use server_ws::{AccessDefinition, Circle, CircleBuilder, KeyPair, PublicKey, Workers};
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::oneshot};

use super::wire::WireClient;

pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
    })
}

/// Returns the key with this number.
pub(crate) fn keypair(number: u64) -> KeyPair {
    KeyPair::from_secret_hex(&format!("{number:064x}")).expect("a key")
}

/// Returns roles with which everyone may call everything, and two members.
pub(crate) fn roles() -> Value {
    json!({
        "roles": { "visitor": { "call": ["*"] } },
        "anyone": "visitor",
        "members": [
            { "name": "alice", "keys": [1], "role": "visitor" },
            { "name": "bob", "keys": [2], "role": "visitor" },
        ],
    })
}

/// Reads roles and members, whose keys are numbers.
pub(crate) fn definition(json: Value) -> AccessDefinition<PublicKey> {
    let definition: AccessDefinition<u64> = serde_json::from_value(json).expect("a definition");
    definition.try_map_keys(|_, _, number| Ok::<_, ()>(keypair(number).public_key())).expect("numbers of keys")
}

/// A running circle.
pub(crate) struct Shop {
    pub(crate) circle: Arc<Circle>,
    pub(crate) authority: String,
    pub(crate) directory: TempDir,
    stop: Option<oneshot::Sender<()>>,
}

/// Writes files of functions.
pub(crate) fn write(directory: &Path, files: &[(&str, &str)]) {
    for (name, source) in files {
        fs::write(directory.join(format!("{name}.rhai")), source).expect("written");
    }
}

impl Shop {
    /// Starts a circle that `change` has changed.
    pub(crate) fn start_with(
        files: &[(&str, &str)],
        roles: Value,
        change: impl FnOnce(CircleBuilder) -> CircleBuilder,
    ) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        write(directory.path(), files);
        let circle = change(builder(directory.path(), roles)).build().expect("a circle");
        let circle = Arc::new(circle);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let authority = listener.local_addr().expect("bound").to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = circle.clone();
        runtime().spawn(async move {
            let shutdown = async {
                // A dropped sender also ends the wait.
                let _stopped = stopped.await;
            };
            server_ws::run(listener, served, shutdown).await.expect("it serves");
        });
        Self { circle, authority, directory, stop: Some(stop) }
    }

    /// Connects without a key.
    pub(crate) fn connect(&self) -> WireClient {
        WireClient::connect(&self.authority)
    }

    /// Connects with the key that has this number.
    pub(crate) fn connect_as(&self, number: u64) -> WireClient {
        let mut wire = self.connect();
        assert_eq!(wire.authenticate(&keypair(number))["result"], json!({ "authenticated": true }));
        wire
    }
}

impl Shop {
    /// Begins to end the circle.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns a builder of the circle of all tests.
pub(crate) fn builder(directory: &Path, roles: Value) -> CircleBuilder {
    Circle::builder("shop")
        .workers(Workers::SameExecutable)
        .grace_period(Duration::ZERO)
        .functions(directory)
        .roles(definition(roles))
}
