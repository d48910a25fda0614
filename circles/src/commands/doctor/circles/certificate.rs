//! Checks of the certificates of circles that serve TLS.

use std::time::Duration;

use launcher::CircleConfig;
use server_ws::TlsCertificate;

use super::{
    super::finding::{Finding, Section},
    CommandHints,
};

/// A certificate that expires within this time should be renewed.
const RENEWAL_TIME: Duration = Duration::from_hours(14 * 24);

/// Warnings about a valid certificate. An invalid one is an error of circles.json.
pub(super) fn findings(circle: &CircleConfig, commands: &CommandHints) -> Vec<Finding> {
    let Some(tls) = &circle.tls else { return Vec::new() };
    let Ok(certificate) = TlsCertificate::from_files(&tls.cert, &tls.key) else { return Vec::new() };
    let (name, file) = (&circle.name, tls.cert.display());
    let mut findings = Vec::new();
    if certificate.expires_within(RENEWAL_TIME) {
        findings.push(Section::Config.warning(
            format!("the certificate of {name} expires within {} days", RENEWAL_TIME.as_secs() / 86_400),
            format!("{file} has not been renewed"),
            format!("renew it; the circle applies the new file automatically, or with {}", commands.run("reload")),
        ));
    }
    if certificate.is_of_a_ca() {
        findings.push(Section::Config.warning(
            format!("the certificate of {name} is that of a CA (CA:TRUE)"),
            "many clients refuse it as that of a server, those of circles among them",
            format!("replace {file} by a certificate with basicConstraints CA:FALSE"),
        ));
    }
    let uncovered = circle.hosts.iter().filter(|host| !certificate.covers(host));
    let uncovered: Vec<_> = uncovered.map(ToString::to_string).collect();
    if !uncovered.is_empty() {
        findings.push(Section::Config.warning(
            format!("the certificate of {name} is not for {}", uncovered.join(", ")),
            "clients that connect by this name refuse it",
            format!("add the name to the certificate {file}, or remove it from \"hosts\""),
        ));
    }
    findings
}
