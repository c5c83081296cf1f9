//! `sampan image`: the images of the node.

use std::path::PathBuf;

use anyhow::{Context, Result};
use containerd::Layout;
use dataplane::Instance;

use crate::DataDir;

/// What to do with images.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Load images from an OCI or docker archive.
    Import {
        /// The archive, as `docker save` or `skopeo copy ... oci-archive:FILE` make it.
        file: PathBuf,
        #[command(flatten)]
        data: DataDir,
    },
    /// List the images of the node.
    List {
        #[command(flatten)]
        data: DataDir,
    },
}

/// Runs one command and prints what it did.
pub(crate) async fn run(command: Command) -> Result<()> {
    match command {
        Command::Import { file, data } => {
            containerd::images::check(&file)?;
            let (layout, runtime) = connect(&data).await?;
            let references = containerd::images::import(&layout, &runtime, &file).await?;
            print(
                &references
                    .into_iter()
                    .map(|reference| format!("imported {reference}"))
                    .collect::<Vec<_>>(),
            )
        }
        Command::List { data } => {
            let (_, runtime) = connect(&data).await?;
            let images = runtime
                .list_images()
                .await
                .context("cannot list the images")?;
            let mut references: Vec<String> = images
                .into_iter()
                .flat_map(|image| image.repo_tags)
                .collect();
            references.sort();
            print(&references)
        }
    }
}

async fn connect(data: &DataDir) -> Result<(Layout, cri::Runtime)> {
    let path = data.path()?;
    let instance = Instance::of(&path).with_context(|| {
        format!(
            "no cluster has its data in {}: start `sampan up` first",
            path.display()
        )
    })?;
    let layout = Layout::new(instance);
    let runtime = cri::Runtime::connect(&layout.socket())
        .await
        .with_context(|| {
            format!(
                "the runtime of {} does not answer: is `sampan up` running?",
                path.display()
            )
        })?;
    Ok((layout, runtime))
}

fn print(lines: &[String]) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    lines
        .iter()
        .try_for_each(|line| writeln!(out, "{line}"))
        .context("cannot write to standard output")
}
