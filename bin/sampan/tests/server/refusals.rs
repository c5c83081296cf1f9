//! Bad input: one sentence that says what is wrong and what to do, an exit code, and nothing half done.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use crate::{Server, run, sampan};

/// What was said, if it was one sentence and the exit code is right.
fn said(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

async fn refused(arguments: &[&str]) -> String {
    let said = said(&run(sampan(arguments)).await, 1);
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    said
}

#[tokio::test]
async fn unknown_flags_and_bad_values_are_named() {
    for (arguments, words) in [
        (
            &["server", "--prot", "1"][..],
            &["unexpected argument '--prot'", "'--port'"][..],
        ),
        (
            &["server", "--port", "99999"],
            &["'99999'", "--port", "65535"],
        ),
        (
            &["server", "--bind-address", "here"],
            &["'here'", "--bind-address"],
        ),
        (
            &["--log", "kubelet=loud", "server"],
            &["--log", "use error, warn, info"],
        ),
        (
            &["up", "--node-name", "Node_1"],
            &["Node_1", "RFC 1123 subdomain"],
        ),
        (&["sail"], &["unrecognized subcommand 'sail'"]),
    ] {
        let said = said(&run(sampan(arguments)).await, 2);
        for word in words {
            assert!(said.contains(word), "no {word:?} in {said}");
        }
    }
}

#[tokio::test]
async fn a_port_that_is_taken_or_not_ours_is_refused_before_anything_is_made() {
    let data = tempfile::tempdir().unwrap();
    let directory = data.path().join("new");
    let directory = directory.to_str().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let told = refused(&["server", "--data-dir", directory, "--port", &port]).await;
    assert!(
        told.contains(&format!("port {port} cannot be used")) && told.contains("--port"),
        "{told}"
    );
    let elsewhere = [
        "server",
        "--data-dir",
        directory,
        "--port",
        "0",
        "--bind-address",
        "192.0.2.1",
    ];
    let told = refused(&elsewhere).await;
    assert!(
        told.contains("192.0.2.1 is no address of this machine"),
        "{told}"
    );
    assert!(!data.path().join("new").exists());
}

#[tokio::test]
async fn a_data_directory_in_use_names_its_owner() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path()).await;
    let pid = server.process.id().unwrap();
    let directory = data.path().to_str().unwrap();
    let before = std::fs::read(data.path().join("admin.kubeconfig")).unwrap();
    let told = refused(&["server", "--data-dir", directory, "--port", "0"]).await;
    assert!(
        told.contains(&format!("is in use by process {pid}: stop it")),
        "{told}"
    );
    let after = std::fs::read(data.path().join("admin.kubeconfig")).unwrap();
    assert!(
        before == after,
        "the kubeconfig of the running server was replaced"
    );
    let told = refused(&["down", "--data-dir", directory]).await;
    assert!(
        told.contains(&format!("is in use by process {pid}: stop it")),
        "{told}"
    );
}

#[tokio::test]
async fn places_that_cannot_be_written_are_named() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("data");
    let told = refused(&[
        "server",
        "--port",
        "0",
        "--data-dir",
        below.to_str().unwrap(),
    ])
    .await;
    assert!(
        told.contains("cannot keep data in") && told.contains("--data-dir"),
        "{told}"
    );
    let told = refused(&["server", "--port", "0", "--data-dir", "/proc/1"]).await;
    assert!(told.contains("/proc/1"), "{told}");
    let good = data.path().join("data");
    let kubeconfig = file.join("kubeconfig");
    let arguments = [
        "server",
        "--port",
        "0",
        "--data-dir",
        good.to_str().unwrap(),
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
    ];
    let told = refused(&arguments).await;
    assert!(
        told.contains("no kubeconfig can be written to") && told.contains("--kubeconfig"),
        "{told}"
    );
}

#[tokio::test]
async fn a_node_without_root_is_refused_before_anything_is_made() {
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let data = place.path().join("data");
    let arguments = ["up", "--port", "0", "--data-dir", data.to_str().unwrap()];
    // Somebody who is nobody, where the test itself is root; the binary must be where they can reach it.
    let binary = place.path().join("sampan");
    std::fs::copy(env!("CARGO_BIN_EXE_sampan"), &binary).unwrap();
    let mut command = tokio::process::Command::new(&binary);
    command
        .args(arguments)
        .env_remove("SAMPAN_LOG")
        .current_dir(place.path());
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let told = said(&run(command).await, 1);
    assert!(
        told.contains("needs root: run the command with sudo, or use `sampan server`"),
        "{told}"
    );
    assert!(!data.exists());
}

#[tokio::test]
async fn a_file_that_is_no_image_archive_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("web.tar");
    std::fs::write(&file, "not an archive").unwrap();
    let directory = data.path().to_str().unwrap();
    let told = refused(&[
        "image",
        "import",
        file.to_str().unwrap(),
        "--data-dir",
        directory,
    ])
    .await;
    assert!(
        told.contains("is no image archive (it is no tar archive): make one with"),
        "{told}"
    );
    let told = refused(&["image", "import", "/nowhere.tar", "--data-dir", directory]).await;
    assert!(told.contains("cannot use /nowhere.tar"), "{told}");
}
