//! nginx in front of a circle, with TLS.

use std::{
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{ChildStdin, ChildStdout, Command, Stdio},
};

use super::{Home, WAIT_TIMEOUT, eventually, process::ReapedChild};

/// The name in the certificate.
pub(crate) const NAME: &str = "circle.example";

/// The path below which the circle is, too.
pub(crate) const PATH: &str = "/team/";

/// The page with the configuration that operators copy.
const OPERATING: &str = include_str!("../../docs/operating.md");

/// Configuration of openssl without default extensions.
const OPENSSL: &str = "[req]\ndistinguished_name = name\n[name]\n";

/// Returns the program of nginx; `None` if nginx or openssl is missing.
fn program() -> Option<&'static str> {
    // Debian does not have /usr/sbin in the PATH of users.
    let nginx = ["nginx", "/usr/sbin/nginx"].into_iter().find(|nginx| runs(nginx, "-v"))?;
    runs("openssl", "version").then_some(nginx)
}

fn runs(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// An nginx that terminates TLS in front of a circle. Dropping it kills the process.
pub(crate) struct Nginx {
    _child: ReapedChild,
    directory: Home,
    port: u16,
}

impl Nginx {
    /// Starts nginx on this port, in front of the circle at `circle`, with the configuration of docs/operating.md.
    /// Returns `None` if nginx or openssl is missing.
    pub(crate) fn start(port: u16, circle: &str) -> Option<Self> {
        let program = program()?;
        let directory = Home::new();
        make_certificate(directory.path());
        fs::write(directory.path().join("nginx.conf"), configuration(directory.path(), port, circle)).expect("written");
        let child = Command::new(program)
            .args(["-e", "stderr", "-c", "nginx.conf", "-p"])
            .arg(directory.path())
            .spawn()
            .expect("there is nginx");
        let nginx = Self { _child: ReapedChild(child), directory, port };
        eventually(|| TcpStream::connect(("127.0.0.1", port)));
        Some(nginx)
    }

    /// The authority under which clients reach the circle.
    pub(crate) fn authority(&self) -> String {
        format!("{NAME}:{}", self.port)
    }

    /// The certificate of the authority that signed the server's.
    pub(crate) fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Connects with TLS, and verifies the certificate.
    pub(crate) fn connect(&self) -> TlsStream {
        let mut openssl = Command::new("timeout")
            .arg(WAIT_TIMEOUT.as_secs().to_string())
            .args(["openssl", "s_client", "-quiet", "-verify_return_error", "-verify_hostname", NAME])
            .args(["-servername", NAME, "-connect", &format!("127.0.0.1:{}", self.port), "-CAfile"])
            .arg(self.ca())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is openssl");
        let (input, output) = (openssl.stdin.take().expect("piped"), openssl.stdout.take().expect("piped"));
        TlsStream { input, output, _child: ReapedChild(openssl) }
    }
}

/// A TLS connection through a process of openssl.
#[derive(Debug)]
pub(crate) struct TlsStream {
    input: ChildStdin,
    output: ChildStdout,
    _child: ReapedChild,
}

impl Read for TlsStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.output.read(bytes)
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.input.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.input.flush()
    }
}

/// Returns a configuration with the server of docs/operating.md, on another port and with other files. The circle is also
/// below the path of the documented location.
fn configuration(directory: &Path, port: u16, circle: &str) -> String {
    let mut fences = OPERATING.split("```nginx\n").skip(1).map(|fenced| fenced.split("```").next().expect("an end"));
    let documented = fences.next().expect("the documented configuration");
    let location = fences.next().expect("the documented location");
    assert!(location.contains(&format!("location {PATH} {{")), "{location}");
    let mut server = documented.replace("    location / {", &format!("{location}\n    location / {{"));
    let directory = directory.display();
    for (from, to) in [
        ("listen 443 ssl", format!("listen 127.0.0.1:{port} ssl")),
        ("server_name circles.example.org", format!("server_name {NAME}")),
        ("/etc/ssl/circles.example.org.pem", format!("{directory}/server.pem")),
        ("/etc/ssl/private/circles.example.org.key", format!("{directory}/server.key")),
        ("http://127.0.0.1:9001", format!("http://{circle}")),
        ("http://127.0.0.1:9002", format!("http://{circle}")),
    ] {
        assert!(server.contains(from), "{from}: {documented}");
        server = server.replace(from, &to);
    }
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|module| format!("{module}_temp_path {directory}/{module};\n"))
        .concat();
    // One process, of the user who runs the tests.
    format!(
        "daemon off; master_process off; pid {directory}/nginx.pid; events {{}}\n\
         http {{ access_log off;\n{temporary}{server}}}\n"
    )
}

/// Makes a certificate authority, and a certificate of it for [`NAME`] and 127.0.0.1.
fn make_certificate(directory: &Path) {
    fs::write(directory.join("openssl.cnf"), OPENSSL).expect("written");
    let make = |name: &str, more: &[&str]| {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-config", "openssl.cnf", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-nodes", "-days", "2", "-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")])
            .args(more)
            .current_dir(directory)
            .output()
            .expect("there is openssl");
        assert!(made.status.success(), "{made:?}");
    };
    make("ca", &["-subj", "/CN=Tests", "-addext", "basicConstraints=critical,CA:TRUE"]);
    let names = format!("subjectAltName=DNS:{NAME},IP:127.0.0.1");
    let subject = format!("/CN={NAME}");
    make("server", &["-CA", "ca.pem", "-CAkey", "ca.key", "-subj", &subject, "-addext", &names]);
}
