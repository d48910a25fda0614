//! JSON Schema of `circles.json`, generated from its types. Editors use it for completion and checks.

use crate::fields::ConfigFile;

/// Returns the schema as text that ends in a newline.
pub fn generate() -> String {
    let schema = schemars::generate::SchemaSettings::draft07().into_generator().into_root_schema_for::<ConfigFile>();
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    /// To update the file: `UPDATE_SCHEMA=1 cargo test --release -p circles-launcher --features schema`.
    #[test]
    fn committed_schema_matches_generated_one() {
        let generated = super::generate();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/circles.schema.json");
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, &generated).expect("the schema can be written");
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == generated, "docs/circles.schema.json is stale: run the test with UPDATE_SCHEMA=1");
    }
}
