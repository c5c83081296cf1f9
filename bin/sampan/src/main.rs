//! The sampan binary: flags and wiring. Each role is a file; no decision is taken here.

mod audit;
mod certificates;
mod control_plane;
mod data_dir;
mod down;
mod image;
mod logs;
mod node;
mod oidc;
mod refusal;
mod server;
mod up;
mod usable;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

/// Objects are trees of small pieces, which glibc's allocator takes several times as long to make and to free.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Kubernetes for a small boat.
#[derive(Parser)]
#[command(name = "sampan", version, about, long_about = None)]
struct Cli {
    /// What to log, as in RUST_LOG: error, warn, info, debug, or per module.
    #[arg(long, global = true, default_value = logs::DEFAULT, env = "SAMPAN_LOG", value_parser = logs::directives)]
    log: String,
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Run a single-node cluster: control plane and node. Needs root.
    Up(up::Flags),
    /// Run the control plane alone. Needs no root.
    Server(server::Flags),
    /// Say what state workloads are in, why, and what to do; on any cluster, or from files.
    Status(Box<workloads::StatusArgs>),
    /// Work with the images of the node.
    #[command(subcommand)]
    Image(image::Command),
    /// Stop the containers of `sampan up` and remove what it made on this machine; the data stay.
    Down(DataDir),
}

/// Where a cluster keeps its data.
#[derive(clap::Args, Clone)]
struct DataDir {
    /// Directory for the cluster's data [default: /var/lib/sampan as root, ~/.local/state/sampan otherwise].
    #[arg(long, env = "SAMPAN_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

/// Exit code for flags that cannot be read, as shells have it.
const USAGE: u8 = 2;

/// Whether clap's text is what was asked for, or what a command without its words shows.
fn is_help(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    )
}

/// Stack of the threads that work: what nests deep in a request is read by functions that call themselves.
const STACK_BYTES: usize = 8 << 20;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(run()),
        Err(error) => {
            eprintln!("sampan: cannot start threads: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(help) if is_help(help.kind()) => help.exit(),
        Err(refused) => {
            eprintln!(
                "sampan: {}",
                refusal::sentence(&refused.render().to_string())
            );
            return ExitCode::from(USAGE);
        }
    };
    logs::start(&cli.log);
    let result = match cli.role {
        Role::Up(flags) => up::run(flags).await,
        Role::Server(flags) => server::run(flags).await,
        Role::Status(args) => return workloads::run(*args).await,
        Role::Image(command) => image::run(command).await,
        Role::Down(flags) => down::run(&flags).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sampan: {error:#}");
            ExitCode::FAILURE
        }
    }
}
