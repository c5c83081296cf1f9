//! Lists: all of 5,000 pods in every form, and a few objects among many.

use std::time::{Duration, Instant};

use anyhow::Result;
use meta::ObjectExt;

use crate::report::{Better, Figure, median, megabytes, milliseconds, show};
use crate::request::{self, fill, map, maps, pod, pods};
use crate::{Server, settle};

const PODS: usize = 5_000;
/// How often each list is asked for; the servers take turns.
const ROUNDS: u32 = 15;
const JSON: &str = "application/json";
/// What kubectl asks for.
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const PARTIAL: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// Objects of the large collection lie in so many namespaces.
const NAMESPACES: usize = 10;
/// Objects with the same label value.
const LABELLED: usize = 100;

/// Lists of many pods.
pub(crate) async fn measure(servers: &[Server]) -> Result<()> {
    const NAMESPACE: &str = "lists";
    for server in servers {
        request::namespace(&mut server.dialer.open().await?, NAMESPACE).await?;
        fill(server, PODS, |index| {
            (pods(NAMESPACE), pod(&format!("pod-{index}")))
        })
        .await?;
    }
    let path = pods(NAMESPACE);
    for (form, accept) in [
        ("JSON", JSON),
        ("Table", TABLE),
        ("metadata", PARTIAL),
        ("protobuf", PROTOBUF),
    ] {
        list(
            &format!("LIST of {PODS} pods, {form}"),
            servers,
            &path,
            accept,
        )
        .await?;
    }
    Ok(())
}

/// Makes the large collection.
pub(crate) async fn fill_many(server: &Server, objects: usize) -> Result<()> {
    let mut client = server.dialer.open().await?;
    for index in 0..NAMESPACES {
        request::namespace(&mut client, &format!("many-{index}")).await?;
    }
    fill(server, objects, |index| {
        let mut object = map(&format!("map-{index}"));
        let group = format!("g-{}", index / LABELLED);
        object.set(&["metadata", "labels", "group"], group.into());
        (maps(&format!("many-{}", index % NAMESPACES)), object)
    })
    .await
}

/// Lists of a few objects among those.
pub(crate) async fn measure_selective(servers: &[Server], objects: usize) -> Result<()> {
    let all = "/api/v1/configmaps";
    let of = |what: &str| format!("LIST of {what} among {objects}");
    let label = format!("{all}?labelSelector=group%3Dg-7");
    list(&of("100 by a label"), servers, &label, JSON).await?;
    let set = format!("{all}?labelSelector=group+in+(g-7,g-8)");
    list(&of("200 by two label values"), servers, &set, JSON).await?;
    let without = format!("{all}?labelSelector=%21group");
    list(&of("what has no such label"), servers, &without, JSON).await?;
    let other = format!("{all}?limit=500&labelSelector=group%21%3Dg-7");
    let what = of("the first 500 of other label values");
    list(&what, servers, &other, JSON).await?;
    let name = format!("{all}?fieldSelector=metadata.name%3Dmap-77");
    list(&of("1 by name"), servers, &name, JSON).await?;
    let page = format!("{all}?limit=500");
    list(&of("the first 500"), servers, &page, JSON).await
}

async fn list(what: &str, servers: &[Server], path: &str, accept: &str) -> Result<()> {
    let mut times: Vec<Vec<Figure>> = vec![Vec::new(); servers.len()];
    let mut worked = vec![Duration::ZERO; servers.len()];
    let mut clients = Vec::new();
    for server in servers {
        clients.push(server.dialer.open().await?);
    }
    for _ in 0..ROUNDS {
        let asked = servers.iter().zip(&mut clients);
        for (((server, client), times), worked) in asked.zip(&mut times).zip(&mut worked) {
            let request = request::get(path, accept)?;
            settle(servers).await?;
            let (before, begun) = (server.processor_time()?, Instant::now());
            let (code, bytes) = client.answer(request).await?;
            let mut figure = milliseconds(begun.elapsed());
            anyhow::ensure!(code == 200, "the list answered {code}");
            *worked += server.processor_time()?.saturating_sub(before);
            let size = u64::try_from(bytes).map_or(0.0, megabytes);
            figure.text = format!("{} ({size:.2} MB)", figure.text);
            times.push(figure);
        }
    }
    show(what, Better::Less, times.into_iter().filter_map(median));
    let what = format!("processor time of the server for that {what}");
    let each = worked
        .into_iter()
        .map(|worked| milliseconds(worked / ROUNDS));
    show(&what, Better::Less, each);
    Ok(())
}
