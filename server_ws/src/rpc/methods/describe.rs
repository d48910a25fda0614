//! `describe`: describes the circle, its limits and the caller.

use protocol::{
    Limits,
    methods::{CallerInfo, Description, FunctionsInfo, Rights},
};

use crate::{metrics::SandboxLayer, session::Session};

pub(crate) fn handle(session: &Session) -> Description {
    let circle = &session.circle;
    let (now, environment) = (circle.settings(), session.player.next_limits());
    let rights = now.rights.of_caller(session.auth.identity().as_ref());
    Description {
        name: circle.name.clone(),
        description: now.description.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        protocol: protocol::VERSION,
        access: now.rights.access(),
        you: CallerInfo {
            public_key: session.auth.identity().map(|key| key.to_hex()),
            admitted: rights.may_play(),
            name: rights.name.as_deref().map(Into::into),
            role: rights.role_name().map(ToString::to_string),
            may: rights.role.as_ref().map(|role| Rights {
                play: role.may_play(),
                r#use: role.used(),
                subscribe: circle.store.as_ref().map_or_else(Vec::new, |_| role.subscribe_patterns()),
            }),
        },
        modules: environment.module_names.clone(),
        sandbox: circle
            .metrics
            .sandbox()
            .unwrap_or_else(|| SandboxLayer::all(now.workers.has_processes(), &[]))
            .into_iter()
            .map(|layer| layer.name().into())
            .collect(),
        tls: now.tls.is_some(),
        functions: now.functions.as_ref().map(|functions| FunctionsInfo {
            version: functions.version(now.rights.digest()),
            count: rights.role.as_ref().map_or(0, |role| functions.permitted(role).count() as u64),
        }),
        limits: limits(session, &now.limits.values, &environment.values),
    }
}

/// Returns the limits in effect: those of the connection, of its environment, and of the circle now.
fn limits(session: &Session, now: &Limits, environment: &Limits) -> Limits {
    let connection = &session.limits.values;
    let has_memory_quota = !session.circle.admission.is_memory_quota_disabled();
    Limits {
        message_kib: connection.message_kib,
        batch: connection.batch,
        queued_plays: connection.queued_plays,
        queued_kib: connection.queued_kib,
        connections: now.connections,
        unauthenticated_per_address: now.unauthenticated_per_address,
        login_s: connection.login_s,
        connection_mib: now.connection_mib,
        workers: now.workers,
        sessions_per_caller: now.sessions_per_caller,
        running_plays: now.running_plays,
        running_per_caller: now.running_per_caller,
        running_host_calls: now.running_host_calls,
        host_calls_per_caller: now.host_calls_per_caller,
        total_mib: now.total_mib.filter(|_| has_memory_quota),
        memory_per_caller_mib: now.memory_per_caller_mib.filter(|_| has_memory_quota),
        per_minute: now.per_minute,
        call_ms: now.call_ms,
        queued_calls: now.queued_calls,
        running_calls: now.running_calls,
        calls_per_caller: now.calls_per_caller,
        function_workers: now.function_workers,
        ..environment.clone()
    }
}
