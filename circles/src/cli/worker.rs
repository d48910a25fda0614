//! Arguments of `circles worker`, and those of a connection to NATS.

use std::{
    num::{NonZeroU32, NonZeroU64},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueHint};
use worker_nats::{config::NatsSettings, subjects::SubjectName};

use crate::shell_completion;

/// The credentials for the NATS servers, and the CAs to trust.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_field_names, reason = "the fields are named like the flags")]
pub(crate) struct NatsArgs {
    /// Authenticate at NATS with the seed of an nkey in this file
    #[arg(long, value_name = "FILE", requires = "nats", value_hint = ValueHint::FilePath)]
    pub nats_nkey: Option<PathBuf>,
    /// Authenticate at NATS with this credentials file, a JWT and a seed
    #[arg(long, value_name = "FILE", requires = "nats", value_hint = ValueHint::FilePath)]
    pub nats_credentials: Option<PathBuf>,
    /// Authenticate at NATS as this user, with --nats-password-file
    #[arg(long, value_name = "NAME", requires = "nats")]
    pub nats_user: Option<String>,
    /// The file with the password of --nats-user
    #[arg(long, value_name = "FILE", requires = "nats", value_hint = ValueHint::FilePath)]
    pub nats_password_file: Option<PathBuf>,
    /// Trust only the CAs in this PEM file at NATS [default: those of the system]
    #[arg(long, value_name = "FILE", requires = "nats", value_hint = ValueHint::FilePath)]
    pub nats_ca: Option<PathBuf>,
    /// The client certificate for NATS servers that verify clients, a PEM file, with --nats-key
    #[arg(long, value_name = "FILE", requires = "nats", value_hint = ValueHint::FilePath)]
    pub nats_cert: Option<PathBuf>,
    /// The private key of --nats-cert, a PEM file
    #[arg(long, value_name = "FILE", requires = "nats", value_hint = ValueHint::FilePath)]
    pub nats_key: Option<PathBuf>,
}

impl NatsArgs {
    /// Returns the settings of a connection to these servers. Its rules are those of `worker_nats`.
    pub(crate) fn settings(&self, servers: &str) -> NatsSettings {
        let this = self.clone();
        NatsSettings {
            servers: servers.to_owned(),
            credentials: this.nats_credentials,
            nkey: this.nats_nkey,
            user: this.nats_user,
            password_file: this.nats_password_file,
            ca: this.nats_ca,
            cert: this.nats_cert,
            key: this.nats_key,
        }
    }
}

#[derive(Debug, Args)]
#[command(
    override_usage = "circles worker --nats URL [OPTIONS]\n       circles worker --new-nkey FILE",
    after_help = "The exit code is 2 for wrong usage or configuration, 3 if no NATS server is reachable, and 4 if NATS refuses the \
                  credentials or a permission, or if its certificate is not trusted."
)]
pub(crate) struct WorkerArgs {
    /// The NATS servers, separated by commas: tls://HOST:PORT or nats://HOST:PORT
    #[arg(long, value_name = "URL", required_unless_present = "new_nkey")]
    pub nats: Option<String>,
    /// Serve this circle; repeat the option for more [default: all circles]
    #[arg(long, value_name = "NAME", value_parser = circle_name, add = shell_completion::circles())]
    pub circle: Vec<SubjectName>,
    /// The name of this machine, which its permissions in NATS have [default: a random name]
    #[arg(long, value_name = "NAME", value_parser = subject_name)]
    pub name: Option<SubjectName>,
    /// Largest number of workers on this machine at a time [default: as many as its open files allow, at most 1024]
    #[arg(long, value_name = "N")]
    pub places: Option<NonZeroU32>,
    /// Accept no more workers while those on this machine use this much memory [default: half of the machine's]
    #[arg(long, value_name = "N")]
    pub memory_mib: Option<NonZeroU64>,
    /// Wait until a NATS server is reachable; one that refuses the credentials ends the command all the same
    #[arg(long)]
    pub wait: bool,
    /// After SIGTERM, kill the workers that remain after this time (30s)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "8s")]
    pub grace: Duration,
    #[command(flatten)]
    pub connection: NatsArgs,
    /// Write the seed of a new nkey into this file, print its public key for nats-server, and end
    #[arg(long, value_name = "FILE", exclusive = true, value_hint = ValueHint::FilePath)]
    pub new_nkey: Option<PathBuf>,
}

fn subject_name(text: &str) -> Result<SubjectName, String> {
    SubjectName::new(text).map_err(|error| error.to_string())
}

fn circle_name(text: &str) -> Result<SubjectName, String> {
    if protocol::is_circle_name(text) { subject_name(text) } else { Err("this is not the name of a circle".into()) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Verb};

    fn parse(words: &str) -> Result<Verb, String> {
        let parsed = Cli::try_parse_from(words.split(' '));
        parsed.map(|cli| cli.verb.expect("a command")).map_err(|error| error.to_string())
    }

    #[test]
    fn serve_takes_the_flags_that_the_supervisor_sends() {
        let flags = "--nats=tls://n1,n2 --nats-user=a --nats-credentials=c --nats-nkey=s --nats-password-file=p --nats-ca=ca \
                     --nats-cert=cert --nats-key=key";
        let Ok(Verb::Serve(args)) = parse(&format!("circles serve --port=1 {flags}")) else { panic!("it is valid") };
        let expected = NatsSettings {
            servers: "tls://n1,n2".into(),
            credentials: Some("c".into()),
            nkey: Some("s".into()),
            user: Some("a".into()),
            password_file: Some("p".into()),
            ca: Some("ca".into()),
            cert: Some("cert".into()),
            key: Some("key".into()),
        };
        assert_eq!(args.nats_settings(), Some(expected));
        let Ok(Verb::Serve(args)) = parse("circles serve --port=1") else { panic!("it is valid") };
        assert_eq!(args.nats_settings(), None);
    }

    #[test]
    fn worker_takes_its_options() {
        let Ok(Verb::Worker(args)) = parse(
            "circles worker --nats n1 --circle team --circle shop --name m1 --places 16 --memory-mib 2048 --grace 1m --nats-nkey s",
        ) else {
            panic!("it is valid")
        };
        let circles: Vec<&str> = args.circle.iter().map(SubjectName::as_str).collect();
        assert_eq!(circles, ["team", "shop"]);
        assert_eq!(args.name.as_ref().map(SubjectName::as_str), Some("m1"));
        assert_eq!((args.places.map(NonZeroU32::get), args.memory_mib.map(NonZeroU64::get)), (Some(16), Some(2048)));
        assert_eq!((args.grace, args.wait), (Duration::from_mins(1), false));
        assert_eq!(args.connection.settings("n1").nkey, Some("s".into()));
    }

    #[test]
    fn invalid_options_are_refused() {
        for (options, piece) in [
            ("", "--nats <URL>"),
            ("--nats n1 --name a.b", "use 1 to 64 letters, digits, - and _"),
            ("--nats n1 --circle Team", "this is not the name of a circle"),
            ("--nats n1 --places 0", "--places"),
            ("--nats n1 --memory-mib 0", "--memory-mib"),
            ("--nats n1 --grace soon", "--grace"),
            ("--nats n1 --new-nkey f", "cannot be used with"),
            ("--new-nkey f --nats-nkey s", "cannot be used with"),
        ] {
            let error = parse(format!("circles worker {options}").trim()).expect_err(options);
            assert!(error.contains(piece), "{options}: {error}");
        }
    }
}
