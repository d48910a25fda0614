//! Arguments of `circles serve` for a circle of circles.json.

use std::convert::Infallible;

use protocol::methods::Access;
use worker_nats::config::NatsSettings;

use super::{CircleFiles, SUPERVISED_FLAG};
use crate::CircleConfig;

/// Command-line arguments that a circle's process is started with. Every user of the system can read them, so they only
/// distinguish one process from another; the circle receives its full configuration over its socket.
pub(super) fn public_arguments(circle: &CircleConfig) -> [String; 4] {
    let (name, port) = (format!("--name={}", circle.name), format!("--port={}", circle.address.port()));
    ["serve".into(), SUPERVISED_FLAG.into(), name, port]
}

/// Returns the full arguments of `circles serve` for this circle.
pub(crate) fn serve_arguments(circle: &CircleConfig, files: &CircleFiles) -> Vec<String> {
    let mut arguments: Vec<String> = vec!["serve".into(), SUPERVISED_FLAG.into()];
    let mut flag = |name: &str, value: String| arguments.push(format!("--{name}={value}"));
    flag("name", circle.name.clone());
    flag("host", circle.address.ip().to_string());
    flag("port", circle.address.port().to_string());
    flag("sandbox", circle.sandbox.to_string());
    if let Some(roles) = &circle.roles {
        let Ok(roles) = roles.clone().try_map_keys(|_, _, key| Ok::<_, Infallible>(key.to_hex()));
        // Texts, numbers and lists of them are JSON.
        flag("roles", serde_json::to_string(&roles).unwrap_or_default());
        circle.functions.iter().for_each(|directory| flag("functions", directory.display().to_string()));
    } else {
        flag("access", circle.access.to_string());
        if circle.access == Access::Members {
            circle.members.iter().for_each(|member| flag("member", member.to_hex()));
        }
    }
    circle.hosts.iter().for_each(|host| flag("hosts", host.to_string()));
    circle.origins.iter().for_each(|origin| flag("origins", origin.clone()));
    circle.trusted_proxies.iter().for_each(|proxy| flag("trusted-proxies", proxy.to_string()));
    circle.description.iter().for_each(|description| flag("description", description.clone()));
    if let Some(tls) = &circle.tls {
        flag("tls-cert", tls.cert.display().to_string());
        flag("tls-key", tls.key.display().to_string());
    }
    circle.init.iter().for_each(|init| flag("init", init.display().to_string()));
    circle.modules.iter().for_each(|modules| flag("modules", modules.display().to_string()));
    if let Some(identity) = circle.identity.as_ref().or(files.identity.as_ref()) {
        flag("identity", identity.display().to_string());
    }
    circle.store.iter().for_each(|store| flag("store", store.to_string()));
    circle.worker_pool.iter().for_each(|pool| pool_flags(pool, &mut flag));
    if let Ok(serde_json::Value::Object(limits)) = serde_json::to_value(&circle.limits) {
        for (name, value) in limits.into_iter().filter(|(_, value)| !value.is_null()) {
            flag("limit", format!("{name}={value}"));
        }
    }
    flag("log-format", circle.log.to_string());
    files.log.iter().for_each(|log| flag("log-file", log.display().to_string()));
    if let Some(file) = &files.audit {
        flag("audit", circle.audit.to_string());
        flag("audit-rotation", circle.audit_rotation.to_string());
        flag("audit-file", file.display().to_string());
    }
    files.lock.iter().for_each(|lock| flag("lock-file", lock.display().to_string()));
    if circle.allow_open {
        arguments.push("--allow-open".into());
    }
    if !circle.console {
        arguments.push("--no-console".into());
    }
    arguments
}

/// Adds the flags of a connection to NATS. They name the files of secrets, and contain none.
fn pool_flags(settings: &NatsSettings, flag: &mut impl FnMut(&str, String)) {
    let NatsSettings { servers, credentials, nkey, user, password_file, ca, cert, key } = settings;
    flag("nats", servers.clone());
    if let Some(user) = user {
        flag("nats-user", user.clone());
    }
    let files = [
        ("nats-credentials", credentials),
        ("nats-nkey", nkey),
        ("nats-password-file", password_file),
        ("nats-ca", ca),
        ("nats-cert", cert),
        ("nats-key", key),
    ];
    for (name, file) in files {
        if let Some(file) = file {
            flag(name, file.display().to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worker_pool_is_in_the_arguments_of_the_process_and_not_in_the_public_ones() {
        let circle = crate::parse(
            r#"{ "circles": [{ "name": "a", "port": 1, "worker_pool": { "nats": "tls://n1,tls://n2" } }] }"#,
            std::path::Path::new("circles.json"),
        );
        let mut circle = circle.expect("valid").remove(0);
        circle.worker_pool = circle.worker_pool.map(|pool| NatsSettings {
            user: Some("a".into()),
            password_file: Some("pw".into()),
            credentials: Some("creds".into()),
            nkey: Some("seed".into()),
            ca: Some("ca.pem".into()),
            cert: Some("cert.pem".into()),
            key: Some("key.pem".into()),
            ..pool
        });
        let arguments = serve_arguments(&circle, &CircleFiles::default());
        let flags: Vec<&str> =
            arguments.iter().map(String::as_str).filter(|argument| argument.starts_with("--nats")).collect();
        let expected = [
            "--nats=tls://n1,tls://n2",
            "--nats-user=a",
            "--nats-credentials=creds",
            "--nats-nkey=seed",
            "--nats-password-file=pw",
            "--nats-ca=ca.pem",
            "--nats-cert=cert.pem",
            "--nats-key=key.pem",
        ];
        assert_eq!(flags, expected);
        assert!(!public_arguments(&circle).concat().contains("nats"));
        circle.worker_pool = None;
        assert!(!serve_arguments(&circle, &CircleFiles::default()).concat().contains("nats"));
    }
}
