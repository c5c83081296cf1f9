//! The node of `sampan up`: network, containerd, kubelet.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use access::user;
use anyhow::{Context, Result, bail};
use containerd::Layout;
use dataplane::{Instance, NodeNetwork};
use kubelet::{KubeletConfig, Serving};
use meta::names;

use crate::DataDir;
use crate::control_plane::ControlPlane;

/// Cluster IP and port of the `kubernetes` Service, the first of the default range.
const SERVICE_IP: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// See [`SERVICE_IP`].
const SERVICE_PORT: u16 = 443;

/// Flags of the node.
#[derive(clap::Args)]
#[group(id = "node")]
pub(crate) struct Flags {
    /// Name of the node [default: the machine's host name].
    #[arg(long, value_parser = node_name)]
    node_name: Option<String>,
    /// Directory of image archives to load at start, for machines that reach no registry.
    #[arg(long)]
    images: Option<PathBuf>,
}

/// Refuses, before anything is started, what cannot work: flags, archives, a machine without containers.
pub(crate) fn check(data: &DataDir, flags: &Flags) -> Result<()> {
    containerd::check_root()?;
    if flags.node_name.is_none() {
        node_name(&host_name())
            .map_err(anyhow::Error::msg)
            .context("the machine's host name is no name for a node: give one with --node-name")?;
    }
    if let Some(images) = &flags.images {
        containerd::images::check_dir(images)?;
    }
    let instance = Instance::of(&data.open()?).context("cannot use the data directory")?;
    let Err(missing) = containerd::check(&Layout::new(instance)) else {
        return Ok(());
    };
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    bail!("this machine cannot run containers: {}", missing.join("; "))
}

/// A name that a Node object may have.
fn node_name(text: &str) -> Result<String, String> {
    match names::dns1123_subdomain(text).into_iter().next() {
        None => Ok(text.to_owned()),
        Some(problem) => Err(format!("{text:?}: {problem}")),
    }
}

/// Starts the node agent; where that fails, nothing that was started for it stays.
pub(crate) async fn start(plane: &mut ControlPlane, flags: Flags) -> Result<()> {
    let instance = Instance::of(&plane.data_dir).context("cannot use the data directory")?;
    let layout = Layout::new(instance);
    let started = start_on(plane, flags, layout.clone()).await;
    if started.is_err()
        && let Err(error) = containerd::undo(&layout).await
    {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "something that was started stays: run `sampan down`"
        );
    }
    started
}

async fn start_on(plane: &mut ControlPlane, flags: Flags, layout: Layout) -> Result<()> {
    let instance = layout.instance().clone();
    let ready = containerd::ensure(&layout).await?;
    if let Some(images) = &flags.images {
        containerd::images::import_dir(&layout, &ready.runtime, images).await?;
    }
    let name = flags.node_name.unwrap_or_else(host_name);
    // The bridge is this cluster's own: nothing beyond the machine and its pods can reach it.
    let address = IpAddr::from(ready.network.gateway);
    plane.serve_at(address).await?;
    let api = SocketAddrV4::new(SERVICE_IP, SERVICE_PORT);
    dataplane::lead_to_api(&instance, &ready.network, api, plane.address.port()).await?;
    let config = KubeletConfig {
        node_ips: vec![address],
        data_dir: plane.data_dir.join("kubelet"),
        logs_dir: plane.data_dir.join("kubelet/logs"),
        cgroup_root: instance.cgroup_root(),
        cluster_dns: Vec::new(),
        cluster_domain: "cluster.local".to_owned(),
        pods_max: 110,
        labels: Vec::new(),
        sandbox_image: containerd::SANDBOX_IMAGE.to_owned(),
        serving: serving(plane, &name, address)?,
        network: Arc::new(Bridge(ready.network.clone())),
        node_name: name.clone(),
    };
    let user = user::user(&format!("system:node:{name}"), &["system:nodes"]);
    plane.node = Some(name);
    let client = plane.client_as(user, "kubelet");
    let shutdown = plane.shutdown.clone();
    plane.tasks.spawn(async move {
        let agent = kubelet::run(config, client, ready.runtime, shutdown.clone());
        if let Err(error) = Box::pin(agent).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the node agent ended"
            );
            shutdown.cancel();
        }
    });
    let shutdown = plane.shutdown.clone();
    plane.tasks.spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = containerd::watch_over(layout) => {}
        }
    });
    Ok(())
}

/// The bridge that pods are joined to.
#[derive(Debug)]
struct Bridge(NodeNetwork);

impl kubelet::Network for Bridge {
    fn joined(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            if let Err(error) = dataplane::forget_neighbours(&self.0).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "a new pod may not be reached for some seconds");
            }
        })
    }
}

fn serving(plane: &mut ControlPlane, name: &str, address: IpAddr) -> Result<Serving> {
    Ok(Serving {
        address,
        port: 0,
        certificate: plane.certificates.kubelet(name, address)?,
        client_authority: plane.certificates.authority().to_owned(),
        client_users: vec!["kube-apiserver-kubelet-client".to_owned()],
    })
}

/// The machine's name, in the form node names have.
pub(crate) fn host_name() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .to_lowercase();
    if name.is_empty() {
        "localhost".to_owned()
    } else {
        name
    }
}
