//! What the agent is given, and why it may end.

use std::{io, net::IpAddr, path::PathBuf, sync::Arc};

use futures::future::BoxFuture;
use rustls::server::ResolvesServerCert;

/// What the agent is given.
#[derive(Clone, Debug)]
pub struct KubeletConfig {
    /// Name of the Node object.
    pub node_name: String,
    /// Addresses of the node, the preferred family first; at least one.
    pub node_ips: Vec<IpAddr>,
    /// Where pods' volumes lie; `pods` is made below it.
    pub data_dir: PathBuf,
    /// Where containers' logs lie.
    pub logs_dir: PathBuf,
    /// The cgroup that holds all pods, such as `/kubepods`.
    pub cgroup_root: String,
    /// Addresses of the cluster's DNS; empty when there is none.
    pub cluster_dns: Vec<IpAddr>,
    /// The cluster's domain.
    pub cluster_domain: String,
    /// Most pods on the node.
    pub pods_max: u32,
    /// Labels the Node object is made with, besides the usual ones.
    pub labels: Vec<(String, String)>,
    /// The image that the runtime makes sandboxes from.
    pub sandbox_image: String,
    /// The HTTPS port.
    pub serving: Serving,
    /// The network that pods are joined to.
    pub network: Arc<dyn Network>,
}

/// The network that pods are joined to.
pub trait Network: std::fmt::Debug + Send + Sync {
    /// A pod was joined: it may have an address that another had before.
    fn joined(&self) -> BoxFuture<'_, ()>;
}

/// The HTTPS port of the agent.
#[derive(Clone)]
pub struct Serving {
    /// Address to listen on.
    pub address: IpAddr,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// The agent's certificate.
    pub certificate: Arc<dyn ResolvesServerCert>,
    /// The authority clients' certificates must come from, as PEM.
    pub client_authority: String,
    /// Users, besides the group `system:masters`, that may ask for anything: the API server's.
    pub client_users: Vec<String>,
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving")
            .field("address", &self.address)
            .field("port", &self.port)
            .field("client_users", &self.client_users)
            .finish_non_exhaustive()
    }
}

impl KubeletConfig {
    /// Where pods' directories lie.
    pub(crate) fn pods_dir(&self) -> PathBuf {
        self.data_dir.join("pods")
    }

    /// The directory of one pod.
    pub(crate) fn pod_dir(&self, uid: &str) -> PathBuf {
        self.pods_dir().join(uid)
    }
}

/// Why the agent could not start.
#[derive(Debug, thiserror::Error)]
pub enum KubeletError {
    /// A directory cannot be made.
    #[error("cannot make the directory {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The HTTPS port cannot be had.
    #[error("cannot listen on {address}:{port}")]
    Listen {
        /// The address.
        address: IpAddr,
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The TLS configuration is not usable.
    #[error("cannot set up TLS for the agent's port")]
    Tls(#[source] rustls::Error),
    /// The authority of clients cannot be read.
    #[error("cannot read the authority for clients' certificates")]
    ClientAuthority,
    /// The config has no address of the node.
    #[error("the node has no address")]
    NoAddress,
}
