//! The `[gatekeeper.limits]` table: what a peer may use up. One list, from which the defaults, the site file of
//! `gridiron init` and what `gridiron check` shows are made.

use gsi::admission::Bounds;
use serde::Deserialize;
use std::time::Duration;

/// One limit as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Its key in the site file.
    pub name: &'static str,
    /// What holds here.
    pub value: u64,
    /// What holds when the site file says nothing.
    pub default: u64,
    /// One sentence.
    pub meaning: &'static str,
}

macro_rules! limits {
    ($($(#[doc = $meaning:literal])+ $name:ident = $default:literal;)+) => {
        /// Bounds on what peers can use up; every number is at least 1.
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Limits {
            $($(#[doc = $meaning])+ pub $name: u64,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Limits {
            /// All limits, in a sensible order.
            #[must_use]
            pub fn all(&self) -> Vec<Limit> {
                vec![$(Limit {
                    name: stringify!($name),
                    value: self.$name,
                    default: $default,
                    meaning: concat!($($meaning),+).trim_ascii(),
                },)+]
            }
        }
    };
}

limits! {
    /// Seconds for the TLS handshake and the delegation.
    handshake_seconds = 30;
    /// Seconds for a request to arrive, header and body, and for its reply to be taken.
    request_seconds = 30;
    /// Seconds for which nothing may come from a peer while something is waited for.
    idle_seconds = 15;
    /// Seconds for the job manager's answer.
    answer_seconds = 600;
    /// Seconds from the beginning of a connection to the answer, whatever it consists of.
    total_seconds = 720;
    /// Seconds for a job manager to start.
    start_seconds = 30;
    /// Seconds for running requests to finish when the gatekeeper stops.
    stop_seconds = 60;
    /// Connections not authenticated yet; when another comes, the one that has waited longest must go.
    handshakes = 256;
    /// Authenticated connections served at once.
    connections = 512;
    /// Connections of both kinds from one address (an IPv6 /64 network counts as one).
    connections_per_address = 256;
    /// Authenticated connections of one subject.
    connections_per_subject = 256;
    /// Requests of one subject in a minute, in the long run.
    requests_per_minute = 30000;
    /// Requests of one subject at once, after a pause.
    requests_burst = 2000;
}

impl Limits {
    /// What is wrong with the numbers.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let zero = self.all().into_iter().filter(|limit| limit.value == 0);
        let mut problems: Vec<String> =
            zero.map(|limit| format!("`{}` is 0 and must be at least 1", limit.name)).collect();
        let steps = self.handshake_seconds.saturating_add(self.request_seconds);
        if self.total_seconds < steps {
            problems.push(format!(
                "`total_seconds` ({}) is less than `handshake_seconds` and `request_seconds` together ({steps})",
                self.total_seconds
            ));
        }
        problems
    }

    /// How many connections at once.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        let number = |limit| usize::try_from(limit).unwrap_or(usize::MAX);
        Bounds {
            strangers: number(self.handshakes),
            guests: number(self.connections),
            per_address: number(self.connections_per_address),
            per_identity: number(self.connections_per_subject),
        }
    }

    /// [`Self::handshake_seconds`].
    #[must_use]
    pub fn handshake(&self) -> Duration {
        Duration::from_secs(self.handshake_seconds)
    }

    /// [`Self::request_seconds`].
    #[must_use]
    pub fn request(&self) -> Duration {
        Duration::from_secs(self.request_seconds)
    }

    /// [`Self::idle_seconds`].
    #[must_use]
    pub fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    /// [`Self::answer_seconds`].
    #[must_use]
    pub fn answer(&self) -> Duration {
        Duration::from_secs(self.answer_seconds)
    }

    /// [`Self::total_seconds`].
    #[must_use]
    pub fn total(&self) -> Duration {
        Duration::from_secs(self.total_seconds)
    }

    /// [`Self::start_seconds`].
    #[must_use]
    pub fn start(&self) -> Duration {
        Duration::from_secs(self.start_seconds)
    }

    /// [`Self::stop_seconds`].
    #[must_use]
    pub fn stop(&self) -> Duration {
        Duration::from_secs(self.stop_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_listed_with_its_meaning() {
        let all = Limits::default().all();
        assert_eq!(all.len(), 13);
        for limit in all {
            assert!(limit.value == limit.default && limit.meaning.ends_with('.'), "{limit:?}");
        }
        assert_eq!(Limits::default().problems(), [""; 0]);
    }

    #[test]
    fn nothing_can_be_switched_off() {
        let limits = Limits { idle_seconds: 0, total_seconds: 5, ..Limits::default() };
        let problems = limits.problems();
        assert!(problems[0].contains("`idle_seconds` is 0"), "{problems:?}");
        assert!(problems[1].contains("`total_seconds` (5)"), "{problems:?}");
    }
}
