//! Structured logs on standard error.

use tracing_subscriber::EnvFilter;

/// What is logged when nothing else is asked for. The client library logs each failure that it also
/// returns; whoever gets it tells it better.
pub(crate) const DEFAULT: &str = "warn,kube_client=off";

/// Starts logging at a level, or by directives as in `RUST_LOG`. Directives that cannot be read mean [`DEFAULT`].
pub(crate) fn start(directives: &str) {
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
