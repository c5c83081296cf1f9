//! The verbs of the API over plain objects.

use futures::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use http::{Method, Request};
use kube::Client;
use meta::{Key, Object, ObjectExt, Resource};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::error::ClientError;

/// Largest event of a watch: an object of 3 MiB, twice over for its frame and managed fields.
const WATCH_EVENT_BYTES_MAX: usize = 6 << 20;
/// Asks for the metadata of a watch's objects alone, and takes the whole objects from a server that cannot do so.
const METADATA_ONLY: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
/// The same for a list: upstream's server answers 406 to a list that is asked for as one object.
const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// A client that reads and writes objects of any kind.
#[derive(Clone)]
pub struct Rest {
    client: Client,
}

/// How much of each object to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// All of it.
    Whole,
    /// Its metadata.
    Metadata,
}

/// What to ask of a delete.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// The uid it must have; empty asks nothing.
    pub uid: String,
    /// The version it must have.
    pub resource_version: Option<String>,
    /// Seconds of grace.
    pub grace_seconds: Option<i64>,
    /// `Background`, `Foreground` or `Orphan`.
    pub propagation: Option<&'static str>,
}

impl DeleteOptions {
    fn body(&self) -> Value {
        let mut body = json!({ "apiVersion": "v1", "kind": "DeleteOptions" });
        if !self.uid.is_empty() {
            body.set(&["preconditions", "uid"], self.uid.clone().into());
        }
        if let Some(version) = &self.resource_version {
            body.set(
                &["preconditions", "resourceVersion"],
                version.clone().into(),
            );
        }
        if let Some(seconds) = self.grace_seconds {
            body.set(&["gracePeriodSeconds"], seconds.into());
        }
        if let Some(propagation) = self.propagation {
            body.set(&["propagationPolicy"], propagation.into());
        }
        body
    }
}

/// One page of a list.
#[derive(Debug)]
pub struct Page {
    /// The objects.
    pub items: Vec<Object>,
    /// The revision the list is consistent at.
    pub resource_version: String,
    /// Token for the next page; empty after the last.
    pub continue_token: String,
}

/// One page of a list that is not decoded.
#[derive(Debug, Deserialize)]
pub struct RawPage {
    metadata: ListMeta,
    #[serde(default)]
    items: Option<Vec<Box<RawValue>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ListMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    continue_token: String,
}

impl RawPage {
    /// The bytes of the objects.
    pub fn items(&self) -> impl Iterator<Item = &[u8]> {
        self.items
            .iter()
            .flatten()
            .map(|item| item.get().as_bytes())
    }
    /// The revision the list is consistent at.
    pub fn resource_version(&self) -> &str {
        &self.metadata.resource_version
    }
    /// Token for the next page; empty after the last.
    pub fn continue_token(&self) -> &str {
        &self.metadata.continue_token
    }
}

/// An item of a list as it is when read alone: typed lists say for all what their items are.
fn typed(mut item: Object, resource: &Resource) -> Object {
    if item.get("kind").is_none() {
        item.set(&["apiVersion"], resource.api_version().into());
        item.set(&["kind"], (&*resource.kind).into());
    }
    item
}

/// The path of a collection, an object or a subresource.
pub fn path(resource: &Resource, namespace: &str, name: &str, subresource: Option<&str>) -> String {
    let mut path = if resource.group.is_empty() {
        format!("/api/{}", resource.version)
    } else {
        format!("/apis/{}/{}", resource.group, resource.version)
    };
    if !namespace.is_empty() {
        path.push_str("/namespaces/");
        path.push_str(namespace);
    }
    for part in [Some(&*resource.plural), Some(name), subresource]
        .into_iter()
        .flatten()
    {
        if !part.is_empty() {
            path.push('/');
            path.push_str(part);
        }
    }
    path
}

/// Query parameters, escaped.
pub(crate) fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let mut out = path.to_owned();
    let mut separator = '?';
    for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        out.push(separator);
        out.push_str(name);
        out.push('=');
        escape_into(&mut out, value);
        separator = '&';
    }
    out
}

fn escape_into(out: &mut String, value: &str) {
    use std::fmt::Write;
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else if write!(out, "%{byte:02X}").is_err() {
            // Writing to a String cannot fail.
            return;
        }
    }
}

impl Rest {
    /// Uses a client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
    /// The client underneath.
    pub fn client(&self) -> &Client {
        &self.client
    }

    fn request(
        method: Method,
        path: &str,
        content_type: &str,
        accept: &str,
        body: Vec<u8>,
    ) -> Result<Request<Vec<u8>>, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("accept", accept);
        if !body.is_empty() {
            request = request.header("content-type", content_type);
        }
        let path = || path.to_owned();
        request.body(body).map_err(|source| ClientError::Request {
            path: path(),
            source,
        })
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Option<&Value>,
    ) -> Result<T, ClientError> {
        let body = body
            .map(serde_json::to_vec)
            .transpose()
            .map_err(|error| ClientError::from_kube(kube::Error::SerdeError(error)))?
            .unwrap_or_default();
        let request = Self::request(method, path, content_type, "application/json", body)?;
        self.client
            .request(request)
            .await
            .map_err(ClientError::from_kube)
    }

    /// Reads whatever a path serves as JSON.
    pub async fn get_path(&self, path: &str) -> Result<Value, ClientError> {
        self.send(Method::GET, path, "", None).await
    }
    /// Reads an object.
    pub async fn get(&self, resource: &Resource, key: &Key) -> Result<Object, ClientError> {
        self.get_path(&path(resource, &key.namespace, &key.name, None))
            .await
    }
    /// Creates an object in the namespace its metadata names.
    pub async fn create(
        &self,
        resource: &Resource,
        object: &Object,
    ) -> Result<Object, ClientError> {
        let path = path(resource, object.namespace(), "", None);
        self.send(Method::POST, &path, "application/json", Some(object))
            .await
    }
    /// Posts to a subresource, such as a pod's `binding` or `eviction`.
    pub async fn post(
        &self,
        resource: &Resource,
        key: &Key,
        subresource: &str,
        body: &Object,
    ) -> Result<Object, ClientError> {
        let path = path(resource, &key.namespace, &key.name, Some(subresource));
        self.send(Method::POST, &path, "application/json", Some(body))
            .await
    }
    /// Replaces an object or a subresource of it.
    pub async fn replace(
        &self,
        resource: &Resource,
        subresource: Option<&str>,
        object: &Object,
    ) -> Result<Object, ClientError> {
        let path = path(resource, object.namespace(), object.name(), subresource);
        self.send(Method::PUT, &path, "application/json", Some(object))
            .await
    }
    /// Replaces an object, given as JSON, without reading what became of it.
    pub async fn overwrite(
        &self,
        resource: &Resource,
        key: &Key,
        object: Vec<u8>,
    ) -> Result<(), ClientError> {
        let path = path(resource, &key.namespace, &key.name, None);
        let json = "application/json";
        let request = Self::request(Method::PUT, &path, json, json, object)?;
        let answer = self.client.request_stream(request).await;
        answer.map(drop).map_err(ClientError::from_kube)
    }
    /// Sends a JSON merge patch.
    pub async fn patch(
        &self,
        resource: &Resource,
        key: &Key,
        subresource: Option<&str>,
        patch: &Value,
    ) -> Result<Object, ClientError> {
        let path = path(resource, &key.namespace, &key.name, subresource);
        self.send(
            Method::PATCH,
            &path,
            "application/merge-patch+json",
            Some(patch),
        )
        .await
    }
    /// Deletes an object; the answer is the object on its way out, or a Status when it is gone.
    pub async fn delete(
        &self,
        resource: &Resource,
        key: &Key,
        options: &DeleteOptions,
    ) -> Result<Value, ClientError> {
        let path = path(resource, &key.namespace, &key.name, None);
        self.send(
            Method::DELETE,
            &path,
            "application/json",
            Some(&options.body()),
        )
        .await
    }
    /// Deletes everything of a resource in a namespace.
    pub async fn delete_collection(
        &self,
        resource: &Resource,
        namespace: &str,
        options: &DeleteOptions,
    ) -> Result<Value, ClientError> {
        let path = path(resource, namespace, "", None);
        self.send(
            Method::DELETE,
            &path,
            "application/json",
            Some(&options.body()),
        )
        .await
    }

    /// Reads one page of a collection.
    pub async fn list(
        &self,
        resource: &Resource,
        namespace: &str,
        detail: Detail,
        query: &[(&str, &str)],
    ) -> Result<Page, ClientError> {
        let path = with_query(&path(resource, namespace, "", None), query);
        let accept = accept_for(detail, METADATA_LIST);
        let request = Self::request(Method::GET, &path, "", accept, Vec::new())?;
        let mut list = self
            .client
            .request::<Value>(request)
            .await
            .map_err(ClientError::from_kube)?;
        let text = |list: &Value, field| {
            list.str_at(&["metadata", field])
                .unwrap_or_default()
                .to_owned()
        };
        let (resource_version, continue_token) =
            (text(&list, "resourceVersion"), text(&list, "continue"));
        let items = match list.remove(&["items"]) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        let items = items.into_iter().map(|item| typed(item, resource));
        Ok(Page {
            items: items.collect(),
            resource_version,
            continue_token,
        })
    }

    /// Reads one page of a collection, whose objects stay as bytes.
    pub async fn list_raw(
        &self,
        resource: &Resource,
        namespace: &str,
        query: &[(&str, &str)],
    ) -> Result<RawPage, ClientError> {
        let path = with_query(&path(resource, namespace, "", None), query);
        let request = Self::request(Method::GET, &path, "", "application/json", Vec::new())?;
        self.client
            .request::<RawPage>(request)
            .await
            .map_err(ClientError::from_kube)
    }

    /// Starts a watch of a collection.
    pub async fn watch(
        &self,
        resource: &Resource,
        namespace: &str,
        detail: Detail,
        query: &[(&str, &str)],
    ) -> Result<Watching<impl AsyncBufRead + use<>>, ClientError> {
        let path = with_query(&path(resource, namespace, "", None), query);
        let accept = accept_for(detail, METADATA_ONLY);
        let request = Self::request(Method::GET, &path, "", accept, Vec::new())?;
        let stream = self
            .client
            .request_stream(request)
            .await
            .map_err(ClientError::from_kube)?;
        Ok(Watching {
            stream: Box::pin(stream),
            line: Vec::new(),
            is_taken: false,
            path,
        })
    }
}

fn accept_for(detail: Detail, metadata: &'static str) -> &'static str {
    match detail {
        Detail::Whole => "application/json",
        Detail::Metadata => metadata,
    }
}

/// What a watch tells.
#[derive(Debug)]
pub enum WatchEvent {
    /// The object is new, or new to the selector.
    Added(Object),
    /// The object changed.
    Modified(Object),
    /// The object is gone, or no longer selected.
    Deleted(Object),
    /// Nothing changed up to this version.
    Bookmark(Object),
    /// The watch cannot go on.
    Error(Box<kube::core::Status>),
}

/// The type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The object is new, or new to the selector.
    Added,
    /// The object changed.
    Modified,
    /// The object is gone, or no longer selected.
    Deleted,
    /// Nothing changed up to this version.
    Bookmark,
    /// The watch cannot go on; the object is a Status.
    Error,
    /// A type of a later server, none of ours.
    Other,
}

/// The type and the object of an event. Whether the object is JSON shows when somebody reads it.
fn opened(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut event_type, mut object) = (None, None);
    for (key, value) in meta::raw::members(line) {
        match key {
            b"type" => event_type = Some(value),
            b"object" => object = Some(value),
            _ => {}
        }
    }
    event_type.zip(object)
}

/// A watch under way.
pub struct Watching<S> {
    stream: std::pin::Pin<Box<S>>,
    line: Vec<u8>,
    /// Whether the line was given out and makes room for the next one.
    is_taken: bool,
    path: String,
}

impl<S: AsyncBufRead> Watching<S> {
    /// The next event; `None` when the server ended the watch. May be dropped midway and called again: what was read
    /// of a line by then is kept.
    pub async fn next(&mut self) -> Result<Option<WatchEvent>, ClientError> {
        let path = self.path.clone();
        let broken = |source| {
            let path = path.clone();
            ClientError::Answer { path, source }
        };
        loop {
            let Some((happened, object)) = self.next_bytes().await? else {
                return Ok(None);
            };
            let read = || serde_json::from_slice::<Object>(object).map_err(broken);
            return Ok(Some(match happened {
                Happened::Added => WatchEvent::Added(read()?),
                Happened::Modified => WatchEvent::Modified(read()?),
                Happened::Deleted => WatchEvent::Deleted(read()?),
                Happened::Bookmark => WatchEvent::Bookmark(read()?),
                Happened::Error => {
                    WatchEvent::Error(serde_json::from_slice(object).map_err(broken)?)
                }
                Happened::Other => continue,
            }));
        }
    }

    /// The next event with its object's bytes; `None` when the server ended the watch. May be dropped midway.
    pub async fn next_bytes(&mut self) -> Result<Option<(Happened, &[u8])>, ClientError> {
        loop {
            if std::mem::take(&mut self.is_taken) {
                self.line.clear();
            }
            if !self.read_line().await? {
                return Ok(None);
            }
            self.is_taken = true;
            if !self.line.iter().all(u8::is_ascii_whitespace) {
                break;
            }
        }
        let Some((event_type, object)) = opened(&self.line) else {
            return Err(ClientError::Answer {
                path: self.path.clone(),
                source: serde_json::Error::custom("no event of a watch"),
            });
        };
        let happened = match event_type {
            b"\"ADDED\"" => Happened::Added,
            b"\"MODIFIED\"" => Happened::Modified,
            b"\"DELETED\"" => Happened::Deleted,
            b"\"BOOKMARK\"" => Happened::Bookmark,
            b"\"ERROR\"" => Happened::Error,
            _ => Happened::Other,
        };
        Ok(Some((happened, object)))
    }

    async fn read_line(&mut self) -> Result<bool, ClientError> {
        while self.line.last() != Some(&b'\n') {
            let room = WATCH_EVENT_BYTES_MAX.saturating_sub(self.line.len());
            if room == 0 {
                let path = self.path.clone();
                return Err(ClientError::WatchEventTooLarge {
                    path,
                    bytes_max: WATCH_EVENT_BYTES_MAX,
                });
            }
            let mut bounded = self
                .stream
                .as_mut()
                .take(u64::try_from(room).unwrap_or(u64::MAX));
            let read = bounded
                .read_until(b'\n', &mut self.line)
                .await
                .map_err(|source| ClientError::WatchBroken {
                    path: self.path.clone(),
                    source,
                })?;
            if read == 0 {
                return Ok(!self.line.is_empty());
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PODS: Resource = Resource::namespaced("", "v1", "Pod", "pods");
    const SETS: Resource = Resource::namespaced("apps", "v1", "ReplicaSet", "replicasets");

    #[test]
    fn paths_follow_scope_and_group() {
        assert_eq!(path(&PODS, "", "", None), "/api/v1/pods");
        assert_eq!(
            path(&PODS, "a", "b", Some("status")),
            "/api/v1/namespaces/a/pods/b/status"
        );
        assert_eq!(
            path(&SETS, "a", "", None),
            "/apis/apps/v1/namespaces/a/replicasets"
        );
    }

    #[test]
    fn queries_are_escaped_and_empty_values_left_out() {
        let query = [
            ("fieldSelector", "spec.nodeName=a b"),
            ("limit", ""),
            ("watch", "true"),
        ];
        assert_eq!(
            with_query("/p", &query),
            "/p?fieldSelector=spec.nodeName%3Da%20b&watch=true"
        );
    }

    fn watching(text: &'static str) -> Watching<futures::io::Cursor<&'static [u8]>> {
        Watching {
            stream: Box::pin(futures::io::Cursor::new(text.as_bytes())),
            line: Vec::new(),
            is_taken: false,
            path: "/p".into(),
        }
    }

    #[tokio::test]
    async fn frames_are_read_one_by_one() {
        let mut watch = watching(
            "{\"type\":\"ADDED\",\"object\":{\"a\":1}}\n\n{\"type\":\"NEW\",\"object\":{}}\n{\"type\":\"DELETED\",\"object\":{}}\n",
        );
        assert!(matches!(watch.next().await, Ok(Some(WatchEvent::Added(_)))));
        assert!(matches!(
            watch.next().await,
            Ok(Some(WatchEvent::Deleted(_)))
        ));
        assert!(matches!(watch.next().await, Ok(None)));
    }

    #[tokio::test]
    async fn half_a_frame_is_an_error() {
        let event = "{\"type\":\"ADDED\",\"object\":{\"a\":[1]}}";
        for length in 1..event.len() - 1 {
            let mut watch = watching(event.get(..length).unwrap());
            let answer = watch.next().await;
            assert!(
                matches!(answer, Err(ClientError::Answer { .. })),
                "{length}"
            );
        }
        let mut watch = watching("{\"type\":\"ADDED\",\"object\":{\"a\":x}}\n");
        assert!(matches!(
            watch.next().await,
            Err(ClientError::Answer { .. })
        ));
    }
}
