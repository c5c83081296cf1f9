//! Flags of the audit log, under upstream's names and with its defaults.
//!
//! Source: apiserver `server/options/audit.go`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use access::audit::{Policy, Rotation};
use anyhow::{Context, Result, ensure};
use apiserver::audit::{Audit, Format, Mode, Options};
use jiff::Timestamp;

use crate::control_plane::written;

/// What the audit log is made of.
#[derive(clap::Args, Clone)]
#[group(id = "audit")]
pub(crate) struct Flags {
    /// File with the audit policy (audit.k8s.io/v1): which requests are told of, and how much.
    #[arg(long = "audit-policy-file", value_name = "FILE")]
    policy_file: Option<PathBuf>,
    /// File to which the audit log is written; "-" is standard output.
    #[arg(long = "audit-log-path", value_name = "FILE")]
    path: Option<PathBuf>,
    /// How audit events are written: legacy or json.
    #[arg(
        long = "audit-log-format",
        value_name = "FORMAT",
        default_value = "json"
    )]
    format: String,
    /// What waits for audit events: batch (nothing), blocking (requests) or blocking-strict (requests, refused on failure).
    #[arg(
        long = "audit-log-mode",
        value_name = "MODE",
        default_value = "blocking"
    )]
    mode: String,
    /// Days for which old audit logs are kept; 0 is for ever.
    #[arg(long = "audit-log-maxage", value_name = "DAYS", default_value_t = 366)]
    days_max: i64,
    /// Old audit logs that are kept; 0 is all.
    #[arg(
        long = "audit-log-maxbackup",
        value_name = "COUNT",
        default_value_t = 100
    )]
    backups_max: i64,
    /// Megabytes after which a new audit log is begun; 0 never begins one.
    #[arg(
        long = "audit-log-maxsize",
        value_name = "MEGABYTES",
        default_value_t = 100
    )]
    megabytes_max: i64,
    /// Leave the bodies out of audit events that are too large, and such events that are too large still.
    #[arg(
        long = "audit-log-truncate-enabled",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true"
    )]
    is_truncated: bool,
    /// Bytes of an audit event that is too large.
    #[arg(
        long = "audit-log-truncate-max-event-size",
        value_name = "BYTES",
        default_value_t = 102_400
    )]
    event_bytes_max: i64,
}

/// An audit log that was asked for.
pub(crate) struct Asked {
    policy: Policy,
    options: Options,
}

impl Asked {
    /// Opens the log.
    pub(crate) fn open(self) -> Result<Arc<Audit>> {
        let audit = Audit::open(self.policy, self.options, Timestamp::now);
        Ok(Arc::new(
            audit.context("give another file with --audit-log-path")?,
        ))
    }
}

impl Flags {
    /// Names and values, as Go writes them.
    pub(crate) fn told(&self) -> [(&'static str, String); 9] {
        [
            ("audit-log-format", self.format.clone()),
            ("audit-log-maxage", self.days_max.to_string()),
            ("audit-log-maxbackup", self.backups_max.to_string()),
            ("audit-log-maxsize", self.megabytes_max.to_string()),
            ("audit-log-mode", self.mode.clone()),
            ("audit-log-path", written(self.path.as_deref())),
            ("audit-log-truncate-enabled", self.is_truncated.to_string()),
            (
                "audit-log-truncate-max-event-size",
                self.event_bytes_max.to_string(),
            ),
            ("audit-policy-file", written(self.policy_file.as_deref())),
        ]
    }

    /// The audit log that is asked for; `None` when nothing is to be told.
    pub(crate) fn read(self) -> Result<Option<Asked>> {
        let policy = self.policy_file.as_deref().map(policy).transpose()?;
        let Some(path) = &self.path else {
            return Ok(None);
        };
        let options = self.options(path)?;
        let Some(policy) = policy else {
            tracing::info!("no audit policy file provided, no events will be recorded");
            return Ok(None);
        };
        Ok(Some(Asked { policy, options }))
    }

    fn options(&self, path: &Path) -> Result<Options> {
        let mode = match self.mode.as_str() {
            "batch" => Mode::Batch,
            "blocking" => Mode::Blocking,
            "blocking-strict" => Mode::BlockingStrict,
            other => anyhow::bail!(
                "invalid audit log mode {other}, allowed modes are \"batch,blocking,blocking-strict\""
            ),
        };
        ensure!(
            self.event_bytes_max > 0,
            "invalid audit truncate log max event size {}, must be a positive number",
            self.event_bytes_max
        );
        let format = match self.format.as_str() {
            "legacy" => Format::Legacy,
            "json" => Format::Json,
            other => anyhow::bail!(
                "invalid audit log format {other}, allowed formats are \"legacy,json\""
            ),
        };
        let bytes_max = usize::try_from(self.event_bytes_max)?;
        Ok(Options {
            path: (path != Path::new("-")).then(|| path.to_owned()),
            format,
            mode,
            rotation: self.rotation()?,
            event_bytes_max: self.is_truncated.then_some(bytes_max),
        })
    }

    fn rotation(&self) -> Result<Rotation> {
        let flags = [
            ("maxage", self.days_max),
            ("maxbackup", self.backups_max),
            ("maxsize", self.megabytes_max),
        ];
        for (name, number) in flags {
            ensure!(
                number >= 0,
                "--audit-log-{name} {number} can't be a negative number"
            );
        }
        Ok(Rotation {
            bytes_max: u64::try_from(self.megabytes_max)?.saturating_mul(1 << 20),
            backups_max: usize::try_from(self.backups_max)?,
            days_max: self.days_max,
        })
    }
}

fn policy(file: &Path) -> Result<Policy> {
    let shown = file.display();
    let advice = "loading audit policy file: give another with --audit-policy-file";
    let text = std::fs::read(file)
        .with_context(|| {
            format!(
                "failed to read file path {shown:?}",
                shown = shown.to_string()
            )
        })
        .context(advice)?;
    let policy = apiserver::audit::policy(&text);
    policy
        .with_context(|| format!("audit policy file {shown} cannot be used"))
        .context(advice)
}
