//! Resolves one circle of a `circles.json`.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use protocol::Limits;
use serde_json::value::RawValue;

use super::{CircleConfig, ConfigEntry, FieldSpans, access::CircleAccess, parse_host, parse_origin, parse_proxy};
use crate::{
    config_error::{ConfigError, ConfigSource},
    fields::{CircleFields, Sandbox, StoreConfig, TlsFiles},
    log::AuditRotation,
};

/// Resolves one circle with its defaults.
pub(super) struct CircleResolver<'a, 'e> {
    pub(super) source: ConfigSource<'a>,
    pub(super) raw: &'a RawValue,
    pub(super) entry: &'e ConfigEntry<'a>,
    pub(super) defaults: &'e ConfigEntry<'a>,
}

impl<'a> CircleResolver<'a, '_> {
    /// Returns the circle's own field, or the default.
    pub(super) fn field<T: Clone>(&self, field: impl Fn(&CircleFields) -> &Option<T>) -> Option<T> {
        field(&self.entry.fields).clone().or_else(|| field(&self.defaults.fields).clone())
    }

    pub(super) fn error_at(&self, name: &str, message: impl Into<String>) -> ConfigError {
        self.source.error_at(self.span(name).map_or(self.raw.get(), |value| value.get()), message)
    }

    /// Returns the text of the circle's own field, or of the default.
    pub(super) fn span(&self, name: &str) -> Option<&'a RawValue> {
        self.entry.spans.get(name).or_else(|| self.defaults.spans.get(name)).copied()
    }

    /// Parses the items of a list one by one, so that an error points at its item.
    pub(super) fn list<T>(
        &self,
        name: &str,
        items: Option<Vec<String>>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, ConfigError> {
        let spans: Vec<&'a RawValue> =
            self.span(name).and_then(|list| serde_json::from_str(list.get()).ok()).unwrap_or_default();
        items
            .unwrap_or_default()
            .iter()
            .enumerate()
            .map(|(index, item)| {
                parse(item).map_err(|message| match spans.get(index) {
                    Some(span) => self.source.error_at(span.get(), message),
                    None => self.error_at(name, message),
                })
            })
            .collect()
    }

    /// Resolves a path that is relative to the file.
    fn path(&self, path: Option<PathBuf>) -> Option<PathBuf> {
        path.map(|path| self.resolve(&path))
    }

    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        self.source.path.parent().unwrap_or(Path::new("")).join(path)
    }

    pub(super) fn circle(&self) -> Result<CircleConfig, ConfigError> {
        let name = self.field(|fields| &fields.name).ok_or_else(|| self.error_at("name", "a circle needs a name"))?;
        if !protocol::is_circle_name(&name) {
            let message = "invalid name: use up to 64 lower-case letters, digits and dashes, with at least one letter";
            return Err(self.error_at("name", message));
        }
        let port =
            self.field(|fields| &fields.port).ok_or_else(|| self.error_at("port", format!("'{name}' needs a port")))?;
        let host = self.field(|fields| &fields.host).unwrap_or(Ipv4Addr::LOCALHOST.into());
        let CircleAccess { access, allow_open, members, roles } = self.access(&name, host)?;
        let hosts = self.list("hosts", self.field(|fields| &fields.hosts), parse_host)?;
        let circle = CircleConfig {
            description: self.description()?,
            address: SocketAddr::new(host, port),
            access,
            allow_open,
            members,
            functions: self.path(self.field(|fields| &fields.functions)).filter(|_| roles.is_some()),
            roles,
            hosts,
            origins: self.list("origins", self.field(|fields| &fields.origins), parse_origin)?,
            trusted_proxies: self.list("trusted_proxies", self.field(|fields| &fields.trusted_proxies), parse_proxy)?,
            console: self.field(|fields| &fields.console).unwrap_or(true),
            tls: self
                .field(|fields| &fields.tls)
                .map(|TlsFiles { cert, key }| TlsFiles { cert: self.resolve(&cert), key: self.resolve(&key) }),
            init: self.path(self.field(|fields| &fields.init)),
            modules: self.path(self.field(|fields| &fields.modules)),
            identity: self.path(self.field(|fields| &fields.identity)),
            store: self.field(|fields| &fields.store).map(|store| match store {
                StoreConfig::Memory => StoreConfig::Memory,
                StoreConfig::File(path) => StoreConfig::File(self.resolve(&path)),
            }),
            worker_pool: self.worker_pool()?,
            limits: self.limits()?,
            // Off loopback, strangers may connect.
            sandbox: self.field(|fields| &fields.sandbox).unwrap_or(if host.is_loopback() {
                Sandbox::BestEffort
            } else {
                Sandbox::Required
            }),
            restart: self.field(|fields| &fields.restart).unwrap_or_default(),
            log: self.field(|fields| &fields.log).unwrap_or_default(),
            audit: self.field(|fields| &fields.audit).unwrap_or_default(),
            audit_rotation: self.audit_rotation()?,
            name,
        };
        self.check_files(&circle)?;
        Ok(circle)
    }

    fn description(&self) -> Result<Option<String>, ConfigError> {
        let description = self.field(|fields| &fields.description);
        if description.as_ref().is_some_and(|text| text.len() > 1000 || text.contains(char::is_control)) {
            let message = "invalid description: use one line of at most 1000 bytes, without control characters";
            return Err(self.error_at("description", message));
        }
        Ok(description)
    }

    fn limits(&self) -> Result<Limits, ConfigError> {
        let mut limits = Limits::default();
        for entry in [self.defaults, self.entry] {
            let spans: FieldSpans = entry
                .spans
                .get("limits")
                .and_then(|limits| serde_json::from_str(limits.get()).ok())
                .unwrap_or_default();
            for (name, value) in entry.fields.limits.iter().flatten() {
                if let Err(error) = limits.set(name, *value) {
                    let span = spans.get(name.as_str()).map_or(self.raw.get(), |value| value.get());
                    return Err(self.source.error_at(span, format!("{name}: {error}")));
                }
            }
        }
        Ok(limits)
    }

    fn audit_rotation(&self) -> Result<AuditRotation, ConfigError> {
        let mut rotation = AuditRotation::default();
        for fields in [self.defaults, self.entry].into_iter().filter_map(|entry| entry.fields.audit_rotation.as_ref()) {
            rotation = rotation.with_fields(fields).map_err(|message| self.error_at("audit_rotation", message))?;
        }
        Ok(rotation)
    }

    fn check_files(&self, circle: &CircleConfig) -> Result<(), ConfigError> {
        let tls = circle.tls.iter().flat_map(|files| [("tls", &files.cert), ("tls", &files.key)]);
        for (field, path) in circle.init.iter().map(|init| ("init", init)).chain(tls) {
            check_file(path).map_err(|message| self.error_at(field, message))?;
        }
        if let Some(StoreConfig::File(file)) = &circle.store {
            check_store_file(file).map_err(|message| self.error_at("store", message))?;
        }
        let directories = [("modules", &circle.modules), ("functions", &circle.functions)];
        for (field, directory) in directories.into_iter().filter_map(|(field, path)| Some((field, path.as_ref()?))) {
            if let Err(error) = std::fs::read_dir(directory) {
                return Err(self.error_at(field, format!("cannot read {}: {error}", directory.display())));
            }
        }
        Ok(())
    }
}

/// Checks that a path is that of a regular file.
pub(super) fn check_file(path: &Path) -> Result<(), String> {
    // Not opened: opening a pipe would block.
    let problem = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => return Ok(()),
        Ok(_) => "not a regular file".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(format!("cannot read {}: {problem}", path.display()))
}

/// Checks that a store is a regular file, or that its directory exists.
fn check_store_file(file: &Path) -> Result<(), String> {
    // `join` of a directory and an empty path ends in a separator.
    if file.file_name().is_none() || file.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err("the store has no file name: name a file such as \"data/shop.redb\", or \":memory:\"".to_owned());
    }
    match std::fs::metadata(file) {
        Ok(metadata) if metadata.is_file() => return Ok(()),
        Ok(_) => return Err(format!("the store {} is not a regular file: name a file", file.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(format!("cannot open the store {}: {error}", file.display())),
    }
    let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match std::fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(format!("cannot create the store in {}: this is not a directory", directory.display())),
        Err(error) => {
            let directory = directory.display();
            Err(format!("cannot create the store in {directory}: {error}; create the directory: mkdir -p {directory}"))
        }
    }
}
