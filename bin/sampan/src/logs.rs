//! Structured logs on standard error.

use tracing_subscriber::EnvFilter;

/// What is logged when nothing else is asked for. The client library logs each failure that it also
/// returns or tries again; whoever gets it tells it better.
pub(crate) const DEFAULT: &str = "warn,kube_client=off,kube_runtime=error";

/// Reads directives as in `RUST_LOG`: a level, or levels per module.
pub(crate) fn directives(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!(
            "{error}: use error, warn, info, debug or trace, or levels per module such as `warn,kubelet=debug`"
        )),
    }
}

/// Starts logging by directives that [`directives`] has accepted.
pub(crate) fn start(directives: &str) {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(directives))
        .with_writer(std::io::stderr)
        .init();
}
