//! Unauthenticated connections to a circle that requires a key: what they may do, and what they cost.

mod memory;

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use keys::KeyPair;
use rustix::{
    net::{AddressFamily, SocketAddrV4, SocketType, connect, socket, sockopt},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use serde_json::{Value, json};

use crate::support::{
    eventually,
    http::{UPGRADE, get, own},
    process::ServeProcess,
    skip,
};

/// Largest message of an unauthenticated client, in bytes.
const MESSAGE: usize = 16 << 10;

/// Starts a circle with this member.
fn circle_of(member: &KeyPair, args: &[&str]) -> ServeProcess {
    let key = member.public_key().to_hex();
    ServeProcess::start(&[&["--access", "members", "--member", &key], args].concat())
}

/// A request that is padded to this length.
fn padded(length: usize) -> String {
    let request =
        |padding: &str| json!({ "jsonrpc": "2.0", "id": 1, "method": "describe", "params": {}, "x": padding });
    let empty = request("").to_string().len();
    request(&"x".repeat(length - empty)).to_string()
}

#[test]
fn anonymous_client_is_limited_to_16_kib_messages() {
    let member = KeyPair::generate().expect("a key");
    let server = circle_of(&member, &[]);
    let mut wire = server.connect();
    assert_eq!(wire.exchange(&padded(MESSAGE))["result"]["you"]["admitted"], false);
    wire.send(padded(MESSAGE + 1));
    assert_eq!(wire.close_code(), 1009);

    // Small fragments count together.
    let mut wire = server.connect();
    let mut raw = wire.socket.get_ref().try_clone().expect("a socket");
    for (first, length) in [(0x01, MESSAGE / 2), (0x00, MESSAGE / 2), (0x80, 1)] {
        raw.write_all(&frame(first, length, length)).expect("it takes frames");
    }
    assert_eq!(wire.close_code(), 1009);

    let mut wire = server.connect();
    wire.authenticate(&member);
    assert_eq!(wire.exchange(&padded(8 * MESSAGE))["result"]["you"]["admitted"], true);
}

#[test]
fn anonymous_client_cannot_send_batches() {
    let member = KeyPair::generate().expect("a key");
    let server = circle_of(&member, &[]);
    let mut wire = server.connect();
    let batch = json!([{ "jsonrpc": "2.0", "id": 1, "method": "describe" }]).to_string();
    for batch in [batch.as_str(), "[]", " \n[", &format!("\t{batch}")] {
        let answer = wire.exchange(batch);
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32600), &Value::Null), "{batch}: {answer}");
    }
    wire.authenticate(&member);
    assert!(wire.exchange(&batch)[0]["result"].is_object());
}

#[test]
fn address_has_a_limit_of_unauthenticated_connections() {
    let member = KeyPair::generate().expect("a key");
    let server = circle_of(&member, &["--limit", "unauthenticated_per_address=2"]);
    let mut first = server.connect();
    first.authenticate(&member);
    // A new connection of the address replaces an old one, so kept connections lock nobody out.
    let mut kept: Vec<_> = (0..10).map(|_| Attacker::connect(&server).expect("it upgrades")).collect();
    let newest = kept.split_off(9);
    let closed = || get(server.authority(), "/metrics", &own(&server)).1;
    eventually(|| {
        closed().contains("circles_connections_closed_total{reason=\"room\"} 8\n").then_some(()).ok_or("not yet")
    });
    let mut another = server.connect();
    another.authenticate(&member);
    drop(newest);
    assert_eq!((first.value("40 + 2"), another.value("40 + 2")), (42.into(), 42.into()));
}

#[test]
fn address_behind_a_trusted_proxy_is_the_forwarded_one() {
    let member = KeyPair::generate().expect("a key");
    let limit = ["--limit", "unauthenticated_per_address=1"];
    let upgrade = |server: &ServeProcess, forwarded: &str| {
        get(server.authority(), "/", &format!("{}{UPGRADE}x-forwarded-for: {forwarded}\r\n", own(server))).0
    };
    let closed = |server: &ServeProcess| {
        let metrics = get(server.authority(), "/metrics", &own(server)).1;
        let line = metrics.lines().find(|line| line.starts_with("circles_connections_closed_total{reason=\"room\"}"));
        line.and_then(|line| line.rsplit(' ').next()).expect("a count").to_owned()
    };
    let proxied = circle_of(&member, &[&limit[..], &["--trusted-proxies", "127.0.0.1"]].concat());
    let _at_the_proxy = proxied.connect();
    assert_eq!((upgrade(&proxied, "192.0.2.1, 127.0.0.1"), &*closed(&proxied)), (101, "0"));
    assert_eq!(
        (upgrade(&proxied, "unknown"), &*closed(&proxied)),
        (101, "1"),
        "there is another one of the proxy itself"
    );
    // Without a trusted proxy the header is ignored.
    let direct = circle_of(&member, &limit);
    let _one = direct.connect();
    assert_eq!((upgrade(&direct, "192.0.2.1"), &*closed(&direct)), (101, "1"));
}

#[test]
fn anonymous_client_is_disconnected_after_the_authentication_timeout() {
    let member = KeyPair::generate().expect("a key");
    let server = circle_of(&member, &["--limit", "login_s=1"]);
    let (mut wire, mut silent) = (server.connect(), server.connect());
    wire.authenticate(&member);
    let mut unread = Attacker::connect(&server).expect("it upgrades");
    unread.ask_without_reading();
    assert_eq!(silent.close_code(), 1008);
    // Even if the client does not read the close frame.
    unread.wait_for_end();
    assert_eq!(wire.value("40 + 2"), 42);
    let closed = get(server.authority(), "/metrics", &own(&server)).1;
    assert!(closed.contains("circles_connections_closed_total{reason=\"login\"} 2\n"), "{closed}");
}

/// A masked frame that announces `stated` bytes of text and contains `sent` of them.
fn frame(first: u8, stated: usize, sent: usize) -> Vec<u8> {
    let length = u64::try_from(stated).expect("a length");
    let mut bytes = vec![first, 0x80 | 127];
    bytes.extend(length.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(std::iter::repeat_n(b' ', sent));
    bytes
}

/// A frame with the request that has the largest answer.
fn discover() -> Vec<u8> {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "rpc.discover" }).to_string();
    let length = u8::try_from(request.len()).expect("short");
    [&[0x81, 0x80 | length, 0, 0, 0, 0], request.as_bytes()].concat()
}

/// A client with a small receive buffer that does not read.
struct Attacker(TcpStream);

impl Attacker {
    fn open_socket(server: &ServeProcess) -> std::io::Result<TcpStream> {
        let descriptor = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        sockopt::set_socket_recv_buffer_size(&descriptor, 4096)?;
        let address: SocketAddrV4 = server.authority().parse().expect("an address");
        connect(&descriptor, &address)?;
        let stream = TcpStream::from(descriptor);
        stream.set_read_timeout(Some(crate::support::WAIT_TIMEOUT))?;
        stream.set_write_timeout(Some(crate::support::WAIT_TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Sends requests in the same write as the handshake, and does not wait for its answer.
    fn connect_with_requests(server: &ServeProcess) -> std::io::Result<Self> {
        let mut attacker = Self(Self::open_socket(server)?);
        let mut bytes = format!("GET / HTTP/1.1\r\n{}{UPGRADE}\r\n", own(server)).into_bytes();
        while bytes.len() < 120 << 10 {
            bytes.extend(discover());
        }
        attacker.send(&bytes);
        Ok(attacker)
    }

    fn connect(server: &ServeProcess) -> std::io::Result<Self> {
        let mut stream = Self::open_socket(server)?;
        write!(stream, "GET / HTTP/1.1\r\n{}{UPGRADE}\r\n", own(server))?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        if head.starts_with(b"HTTP/1.1 101") {
            Ok(Self(stream))
        } else {
            Err(std::io::ErrorKind::ConnectionRefused.into())
        }
    }

    /// Sends as much as the kernel takes at once, even if the circle has closed the connection.
    fn send(&mut self, bytes: &[u8]) {
        let _is_closed = self.0.set_nonblocking(true).and_then(|()| self.0.write(bytes)).is_err();
    }

    /// Requests far more answers than a circle keeps for an unauthenticated client.
    fn ask_without_reading(&mut self) {
        self.send(&discover().repeat(64));
    }

    /// Sends the same requests as a batch.
    fn send_batch(&mut self) {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "rpc.discover" });
        let batch = json!(vec![request; 64]).to_string();
        let mut bytes = frame(0x81, batch.len(), 0);
        bytes.extend(batch.as_bytes());
        self.send(&bytes);
    }

    fn send_half_a_frame(&mut self, stated: usize) {
        self.send(&frame(0x81, stated, stated / 2));
    }

    fn send_fragment_and_half_a_frame(&mut self, stated: usize) {
        self.send(&[frame(0x01, stated, stated), frame(0x00, stated, stated / 2)].concat());
    }

    /// Waits until the circle has closed the connection, without sending a close frame first.
    fn wait_for_end(&mut self) {
        self.0.set_nonblocking(false).expect("a socket");
        let mut bytes = [0; 4096];
        // Reads what is still on its way; a reset is an end, too.
        while self.0.read(&mut bytes).is_ok_and(|read| read > 0) {}
    }
}

const CONNECTIONS: usize = 4000;

/// Address space of the circle, in bytes.
const ADDRESS_SPACE: u64 = 512 << 20;

/// Largest memory that unauthenticated clients may cost the circle, in bytes: the budget of all connections. Their quota is a
/// quarter of that, but freed memory is not returned to the system at once.
const MAX_ANONYMOUS_BYTES: u64 = ADDRESS_SPACE / 8;

#[test]
fn anonymous_clients_cannot_exhaust_a_circle() {
    attack(&[], false);
}

#[test]
fn anonymous_clients_of_many_addresses_cannot_exhaust_a_circle() {
    // All connections come from one address here, so the limit per address is lifted.
    attack(&["--limit", "unauthenticated_per_address=100000"], true);
}

fn attack(args: &[&str], has_room: bool) {
    let files = getrlimit(Resource::Nofile);
    if files.maximum.is_some_and(|maximum| maximum < 2 * CONNECTIONS as u64 + 1000) {
        return skip("too few open files for 4000 connections");
    }
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files }).expect("within the maximum");
    let member = KeyPair::generate().expect("a key");
    let server = circle_of_bounded(&member, args);
    let mut wire = server.connect();
    wire.authenticate(&member);
    wire.value("let plays = 0;");
    let baseline = server.resident_kib();
    let mut attackers = Vec::new();
    let mut most = baseline;
    for number in 0..CONNECTIONS {
        if number % 7 == 6 {
            attackers.extend(Attacker::connect_with_requests(&server));
        } else if let Ok(mut attacker) = Attacker::connect(&server) {
            match number % 7 {
                0 => attacker.ask_without_reading(),
                1 => attacker.send_batch(),
                2 => attacker.send_half_a_frame(256 << 10),
                3 => attacker.send_half_a_frame(MESSAGE),
                4 => attacker.send_fragment_and_half_a_frame(MESSAGE),
                _ => attacker.send(b"\x81\x82\0\0\0\0{}".repeat(2000).as_slice()),
            }
            attackers.push(attacker);
        }
        if number % 100 == 0 {
            assert_eq!(wire.value("plays += 1; plays"), number / 100 + 1, "a member's plays go on");
            most = most.max(server.resident_kib());
            // Members can connect, unless unauthenticated clients hold all connections of the address.
            if has_room && number % 1000 == 0 {
                let mut other = server.connect();
                other.authenticate(&member);
                assert_eq!(other.value("40 + 2"), 42);
            }
        }
    }
    assert!(most < baseline + (MAX_ANONYMOUS_BYTES >> 10), "{baseline} KiB before, {most} KiB at most");
    assert_eq!(wire.value("plays"), CONNECTIONS / 100);
    drop(attackers);
    eventually(|| {
        let now = server.resident_kib();
        (now * 10 <= baseline * 12).then_some(()).ok_or_else(|| format!("{baseline} KiB before, {now} KiB now"))
    });
    assert_eq!(wire.value("plays"), CONNECTIONS / 100);
}

fn circle_of_bounded(member: &KeyPair, args: &[&str]) -> ServeProcess {
    let key = member.public_key().to_hex();
    let args = [&["--access", "members", "--member", &key], args].concat();
    let server = ServeProcess::start_within(ADDRESS_SPACE, &args);
    let limits = server.connect().call("describe", json!([]))["result"]["limits"].clone();
    assert_eq!(limits["connection_mib"], ADDRESS_SPACE >> 23, "an eighth of what it has");
    server
}
