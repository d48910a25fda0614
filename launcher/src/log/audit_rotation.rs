//! Rotation of a circle's audit, as `circles.json` and the command line define it.

use std::{fmt, str::FromStr, time::Duration};

use super::RotationPolicy;
use crate::fields::RotationFields;

const DAY: Duration = Duration::from_hours(24);

/// Rotation of the audit files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditRotation {
    file_mib: u64,
    files: u64,
    /// `None` if only the size counts.
    days: Option<u64>,
}

impl Default for AuditRotation {
    /// Room for a quarter of a million plays without their scripts.
    fn default() -> Self {
        Self { file_mib: 8, files: 8, days: None }
    }
}

impl AuditRotation {
    /// Returns the rotation with some values replaced.
    ///
    /// # Errors
    ///
    /// A value is out of range; the error names it.
    pub(crate) fn with_fields(self, fields: &RotationFields) -> Result<Self, String> {
        let within = |name: &str, value: u64, least: u64, most: u64| {
            let is_within = (least..=most).contains(&value);
            is_within.then_some(value).ok_or_else(|| format!("{name} must be from {least} to {most}"))
        };
        Ok(Self {
            file_mib: within("file_mib", fields.file_mib.unwrap_or(self.file_mib), 1, 1024)?,
            files: within("files", fields.files.unwrap_or(self.files), 2, 1000)?,
            days: fields.days.or(self.days).map(|days| within("days", days, 1, 3650)).transpose()?,
        })
    }

    /// Returns the rotation policy of the files.
    pub fn bounds(&self) -> RotationPolicy {
        RotationPolicy {
            max_bytes: self.file_mib << 20,
            kept_files: usize::try_from(self.files - 1).unwrap_or(usize::MAX),
            max_age: self.days.map(|days| DAY * u32::try_from(days).unwrap_or(u32::MAX)),
        }
    }
}

/// The format that `FromStr` reads: `file_mib=8,files=8,days=7`.
impl fmt::Display for AuditRotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file_mib={},files={}", self.file_mib, self.files)?;
        self.days.map_or(Ok(()), |days| write!(f, ",days={days}"))
    }
}

impl FromStr for AuditRotation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut fields = RotationFields::default();
        for setting in text.split(',') {
            let (name, value) = setting.split_once('=').ok_or("expected NAME=NUMBER, separated by commas")?;
            let value = value.parse().map_err(|_| format!("{name} must be a whole number"))?;
            let field = match name {
                "file_mib" => &mut fields.file_mib,
                "files" => &mut fields.files,
                "days" => &mut fields.days,
                _ => return Err(format!("unknown setting '{name}': expected file_mib, files or days")),
            };
            *field = Some(value);
        }
        Self::default().with_fields(&fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_round_trips_and_is_bounded() {
        for text in ["file_mib=8,files=8", "file_mib=1,files=2,days=30"] {
            assert_eq!(text.parse::<AuditRotation>().map(|rotation| rotation.to_string()), Ok(text.into()));
        }
        let daily: AuditRotation = "days=1".parse().expect("valid");
        assert_eq!(daily.bounds(), RotationPolicy { max_bytes: 8 << 20, kept_files: 7, max_age: Some(DAY) });
        for text in ["", "files", "files=1", "files=x", "file_mib=0", "file_mib=2000", "days=0", "weeks=1"] {
            assert!(text.parse::<AuditRotation>().is_err(), "{text}");
        }
    }
}
