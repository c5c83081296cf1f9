//! Calls that give the URL of a stream; the streams themselves are spoken elsewhere.

use super::Runtime;
use crate::{
    CallError,
    v1::{AttachRequest, ExecRequest, PortForwardRequest},
};

impl Runtime {
    /// Prepares a command in a container and gives the URL on which to run it.
    ///
    /// URLs are for one use and expire within a minute.
    pub async fn exec(&self, request: ExecRequest) -> Result<String, CallError> {
        let mut client = self.calls.clone();
        Ok(self
            .call("Exec", self.timeout, client.exec(request))
            .await?
            .url)
    }

    /// Gives the URL on which to reach the streams of a container's first process.
    pub async fn attach(&self, request: AttachRequest) -> Result<String, CallError> {
        let mut client = self.calls.clone();
        Ok(self
            .call("Attach", self.timeout, client.attach(request))
            .await?
            .url)
    }

    /// Gives the URL on which to reach ports inside a sandbox.
    pub async fn port_forward(
        &self,
        sandbox_id: &str,
        ports: Vec<i32>,
    ) -> Result<String, CallError> {
        let mut client = self.calls.clone();
        let request = PortForwardRequest {
            pod_sandbox_id: sandbox_id.to_owned(),
            port: ports,
        };
        Ok(self
            .call("PortForward", self.timeout, client.port_forward(request))
            .await?
            .url)
    }
}
