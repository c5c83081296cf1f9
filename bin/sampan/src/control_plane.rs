//! The control plane: store, keys, API server, listener, controllers and scheduler, wired together.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use apiserver::auth::TokenVerifier;
use apiserver::config::Limits;
use apiserver::listener::{self, ListenError};
use apiserver::{ApiServer, Bootstrapped, Config, Identity, IdentityLease, compaction, health};
use jiff::Timestamp;
use kinds::strategy::{Ranges, User};
use pki::{Authority, TokenKey};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::DataDir;
use crate::certificates::Certificates;
use crate::node::host_name;
use crate::{audit, oidc, usable};

/// Flags of everything that runs a control plane.
#[derive(clap::Args, Clone)]
#[group(id = "control-plane")]
pub(crate) struct Flags {
    #[command(flatten)]
    data: DataDir,
    /// Port of the API server; 0 takes a free one.
    #[arg(long, default_value_t = 6443)]
    port: u16,
    /// Address the API server listens on.
    #[arg(long, default_value = "127.0.0.1")]
    bind_address: IpAddr,
    /// Where to write the administrator's kubeconfig [default: DATA_DIR/admin.kubeconfig].
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Run no controllers and no scheduler; another program runs them.
    #[arg(long)]
    without_controllers: bool,
    /// File of static tokens: lines of token,user,uid,"group1,group2".
    #[arg(long, value_name = "FILE")]
    token_auth_file: Option<PathBuf>,
    #[command(flatten)]
    oidc: oidc::Flags,
    #[command(flatten)]
    audit: audit::Flags,
}

impl Flags {
    /// Where the cluster keeps its data.
    pub(crate) fn data(&self) -> &DataDir {
        &self.data
    }

    /// Flags that upstream's server has too, by their names, with their values as Go writes them.
    fn told(&self) -> BTreeMap<&'static str, String> {
        let tokens = ("token-auth-file", written(self.token_auth_file.as_deref()));
        let told = self.audit.told().into_iter().chain(self.oidc.told());
        told.chain([tokens]).collect()
    }
}

/// A running control plane.
pub(crate) struct ControlPlane {
    pub(crate) server: ApiServer,
    /// Issues and renews what this process shows of itself.
    pub(crate) certificates: Certificates,
    authority: Arc<Authority>,
    pub(crate) data_dir: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) tasks: JoinSet<()>,
    pub(crate) shutdown: CancellationToken,
    /// Where others than this process reach the API server.
    advertised: Option<SocketAddr>,
    kubeconfig: PathBuf,
    has_controllers: bool,
    /// What controllers and scheduler count.
    driving: driver::Metrics,
    /// The node of this process; none for a control plane alone.
    pub(crate) node: Option<String>,
    started: Instant,
}

impl ControlPlane {
    /// Starts everything; whatever stands in the way is found before anything is changed.
    pub(crate) async fn start(flags: Flags) -> Result<Self> {
        let started = Instant::now();
        survive_file_bound()?;
        let told = flags.told();
        let audit = flags.audit.read()?;
        let static_tokens = static_tokens(flags.token_auth_file.as_deref())?;
        let oidc = flags.oidc.open()?.map(Arc::new);
        let (listener, address) = listen(flags.bind_address, flags.port).await?;
        let data_dir = flags.data.open()?;
        let store = open_store(&data_dir.join("store"))?;
        let audit = audit.map(audit::Asked::open).transpose()?;
        let keys = data_dir.join("pki");
        let authority = Arc::new(Authority::open(&keys, Timestamp::now())?);
        let kubeconfig = flags
            .kubeconfig
            .unwrap_or_else(|| data_dir.join("admin.kubeconfig"));
        let mut certificates = Certificates::new(Arc::clone(&authority));
        certificates.kubeconfig(&kubeconfig, address)?;
        let tokens = Arc::new(Tokens(TokenKey::open(&keys)?));
        let shutdown = CancellationToken::new();
        let ending = shutdown.clone();
        let checks = health::all(&store, move || ending.is_cancelled());
        let mut counted = scrape::Registry::default();
        let driving = driver::Metrics::register(&mut counted);
        let server = ApiServer::new(Config {
            store: Arc::clone(&store),
            registry: kinds::builtin().with(kinds::workloads::rows()),
            tokens,
            static_tokens,
            oidc: oidc.clone(),
            clock: Timestamp::now,
            ranges: Ranges::default(),
            address: address.to_string(),
            kubelet: Some(certificates.kubelet_client()?),
            openapi: Some(Arc::new(apiserver::openapi::Documents::new(Timestamp::now))),
            checks,
            metrics: vec![Arc::new(counted)],
            audit,
            flags: told,
            limits: Limits::upstream(),
        });
        let bootstrapped = bootstrap(&server, &authority).await?;
        let mut plane = Self {
            server,
            certificates,
            authority,
            data_dir,
            address,
            tasks: JoinSet::new(),
            shutdown,
            advertised: advertised(address),
            kubeconfig,
            has_controllers: !flags.without_controllers,
            driving,
            node: None,
            started,
        };
        plane.serve(listener, address.ip())?;
        plane.run(async move { compaction::compact(&*store).await });
        if let Some(oidc) = oidc {
            plane.run(async move { oidc.keep().await });
        }
        plane.run(bootstrapped.keep());
        plane.tell_identity();
        Ok(plane)
    }

    /// Tells by a lease that this API server runs.
    fn tell_identity(&mut self) {
        let lease = IdentityLease::new(self.server.clone(), host_name(), self.advertised);
        self.tasks.spawn(lease.tell(self.shutdown.clone()));
    }

    /// Lets the API server be reached at another address of this machine too, and says so in the cluster.
    pub(crate) async fn serve_at(&mut self, ip: IpAddr) -> Result<()> {
        let address = SocketAddr::new(ip, self.address.port());
        // On all addresses it is there already.
        if !self.address.ip().is_unspecified() {
            let listener = listener::bind(address)
                .await
                .map_err(|error| refused(error, address))?;
            self.serve(listener, ip)?;
        }
        self.advertised = Some(address);
        Ok(())
    }

    /// A client that acts as `user`, in this process. `agent` is the manager of the fields that it writes.
    pub(crate) fn client_as(&self, user: User, agent: &'static str) -> kube::Client {
        client::in_process_as(self.server.in_process(), Identity(user), agent)
    }

    fn serve(&mut self, listener: TcpListener, ip: IpAddr) -> Result<()> {
        let certificate = self.certificates.api_server(ip)?;
        let tls = listener::tls(certificate, self.authority.certificate())?;
        self.tasks.spawn(listener::serve(
            listener,
            tls,
            self.server.clone(),
            self.shutdown.clone(),
        ));
        Ok(())
    }

    /// Runs something until the end.
    fn run(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = shutdown.cancelled() => {}
            }
        });
    }

    /// Controllers and scheduler, in one process under the controller manager's identity.
    fn drive(&mut self) {
        let user = access::user::user(access::user::CONTROLLER_MANAGER, &[access::user::MASTERS]);
        let mut options = driver::Options::single("sampan", self.driving.clone());
        options.root_ca = Some(self.authority.certificate().to_owned());
        options.api_address = self.advertised;
        self.tasks.spawn(driver::run(
            self.client_as(user, "kube-controller-manager"),
            options,
            self.shutdown.clone(),
        ));
    }

    /// Approves kubelets' certificate requests and signs what was approved.
    fn sign_certificates(&mut self) {
        let user = access::user::service_account("kube-system", "certificate-controller");
        let signer = Arc::new(Signer(Arc::clone(&self.authority)));
        self.tasks.spawn(driver::certificates::run(
            self.client_as(user, "kube-controller-manager"),
            signer,
            self.shutdown.clone(),
        ));
    }

    /// The status layer: verdicts on all workloads, as `kubectl get workloads` shows them.
    fn publish_status(&mut self) {
        let user = access::user::user(kinds::workloads::WRITER, &[access::user::MASTERS]);
        self.run(workloads::publish(self.client_as(user, "sampan-status")));
    }

    /// Starts the control loops, says that it is ready, runs until a signal, and ends in order.
    pub(crate) async fn run_to_end(mut self, what: &str) -> Result<()> {
        if self.has_controllers {
            self.drive();
            self.sign_certificates();
        }
        self.publish_status();
        let shutdown = self.shutdown.clone();
        let outcome = tokio::select! {
            ended = signal() => ended,
            told = self.tell(what) => told,
            () = shutdown.cancelled() => Err(anyhow!("a part of {what} ended: see what is logged")),
        };
        self.shutdown.cancel();
        while self.tasks.join_next().await.is_some() {}
        if let Some(audit) = &self.server.config().audit {
            audit.flush().await;
        }
        outcome
    }

    /// Says that the cluster is ready once it is; ends only when nobody can be told.
    async fn tell(&self, what: &str) -> Result<()> {
        let missing = if self.has_controllers {
            let user = access::user::user(access::user::API_SERVER, &[access::user::MASTERS]);
            usable::wait(self.client_as(user, "sampan"), self.node.as_deref()).await
        } else {
            None
        };
        let (state, remark) = match missing {
            None => ("ready", String::new()),
            Some(missing) => ("up", format!("; {missing}")),
        };
        println(&format!(
            "{what} is {state} after {:.2} s: https://{}, kubeconfig {}{remark}",
            self.started.elapsed().as_secs_f64(),
            self.address,
            self.kubeconfig.display()
        ))?;
        std::future::pending().await
    }
}

/// Makes the objects that every cluster has.
async fn bootstrap(server: &ApiServer, authority: &Authority) -> Result<Bootstrapped> {
    let today = Timestamp::now().strftime("%Y-%m-%d").to_string();
    let trust = access::bootstrap::trust(authority.certificate(), &today);
    let more = trust.into_iter().chain(workloads::roles());
    let made = Box::pin(server.bootstrap(more.collect())).await;
    made.context("cannot make the objects that every cluster has")
}

/// A flag that names a file, as Go writes it.
pub(crate) fn written(path: Option<&Path>) -> String {
    path.map(|path| path.display().to_string())
        .unwrap_or_default()
}

/// Takes an address; port 0 becomes a free one.
async fn listen(ip: IpAddr, port: u16) -> Result<(TcpListener, SocketAddr)> {
    let address = SocketAddr::new(ip, port);
    let listener = listener::bind(address).await;
    let listener = listener.map_err(|error| refused(error, address))?;
    let address = listener.local_addr();
    let address = address.context("cannot read the listener's address")?;
    Ok((listener, address))
}

/// The users that a file of static tokens names.
fn static_tokens(file: Option<&Path>) -> Result<Vec<(String, User)>> {
    let Some(file) = file else {
        return Ok(Vec::new());
    };
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| {
        format!("cannot read token file {shown}: give another with --token-auth-file")
    })?;
    let tokens = access::authn::token_file::parse(&text);
    tokens.with_context(|| format!("token file {shown} cannot be used"))
}

/// One line for people, on standard output.
fn println(line: &str) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}

/// A write past the bound of file sizes (`ulimit -f`) is an error and not the end: the store's files are then as on a full
/// disk. Taken once, the signal stays without its effect.
fn survive_file_bound() -> Result<()> {
    let too_large = rustix::process::Signal::XFSZ.as_raw();
    let kind = tokio::signal::unix::SignalKind::from_raw(too_large);
    tokio::signal::unix::signal(kind)
        .map(drop)
        .context("cannot listen for signals")
}

/// Waits for Ctrl-C or a request to end.
async fn signal() -> Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .context("cannot listen for signals")?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot listen for signals"),
        _ = terminate.recv() => Ok(()),
    }
}

fn open_store(directory: &Path) -> Result<Arc<dyn store::Store>> {
    let store = store::Embedded::open(directory, Arc::new(apiserver::index))?;
    for repair in store.repairs() {
        tracing::warn!(
            file = %repair.file.display(),
            offset = repair.offset,
            found = repair.detail,
            "a store file ends in the middle of a write; everything committed before is there"
        );
    }
    Ok(Arc::new(store))
}

/// Why the API server cannot listen, and what to do.
fn refused(error: ListenError, address: SocketAddr) -> anyhow::Error {
    let port = address.port();
    let advice = match &error {
        ListenError::Bind { source, .. } => match source.kind() {
            ErrorKind::AddrNotAvailable => format!(
                "{} is no address of this machine: choose another with --bind-address",
                address.ip()
            ),
            ErrorKind::PermissionDenied => format!(
                "port {port} is for root alone: choose one above 1023 with --port, or run as root"
            ),
            _ => format!(
                "port {port} cannot be used: stop what uses it, or choose another with --port"
            ),
        },
        ListenError::ClientAuthority(_) | ListenError::Tls(_) => {
            "the API server cannot be started".to_owned()
        }
    };
    anyhow::Error::new(error).context(advice)
}

/// The address that others may be told; none when only this machine can reach the API server.
fn advertised(address: SocketAddr) -> Option<SocketAddr> {
    match address.ip() {
        ip if ip.is_loopback() => None,
        ip if ip.is_unspecified() => {
            // No packet is sent: the kernel only tells by which address it would go out.
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
            socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
            let ip = socket.local_addr().ok()?.ip();
            Some(SocketAddr::new(ip, address.port()))
        }
        _ => Some(address),
    }
}

/// The authority as the driver asks for it.
struct Signer(Arc<Authority>);

impl driver::certificates::Signer for Signer {
    fn sign(
        &self,
        request: &str,
        usages: &[String],
        seconds: i64,
    ) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.0.sign(request, usages, seconds, Timestamp::now())?)
    }
}

/// The token key as the API server asks for it.
struct Tokens(TokenKey);

impl TokenVerifier for Tokens {
    fn verify(&self, token: &str) -> Option<Value> {
        self.0.verify(token)
    }
    fn sign(&self, claims: &Value) -> Result<String, String> {
        self.0.sign(claims).map_err(|error| error.to_string())
    }
    fn jwks(&self) -> Value {
        self.0.jwks()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }

    fn told(line: &str) -> String {
        let line = Line::parse_from(line.split(' '));
        let told = line.flags.told();
        let told = told.iter().map(|(name, value)| format!("{name}={value}\n"));
        told.collect()
    }

    /// What a stock server's `/flagz` says of the same, but of the batches, versions and webhook of its audit log.
    #[test]
    fn flags_are_told_as_upstream_tells_them() {
        let line = "sampan --data-dir /a --audit-policy-file /p --audit-log-path /l --oidc-issuer-url https://i \
                    --oidc-client-id x --oidc-required-claim b=2 --oidc-required-claim a=1 --oidc-signing-algs \
                    RS256,ES256 --token-auth-file /t";
        let asked = "audit-log-format=json\naudit-log-maxage=366\naudit-log-maxbackup=100\naudit-log-maxsize=100\n\
                     audit-log-mode=blocking\naudit-log-path=/l\naudit-log-truncate-enabled=false\n\
                     audit-log-truncate-max-event-size=102400\naudit-policy-file=/p\noidc-ca-file=\n\
                     oidc-client-id=x\noidc-groups-claim=\noidc-groups-prefix=\noidc-issuer-url=https://i\n\
                     oidc-required-claim=a=1,b=2\noidc-signing-algs=[RS256,ES256]\noidc-username-claim=sub\n\
                     oidc-username-prefix=\ntoken-auth-file=/t\n";
        assert_eq!(told(line), asked);
        let nothing = told("sampan --data-dir /a");
        assert!(nothing.contains("oidc-issuer-url=\n"), "{nothing}");
        assert!(nothing.contains("oidc-signing-algs=[RS256]\n"), "{nothing}");
    }
}
