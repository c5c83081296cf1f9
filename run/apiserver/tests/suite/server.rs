//! A server for tests, and short ways to talk to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use sampan_apiserver::auth::TokenVerifier;
use sampan_apiserver::config::Limits;
use sampan_apiserver::health::ping;
use sampan_apiserver::{ApiServer, Config, Identity};
use serde_json::{Value, json};
use store::{MemoryStore, Store};

use crate::late::LateStore;

/// Pods of the namespace that every server has.
pub(crate) const PODS: &str = "/api/v1/namespaces/web/pods";
/// Its Deployments.
pub(crate) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/web/deployments";

/// Signs by writing the claims down.
struct PlainTokens;

impl TokenVerifier for PlainTokens {
    fn verify(&self, token: &str) -> Option<Value> {
        serde_json::from_str(token).ok()
    }
    fn sign(&self, claims: &Value) -> Result<String, String> {
        Ok(claims.to_string())
    }
    fn jwks(&self) -> Value {
        json!({"keys": []})
    }
}

/// A server and the administrator's way to it.
pub(crate) struct Talk {
    pub(crate) server: ApiServer,
}

/// An answer: code and JSON body.
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: Value,
    pub(crate) headers: http::HeaderMap,
    /// The body as it came.
    pub(crate) bytes: bytes::Bytes,
}

impl Talk {
    pub(crate) async fn new() -> Self {
        Self::with(Limits::upstream()).await
    }

    /// A server with a Deployment `d` of two replicas.
    pub(crate) async fn with_deployment() -> Self {
        let talk = Self::new().await;
        let deployment = json!({"metadata": {"name": "d"}, "spec": {"replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "busybox:1"}]}}}});
        talk.post(DEPLOYMENTS, deployment).await.expect(201);
        talk
    }

    /// A server whose writes take time.
    pub(crate) async fn late() -> Self {
        Self::late_with(Limits::upstream()).await
    }

    /// The same with other bounds.
    pub(crate) async fn late_with(limits: Limits) -> Self {
        Self::over(Arc::new(LateStore::default()), limits).await
    }

    /// A server with other bounds.
    pub(crate) async fn with(limits: Limits) -> Self {
        let store = MemoryStore::indexed_by(sampan_apiserver::index);
        Self::over(Arc::new(store), limits).await
    }

    pub(crate) async fn over(store: Arc<dyn Store>, limits: Limits) -> Self {
        Self::of(config(store, limits)).await
    }

    /// A server of this configuration.
    pub(crate) async fn of(config: Config) -> Self {
        let talk = Self {
            server: ApiServer::new(config),
        };
        talk.namespace("web").await;
        talk
    }

    /// Makes a namespace with its default service account.
    pub(crate) async fn namespace(&self, name: &str) {
        let namespace = json!({"metadata": {"name": name}});
        self.post("/api/v1/namespaces", namespace).await.expect(201);
        let path = format!("/api/v1/namespaces/{name}/serviceaccounts");
        let account = json!({"metadata": {"name": "default"}});
        self.post(&path, account).await.expect(201);
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: impl Into<Body>,
    ) -> Answer {
        let headers = [("content-type", content_type)];
        self.send_as("suite/1", method, path, &headers, body).await
    }

    /// Sends as the administrator with a user agent and headers.
    pub(crate) async fn send_as(
        &self,
        agent: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let user = access::user::user("admin", &[access::user::MASTERS]);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("user-agent", agent);
        let request = headers.iter().fold(request, |request, (key, value)| {
            request.header(*key, *value)
        });
        self.exchange(request.extension(Identity(user)), body).await
    }

    /// Sends without saying who.
    pub(crate) async fn send_anonymously(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = headers.iter().fold(request, |request, (key, value)| {
            request.header(*key, *value)
        });
        self.exchange(request, body).await
    }

    async fn exchange(&self, request: http::request::Builder, body: impl Into<Body>) -> Answer {
        let response = self.server.handle(request.body(body.into()).unwrap()).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer {
            code: parts.status.as_u16(),
            body,
            bytes,
            headers: parts.headers,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", "").await
    }
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, "application/json", body.to_string())
            .await
    }
    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, "application/json", body.to_string())
            .await
    }
    pub(crate) async fn delete(&self, path: &str, body: Value) -> Answer {
        self.send("DELETE", path, "application/json", body.to_string())
            .await
    }
    /// A patch; `kind` is `merge`, `json` or `strategic-merge`.
    pub(crate) async fn patch(&self, kind: &str, path: &str, body: Value) -> Answer {
        self.send(
            "PATCH",
            path,
            &format!("application/{kind}-patch+json"),
            body.to_string(),
        )
        .await
    }
}

/// What a server over a store is made of.
pub(crate) fn config(store: Arc<dyn Store>, limits: Limits) -> Config {
    Config {
        store,
        registry: kinds::builtin(),
        tokens: Arc::new(PlainTokens),
        static_tokens: Vec::new(),
        oidc: None,
        clock: jiff::Timestamp::now,
        ranges: kinds::strategy::Ranges::default(),
        address: "127.0.0.1:6443".into(),
        kubelet: None,
        openapi: None,
        checks: vec![ping()],
        metrics: Vec::new(),
        audit: None,
        flags: BTreeMap::from([("audit-log-mode", "blocking".to_owned())]),
        limits,
    }
}

impl Answer {
    /// The body, when the code is the expected one.
    #[track_caller]
    pub(crate) fn expect(self, code: u16) -> Value {
        assert_eq!(self.code, code, "{:#}", self.body);
        self.body
    }
    #[track_caller]
    pub(crate) fn refused(self, code: u16, message: &str) {
        assert_eq!(
            (self.code, self.body["message"].as_str().unwrap_or_default()),
            (code, message)
        );
    }
}
