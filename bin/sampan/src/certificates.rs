//! The certificates that this process shows of itself, each renewed in place before it ends.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use jiff::Timestamp;
use pki::authority::KeyedCertificate;
use pki::{Authority, CurrentCertificate, Identity, Renewal};
use tokio::task::JoinSet;

/// Issues certificates and keeps them fresh as long as it lives.
pub(crate) struct Certificates {
    renewal: Renewal,
    tasks: JoinSet<()>,
}

impl Certificates {
    pub(crate) fn new(authority: Arc<Authority>) -> Self {
        let clock = Timestamp::now;
        Self {
            renewal: Renewal { authority, clock },
            tasks: JoinSet::new(),
        }
    }

    /// The authority's certificate, PEM.
    pub(crate) fn authority(&self) -> &str {
        self.renewal.authority.certificate()
    }

    /// What the API server shows to those who reach it at an address.
    pub(crate) fn api_server(&mut self, address: IpAddr) -> Result<Arc<CurrentCertificate>> {
        self.current(api_server(address))
    }

    /// What the kubelet shows.
    pub(crate) fn kubelet(
        &mut self,
        node: &str,
        address: IpAddr,
    ) -> Result<Arc<CurrentCertificate>> {
        self.current(Identity {
            common_name: format!("system:node:{node}"),
            organization: "system:nodes".to_owned(),
            names: vec![node.to_owned()],
            addresses: vec![address, IpAddr::from([127, 0, 0, 1])],
        })
    }

    /// How the API server shows itself to kubelets.
    ///
    /// DIFFERS: a kubelet must show a certificate that the cluster signed; upstream checks it only if it is told who signs them.
    pub(crate) fn kubelet_client(&mut self) -> Result<Arc<rustls::ClientConfig>> {
        let identity = Identity::client("kube-apiserver-kubelet-client", access::user::MASTERS);
        let certificate = self.current(identity)?;
        Ok(pki::serving::client(self.authority(), certificate)?)
    }

    /// Writes the administrator's kubeconfig for an API server at an address, now and whenever its certificate is renewed.
    pub(crate) fn kubeconfig(&mut self, path: &Path, address: SocketAddr) -> Result<()> {
        let identity = Identity::client("kubernetes-admin", access::user::MASTERS);
        let first = self.renewal.issue(&identity)?;
        let authority = Arc::clone(&self.renewal.authority);
        let path = path.to_owned();
        let write =
            move |next: &KeyedCertificate| write_kubeconfig(&path, &authority, next, address);
        write(&first)?;
        self.keep(identity, &first, write);
        Ok(())
    }

    fn current(&mut self, identity: Identity) -> Result<Arc<CurrentCertificate>> {
        let first = self.renewal.issue(&identity)?;
        let current = CurrentCertificate::new(&first)?;
        let renewed = Arc::clone(&current);
        self.keep(identity, &first, move |next| Ok(renewed.replace(next)?));
        Ok(current)
    }

    fn keep(
        &mut self,
        identity: Identity,
        first: &KeyedCertificate,
        take: impl Fn(&KeyedCertificate) -> Result<()> + Send + Sync + 'static,
    ) {
        let (renewal, not_after) = (self.renewal.clone(), first.not_after);
        self.tasks.spawn(async move {
            let take = |next: &KeyedCertificate| take(next).map_err(Into::into);
            match renewal.keep(identity, not_after, take).await {}
        });
    }
}

fn api_server(address: IpAddr) -> Identity {
    let names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ];
    Identity {
        common_name: "kube-apiserver".into(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        addresses: vec![
            address,
            IpAddr::from([127, 0, 0, 1]),
            IpAddr::from([10, 96, 0, 1]),
        ],
        ..Identity::default()
    }
}

fn write_kubeconfig(
    path: &Path,
    authority: &Authority,
    client: &KeyedCertificate,
    address: SocketAddr,
) -> Result<()> {
    let reachable = if address.ip().is_unspecified() {
        IpAddr::from([127, 0, 0, 1])
    } else {
        address.ip()
    };
    let server = format!("https://{}", SocketAddr::new(reachable, address.port()));
    let content = pki::kubeconfig::render(&server, authority.certificate(), client);
    pki::kubeconfig::write(path, &content).with_context(|| {
        format!(
            "no kubeconfig can be written to {}: make room for it, or choose another file with --kubeconfig",
            path.display()
        )
    })
}
