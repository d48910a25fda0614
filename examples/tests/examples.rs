//! Tests that the examples behave as docs/embedding.md describes.

#[path = "../../tests/support/wire.rs"]
#[expect(dead_code, reason = "these tests use only part of the client")]
mod wire;

use std::{
    ffi::{OsStr, OsString},
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use keys::KeyPair;
use serde_json::json;
use wire::WireClient;

/// Upper bound of every wait. Reaching it is a failure.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

#[test]
fn run_script_example_runs_script() {
    let run = |script| Command::new(env!("CARGO_BIN_EXE_run_script")).arg(script).output().expect("it runs");
    let ran = run("print(\"hi\"); 40 + 2");
    assert_eq!((ran.status.code(), ran.stdout.as_slice()), (Some(0), b"hi\n42\n".as_slice()));
    assert_eq!(run("count * shop::price(item)").stdout, b"7.5\n");
    for (script, error) in [
        ("let a = []; loop { a.push(a); }", "the script exceeded its limit of "),
        ("loop {}", "the script ran longer than its time limit of 1s"),
        ("shop::price(\"gold\")", "a host function failed: shop::price: there is no gold (line 1, column 7)"),
    ] {
        let ran = run(script);
        let text = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.code() == Some(1) && text.contains(error), "{script}: {text}");
    }
}

#[test]
fn readme_of_worker_shows_run_script_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let read = |file: &str| std::fs::read_to_string(root.join(file)).expect("readable");
    let example = read("examples/run_script.rs");
    let code = &example[example.find("use std").expect("code behind the documentation")..];
    assert!(read("worker/README.md").contains(code), "worker/README.md shows another program");
}

#[test]
fn in_process_example_plays_as_a_key() {
    let run = |script| Command::new(env!("CARGO_BIN_EXE_in_process")).arg(script).output().expect("it runs");
    let ran = run("print(\"hi\"); shop::price(\"tea\") * 2");
    assert_eq!((ran.status.code(), ran.stdout.as_slice()), (Some(0), b"hi\n42\n".as_slice()));
    let failed = run("shop::price(\"salt\")");
    assert!(String::from_utf8_lossy(&failed.stderr).contains("there is no salt"), "{failed:?}");
}

#[test]
fn roles_example_calls_functions_of_the_program() {
    let run = |name: &str, params: &str| {
        let ran = Command::new(env!("CARGO_BIN_EXE_roles")).args([name, params]).output().expect("it runs");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    };
    let priced = run("price", r#"["tea"]"#);
    assert_eq!(priced, "as anyone: Ok(Number(2.5))\nwith a key: Ok(Number(2.5))\n");
    let ordered = run("order.place", r#"{ "item": "tea" }"#);
    assert!(ordered.starts_with("as anyone: Err(\"Method not found: fn.order.place\")\nwith a key: Ok("), "{ordered}");
    assert!(ordered.contains("\"count\": Number(1)") && ordered.contains("\"customer\": String("), "{ordered}");
    let unknown = run("price", r#"["gold"]"#);
    assert!(unknown.contains("there is no gold"), "{unknown}");
    let invalid = run("price", r#"{ "item": 5 }"#);
    assert!(invalid.contains("Invalid params: item: ") && invalid.contains("expected a string"), "{invalid}");
    let surplus = run("price", r#"["tea", 2]"#);
    assert!(surplus.contains("Invalid params: [1]: "), "{surplus}");
}

#[test]
fn mounted_examples_serve_a_page_and_a_circle() {
    for program in [env!("CARGO_BIN_EXE_mount_actix"), env!("CARGO_BIN_EXE_mount_axum")] {
        let server = ExampleServer::start(program, &["0".as_ref()], "listening on http://");
        let mut wire = WireClient::connect_to(&server.authority, "/circle");
        assert_eq!(wire.value("CIRCLE_NAME"), "mounted");
        let mut stream = TcpStream::connect(&server.authority).expect("it listens");
        let request = format!("GET / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", server.authority);
        stream.write_all(request.as_bytes()).expect("sent");
        let page = std::io::read_to_string(stream).expect("UTF-8");
        assert!(page.ends_with("a page of the server\n"), "{page}");
    }
}

/// A server among the examples, which prints its address.
struct ExampleServer {
    child: Child,
    authority: String,
}

impl ExampleServer {
    fn start(program: &str, arguments: &[&OsStr], prefix: &str) -> Self {
        let mut child = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn().expect("it runs");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("an address line");
        let authority = line.trim_end().strip_prefix(prefix).expect("an address").to_owned();
        Self { child, authority }
    }
}

impl Drop for ExampleServer {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

struct InventoryProcess(ExampleServer);

impl InventoryProcess {
    fn start(file: &Path, keeper: &KeyPair) -> Self {
        let arguments = [file.as_os_str(), "0".as_ref(), keeper.public_key().to_hex().as_ref()].map(OsStr::to_owned);
        let arguments = arguments.each_ref().map(OsString::as_os_str);
        Self(ExampleServer::start(env!("CARGO_BIN_EXE_inventory"), &arguments, "listening on ws://"))
    }

    fn connect(&self, key: &KeyPair) -> WireClient {
        let mut wire = WireClient::connect(&self.0.authority);
        assert_eq!(wire.authenticate(key)["result"]["authenticated"], true);
        wire
    }
}

#[test]
fn inventory_example_checks_keys_and_stock() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("stock.redb");
    let (keeper, guest) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    {
        let inventory = InventoryProcess::start(&file, &keeper);
        let (mut keeper, mut guest) = (inventory.connect(&keeper), inventory.connect(&guest));
        assert_eq!(WireClient::connect(&inventory.0.authority).error("stock::count(\"tea\")")["code"], -32001);
        assert_eq!(guest.value("stock::count(\"tea\")"), 0);
        keeper.value("stock::add(\"tea\", 5); stock::add(\"salt\", 1);");
        assert_eq!(guest.error("stock::add(\"tea\", 5)")["message"], "stock::add: only keepers add to the stock");
        let reservation = guest.value("stock::reserve(\"tea\", 1); stock::reserve(\"tea\", 1)");
        assert_eq!(reservation, json!({ "item": "tea", "count": 2 }));
        assert_eq!(keeper.value("stock::count(\"tea\")"), 3);
        // A play commits all of its changes or none.
        let error = guest.error("stock::reserve(\"salt\", 1); stock::reserve(\"tea\", 4);");
        assert_eq!(error["message"], "stock: there are 3 of tea");
        assert_eq!(error["data"]["thrown"]["data"], json!({ "tea": 3 }));
        assert_eq!(error["data"]["thrown"]["code"], "not_enough");
        guest.error("stock::reserve(\"salt\", 1); throw \"changed my mind\";");
        let cancelled = guest.request("play", json!(["stock::reserve(\"salt\", 1); print(\"reserved\"); loop {}"]));
        guest.expect_print("reserved");
        guest.call("cancel", json!([cancelled]));
        assert_eq!(guest.answer(&cancelled)["error"]["code"], -32005);
        assert_eq!(keeper.value("[stock::count(\"salt\"), stock::count(\"tea\")]"), json!([1, 3]));
        let long = "let s = ``; s.pad(100, 'x'); stock::reserve(s, 1)";
        assert!(guest.error(long)["message"].as_str().is_some_and(|message| message.contains("64 bytes")));
        let many = "for i in 0..200 { stock::reserve(`item ${i}`, 0) }";
        assert!(guest.error(many)["message"].as_str().is_some_and(|message| message.contains("100 items")));
        let found = &guest.call("lookup", json!(["stock::reserve"]))["result"]["functions"][0];
        assert_eq!(found["origin"], "host");
        assert_eq!(found["signature"], "stock::reserve(item: string, count: int) -> Reservation");
    }
    let again = InventoryProcess::start(&file, &keeper);
    assert_eq!(again.connect(&guest).value("stock::count(\"tea\")"), 3);
}
