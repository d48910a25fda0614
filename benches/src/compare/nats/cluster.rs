//! A circle whose workers are on worker machines, with its nats-server: all of them processes on this machine.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{ANSWER, SCRIPT, delay_proxy::DelayProxy};
use crate::{
    BoxError,
    compare::{
        function_files::{FunctionCircle, open_roles},
        servers::{Endpoint, Kind, Servers, find_program},
    },
    load::{self, JsonRpc},
    process_tree::{self, CpuTime, cpu_time},
};

/// Maximum time of the processes until a play runs on a machine.
const START_TIMEOUT: Duration = Duration::from_secs(20);

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Returns the program of a NATS server. Debian does not have `/usr/sbin` in the `PATH` of users.
pub(super) fn nats_server() -> Result<PathBuf, BoxError> {
    let in_sbin = Some(PathBuf::from("/usr/sbin/nats-server")).filter(|file| file.is_file());
    find_program("nats-server").or(in_sbin).ok_or_else(|| "nats-server is not installed".into())
}

/// A NATS server on free ports, which is killed when this is dropped.
pub(super) struct NatsServer {
    child: Child,
    pub(super) address: SocketAddr,
    monitoring: SocketAddr,
    _directory: TempDir,
}

/// The messages and bytes that a NATS server has received from its clients, and the messages that it has sent to them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NatsCounts {
    pub(super) messages_in: f64,
    pub(super) messages_out: f64,
    pub(super) bytes_in: f64,
}

impl NatsServer {
    pub(super) fn start() -> Result<Self, BoxError> {
        let directory = tempfile::tempdir()?;
        let child = Command::new(nats_server()?)
            .args(["-a", "127.0.0.1", "-p", "-1", "-m", "-1", "--ports_file_dir"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let ports = directory.path().join(format!("nats-server_{}.ports", child.id()));
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { child, address: unknown, monitoring: unknown, _directory: directory };
        let end = Instant::now() + START_TIMEOUT;
        // The server writes the file once it listens, and may be about to write it.
        while server.monitoring == unknown {
            if Instant::now() > end {
                return Err("nats-server does not start".into());
            }
            std::thread::sleep(POLL_INTERVAL);
            let text = std::fs::read_to_string(&ports).unwrap_or_default();
            let Ok(value) = serde_json::from_str::<Value>(&text) else { continue };
            let address = |name: &str, scheme: &str| -> Option<SocketAddr> {
                value[name][0].as_str()?.strip_prefix(scheme)?.parse().ok()
            };
            if let (Some(own), Some(monitoring)) = (address("nats", "nats://"), address("monitoring", "http://")) {
                (server.address, server.monitoring) = (own, monitoring);
            }
        }
        Ok(server)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns what the server has received and sent since its start.
    pub(super) fn counts(&self) -> Result<NatsCounts, BoxError> {
        let value = self.monitor("/varz")?;
        let count = |name: &str| value[name].as_f64().ok_or_else(|| format!("/varz has no {name}"));
        Ok(NatsCounts {
            messages_in: count("in_msgs")?,
            messages_out: count("out_msgs")?,
            bytes_in: count("in_bytes")?,
        })
    }

    /// Returns the number of subscriptions to placement requests: each machine has one.
    fn machines(&self) -> Result<usize, BoxError> {
        let value = self.monitor("/subsz?subs=1")?;
        let subscriptions = value["subscriptions_list"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(subscriptions.iter().filter(|subscription| subscription["qgroup"].is_string()).count())
    }

    /// Reads a page of the monitoring.
    fn monitor(&self, path: &str) -> Result<Value, BoxError> {
        let mut stream = TcpStream::connect(self.monitoring)?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        let (_, body) = response.split_once("\r\n\r\n").ok_or("the monitoring of nats-server sends no body")?;
        Ok(serde_json::from_str(body)?)
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A worker machine, which is killed when this is dropped.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

fn end(child: &mut Child) {
    let _ended = child.kill();
    let _status = child.wait();
}

/// A circle with functions, its worker machines and their NATS server.
pub(super) struct Cluster {
    pub(super) circle: FunctionCircle,
    machines: Vec<Machine>,
    /// Between the circle and the NATS server, if messages are delayed.
    proxy: Option<DelayProxy>,
    pub(super) nats: NatsServer,
}

/// Processor time of the parts of a cluster.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ClusterCpu {
    pub(super) circle: Duration,
    pub(super) nats: Duration,
    pub(super) machines: Duration,
    pub(super) workers: Duration,
}

impl Cluster {
    /// Starts a cluster whose circle gets further arguments of `circles serve`, and waits until a play runs.
    pub(super) fn start(servers: &Servers, machines: usize, arguments: &[&str]) -> Result<Self, BoxError> {
        Self::start_delayed(servers, machines, arguments, Duration::ZERO)
    }

    /// Starts a cluster with a delay of the messages in each direction between circle and NATS server.
    pub(super) fn start_delayed(
        servers: &Servers,
        machines: usize,
        arguments: &[&str],
        delay: Duration,
    ) -> Result<Self, BoxError> {
        let nats = NatsServer::start()?;
        let program = servers.program_file(Kind::Circles).ok_or("the circles executable is known")?;
        let machine = |number: usize| {
            Command::new(program)
                .args(["worker", "--nats", &format!("nats://{}", nats.address), "--name", &format!("m{number}")])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .map(Machine)
        };
        let machines = (1..=machines).map(machine).collect::<Result<Vec<_>, _>>()?;
        let end = Instant::now() + START_TIMEOUT;
        while nats.machines()? < machines.len() {
            if Instant::now() > end {
                return Err("a worker machine does not start".into());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        let proxy = (!delay.is_zero()).then(|| DelayProxy::start(nats.address, delay)).transpose()?;
        let url = format!("nats://{}", proxy.as_ref().map_or(nats.address, |proxy| proxy.address));
        let arguments: Vec<&str> = ["--nats", &url].into_iter().chain(arguments.iter().copied()).collect();
        let circle = FunctionCircle::start(servers, &open_roles(), &arguments)?;
        let cluster = Self { circle, machines, proxy, nats };
        while let Err(error) = load::first_response(cluster.endpoint().address, &JsonRpc::play(SCRIPT, ANSWER, 1)) {
            if Instant::now() > end {
                return Err(error);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(cluster)
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        self.circle.server.endpoint
    }

    /// The address of NATS for the circle.
    pub(super) fn nats_address(&self) -> SocketAddr {
        self.proxy.as_ref().map_or(self.nats.address, |proxy| proxy.address)
    }

    /// The processes of the machines, without their workers.
    pub(super) fn machine_pids(&self) -> impl Iterator<Item = u32> {
        self.machines.iter().map(|machine| machine.0.id())
    }

    /// The processes below the machines: fork servers and workers.
    pub(super) fn worker_pids(&self) -> Result<Vec<u32>, BoxError> {
        let all: Vec<_> = self.machine_pids().map(process_tree::descendants).collect::<Result<_, _>>()?;
        Ok(all.concat())
    }

    /// Returns the processor time that all parts have used.
    pub(super) fn cpu(&self) -> Result<ClusterCpu, BoxError> {
        let machines = self.machine_pids().map(cpu_time).collect::<Result<Vec<CpuTime>, _>>()?;
        Ok(ClusterCpu {
            circle: cpu_time(self.endpoint().pid)?.root,
            nats: cpu_time(self.nats.pid())?.root,
            machines: machines.iter().map(|cpu| cpu.root).sum(),
            workers: machines.iter().map(|cpu| cpu.descendants).sum(),
        })
    }
}
