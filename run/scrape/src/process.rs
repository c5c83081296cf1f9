//! What the kernel says of this process. Source: prometheus client conventions, `process_*`.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use crate::registry::{Registry, UNRATED};

/// A gauge of a measured quantity.
type Quantity = Gauge<f64, AtomicU64>;
/// A counter of one.
type Sum = Counter<f64, AtomicU64>;

/// Clock ticks per second in `/proc/self/stat`; fixed at 100 on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// What stands for no limit at all. Source: Prometheus' procfs, which reads it as the largest number.
const UNLIMITED_BYTES: f64 = 18_446_744_073_709_551_615.0;

/// Metrics of this process.
pub struct Process {
    cpu_seconds: Sum,
    received_bytes: Sum,
    sent_bytes: Sum,
    resident_bytes: Quantity,
    virtual_bytes: Quantity,
    virtual_bytes_max: Quantity,
    open_files: Quantity,
    open_files_max: Quantity,
    start_seconds: Quantity,
}

impl Process {
    /// Adds the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let process = Self {
            cpu_seconds: Sum::default(),
            received_bytes: Sum::default(),
            sent_bytes: Sum::default(),
            resident_bytes: Quantity::default(),
            virtual_bytes: Quantity::default(),
            virtual_bytes_max: Quantity::default(),
            open_files: Quantity::default(),
            open_files_max: Quantity::default(),
            start_seconds: Quantity::default(),
        };
        let counters = [
            (
                "process_cpu_seconds_total",
                "Total user and system CPU time spent in seconds",
                &process.cpu_seconds,
            ),
            (
                "process_network_receive_bytes_total",
                "Number of bytes received over the network where the process runs",
                &process.received_bytes,
            ),
            (
                "process_network_transmit_bytes_total",
                "Number of bytes sent over the network where the process runs",
                &process.sent_bytes,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(UNRATED, name, help, counter.clone());
        }
        let gauges = [
            (
                "process_resident_memory_bytes",
                "Resident memory size in bytes",
                &process.resident_bytes,
            ),
            (
                "process_virtual_memory_bytes",
                "Virtual memory size in bytes",
                &process.virtual_bytes,
            ),
            (
                "process_virtual_memory_max_bytes",
                "Maximum amount of virtual memory available in bytes",
                &process.virtual_bytes_max,
            ),
            (
                "process_open_fds",
                "Number of open file descriptors",
                &process.open_files,
            ),
            (
                "process_max_fds",
                "Maximum number of open file descriptors",
                &process.open_files_max,
            ),
            (
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds",
                &process.start_seconds,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(UNRATED, name, help, gauge.clone());
        }
        process
    }

    /// Reads the present values. What cannot be read stays as it was.
    pub fn refresh(&self) {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let stat = read("/proc/self/stat");
        // The command name stands in brackets and may hold blanks.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<f64> = after_name
            .split_whitespace()
            .map(|field| field.parse().unwrap_or_default())
            .collect();
        let field = |index: usize| fields.get(index).copied().unwrap_or_default();
        // Counted from the state, which is field 3 of proc(5): utime 14, stime 15, starttime 22, vsize 23.
        let cpu = (field(11) + field(12)) / TICKS_PER_SECOND;
        raise(&self.cpu_seconds, cpu);
        let netstat = read("/proc/self/net/netstat");
        raise(&self.received_bytes, column(&netstat, "IpExt:", "InOctets"));
        raise(&self.sent_bytes, column(&netstat, "IpExt:", "OutOctets"));
        self.virtual_bytes.set(field(20));
        let booted = line(&read("/proc/stat"), "btime");
        self.start_seconds
            .set(booted + field(19) / TICKS_PER_SECOND);
        self.resident_bytes
            .set(line(&read("/proc/self/status"), "VmRSS:") * 1024.0);
        let limits = read("/proc/self/limits");
        self.open_files_max.set(line(&limits, "Max open files"));
        let unlimited = limits.contains("Max address space         unlimited");
        self.virtual_bytes_max.set(if unlimited {
            UNLIMITED_BYTES
        } else {
            line(&limits, "Max address space")
        });
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            let count = u32::try_from(files.count()).unwrap_or(u32::MAX);
            self.open_files.set(f64::from(count));
        }
    }
}

/// Brings a counter to what is counted elsewhere.
fn raise(counter: &Sum, count: f64) {
    let more = count - counter.get();
    if more > 0.0 {
        counter.inc_by(more);
    }
}

/// The number below a title, in a table whose lines all start with `label`; 0 when there is none.
fn column(text: &str, label: &str, title: &str) -> f64 {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(label));
    let (titles, numbers) = (lines.next(), lines.next());
    let titles = titles.unwrap_or_default().split_whitespace();
    let numbers = numbers.unwrap_or_default().split_whitespace();
    let number = titles.zip(numbers).find(|(known, _)| *known == title);
    number
        .and_then(|(_, number)| number.parse().ok())
        .unwrap_or_default()
}

/// The first number of the line that starts with `label`; 0 when there is none.
fn line(text: &str, label: &str) -> f64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(label));
    let number = rest.and_then(|rest| rest.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_kernel_are_read_by_their_titles() {
        let table = "TcpExt: A B\nTcpExt: 1 2\nIpExt: X InOctets OutOctets\nIpExt: 3 40 50\n";
        let octets = |title| format!("{}", column(table, "IpExt:", title));
        let found = ["InOctets", "OutOctets", "None"].map(octets);
        assert_eq!(found, ["40", "50", "0"]);
        assert_eq!(line("btime 7\nctxt 8\n", "ctxt").to_string(), "8");
    }
}
