//! `circles doctor`: check keys, configuration, circles and this machine, and name the command that fixes each problem. It
//! changes and starts nothing, prompts for nothing, and waits a bounded time for each answer.

mod circles;
mod finding;
mod keystore;
mod machine;
mod permissions;

use std::io::IsTerminal;

use serde_json::json;

use self::finding::{Finding, Section, Severity};
use crate::cli::DoctorArgs;
use frontend::error::CliError;
use terminal::output::{Paint, to_stdout};

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn run(args: &DoctorArgs) -> Result<(), CliError> {
    let runtime = terminal::runtime::runtime()?;
    let findings = runtime.block_on(async {
        // Concurrently: both wait for processes that may not answer.
        let (circles, sandbox) = tokio::join!(circles::examine(&args.config), machine::sandbox());
        let mut findings = keystore::examine();
        findings.extend(circles);
        findings.push(sandbox);
        findings.extend(machine::examine());
        findings
    });
    let code = exit_code(&findings);
    to_stdout(&if args.json { as_json(&findings, code) } else { as_text(&findings) })?;
    if code == 0 { Ok(()) } else { Err(CliError::AlreadyReported { exit_code: code }) }
}

/// The exit code of the first error, in the order of the output; 0 if there are only warnings.
fn exit_code(findings: &[Finding]) -> u8 {
    findings.iter().find_map(|finding| finding.level.exit_code()).unwrap_or_default()
}

fn as_json(findings: &[Finding], code: u8) -> String {
    let findings: Vec<_> = findings.iter().map(Finding::as_json).collect();
    format!("{}\n", json!({ "version": VERSION, "findings": findings, "exit_code": code }))
}

fn as_text(findings: &[Finding]) -> String {
    let (paint, is_utf8) = (Paint::for_stdout(), machine::locale().is_some_and(|locale| machine::is_utf8(&locale)));
    // A file or a pipe gets UTF-8 regardless of the locale.
    let is_plain = std::io::stdout().is_terminal() && !is_utf8;
    let mut text = format!("circles {VERSION} on {} {}\n", std::env::consts::OS, std::env::consts::ARCH);
    let mut section: Option<Section> = None;
    for finding in findings {
        if section != Some(finding.section) {
            text += &format!("{}\n", paint.strong(finding.section.title()));
            section = Some(finding.section);
        }
        text += &format!("  {}\n", finding.line(paint, is_plain));
    }
    let count = |matches: fn(&Severity) -> bool| findings.iter().filter(|finding| matches(&finding.level)).count();
    let errors = count(|level| matches!(level, Severity::Error(_)));
    let warnings = count(|level| matches!(level, Severity::Warning));
    let of = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    text += &match (errors, warnings) {
        (0, 0) => "nothing is wrong\n".into(),
        (0, _) => format!("nothing is wrong; {}\n", of(warnings, "warning")),
        _ => format!("{}, {}\n", of(errors, "error"), of(warnings, "warning")),
    };
    text
}
