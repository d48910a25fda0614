//! A TCP proxy between a client and the nats-server, to cut or freeze the connections of one client.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Forward,
    /// Bytes wait, and connections stay open: the network loses all packets.
    Frozen,
    /// As [`Frozen`](Self::Frozen), and connections that begin now stay without an answer for ever: the attempts to
    /// connect hang until their timeout.
    BlackHole,
    /// New connections end at once.
    Cut,
    /// The proxy is dropped.
    Ended,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    /// Both sockets of each connection.
    sockets: Vec<TcpStream>,
    /// The number of connections that clients have made.
    connections: usize,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The proxy. Dropping it cuts its connections.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Starts a proxy for the server at this URL.
    pub(crate) fn start(target: &str) -> Self {
        let target = target.strip_prefix("nats://").expect("a URL").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Mutex::new(State { mode: Mode::Forward, sockets: Vec::new(), connections: 0 });
        let shared = Arc::new(Shared { state, changed: Condvar::new() });
        thread::spawn({
            let shared = shared.clone();
            move || {
                for client in listener.incoming() {
                    let Ok(client) = client else { continue };
                    if !shared.connect(client, &target) {
                        return;
                    }
                }
            }
        });
        Self { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// The number of connections that the client has made, with those that failed.
    pub(crate) fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// Loses everything from now on, without an end of the connections.
    pub(crate) fn freeze(&self) {
        self.shared.set_mode(Mode::Frozen);
    }

    /// Loses everything from now on, and all that connections which begin now will ever send.
    pub(crate) fn lose(&self) {
        self.shared.set_mode(Mode::BlackHole);
    }

    /// Forwards again. What waited arrives.
    pub(crate) fn thaw(&self) {
        self.shared.set_mode(Mode::Forward);
    }

    /// Ends the connections, and accepts no others until [`thaw`](Self::thaw).
    pub(crate) fn cut(&self) {
        self.shared.set_mode(Mode::Cut);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.set_mode(Mode::Ended);
        // The listening thread looks at the mode.
        let _ended = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_mode(&self, mode: Mode) {
        let mut state = self.lock();
        state.mode = mode;
        if matches!(mode, Mode::Cut | Mode::Ended) {
            state.sockets.drain(..).for_each(|socket| end(&socket));
        }
        self.changed.notify_all();
    }

    /// Forwards a connection. Returns false after the end of the proxy.
    fn connect(self: &Arc<Self>, client: TcpStream, target: &str) -> bool {
        let mode = {
            let mut state = self.lock();
            state.connections += 1;
            state.mode
        };
        if mode == Mode::BlackHole {
            self.lock().sockets.push(client);
            return true;
        }
        // Without a server, the client sees the end of the connection.
        if !matches!(mode, Mode::Cut | Mode::Ended)
            && let Ok(server) = TcpStream::connect(target)
        {
            let [client, server] = [client, server].map(Arc::new);
            for socket in [&client, &server] {
                socket.set_nodelay(true).expect("a TCP socket");
                self.lock().sockets.push(socket.try_clone().expect("a descriptor"));
            }
            for (from, to) in [(client.clone(), server.clone()), (server, client)] {
                let shared = self.clone();
                thread::spawn(move || shared.forward(&from, &to));
            }
        }
        mode != Mode::Ended
    }

    fn forward(&self, mut from: &TcpStream, mut to: &TcpStream) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = from.read(&mut buffer).unwrap_or(0);
            let frozen =
                self.changed.wait_while(self.lock(), |state| matches!(state.mode, Mode::Frozen | Mode::BlackHole));
            let mode = frozen.unwrap_or_else(PoisonError::into_inner).mode;
            if mode != Mode::Forward || read == 0 || to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        end(from);
        end(to);
    }
}

fn end(socket: &TcpStream) {
    // The peer may have ended the connection.
    let _ended = socket.shutdown(Shutdown::Both);
}
