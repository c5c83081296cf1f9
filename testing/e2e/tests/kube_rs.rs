//! kube-rs as operators use it, over HTTPS with the administrator's kubeconfig: watcher, controller, apply, entry,
//! pages, untyped objects, typed errors.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
    PostParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, reflector, wait};
use kube::{Api, Client, Config, Resource as _, ResourceExt as _};
use sampan_e2e::server::Server;
use serde_json::json;
use tokio::time::timeout;

/// Longest wait for anything.
const WAIT: Duration = Duration::from_secs(30);

async fn client(server: &Server) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(server.kubeconfig())?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

fn map(name: &str, data: &[(&str, &str)]) -> ConfigMap {
    let data = data
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let mut map = ConfigMap::default();
    map.metadata.name = Some(name.to_owned());
    map.metadata.labels = Some(BTreeMap::from([("own".to_owned(), String::new())]));
    map.data = Some(data.collect());
    map
}

fn own() -> watcher::Config {
    watcher::Config::default().labels("own")
}

#[tokio::test]
async fn a_watcher_lists_streams_and_follows() -> Result<()> {
    let server = Server::start().await?;
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&server).await?);
    maps.create(&PostParams::default(), &map("a", &[])).await?;
    for config in [own().page_size(1), own().streaming_lists()] {
        let mut events = watcher::watcher(maps.clone(), config).boxed();
        let mut next = async || -> Result<String> {
            let event = timeout(WAIT, events.try_next()).await??;
            Ok(match event.context("a watcher does not end")? {
                Event::Init => "init".to_owned(),
                Event::InitApply(map) => format!("has {}", map.name_any()),
                Event::InitDone => "done".to_owned(),
                Event::Apply(map) => format!("apply {}", map.name_any()),
                Event::Delete(map) => format!("delete {}", map.name_any()),
            })
        };
        for expected in ["init", "has a", "done"] {
            ensure!(next().await? == expected);
        }
        maps.create(&PostParams::default(), &map("b", &[])).await?;
        ensure!(next().await? == "apply b");
        maps.delete("b", &DeleteParams::default()).await?;
        ensure!(next().await? == "delete b");
    }
    Ok(())
}

#[tokio::test]
async fn a_reflector_keeps_a_store() -> Result<()> {
    let server = Server::start().await?;
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&server).await?);
    maps.create(&PostParams::default(), &map("a", &[])).await?;
    let (store, writer) = reflector::store();
    let mut applied = reflector(
        writer,
        watcher::watcher(maps.clone(), own()).default_backoff(),
    )
    .applied_objects()
    .boxed();
    let seen = timeout(WAIT, applied.try_next()).await??;
    ensure!(seen.is_some_and(|map| map.name_any() == "a"));
    // The store is filled by whoever reads the stream.
    tokio::select! {
        ready = timeout(WAIT, store.wait_until_ready()) => ready??,
        event = applied.try_next() => anyhow::bail!("nothing else happens: {event:?}"),
    }
    ensure!(
        store
            .get(&reflector::ObjectRef::new("a").within("default"))
            .is_some()
    );
    Ok(())
}

/// For each config map a secret that it owns; the secret comes back when somebody takes it away.
#[tokio::test]
async fn a_controller_reconciles_what_it_owns() -> Result<()> {
    let server = Server::start().await?;
    let client = client(&server).await?;
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let secrets: Api<Secret> = Api::default_namespaced(client.clone());
    let reconcile = async |map: Arc<ConfigMap>, secrets: Arc<Api<Secret>>| {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": map.data,
            "metadata": {"name": map.name_any(), "ownerReferences": [map.controller_owner_ref(&())]},
        });
        let as_controller = PatchParams::apply("copier").force();
        secrets
            .patch(&map.name_any(), &as_controller, &Patch::Apply(secret))
            .await?;
        Ok::<_, kube::Error>(Action::await_change())
    };
    let controller = Controller::new(maps.clone(), own())
        .owns(secrets.clone(), watcher::Config::default())
        .run(
            move |map, secrets| Box::pin(reconcile(map, secrets)),
            |_, _, _| Action::requeue(Duration::from_secs(1)),
            Arc::new(secrets.clone()),
        )
        .for_each(|_| std::future::ready(()));
    let story = async {
        maps.create(&PostParams::default(), &map("a", &[("word", "xyzzy")]))
            .await?;
        let is_made = |secret: Option<&Secret>| secret.is_some();
        let made = timeout(WAIT, wait::await_condition(secrets.clone(), "a", is_made)).await??;
        let made = made.context("the secret is there")?;
        ensure!(
            made.data
                .as_ref()
                .is_some_and(|data| data["word"].0 == b"xyzzy")
        );
        ensure!(made.owner_references()[0].kind == "ConfigMap");
        let uid = made.uid().context("a uid")?;
        secrets.delete("a", &DeleteParams::default()).await?;
        let is_another = move |secret: Option<&Secret>| {
            secret.is_some_and(|new| new.uid().as_ref() != Some(&uid))
        };
        timeout(
            WAIT,
            wait::await_condition(secrets.clone(), "a", is_another),
        )
        .await??;
        // The garbage collector takes the secret when its owner is gone.
        let uid = secrets.get("a").await?.uid().context("a uid")?;
        maps.delete("a", &DeleteParams::default()).await?;
        timeout(
            WAIT,
            wait::await_condition(secrets.clone(), "a", wait::conditions::is_deleted(&uid)),
        )
        .await??;
        Ok(())
    };
    tokio::select! {
        told = story => told,
        () = controller => anyhow::bail!("the controller ended"),
    }
}

#[tokio::test]
async fn applies_patches_and_entries_write_what_they_say() -> Result<()> {
    let server = Server::start().await?;
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&server).await?);
    let apply = async |manager: &str, data: serde_json::Value| {
        let meta = json!({"name": "web"});
        let config =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data});
        maps.patch("web", &PatchParams::apply(manager), &Patch::Apply(config))
            .await
    };
    apply("one", json!({"a": "1"})).await?;
    apply("two", json!({"b": "1"})).await?;
    let conflict = apply("two", json!({"a": "2"})).await;
    let Err(kube::Error::Api(status)) = conflict else {
        anyhow::bail!("{conflict:?}")
    };
    ensure!(
        status.is_conflict() && status.message.contains("conflict with \"one\": .data.a"),
        "{status:?}"
    );
    let merged = maps
        .patch(
            "web",
            &PatchParams::default(),
            &Patch::Merge(json!({"data": {"a": null}})),
        )
        .await?;
    ensure!(merged.data == map("web", &[("b", "1")]).data);
    let patch = serde_json::from_value(json!([{"op": "add", "path": "/data/c", "value": "3"}]))?;
    let patched = maps
        .patch("web", &PatchParams::default(), &Patch::Json::<()>(patch))
        .await?;
    ensure!(patched.data == map("web", &[("b", "1"), ("c", "3")]).data);

    let mut entry = maps
        .entry("web")
        .await?
        .or_insert(|| map("web", &[]))
        .and_modify(|web| {
            web.data
                .get_or_insert_default()
                .insert("d".to_owned(), "4".to_owned());
        });
    entry.commit(&PostParams::default()).await?;
    let stale = entry.get().clone();
    let mut fresh = maps.entry("new").await?.or_insert(|| map("new", &[]));
    fresh.commit(&PostParams::default()).await?;
    maps.replace("web", &PostParams::default(), &stale).await?;
    let twice = maps.create(&PostParams::default(), &map("new", &[])).await;
    ensure!(matches!(twice, Err(kube::Error::Api(status)) if status.is_already_exists()));
    Ok(())
}

#[tokio::test]
async fn any_kind_is_found_listed_in_pages_and_deleted() -> Result<()> {
    let server = Server::start().await?;
    let client = client(&server).await?;
    let gvk = GroupVersionKind::gvk("apps", "v1", "Deployment");
    let (resource, capabilities) = kube::discovery::pinned_kind(&client, &gvk).await?;
    ensure!(
        resource.plural == "deployments" && capabilities.supports_operation("deletecollection")
    );
    ensure!(
        capabilities
            .subresources
            .iter()
            .any(|(each, _)| each.plural == "scale")
    );
    let any: Api<DynamicObject> =
        Api::default_namespaced_with(client.clone(), &ApiResource::erase::<Deployment>(&()));
    for number in 0..5 {
        let labels = json!({"app": "web"});
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": format!("web-{number}"), "labels": labels},
            "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "r.example/web:1"}]}}},
        });
        any.create(&PostParams::default(), &serde_json::from_value(deployment)?)
            .await?;
    }
    let mut params = ListParams::default().labels("app=web").limit(2);
    let mut names = Vec::new();
    loop {
        let page = any.list(&params).await?;
        names.extend(page.items.iter().map(kube::ResourceExt::name_any));
        match page.metadata.continue_ {
            Some(token) if !token.is_empty() => params = params.continue_token(&token),
            _ => break,
        }
    }
    ensure!(
        names == ["web-0", "web-1", "web-2", "web-3", "web-4"],
        "{names:?}"
    );
    let metadata = any.list_metadata(&ListParams::default()).await?;
    ensure!(metadata.items.len() == 5);
    let deployments: Api<Deployment> = Api::default_namespaced(client);
    let scale = deployments.get_scale("web-0").await?;
    let selector = scale.status.and_then(|status| status.selector);
    ensure!(selector.as_deref() == Some("app=web"), "{selector:?}");
    deployments
        .delete_collection(
            &DeleteParams::background(),
            &ListParams::default().labels("app=web"),
        )
        .await?;
    let left = deployments.list(&ListParams::default()).await?;
    ensure!(left.items.is_empty(), "{left:?}");
    ensure!(deployments.get_opt("web-0").await?.is_none());
    Ok(())
}
