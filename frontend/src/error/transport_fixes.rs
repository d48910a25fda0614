//! What to do about a connection that does not come about: TLS, and what stands in front of a circle.

use client_ws::TlsFault;

use super::to_visible;

/// What the user can do about a failed TLS handshake.
pub(super) fn tls_fix(fault: &TlsFault) -> &'static str {
    match fault {
        TlsFault::Expired => "ask its operator to renew the certificate; if it is valid, set the clock of this machine",
        TlsFault::NotYetValid => "set the clock of this machine; if it is right, ask the operator of the server",
        TlsFault::UnknownCa { ca_file: None } => {
            "if it is signed by a CA of your own, or by itself, name the file of that certificate: --ca FILE"
        }
        TlsFault::UnknownCa { ca_file: Some(_) } => {
            "name the file of the CA that signed it: --ca FILE; without --ca, the CAs of this system count"
        }
        TlsFault::OtherName { .. } => "use a name that the certificate is for; another server may answer there",
        TlsFault::CaCertificate => "ask its operator for a certificate with basicConstraints CA:FALSE",
        TlsFault::OldVersion => "ask its operator for a certificate of version 3, with the host in subjectAltName",
        TlsFault::NoTls => "check the port; for a circle without TLS, use ws://",
        _ => "ask the operator of the server",
    }
}

/// Why a server answered the request for a WebSocket with something else, and what the user can do about it.
pub(super) fn not_upgraded_parts(status: u16, location: Option<&str>) -> (String, String) {
    let answer = format!("it answered with HTTP {status} instead of a WebSocket");
    match (status, location) {
        (300..=399, Some(location)) => {
            let location = to_visible(location);
            let is_circle_url = location.starts_with("ws://") || location.starts_with("wss://");
            let fix =
                if is_circle_url { format!("if you trust it, connect there: {location}") } else { check_address() };
            (format!("it redirects to {location}"), fix)
        }
        (200..=299 | 426, _) => (
            answer,
            "if a proxy is in front of the circle, it has to pass on the headers Upgrade and Connection; otherwise \
             check the address"
                .into(),
        ),
        (401 | 407, _) => (answer, "the proxy in front of it wants credentials of its own; ask its operator".into()),
        (400, _) => (answer, "check the address; if the server speaks TLS, use wss://".into()),
        (502 | 504, _) => (
            format!("a proxy answered with HTTP {status}: it cannot reach the circle behind it"),
            "try again later, or ask the operator to check the circle".into(),
        ),
        _ => (answer, check_address()),
    }
}

fn check_address() -> String {
    "check the address: another program may be using it".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_of_proxy_says_what_to_do() {
        let fix = |status, location| not_upgraded_parts(status, location).1;
        assert!(fix(200, None).contains("Upgrade and Connection"));
        assert_eq!(fix(301, Some("wss://a.example/")), "if you trust it, connect there: wss://a.example/");
        assert!(fix(302, Some("/login")).starts_with("check the address"));
        assert!(fix(301, None).starts_with("check the address"));
        assert!(fix(502, None).starts_with("try again later"));
        assert!(fix(400, None).ends_with("use wss://"));
    }
}
