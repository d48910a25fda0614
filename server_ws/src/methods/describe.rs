//! `describe`: what this circle is, and who it takes the caller for.

use protocol::{
    Limits,
    methods::{Description, You},
};

use worker::Layer;

use crate::{circle::Circle, session::Session};

pub(crate) fn handle(session: &Session) -> Description {
    let circle = &session.circle;
    Description {
        name: circle.name.clone(),
        description: circle.description.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        protocol: protocol::VERSION,
        access: circle.access,
        you: You { public_key: session.auth.identity().map(|key| key.to_hex()), admitted: session.is_admitted() },
        modules: circle.module_names.clone(),
        sandbox: circle
            .workers
            .has_processes()
            .then_some("process")
            .into_iter()
            .chain(circle.layers.get().into_iter().flatten().copied().filter_map(name))
            .map(Into::into)
            .collect(),
        limits: limits(circle),
    }
}

/// Those that hold.
fn limits(circle: &Circle) -> Limits {
    let limits = circle.limits.clone();
    if circle.admission.is_blind() {
        return Limits { total_mib: None, memory_per_caller_mib: None, ..limits };
    }
    limits
}

/// What a layer is called.
fn name(layer: Layer) -> Option<&'static str> {
    match layer {
        Layer::Memory => Some("memory"),
        Layer::Syscalls => Some("syscalls"),
        _ => None,
    }
}
