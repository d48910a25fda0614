//! The servers of the comparison: ours and the peers, each a process of its own.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::Options;
use crate::{BoxError, circle, echo};

/// How long a server may take until it accepts connections.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// The command that serves a circle.
pub(super) const CIRCLE_ARGUMENTS: [&str; 6] = ["circles", "serve", "--port", "0", "--name", "bench"];

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The circle whose figures the goals are about.
    Circles,
    /// The circle of another executable.
    Program,
    /// A raw WebSocket echo on the stack of a circle.
    Echo,
    /// jsonrpsee with Rhai in `spawn_blocking`.
    Jsonrpsee,
    /// Redis, for `EVAL`.
    Redis,
    /// Redis that syncs each write before it answers.
    DurableRedis,
    /// Node with `ws` and `vm`.
    Node,
    /// The same with a time limit for each script, as a circle has one.
    NodeWithTimeout,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Circles => "circles",
            Self::Program => "the other program",
            Self::Echo => "raw echo",
            Self::Jsonrpsee => "jsonrpsee + Rhai",
            Self::Redis => "Redis EVAL",
            Self::DurableRedis => "Redis, appendfsync always",
            Self::Node => "Node ws + vm",
            Self::NodeWithTimeout => "Node ws + vm, timeout",
        }
    }
}

/// Where a server listens, and its process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
}

/// A server in a child process, which is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) endpoint: Endpoint,
    /// The directory of its files, if it has any.
    _files: Option<TempDir>,
}

impl Server {
    /// Starts a server that prints its address.
    fn start(mut command: Command) -> Result<Self, BoxError> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("it is piped")?).read_line(&mut line)?;
        let address = line.trim().rsplit('/').next().unwrap_or_default().parse();
        let endpoint = Endpoint { address: address.map_err(|_| format!("{command:?} is no server"))?, pid: child.id() };
        Ok(Self { child, endpoint, _files: None })
    }

    /// Starts a circle of this program, which knows some of the arguments of `circles serve`.
    pub(crate) fn start_own_circle(arguments: &[&str]) -> Result<Self, BoxError> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([circle::FLAG, circle::DEFAULTS]);
        if arguments.contains(&"authenticated") {
            command.arg(circle::NEEDS_KEY);
        }
        command.args(arguments);
        Self::start(command)
    }

    /// Starts Redis on a free port and waits until it accepts connections.
    fn start_redis(program: &Path, files: Option<TempDir>) -> Result<Self, BoxError> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string()]);
        command.args(["--save", ""]);
        match &files {
            None => command.args(["--appendonly", "no"]),
            Some(files) => command.args(["--appendonly", "yes", "--appendfsync", "always", "--dir"]).arg(files.path()),
        };
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let server = Self { endpoint: Endpoint { address, pid: child.id() }, child, _files: files };
        let end = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(address).is_err() {
            if Instant::now() > end {
                return Err("redis-server does not accept connections".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Do not wait for a circle to drain.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The servers that run, each started when a scenario first needs it.
pub(crate) struct Servers {
    circles: Option<PathBuf>,
    program: Option<PathBuf>,
    /// Whether peers that have to be installed take part.
    has_installed: bool,
    running: HashMap<Kind, Server>,
}

impl Servers {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            circles: options.circles.clone(),
            program: options.program.clone(),
            has_installed: !options.is_quick,
            running: HashMap::new(),
        }
    }

    /// Whether the run compares with another `circles` executable.
    pub(crate) fn has_program(&self) -> bool {
        self.program.is_some()
    }

    /// Stops all servers that run.
    pub(crate) fn stop(&mut self) {
        self.running.clear();
    }

    /// Returns a server, or why it is missing.
    pub(crate) fn endpoint(&mut self, kind: Kind) -> Result<Result<Endpoint, String>, BoxError> {
        if let Some(server) = self.running.get(&kind) {
            return Ok(Ok(server.endpoint));
        }
        let Some(server) = self.start(kind)? else { return Ok(Err("not installed".into())) };
        let endpoint = server.endpoint;
        self.running.insert(kind, server);
        Ok(Ok(endpoint))
    }

    /// Returns the circle whose figures the goals are about.
    pub(crate) fn circles(&mut self) -> Result<Endpoint, BoxError> {
        Ok(self.endpoint(Kind::Circles)??)
    }

    /// Returns the executable of a circle.
    pub(crate) fn program_file(&self, kind: Kind) -> Option<&Path> {
        if kind == Kind::Program { self.program.as_deref() } else { self.circles.as_deref() }
    }

    /// Starts a circle for one scenario, with further arguments of `circles serve`.
    pub(crate) fn start_circle(&self, kind: Kind, arguments: &[&str]) -> Result<Option<Server>, BoxError> {
        let Some(program) = self.program_file(kind) else {
            let is_missing = kind == Kind::Program;
            return if is_missing { Ok(None) } else { Server::start_own_circle(arguments).map(Some) };
        };
        let mut command = Command::new(program);
        command.args(&CIRCLE_ARGUMENTS[1..]).args(arguments);
        Server::start(command).map(Some)
    }

    /// Starts a server; none if it is not installed.
    pub(crate) fn start(&self, kind: Kind) -> Result<Option<Server>, BoxError> {
        let peers = peers_directory();
        if !self.has_installed && !matches!(kind, Kind::Circles | Kind::Program | Kind::Echo) {
            return Ok(None);
        }
        Ok(match kind {
            Kind::Circles | Kind::Program => self.start_circle(kind, &[])?,
            Kind::Echo => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg(echo::FLAG);
                Some(Server::start(command)?)
            }
            Kind::Jsonrpsee => {
                let program = peers.join("jsonrpsee/target/release/jsonrpsee-rhai");
                program.exists().then(|| Server::start(Command::new(program))).transpose()?
            }
            Kind::Redis => {
                find_program("redis-server").map(|program| Server::start_redis(&program, None)).transpose()?
            }
            Kind::DurableRedis => {
                let start = |program: PathBuf| Server::start_redis(&program, Some(durable_directory()?));
                find_program("redis-server").map(start).transpose()?
            }
            Kind::Node | Kind::NodeWithTimeout => {
                let node = find_program("node").filter(|_| peers.join("node/node_modules/ws").exists());
                let timeout = (kind == Kind::NodeWithTimeout).then_some("--timeout");
                let script = peers.join("node/server.js");
                let command = node.map(|node| {
                    let mut command = Command::new(node);
                    command.arg(script).args(timeout);
                    command
                });
                command.map(Server::start).transpose()?
            }
        })
    }
}

/// Makes a directory on the disk of this project: that of temporary files may be in memory, where a sync costs nothing.
pub(super) fn durable_directory() -> Result<TempDir, BoxError> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    Ok(TempDir::new_in(if target.is_dir() { target } else { PathBuf::from(".") })?)
}

/// Returns the directory of the peers.
pub(crate) fn peers_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// Finds a program in `PATH`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|directory| directory.join(name)).find(|file| file.is_file())
}
