//! The fake runtime passes the contract, and does what tests order.

use std::time::Duration;

use sampan_cri::{
    Code, Runtime,
    contract::{CASES, Subject},
    fake::{EXIT_ON_OOM, Fake},
    v1::{ContainerConfig, ContainerMetadata, ImageSpec, PodSandboxConfig},
};

const IMAGE: &str = "docker.io/library/busybox:1.36";

#[tokio::test]
async fn the_fake_passes_the_contract() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("cri.sock");
    let fake = Fake::default();
    fake.add_image(IMAGE);
    let _served = fake.serve(&socket)?;
    let subject = Subject {
        runtime: Runtime::connect(&socket).await?,
        image: IMAGE.to_owned(),
        log_dir: dir.path().to_owned(),
        cgroup_root: "/none".to_owned(),
    };
    for (name, case) in CASES {
        println!("{name}");
        case(subject.clone()).await;
    }
    Ok(())
}

#[tokio::test]
async fn ordered_failures_and_ends_happen() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("cri.sock");
    let fake = Fake::default();
    let served = fake.serve(&socket)?;
    let runtime = Runtime::connect(&socket).await?;

    fake.fail_pulls("r.example/web:v1", Code::Unknown, "401 Unauthorized");
    let error = runtime
        .pull_image("r.example/web:v1", None, None)
        .await
        .map(|_| ());
    assert_eq!(
        error.map_err(|error| error.message()),
        Err("401 Unauthorized".to_owned())
    );
    let error = runtime.pull_image("busybox", None, None).await.map(|_| ());
    assert!(error.is_err_and(|error| error.is_not_found()));
    fake.publish("r.example/web:v1");
    runtime.pull_image("r.example/web:v1", None, None).await?;

    fake.fail_next("RunPodSandbox", Code::Unknown, "no network");
    assert!(
        runtime
            .run_pod_sandbox(PodSandboxConfig::default(), "")
            .await
            .is_err()
    );
    let sandbox = runtime
        .run_pod_sandbox(PodSandboxConfig::default(), "")
        .await?;
    let image = ImageSpec {
        image: "r.example/web:v1".to_owned(),
        ..ImageSpec::default()
    };
    let metadata = ContainerMetadata {
        name: "main".to_owned(),
        attempt: 0,
    };
    let config = ContainerConfig {
        metadata: Some(metadata),
        image: Some(image),
        ..ContainerConfig::default()
    };
    let id = runtime
        .create_container(&sandbox, config, PodSandboxConfig::default())
        .await?;
    runtime.start_container(&id).await?;
    assert_eq!(fake.kill_for_memory("main"), 1);
    fake.until(|fake| fake.containers()[&id].exit_code == EXIT_ON_OOM)
        .await;
    assert_eq!(fake.exit("main", 0), 0, "it has ended already");

    drop(served);
    let short = runtime.with_timeout(Duration::from_secs(5));
    assert!(short.version().await.is_err(), "the runtime has crashed");
    let _served = fake.serve(&socket)?;
    assert_eq!(
        short.list_pod_sandboxes(None).await?.len(),
        1,
        "it is back with its pods"
    );
    assert_eq!(
        fake.calls().last().map(String::as_str),
        Some("StartContainer main")
    );
    Ok(())
}
