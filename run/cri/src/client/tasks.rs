//! What containerd alone is asked, below CRI: to end a process that CRI does not count as one.
//!
//! A start that breaks off, since whoever asked for it died, leaves a container with a task that was made and not started.
//! For CRI nothing runs there, so that nothing is stopped; and the container cannot be removed, since it has a task.
//!
//! Source: containerd `api/services/tasks/v1/tasks.proto`.

use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::Runtime;
use crate::CallError;

/// Where containerd keeps what came through CRI.
const NAMESPACE: &str = "k8s.io";
const KILL: u32 = 9;

/// The fields that are used of the requests to kill, await and delete a task; they have the same numbers in all.
#[derive(Clone, PartialEq, prost::Message)]
struct TaskRequest {
    #[prost(string, tag = "1")]
    container_id: String,
    #[prost(uint32, tag = "3")]
    signal: u32,
}

/// An answer of which nothing is read.
#[derive(Clone, PartialEq, prost::Message)]
struct Done {}

impl Runtime {
    /// Kills and deletes the task of a container.
    ///
    /// # Errors
    /// There is none, or the runtime is not containerd.
    pub(super) async fn delete_task(&self, id: &str) -> Result<(), CallError> {
        let steps = [
            ("Kill", "/containerd.services.tasks.v1.Tasks/Kill", KILL),
            ("Wait", "/containerd.services.tasks.v1.Tasks/Wait", 0),
            ("Delete", "/containerd.services.tasks.v1.Tasks/Delete", 0),
        ];
        for (operation, path, signal) in steps {
            let request = TaskRequest {
                container_id: id.to_owned(),
                signal,
            };
            let done = self.call(operation, self.timeout, self.task_call(path, request));
            match done.await {
                // It may have ended by itself, or be deleted when its end was seen.
                Err(error) if error.is_not_found() => {}
                done => {
                    done?;
                }
            }
        }
        Ok(())
    }

    async fn task_call(
        &self,
        path: &'static str,
        message: TaskRequest,
    ) -> Result<Response<Done>, Status> {
        let mut client = Grpc::new(self.channel.clone());
        let ready = client.ready().await;
        ready.map_err(|error| Status::unavailable(error.to_string()))?;
        let mut request = Request::new(message);
        let namespace = tonic::metadata::MetadataValue::from_static(NAMESPACE);
        request
            .metadata_mut()
            .insert("containerd-namespace", namespace);
        let path = PathAndQuery::from_static(path);
        client
            .unary(request, path, ProstCodec::<_, Done>::default())
            .await
    }
}
