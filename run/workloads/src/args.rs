//! The flags of `sampan status`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::lang::Lang;

/// Says what state workloads are in, why, and what to do.
#[derive(Args, Clone, Debug, Default)]
pub struct StatusArgs {
    /// What to show: KIND for all of a kind, KIND/NAME for one; everything when absent.
    #[arg(value_name = "KIND/NAME")]
    pub targets: Vec<String>,

    /// Namespace to look at; default: the one of the kubeconfig's context.
    #[arg(short = 'n', long, value_name = "NS")]
    pub namespace: Option<String>,

    /// Look at all namespaces.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,

    /// Only workloads whose labels match, as in kubectl.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,

    /// Kubeconfig file; default: $KUBECONFIG, then ~/.kube/config.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig; default: its current one.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// Keep watching, and update what is shown.
    #[arg(short = 'w', long)]
    pub watch: bool,

    /// How to show it.
    #[arg(short = 'o', long, value_enum, default_value_t, value_name = "FORM")]
    pub output: OutputForm,

    /// Language of what is shown; default: that of the locale.
    #[arg(long, value_enum, value_name = "LANG")]
    pub lang: Option<Lang>,

    /// Show only what needs a look.
    #[arg(long, value_enum, value_name = "WHICH")]
    pub only: Option<Only>,

    /// Answer by exit code: 0 all is well, 1 something is not, 2 could not tell.
    #[arg(long)]
    pub exit_code: bool,

    /// Read objects from a YAML or JSON file instead of a cluster; the first one is judged. "-" reads
    /// standard input.
    #[arg(
        short = 'f',
        long,
        value_name = "BUNDLE",
        conflicts_with_all = ["targets", "namespace", "all_namespaces", "selector", "kubeconfig", "context", "watch"]
    )]
    pub filename: Option<PathBuf>,

    /// Judge as of this time (RFC 3339), with -f; default: now.
    #[arg(long, value_name = "TIME", requires = "filename")]
    pub now: Option<String>,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputForm {
    /// One line per workload, the cause below it when something is wrong.
    #[default]
    Table,
    /// A table with severity, message and next step.
    Wide,
    /// {"items": [...]}.
    Json,
    /// The same as YAML.
    Yaml,
    /// The evidence, the next steps and their commands.
    Explain,
}

/// What `--only` selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Only {
    /// Workloads of severity warning or error.
    NotOk,
}
