//! What the kernel says of this process. Source: prometheus client conventions, `process_*`.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::Quantity;

/// Clock ticks per second in `/proc/self/stat`; fixed at 100 on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Metrics of this process.
pub(super) struct Process {
    cpu_seconds: Counter<f64, AtomicU64>,
    resident_bytes: Quantity,
    virtual_bytes: Quantity,
    open_files: Quantity,
    open_files_max: Quantity,
    threads: Quantity,
    start_seconds: Quantity,
}

impl Process {
    /// Adds the metrics.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let process = Self {
            cpu_seconds: Counter::default(),
            resident_bytes: Quantity::default(),
            virtual_bytes: Quantity::default(),
            open_files: Quantity::default(),
            open_files_max: Quantity::default(),
            threads: Quantity::default(),
            start_seconds: Quantity::default(),
        };
        registry.register(
            "process_cpu_seconds",
            "Total user and system CPU time spent in seconds",
            process.cpu_seconds.clone(),
        );
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
                "process_open_fds",
                "Number of open file descriptors",
                &process.open_files,
            ),
            (
                "process_max_fds",
                "Maximum number of open file descriptors",
                &process.open_files_max,
            ),
            ("process_threads", "Number of threads", &process.threads),
            (
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds",
                &process.start_seconds,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        process
    }

    /// Reads the present values. What cannot be read stays as it was.
    pub(super) fn refresh(&self) {
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
        let more = cpu - self.cpu_seconds.get();
        if more > 0.0 {
            self.cpu_seconds.inc_by(more);
        }
        self.threads.set(field(17));
        self.virtual_bytes.set(field(20));
        let booted = line(&read("/proc/stat"), "btime");
        self.start_seconds
            .set(booted + field(19) / TICKS_PER_SECOND);
        self.resident_bytes
            .set(line(&read("/proc/self/status"), "VmRSS:") * 1024.0);
        self.open_files_max
            .set(line(&read("/proc/self/limits"), "Max open files"));
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            let count = u32::try_from(files.count()).unwrap_or(u32::MAX);
            self.open_files.set(f64::from(count));
        }
    }
}

/// The first number of the line that starts with `label`; 0 when there is none.
fn line(text: &str, label: &str) -> f64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(label));
    let number = rest.and_then(|rest| rest.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}
