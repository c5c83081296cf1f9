//! A command in a container, seen from outside: up to five channels, over SPDY or WebSocket.
//!
//! [`Serving`] is the half of whoever was asked to run the command; [`Calling`] the half of whoever
//! asked. [`join`] ties one of each together, which is how a request is passed on.

mod spdy;
mod websocket;

use std::{fmt, io, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy};
use tokio_util::sync::CancellationToken;

pub use spdy::{call, serve};
pub use websocket::serve_websocket;

/// How long the asking side may take to open its streams.
///
/// Source: Kubernetes, `pkg/kubelet/server`, `DefaultStreamCreationTimeout`.
pub const STREAM_CREATION_MAX: Duration = Duration::from_secs(30);

/// Something to read from.
pub type Reader = Box<dyn AsyncRead + Send + Unpin>;
/// Something to write to.
pub type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// One channel of a command; the numbers are those of the WebSocket protocol.
///
/// Source: Kubernetes, `apimachinery/pkg/util/remotecommand`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Channel {
    /// What the command reads.
    Stdin = 0,
    /// What it writes.
    Stdout = 1,
    /// What it complains of; with a terminal there is none, as all goes to stdout.
    Stderr = 2,
    /// How it ended: one `Status` object as JSON.
    Error = 3,
    /// Sizes of the terminal, as JSON objects with `Width` and `Height`.
    Resize = 4,
}

impl Channel {
    const ALL: [Self; 5] = [
        Self::Stdin,
        Self::Stdout,
        Self::Stderr,
        Self::Error,
        Self::Resize,
    ];

    /// The value of the `streamtype` header.
    fn name(self) -> &'static str {
        match self {
            Self::Stdin => "stdin",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Error => "error",
            Self::Resize => "resize",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.name() == name)
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|channel| *channel as u8 == number)
    }
}

/// Which channels a command has; the error channel is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels(u8);

impl Default for Channels {
    fn default() -> Self {
        Self(0).with(Channel::Error, true)
    }
}

impl Channels {
    /// Adds a channel if it is wanted: `Channels::default().with(Channel::Stdin, stdin)`.
    ///
    /// A terminal is `.with(Channel::Resize, true)`, and has no stderr.
    #[must_use]
    pub fn with(self, channel: Channel, is_wanted: bool) -> Self {
        let bit = if is_wanted { 1 << channel as u8 } else { 0 };
        Self(self.0 | bit)
    }

    /// Whether a channel is among them.
    pub fn has(self, channel: Channel) -> bool {
        self.0 & (1 << channel as u8) != 0
    }

    /// The channels, in the order in which clients open them: the error channel first.
    fn in_opening_order(self) -> impl Iterator<Item = Channel> {
        let order = [
            Channel::Error,
            Channel::Stdin,
            Channel::Stdout,
            Channel::Stderr,
            Channel::Resize,
        ];
        order.into_iter().filter(move |channel| self.has(*channel))
    }
}

/// The half of whoever was asked to run a command.
pub struct Serving {
    /// From the user to the command.
    pub stdin: Option<Reader>,
    /// From the command to the user.
    pub stdout: Option<Writer>,
    /// From the command to the user.
    pub stderr: Option<Writer>,
    /// How the command ended.
    pub error: Writer,
    /// Sizes of the user's terminal.
    pub resize: Option<Reader>,
    /// Cancelled when the user has gone.
    pub gone: CancellationToken,
}

/// The half of whoever asked for a command.
pub struct Calling {
    /// From the user to the command.
    pub stdin: Option<Writer>,
    /// From the command to the user.
    pub stdout: Option<Reader>,
    /// From the command to the user.
    pub stderr: Option<Reader>,
    /// How the command ended.
    pub error: Reader,
    /// Sizes of the user's terminal.
    pub resize: Option<Writer>,
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").finish_non_exhaustive()
    }
}

impl fmt::Debug for Calling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calling").finish_non_exhaustive()
    }
}

/// Passes a command on until it has ended, or until the user has gone.
///
/// # Errors
/// When what the command writes cannot be passed on.
pub async fn join(serving: Serving, calling: Calling) -> io::Result<()> {
    let Serving {
        stdin,
        stdout,
        stderr,
        error,
        resize,
        gone,
    } = serving;
    let inputs = async {
        tokio::join!(pass(stdin, calling.stdin), pass(resize, calling.resize));
        // Commands may run on long after there is nothing to read any more.
        std::future::pending::<()>().await;
    };
    let outputs = async {
        let outputs = tokio::try_join!(
            pass_all(calling.stdout, stdout),
            pass_all(calling.stderr, stderr),
        );
        // The status comes last, so that clients that stop at it have all output.
        pass_all(Some(calling.error), Some(error)).await?;
        outputs.map(|_| ())
    };
    tokio::select! {
        outcome = outputs => outcome,
        () = inputs => Ok(()),
        () = gone.cancelled() => Ok(()),
    }
}

/// Passes input on; a command that has closed its input is no error.
async fn pass(from: Option<Reader>, to: Option<Writer>) {
    if let Err(error) = pass_all(from, to).await {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "input ended early"
        );
    }
}

async fn pass_all(from: Option<Reader>, to: Option<Writer>) -> io::Result<()> {
    if let (Some(mut from), Some(mut to)) = (from, to) {
        copy(&mut from, &mut to).await?;
        to.shutdown().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
