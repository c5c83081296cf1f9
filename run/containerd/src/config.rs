//! The configuration file of our containerd, as a pure function of what the machine has.

use std::{fmt::Write as _, path::Path};

use crate::{Layout, Programs};

/// The image that holds the namespaces of a pod.
///
/// Source: Kubernetes 1.36, `cmd/kubeadm/app/constants`, `PauseVersion`.
pub const SANDBOX_IMAGE: &str = "registry.k8s.io/pause:3.10.1";

/// Plugins that this machine cannot or need not run; without this each logs a complaint at start.
const DISABLED_PLUGINS: [&str; 6] = [
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.internal.v1.tracing",
];

/// Whether this machine lets us lower `oom_score_adj`, for which it takes `CAP_SYS_RESOURCE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OomScore {
    /// Any value may be set.
    Free,
    /// Values below containerd's own are clamped to it; setting them would fail every sandbox.
    Restricted,
}

/// The text of `config.toml` (version 2, as containerd 1.6 to 2.x read it).
pub(crate) fn config(layout: &Layout, programs: &Programs, oom_score: OomScore) -> String {
    let persistent = layout.persistent();
    let run = layout.instance().run_dir();
    let mut text =
        String::from("# Written by sampan at every start; changes are lost.\nversion = 2\n");
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    line(format!("root = {}", quote(&persistent.join("root"))));
    line(format!("state = {}", quote(&run.join("state"))));
    line("oom_score = 0".to_owned());
    line(format!("disabled_plugins = {DISABLED_PLUGINS:?}"));
    line(format!("[grpc]\n  address = {}", quote(&layout.socket())));
    line(format!(
        "[ttrpc]\n  address = {}",
        quote(&run.join("containerd.sock.ttrpc"))
    ));
    line("[plugins.\"io.containerd.internal.v1.opt\"]".to_owned());
    line(format!("  path = {}", quote(&persistent.join("opt"))));
    line("[plugins.\"io.containerd.grpc.v1.cri\"]".to_owned());
    line(format!("  sandbox_image = {SANDBOX_IMAGE:?}"));
    line("  stream_server_address = \"127.0.0.1\"\n  stream_server_port = \"0\"".to_owned());
    line(format!(
        "  restrict_oom_score_adj = {}",
        oom_score == OomScore::Restricted
    ));
    line("  netns_mounts_under_state_dir = true\n  disable_apparmor = true".to_owned());
    line("  systemd_cgroup = false\n  tolerate_missing_hugetlb_controller = true".to_owned());
    line("  disable_hugetlb_controller = true".to_owned());
    line("  [plugins.\"io.containerd.grpc.v1.cri\".cni]".to_owned());
    line(format!("    bin_dir = {}", quote(&programs.cni_dir)));
    line(format!("    conf_dir = {}", quote(&layout.cni_conf_dir())));
    line("    max_conf_num = 1".to_owned());
    line("  [plugins.\"io.containerd.grpc.v1.cri\".registry]".to_owned());
    line(format!("    config_path = {}", quote(&layout.certs_dir())));
    line("  [plugins.\"io.containerd.grpc.v1.cri\".containerd]".to_owned());
    line("    snapshotter = \"overlayfs\"\n    default_runtime_name = \"runc\"".to_owned());
    line("    [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]".to_owned());
    line("      runtime_type = \"io.containerd.runc.v2\"".to_owned());
    line(
        "      [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]".to_owned(),
    );
    line(format!("        BinaryName = {}", quote(&programs.runc)));
    line("        SystemdCgroup = false".to_owned());
    line(format!("        Root = {}", quote(&run.join("runc"))));
    text
}

/// A path as a TOML basic string.
fn quote(path: &Path) -> String {
    let mut text = String::from("\"");
    for character in path.to_string_lossy().chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            c if c.is_control() => {
                // Writing to a String cannot fail.
                write!(text, "\\u{:04X}", u32::from(c)).unwrap_or_default();
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use dataplane::Instance;

    use super::*;

    #[test]
    fn strange_directory_names_stay_inside_their_quotes() {
        assert_eq!(quote(Path::new("/a \"b\"\\c\n")), r#""/a \"b\"\\c\u000A""#);
    }

    #[test]
    fn nothing_is_shared_with_a_containerd_of_the_system() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Instance::of(dir.path()).unwrap());
        let programs = Programs {
            containerd: PathBuf::from("/usr/bin/containerd"),
            ctr: PathBuf::from("/usr/bin/ctr"),
            runc: PathBuf::from("/usr/sbin/runc"),
            cni_dir: PathBuf::from("/usr/lib/cni"),
        };
        let text = config(&layout, &programs, OomScore::Restricted);
        for system in ["/var/lib/containerd", "/run/containerd", "/opt", "/etc"] {
            let quoted = format!("\"{system}");
            assert!(!text.contains(&quoted), "{system} in {text}");
        }
        assert!(text.contains("restrict_oom_score_adj = true"));
        assert!(
            config(&layout, &programs, OomScore::Free).contains("restrict_oom_score_adj = false")
        );
    }
}
