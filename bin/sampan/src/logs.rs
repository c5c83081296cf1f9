//! Structured logs on standard error.

use tracing_subscriber::EnvFilter;

/// Starts logging at a level, or by directives as in `RUST_LOG`. Directives that cannot be read mean `warn`.
pub(crate) fn start(directives: &str) {
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
