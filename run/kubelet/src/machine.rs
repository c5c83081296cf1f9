//! Facts about the machine, read once at the start.

use std::path::Path;

use node::node_status::Facts;
use tokio::fs::read_to_string;

use crate::config::KubeletConfig;

/// What does not change while the agent runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    pub(crate) memory_bytes: u64,
    cpus: u32,
    disk_bytes: u64,
    id: String,
    system_uuid: String,
    boot_id: String,
    kernel_version: String,
    os_image: String,
}

impl Machine {
    /// Reads the facts; what cannot be read stays empty.
    pub(crate) async fn read(data_dir: &Path) -> Self {
        let line =
            |text: Result<String, std::io::Error>| text.unwrap_or_default().trim().to_owned();
        let meminfo = read_to_string("/proc/meminfo").await.unwrap_or_default();
        let release = read_to_string("/etc/os-release").await.unwrap_or_default();
        let machine_id = line(read_to_string("/etc/machine-id").await);
        let uuid = line(read_to_string("/sys/class/dmi/id/product_uuid").await);
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let disk = rustix::fs::statvfs(data_dir);
        Self {
            memory_bytes: memory_bytes(&meminfo),
            cpus: u32::try_from(cpus).unwrap_or(1),
            disk_bytes: disk
                .map(|disk| disk.f_blocks * disk.f_frsize)
                .unwrap_or_default(),
            system_uuid: if uuid.is_empty() {
                machine_id.clone()
            } else {
                uuid
            },
            id: machine_id,
            boot_id: line(read_to_string("/proc/sys/kernel/random/boot_id").await),
            kernel_version: line(read_to_string("/proc/sys/kernel/osrelease").await),
            os_image: pretty_name(&release),
        }
    }

    /// The facts a node's status is made from; those of the runtime are left empty.
    pub(crate) fn facts(&self, config: &KubeletConfig) -> Facts {
        Facts {
            hostname: config.node_name.clone(),
            ips: config.node_ips.iter().map(ToString::to_string).collect(),
            cpus: self.cpus,
            memory_bytes: self.memory_bytes,
            disk_bytes: self.disk_bytes,
            machine_id: self.id.clone(),
            system_uuid: self.system_uuid.clone(),
            boot_id: self.boot_id.clone(),
            kernel_version: self.kernel_version.clone(),
            os_image: self.os_image.clone(),
            architecture: architecture().to_owned(),
            pods_max: config.pods_max,
            ..Facts::default()
        }
    }
}

/// The architecture in Go's words.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn memory_bytes(meminfo: &str) -> u64 {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

fn pretty_name(release: &str) -> String {
    let value = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    value.unwrap_or("Linux").trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_files_are_read() {
        assert_eq!(
            memory_bytes("MemFree: 1 kB\nMemTotal:       2048 kB\n"),
            2 << 20
        );
        assert_eq!(
            pretty_name("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"),
            "Debian GNU/Linux 12"
        );
        assert_eq!(pretty_name(""), "Linux");
    }
}
