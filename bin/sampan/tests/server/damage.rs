//! Files of the store that were cut, torn, changed, or written by a newer version.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use client::rest::Detail;
use meta::{ObjectExt, Resource};
use serde_json::json;

use crate::{Server, run, sampan};

const CONFIG_MAPS: Resource = Resource::namespaced("", "v1", "ConfigMap", "configmaps");

/// A store with config maps `web-0` to `web-9`, whose server was killed.
async fn store(data: &Path) {
    let mut server = Server::start(data).await;
    for number in 0..10 {
        let object = json!({ "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": format!("web-{number}"), "namespace": "default" } });
        server.rest.create(&CONFIG_MAPS, &object).await.unwrap();
    }
    server.kill().await;
}

/// The newest segment of the log, and where what was written to it ends.
fn log(data: &Path) -> (PathBuf, u64) {
    let entries = fs::read_dir(data.join("store")).unwrap();
    let segments = entries.map(|entry| entry.unwrap().path()).filter(|path| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("log-")
    });
    let path = segments.max().unwrap();
    let bytes = fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    (path, end as u64)
}

fn write(path: &Path, bytes: &[u8], at: u64) {
    let file: File = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

async fn count(server: &Server) -> usize {
    let list = server
        .rest
        .list(&CONFIG_MAPS, "default", Detail::Whole, &[])
        .await
        .unwrap();
    list.items
        .iter()
        .filter(|object| object.name().starts_with("web-"))
        .count()
}

/// What a server that does not start says.
async fn refusal(data: &Path) -> String {
    let output = run(sampan(&[
        "server",
        "--port",
        "0",
        "--data-dir",
        data.to_str().unwrap(),
    ]))
    .await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    said
}

#[tokio::test]
async fn a_torn_write_is_named_and_everything_before_it_is_there() {
    let data = tempfile::tempdir().unwrap();
    store(data.path()).await;
    let (path, end) = log(data.path());
    write(&path, b"half of a frame", end + 8);
    let mut server = Server::start(data.path()).await;
    assert_eq!(count(&server).await, 10);
    let said = server.kill().await;
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(
        said.contains("ends in the middle of a write") && said.contains(name),
        "{said}"
    );
}

#[tokio::test]
async fn a_truncated_file_is_recovered_to_its_last_whole_commit() {
    let data = tempfile::tempdir().unwrap();
    store(data.path()).await;
    let (path, end) = log(data.path());
    OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(end - 3)
        .unwrap();
    let mut server = Server::start(data.path()).await;
    assert!(count(&server).await >= 9);
    let said = server.kill().await;
    assert!(said.contains("ends in the middle of a write"), "{said}");
    let mut again = Server::start(data.path()).await;
    assert!(count(&again).await >= 9);
    again.kill().await;
}

#[tokio::test]
async fn damage_in_what_was_committed_is_refused_with_file_and_place() {
    let data = tempfile::tempdir().unwrap();
    store(data.path()).await;
    let (path, end) = log(data.path());
    write(&path, b"\xff\xff\xff\xff", end / 2);
    let said = refusal(data.path()).await;
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(
        said.contains(name) && said.contains("is damaged at byte"),
        "{said}"
    );
    assert!(said.contains("restore a backup"), "{said}");
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused() {
    let data = tempfile::tempdir().unwrap();
    store(data.path()).await;
    fs::write(data.path().join("store/format"), "sampan-store 99\n").unwrap();
    let said = refusal(data.path()).await;
    assert!(
        said.contains("has store format 99") && said.contains("run the newer version"),
        "{said}"
    );
}
