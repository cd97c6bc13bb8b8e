//! What is counted and measured, in the terms of Prometheus. [`export`] shows it over HTTP.
//!
//! Everything a label can say is one of a few fixed words: what a peer sends never makes a new time series.

pub mod export;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

/// Upper bounds of the histograms' buckets, in seconds: from a resumed connection to the longest deadline.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 600.0];

/// One decision, as its audit line has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Decision {
    /// `ping`, `version`, `job`, or `none` when it did not come to that.
    pub operation: &'static str,
    /// `granted`, `rejected` or `refused`.
    pub outcome: &'static str,
    /// The audit line's `code`; `ok` when nothing was wrong.
    pub code: &'static str,
}

/// The gatekeeper's metrics. Cheap to clone: all clones count together.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Connections that came in.
    pub connections: Counter,
    /// Connections being served now.
    pub open: Gauge,
    /// Connections closed at once, for want of a place.
    pub turned_away: Counter,
    /// Decisions: one for each audit line.
    pub decisions: Family<Decision, Counter>,
    /// From the connection to the end of handshake and delegation.
    pub handshake: Seconds,
    /// From the connection to the answer.
    pub answer: Seconds,
    /// From the hand-over of a job request to the job manager's word on it.
    pub job_manager: Seconds,
    /// Audit lines that could not be written.
    pub audit_failures: Counter,
}

/// A connection that is being served, as long as this lives.
#[derive(Debug)]
pub struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A histogram of durations.
#[derive(Debug, Clone)]
pub struct Seconds(Histogram);

impl Seconds {
    /// Adds one.
    pub fn observe(&self, took: Duration) {
        self.0.observe(took.as_secs_f64());
    }
}

impl Default for Seconds {
    fn default() -> Self {
        Self(Histogram::new(SECONDS))
    }
}

impl Metrics {
    /// A connection has come in.
    #[must_use]
    pub fn connection(&self) -> Open {
        self.connections.inc();
        self.open.inc();
        Open(self.open.clone())
    }

    /// All metrics under their names, with this process's memory and open files as they are now.
    fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("gridiron_gatekeeper");
        registry.register("connections", "Connections that came in", self.connections.clone());
        registry.register("open_connections", "Connections being served", self.open.clone());
        registry.register("turned_away", "Connections closed for want of a place", self.turned_away.clone());
        registry.register("decisions", "Decisions, one for each audit line", self.decisions.clone());
        for (name, help, seconds) in [
            ("handshake", "From the connection to the end of handshake and delegation", &self.handshake),
            ("answer", "From the connection to the answer", &self.answer),
            ("job_manager_answer", "From a job's hand-over to the job manager's answer", &self.job_manager),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, seconds.0.clone());
        }
        registry.register("audit_failures", "Audit lines not written", self.audit_failures.clone());
        let resident: Gauge = Gauge::default();
        resident.set(resident_bytes().unwrap_or_default());
        registry.register_with_unit("resident_memory", "Memory in use", Unit::Bytes, resident);
        let files: Gauge = Gauge::default();
        files.set(open_files().unwrap_or_default());
        registry.register("open_files", "Open descriptors", files);
        registry
    }

    /// The page Prometheus reads (OpenMetrics text).
    pub fn page(&self) -> String {
        let mut page = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut page, &self.registry());
        page
    }
}

fn resident_bytes() -> Option<i64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = statm.split(' ').nth(1)?.parse().ok()?;
    pages.checked_mul(i64::try_from(rustix::param::page_size()).ok()?)
}

fn open_files() -> Option<i64> {
    i64::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_series() {
        let metrics = Metrics::default();
        drop(metrics.connection());
        metrics.handshake.observe(Duration::from_millis(3));
        let refused = Decision { operation: "job", outcome: "refused", code: "unmapped" };
        metrics.decisions.get_or_create(&refused).inc();
        let page = metrics.page();
        for line in [
            "gridiron_gatekeeper_connections_total 1",
            "gridiron_gatekeeper_open_connections 0",
            r#"gridiron_gatekeeper_decisions_total{operation="job",outcome="refused",code="unmapped"} 1"#,
            r#"gridiron_gatekeeper_handshake_seconds_bucket{le="0.0025"} 0"#,
            r#"gridiron_gatekeeper_handshake_seconds_bucket{le="0.005"} 1"#,
            "gridiron_gatekeeper_answer_seconds_count 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
        let memory =
            page.lines().find_map(|line| line.strip_prefix("gridiron_gatekeeper_resident_memory_bytes "));
        assert!(memory.unwrap().parse::<i64>().unwrap() > 1 << 20, "{page}");
        assert!(page.ends_with("# EOF\n"));
    }
}
