//! Files that are not there: lost, or not made yet.

use super::*;
use crate::embedded::segment::SEGMENT_HEAD_BYTES;

#[tokio::test]
async fn missing_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_small(dir.path(), SMALL).unwrap();
    for n in 0..400 {
        put(&store, "web", &n.to_string()).await.unwrap();
    }
    drop(store);
    let segments = files(dir.path(), "log-");
    assert!(segments.len() > 3, "{segments:?}");
    for missing in &segments[..segments.len() - 1] {
        let image = crash(dir.path());
        let name = missing.file_name().unwrap();
        fs::remove_file(image.path().join(name)).unwrap();
        let refused = open_small(image.path(), SMALL).unwrap_err();
        let OpenError::Corrupt { file, .. } = refused else {
            panic!("{refused}")
        };
        assert_eq!(file.file_name(), Some(name));
    }
    let image = crash(dir.path());
    for path in files(image.path(), "log-") {
        fs::remove_file(path).unwrap();
    }
    let refused = open_small(image.path(), SMALL).unwrap_err().to_string();
    assert!(refused.contains("is missing"), "{refused}");
    let image = crash(dir.path());
    fs::remove_file(image.path().join("format")).unwrap();
    let refused = open_small(image.path(), SMALL).unwrap_err().to_string();
    assert!(refused.contains("format is damaged at byte 0"), "{refused}");
}

#[tokio::test]
async fn killed_while_it_is_made_a_store_is_made_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    drop(open_small(dir.path(), SMALL).unwrap());
    let image = crash(dir.path());
    // Closing it is a frame of its own.
    let log = image.path().join("log-0000000000000001");
    let made = fs::read(&log).unwrap();
    let zeros = vec![0; made.len() - SEGMENT_HEAD_BYTES];
    fs::write(&log, [&made[..SEGMENT_HEAD_BYTES], &zeros].concat()).unwrap();
    fs::remove_file(image.path().join("format")).unwrap();
    let store = open_small(image.path(), SMALL).unwrap();
    put(&store, "web", "1").await.unwrap();
    drop(store);
    let store = open_small(image.path(), SMALL).unwrap();
    assert_eq!(objects(&store).await.len(), 1);
}
