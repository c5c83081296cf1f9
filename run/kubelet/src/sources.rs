//! Objects that volumes and environments are made from, tokens included.
//!
//! ConfigMaps and Secrets in volumes are followed one by one, as the node authorizer allows, so that
//! a change reaches the files; environments are read once, at the start of a container.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{
    BoundObjectReference, TokenRequest as ApiTokenRequest, TokenRequestSpec,
};
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, Pod, PodSpec, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::node::v1::RuntimeClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use node::env::Sources as Objects;
use node::volume::{self, TokenRequest};
use tokio_util::sync::CancellationToken;

use crate::volumes::Tokens;

/// Share of a token's life after which it is replaced, in per cent.
///
/// Source: `pkg/kubelet/token/token_manager.go`.
const TOKEN_LIFE_PERCENT: i64 = 80;
/// Wait before a token that was refused is asked for again, in seconds.
const TOKEN_RETRY_SECONDS: i64 = 10;

/// Tokens handed out, with the time to replace them, by pod uid.
type Kept = BTreeMap<String, BTreeMap<TokenRequest, (String, Timestamp)>>;

/// Reads objects for pods.
pub(crate) struct Sources {
    client: Client,
    shutdown: CancellationToken,
    tokens: Mutex<Kept>,
}

impl Sources {
    pub(crate) fn new(client: Client, shutdown: CancellationToken) -> Self {
        Self {
            client,
            shutdown,
            tokens: Mutex::default(),
        }
    }

    /// Everything the volumes of a pod are made from.
    pub(crate) async fn for_volumes(&self, pod: &Pod) -> Result<Objects, String> {
        let (maps, secrets) = volume::references(pod);
        self.objects(pod, maps, secrets).await
    }

    /// Everything the environment of a container is made from.
    pub(crate) async fn for_environment(
        &self,
        pod: &Pod,
        container: &Container,
    ) -> Result<Objects, String> {
        let only = Pod {
            spec: Some(PodSpec {
                containers: vec![container.clone()],
                ..PodSpec::default()
            }),
            ..Pod::default()
        };
        let (maps, secrets) = volume::references(&only);
        let mut objects = self.objects(pod, maps, secrets).await?;
        objects.services = self.services(pod).await?;
        Ok(objects)
    }

    async fn services(&self, pod: &Pod) -> Result<Vec<Service>, String> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let mut services = Vec::new();
        let has_links = pod.spec.as_ref().and_then(|spec| spec.enable_service_links) != Some(false);
        if has_links {
            let api: Api<Service> = Api::namespaced(self.client.clone(), namespace);
            let list = api.list(&ListParams::default()).await;
            services = list.map_err(|error| error.to_string())?.items;
        }
        if !has_links || namespace != "default" {
            let api: Api<Service> = Api::namespaced(self.client.clone(), "default");
            let master = api.get_opt("kubernetes").await;
            services.extend(master.map_err(|error| error.to_string())?);
        }
        Ok(services)
    }

    async fn objects(
        &self,
        pod: &Pod,
        maps: Vec<String>,
        secrets: Vec<String>,
    ) -> Result<Objects, String> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let mut objects = Objects::default();
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        for name in maps {
            let found = api.get_opt(&name).await.map_err(|error| words(&error))?;
            objects.config_maps.insert(name, found);
        }
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        for name in secrets {
            let found = api.get_opt(&name).await.map_err(|error| words(&error))?;
            objects.secrets.insert(name, found);
        }
        Ok(objects)
    }

    /// The runtime's handler for the pod's runtime class; empty is the usual one.
    ///
    /// # Errors
    /// There is no such class, or it cannot be asked for. Source: `runtimeclass_manager.go`, `LookupRuntimeHandler`.
    pub(crate) async fn runtime_handler(&self, pod: &Pod) -> Result<String, String> {
        let spec = pod.spec.as_ref();
        let name = spec.and_then(|spec| spec.runtime_class_name.as_deref());
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Ok(String::new());
        };
        let api: Api<RuntimeClass> = Api::all(self.client.clone());
        match api.get_opt(name).await {
            Ok(Some(class)) => Ok(class.handler),
            Ok(None) => Err(format!("runtimeclass.node.k8s.io {name:?} not found")),
            Err(error) => Err(format!(
                "failed to lookup RuntimeClass {name}: {}",
                words(&error)
            )),
        }
    }

    /// Tokens for a pod, and when the first of them must be replaced.
    pub(crate) async fn tokens(
        &self,
        pod: &Pod,
        requests: Vec<TokenRequest>,
    ) -> (Tokens, Option<Timestamp>) {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let now = Timestamp::now();
        let mut tokens = Tokens::new();
        let mut refresh_at: Option<Timestamp> = None;
        for request in requests {
            let kept = self
                .lock()
                .get(&uid)
                .and_then(|own| own.get(&request))
                .cloned();
            let answer = match kept.filter(|(_, at)| *at > now) {
                Some(kept) => Ok(kept),
                None => self.ask(pod, &request, now).await,
            };
            let (answer, at) = match answer {
                Ok((token, at)) => {
                    let kept = (token.clone(), at);
                    self.lock()
                        .entry(uid.clone())
                        .or_default()
                        .insert(request.clone(), kept);
                    (Ok(token), at)
                }
                Err(message) => (Err(message), later(now, TOKEN_RETRY_SECONDS)),
            };
            refresh_at = Some(refresh_at.map_or(at, |earlier| earlier.min(at)));
            tokens.insert(request, answer);
        }
        (tokens, refresh_at)
    }

    async fn ask(
        &self,
        pod: &Pod,
        request: &TokenRequest,
        now: Timestamp,
    ) -> Result<(String, Timestamp), String> {
        let meta = &pod.metadata;
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let account = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.service_account_name.clone());
        let account = account.unwrap_or_else(|| "default".to_owned());
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let audience = Some(request.audience.clone()).filter(|audience| !audience.is_empty());
        let body = ApiTokenRequest {
            metadata: ObjectMeta::default(),
            spec: Some(TokenRequestSpec {
                audiences: Some(audience.into_iter().collect()),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: meta.name.clone(),
                    uid: meta.uid.clone(),
                }),
                expiration_seconds: Some(request.expiration_seconds),
            }),
            status: None,
        };
        let answer = api
            .create_token_request(&account, &PostParams::default(), &body)
            .await;
        let answer = answer.map_err(|error| words(&error))?;
        let status = answer.status.ok_or("the answer has no token")?;
        let token = status.token.ok_or("the answer has no token")?;
        let expires = status.expiration_timestamp.ok_or("the token has no end")?;
        let life = expires.0.duration_since(now).as_secs();
        Ok((token, later(now, life * TOKEN_LIFE_PERCENT / 100)))
    }

    /// Drops what is kept for a pod.
    pub(crate) fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client, for what follows single objects.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Ends with the agent.
    pub(crate) fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }
}

/// Whether the volumes of a pod are made from objects that may change.
pub(crate) fn has_any(pod: &Pod) -> bool {
    let (maps, secrets) = volume::references(&only_volumes(pod));
    !maps.is_empty() || !secrets.is_empty()
}

/// The pod without its containers: environments are read at their start and never again.
fn only_volumes(pod: &Pod) -> Pod {
    let mut only = pod.clone();
    if let Some(spec) = &mut only.spec {
        spec.containers.clear();
        spec.init_containers = None;
        spec.ephemeral_containers = None;
    }
    only
}

/// Calls `changed` whenever one of the objects behind a pod's volumes changes, for as long as it is awaited.
pub(crate) async fn follow(sources: &Sources, pod: &Pod, changed: impl Fn()) {
    use kube::runtime::{WatchStreamExt as _, watcher};
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let (maps, secrets) = volume::references(&only_volumes(pod));
    let by_name =
        |name: &String| watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut streams = futures::stream::SelectAll::new();
    let api: Api<ConfigMap> = Api::namespaced(sources.client().clone(), namespace);
    for name in &maps {
        let events = watcher(api.clone(), by_name(name)).default_backoff();
        streams.push(events.map(|event| is_change(&event)).boxed());
    }
    let api: Api<Secret> = Api::namespaced(sources.client().clone(), namespace);
    for name in &secrets {
        let events = watcher(api.clone(), by_name(name)).default_backoff();
        streams.push(events.map(|event| is_change(&event)).boxed());
    }
    loop {
        let next = tokio::select! {
            () = sources.shutdown().cancelled() => return,
            next = streams.next() => next,
        };
        match next {
            None => return,
            Some(true) => changed(),
            Some(false) => {}
        }
    }
}

fn is_change<T>(
    event: &Result<kube::runtime::watcher::Event<T>, kube::runtime::watcher::Error>,
) -> bool {
    use kube::runtime::watcher::Event;
    matches!(
        event,
        Ok(Event::Apply(_) | Event::Delete(_) | Event::InitDone)
    )
}

/// The API server's words alone.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

fn later(moment: Timestamp, seconds: i64) -> Timestamp {
    moment
        .checked_add(SignedDuration::from_secs(seconds))
        .unwrap_or(moment)
}
