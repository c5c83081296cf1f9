//! A server for tests, and short ways to talk to it.

use std::sync::Arc;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use sampan_apiserver::auth::TokenVerifier;
use sampan_apiserver::config::Limits;
use sampan_apiserver::health::ping;
use sampan_apiserver::{ApiServer, Config, Identity};
use serde_json::{Value, json};
use store::MemoryStore;

/// Knows no token.
struct NoTokens;

impl TokenVerifier for NoTokens {
    fn verify(&self, _token: &str) -> Option<Value> {
        None
    }
    fn sign(&self, _claims: &Value) -> Result<String, String> {
        Err("no key".into())
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
}

impl Talk {
    pub(crate) async fn new() -> Self {
        let server = ApiServer::new(Config {
            store: Arc::new(MemoryStore::new()),
            registry: kinds::builtin(),
            tokens: Arc::new(NoTokens),
            static_tokens: Vec::new(),
            clock: jiff::Timestamp::now,
            ranges: kinds::strategy::Ranges::default(),
            address: "127.0.0.1:6443".into(),
            kubelet: None,
            openapi: None,
            checks: vec![ping()],
            limits: Limits::upstream(),
        });
        let talk = Self { server };
        talk.post("/api/v1/namespaces", json!({"metadata": {"name": "web"}}))
            .await
            .expect(201);
        talk.post(
            "/api/v1/namespaces/web/serviceaccounts",
            json!({"metadata": {"name": "default"}}),
        )
        .await
        .expect(201);
        talk
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: impl Into<Body>,
    ) -> Answer {
        let user = access::user::user("admin", &[access::user::MASTERS]);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type);
        let request = request
            .header("user-agent", "suite/1")
            .extension(Identity(user));
        let response = self.server.handle(request.body(body.into()).unwrap()).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer {
            code: parts.status.as_u16(),
            body,
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
