//! A nats-server of the test's own.

use std::{
    env, fs,
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::WAIT_TIMEOUT;

/// Variable with the path of a file, to which each skipped test adds a line. `tests/run` sets it and prints the lines.
const SKIPPED_FILE_VARIABLE: &str = "CIRCLES_SKIPPED";

/// Interval of looks for the file with the port.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A running nats-server, or one that was stopped and can be started again on its port. Dropping it kills the process.
pub(crate) struct NatsServer {
    directory: TempDir,
    program: &'static str,
    child: Option<Child>,
    port: u16,
}

impl NatsServer {
    /// Starts a server on a free port. Returns `None`, and reports the test as skipped, if nats-server is missing.
    pub(crate) fn start(test: &str, config: &str) -> Option<Self> {
        let Some(program) = program() else {
            report_skipped(test);
            return None;
        };
        let directory = tempfile::tempdir().expect("a directory");
        let mut server = Self { directory, program, child: None, port: 0 };
        server.launch(config);
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn tls_url(&self, host: &str) -> String {
        format!("tls://{host}:{}", self.port)
    }

    /// Kills the server as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("killed");
            child.wait().expect("reaped");
        }
    }

    /// Starts the killed server again, on its port.
    pub(crate) fn launch(&mut self, config: &str) {
        let path = self.directory.path().join("nats.conf");
        fs::write(&path, config).expect("written");
        let port = if self.port == 0 { "-1".to_owned() } else { self.port.to_string() };
        let child = Command::new(self.program)
            .args(["-a", "127.0.0.1", "-p", &port, "-c"])
            .arg(&path)
            .arg("--ports_file_dir")
            .arg(self.directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server starts");
        let ports = self.directory.path().join(format!("nats-server_{}.ports", child.id()));
        self.child = Some(child);
        self.port = read_port(&ports);
    }

    /// Replaces the configuration of the running server.
    pub(crate) fn reload(&self, config: &str) {
        fs::write(self.directory.path().join("nats.conf"), config).expect("written");
        self.signal("HUP");
    }

    /// Sends a signal to the process, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().expect("there is kill");
        assert!(status.success(), "{status}");
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Writes a file that only its owner can access.
pub(crate) fn write_private(path: &Path, text: &str) -> PathBuf {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).expect("a new file");
    file.write_all(text.as_bytes()).expect("written");
    path.to_owned()
}

pub(crate) fn program() -> Option<&'static str> {
    // Debian does not have /usr/sbin in the PATH of users.
    ["nats-server", "/usr/sbin/nats-server"].into_iter().find(|program| {
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    })
}

/// Waits for the file with the URL, which the server writes once it listens.
fn read_port(path: &Path) -> u16 {
    let begun = Instant::now();
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        // {"nats":["nats://127.0.0.1:37837"]}
        let digits = text.rsplit(':').next().unwrap_or_default();
        let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
        if text.contains(']')
            && let Ok(port) = digits.parse()
        {
            return port;
        }
        assert!(begun.elapsed() < WAIT_TIMEOUT, "nats-server does not listen: {text:?}");
        thread::sleep(POLL_INTERVAL);
    }
}

pub(crate) fn report_skipped(test: &str) {
    let line = format!("skipped: {test}: there is no nats-server\n");
    eprint!("{line}");
    if let Some(path) = env::var_os(SKIPPED_FILE_VARIABLE) {
        // One write, so that lines of concurrent tests stay whole.
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the file can be written");
    }
}
