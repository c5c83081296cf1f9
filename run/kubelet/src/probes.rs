//! Probes of running containers: one task each, which asks, counts and wakes the pod's loop on a verdict.

mod grpc;
pub(crate) mod http;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use node::events::{self, Event};
use node::pod::spec;
use node::probe::{self, Kind, Run};
use node::seen::{Probes, State};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tracing::{Instrument as _, debug};

use crate::agent::{Agent, now};
use crate::observe::Picture;

/// Most output of a command shown in an event, in bytes.
///
/// Source: `pkg/probe/exec`, `maxReadLength`.
const OUTPUT_BYTES_MAX: usize = 10 << 10;

/// Verdicts by container id; each kind has a task of its own that writes here.
type Verdicts = Arc<Mutex<BTreeMap<String, Probes>>>;

/// The probes of one pod.
pub(crate) struct Probers {
    agent: Arc<Agent>,
    wake: Arc<Notify>,
    verdicts: Verdicts,
    tasks: BTreeMap<(String, Kind), AbortHandle>,
    /// Rung at every startup verdict, for which the other probes wait.
    started: watch::Sender<()>,
}

impl Probers {
    pub(crate) fn new(agent: Arc<Agent>, wake: Arc<Notify>) -> Self {
        Self {
            agent,
            wake,
            verdicts: Verdicts::default(),
            tasks: BTreeMap::new(),
            started: watch::Sender::new(()),
        }
    }

    /// What the probes have found so far.
    pub(crate) fn verdicts(&self) -> BTreeMap<String, Probes> {
        lock(&self.verdicts).clone()
    }

    /// Probes exactly the containers that run.
    pub(crate) fn keep(
        &mut self,
        pod: &Arc<Pod>,
        picture: &Picture,
        is_started: impl Fn(&node::seen::Container) -> bool,
    ) {
        let running: Vec<_> = picture
            .containers
            .iter()
            .filter(|one| one.state == State::Running && is_started(one))
            .collect();
        let runs = |id: &str| running.iter().any(|one| one.id == id);
        self.tasks.retain(|(id, _), task| {
            let is_kept = runs(id);
            if !is_kept {
                task.abort();
            }
            is_kept
        });
        lock(&self.verdicts).retain(|id, _| runs(id));
        let Some(pod_spec) = &pod.spec else { return };
        for instance in running {
            let Some(container) = spec::find(pod_spec, &instance.name) else {
                continue;
            };
            for kind in Kind::ALL {
                let key = (instance.id.clone(), kind);
                let Some(probe) = kind
                    .of(container)
                    .filter(|_| !self.tasks.contains_key(&key))
                else {
                    continue;
                };
                let newest = picture.sandboxes.iter().find(|one| one.is_ready);
                let own_ip = newest.and_then(|one| one.ips.first().cloned());
                let worker = Worker {
                    agent: Arc::clone(&self.agent),
                    wake: Arc::clone(&self.wake),
                    verdicts: Arc::clone(&self.verdicts),
                    started: self.started.clone(),
                    pod: Arc::clone(pod),
                    ip: own_ip
                        .or_else(|| self.agent.host_ips().first().cloned())
                        .unwrap_or_default(),
                    id: instance.id.clone(),
                    container: container.clone(),
                    probe: probe.clone(),
                    kind,
                    started_at: instance.started_at.unwrap_or_else(now),
                };
                let task = tokio::spawn(worker.run().in_current_span());
                self.tasks.insert(key, task.abort_handle());
            }
        }
    }
}

impl Drop for Probers {
    fn drop(&mut self) {
        for task in self.tasks.values() {
            task.abort();
        }
    }
}

fn lock(verdicts: &Verdicts) -> std::sync::MutexGuard<'_, BTreeMap<String, Probes>> {
    verdicts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One probe of one container.
struct Worker {
    agent: Arc<Agent>,
    wake: Arc<Notify>,
    verdicts: Verdicts,
    started: watch::Sender<()>,
    pod: Arc<Pod>,
    ip: String,
    id: String,
    container: Container,
    probe: Probe,
    kind: Kind,
    started_at: Timestamp,
}

impl Worker {
    async fn run(self) {
        self.wait_for_start().await;
        let mut run = Run::default();
        let mut last_at = None;
        loop {
            let due = probe::due_at(&self.probe, self.started_at, last_at);
            let left = Duration::try_from(due.duration_since(now())).unwrap_or(Duration::ZERO);
            tokio::time::sleep(left).await;
            last_at = Some(now());
            let outcome = self.ask().await;
            match &outcome {
                Ok(None) => {}
                Ok(Some(warning)) => self.record(events::PROBE_WARNING, "warning", warning),
                Err(output) => {
                    let (container, kind) = (&self.container.name, self.kind.as_str());
                    debug!(container, kind, output, "probe failed");
                    self.record(events::UNHEALTHY, "failed", output);
                }
            }
            run = run.with(outcome.is_ok());
            let Some(verdict) = run.verdict(&self.probe) else {
                continue;
            };
            if self.tell(verdict) {
                self.wake.notify_one();
            }
            if probe::ends(self.kind, verdict) {
                return;
            }
        }
    }

    /// Liveness and readiness are asked for once the container has started.
    async fn wait_for_start(&self) {
        if self.kind == Kind::Startup || self.container.startup_probe.is_none() {
            return;
        }
        let mut started = self.started.subscribe();
        loop {
            if lock(&self.verdicts)
                .get(&self.id)
                .and_then(|one| one.startup)
                == Some(true)
            {
                return;
            }
            if started.changed().await.is_err() {
                return;
            }
        }
    }

    /// Writes a verdict; true when it is a new one.
    fn tell(&self, verdict: bool) -> bool {
        let mut all = lock(&self.verdicts);
        let own = all.entry(self.id.clone()).or_default();
        let place = match self.kind {
            Kind::Startup => &mut own.startup,
            Kind::Liveness => &mut own.liveness,
            Kind::Readiness => &mut own.readiness,
        };
        let is_new = *place != Some(verdict);
        *place = Some(verdict);
        drop(all);
        if self.kind == Kind::Startup {
            self.started.send_replace(());
        }
        is_new
    }

    fn record(&self, reason: &'static str, word: &str, output: &str) {
        let message = format!("{} probe {word}: {output}", self.kind.as_str());
        let event = Event::warning(reason, message);
        let event = match &self.pod.spec {
            Some(spec) => event.about(spec, &self.container.name),
            None => event,
        };
        self.agent.record(&self.pod, event);
    }

    /// Asks once; a text is what people should be told, the error is what the probe said.
    async fn ask(&self) -> Result<Option<String>, String> {
        let seconds = u64::try_from(probe::timeout_seconds(&self.probe)).unwrap_or(1);
        let timeout = Duration::from_secs(seconds);
        if let Some(exec) = &self.probe.exec {
            let command = exec.command.clone().unwrap_or_default();
            return self.exec(command, timeout).await.map(|()| None);
        }
        let late = || "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
        if let Some(get) = &self.probe.http_get {
            let target = http::Target::of(get, &self.ip, port(&get.port, &self.container)?);
            let answer = tokio::time::timeout(timeout, http::get(&target)).await;
            return match answer {
                Ok(answer) => answer.map(http::Answer::warning),
                Err(_) => Err(format!("Get {:?}: {}", target.url(), late())),
            };
        }
        if let Some(tcp) = &self.probe.tcp_socket {
            let host = tcp.host.clone().filter(|host| !host.is_empty());
            let host = host.unwrap_or_else(|| self.ip.clone());
            let port = port(&tcp.port, &self.container)?;
            let connecting = tokio::net::TcpStream::connect((host.as_str(), port));
            return match tokio::time::timeout(timeout, connecting).await {
                Ok(Ok(_)) => Ok(None),
                Ok(Err(error)) => Err(format!(
                    "dial tcp {host}:{port}: connect: {}",
                    errno_words(&error)
                )),
                Err(_) => Err(format!("dial tcp {host}:{port}: i/o timeout")),
            };
        }
        if let Some(check) = &self.probe.grpc {
            let port = u16::try_from(check.port).unwrap_or(0);
            let service = check.service.as_deref().unwrap_or_default();
            let asking = grpc::check(&self.ip, port, service);
            return match tokio::time::timeout(timeout, asking).await {
                Ok(answer) => answer.map(|()| None),
                Err(_) => Err(format!(
                    "timeout: failed to connect service {:?} within {seconds}s: context deadline exceeded",
                    format!("{}:{port}", self.ip)
                )),
            };
        }
        Ok(None)
    }

    async fn exec(&self, command: Vec<String>, timeout: Duration) -> Result<(), String> {
        let answer = self
            .agent
            .runtime
            .exec_sync(&self.id, command, timeout)
            .await;
        let answer = answer.map_err(|error| error.message())?;
        if answer.exit_code == 0 {
            return Ok(());
        }
        let mut output = answer.stdout.clone();
        output.extend_from_slice(&answer.stderr);
        output.truncate(OUTPUT_BYTES_MAX);
        Err(String::from_utf8_lossy(&output).into_owned())
    }
}

/// What the system says of a failed connection, as Go prints it.
fn errno_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        std::io::ErrorKind::HostUnreachable => "no route to host".to_owned(),
        _ => error.to_string(),
    }
}

/// A port by number, or by the name the container gives it.
///
/// # Errors
/// The container has no port of that name.
pub(crate) fn port(stated: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match stated {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            let named = ports.find(|port| port.name.as_deref() == Some(name));
            match (named, name.parse::<i32>()) {
                (Some(port), _) => port.container_port,
                (None, Ok(number)) => number,
                (None, Err(_)) => return Err(format!("couldn't find port: {name}")),
            }
        }
    };
    u16::try_from(number)
        .ok()
        .filter(|&port| port > 0)
        .ok_or_else(|| format!("invalid port number: {number}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ports_go_by_number_or_name() {
        let container: Container = serde_json::from_value(
            json!({ "name": "a", "ports": [{ "name": "http", "containerPort": 8080 }] }),
        )
        .unwrap();
        assert_eq!(port(&IntOrString::Int(80), &container), Ok(80));
        assert_eq!(
            port(&IntOrString::String("http".to_owned()), &container),
            Ok(8080)
        );
        assert_eq!(
            port(&IntOrString::String("81".to_owned()), &container),
            Ok(81)
        );
        assert!(port(&IntOrString::String("no".to_owned()), &container).is_err());
        assert!(port(&IntOrString::Int(70_000), &container).is_err());
    }
}
