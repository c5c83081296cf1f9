//! Serves the fake runtime on a unix socket, as a real one is served.

use std::{io, path::Path, thread, time::Duration};

use tokio::{
    net::UnixListener,
    runtime::{Builder, Runtime},
};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

use super::Fake;
use crate::v1::{
    image_service_server::ImageServiceServer, runtime_service_server::RuntimeServiceServer,
};

/// How long the threads of a crashing fake may take to end.
const CRASH_MAX: Duration = Duration::from_secs(5);

/// A fake runtime that answers on a socket; dropping this is as a crash of the runtime.
#[derive(Debug)]
pub struct Served {
    /// Of its own, so that everything that serves ends with it: connections, and calls under way.
    tasks: Option<Runtime>,
}

impl Served {
    pub(super) fn start(fake: Fake, socket: &Path) -> io::Result<Self> {
        // Left behind by an earlier one; a socket in use cannot be told from it, nor need it here.
        if socket.exists() {
            std::fs::remove_file(socket)?;
        }
        let tasks = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let listener = {
            let _context = tasks.enter();
            UnixListener::bind(socket)?
        };
        let server = Server::builder()
            .add_service(RuntimeServiceServer::new(fake.clone()))
            .add_service(ImageServiceServer::new(fake))
            .serve_with_incoming(UnixListenerStream::new(listener));
        tasks.spawn(async move {
            if let Err(error) = server.await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "fake runtime ended"
                );
            }
        });
        Ok(Self { tasks: Some(tasks) })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(tasks) = self.tasks.take() {
            // In a thread of its own, since asynchronous code may not wait for threads.
            let ended = thread::spawn(move || tasks.shutdown_timeout(CRASH_MAX)).join();
            if ended.is_err() {
                tracing::warn!("fake runtime did not end");
            }
        }
    }
}
