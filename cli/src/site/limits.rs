//! What clients of a site can use up at most, as `gridiron check` shows it: what the site file may change, and what is
//! fixed.

use gatekeeper::config::Limit;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Limits of protocols and formats. Changing one changes what other programs may send us, so no site file does.
fn fixed() -> [(&'static str, usize, &'static str); 14] {
    [
        ("handshake_bytes", gsi::tls::MAX_HANDSHAKE, "Bytes a peer may send before it is authenticated."),
        ("certificate_bytes", gsi::certificate::MAX_CERTIFICATE_BYTES, "Bytes of one certificate."),
        ("chain_certificates", gsi::chain::MAX_CHAIN_LENGTH, "Certificates in a chain."),
        ("delegation_bytes", gsi::request::MAX_REQUEST, "Bytes of a delegation request."),
        ("header_bytes", gram::wire::MAX_HEADER, "Bytes of a request's header."),
        ("body_bytes", gram::wire::MAX_BODY, "Bytes of a request's body, and of the RSL in it."),
        ("attributes", gram::wire::body::MAX_ATTRIBUTES, "Attributes in a body."),
        ("rsl_depth", rsl::parse::MAX_DEPTH, "Nesting of an RSL request."),
        ("rsl_evaluated_bytes", rsl::evaluate::MAX_EVALUATED_BYTES, "Bytes of RSL after substitution."),
        ("gridmap_bytes", gsi::gridmap::MAX_GRIDMAP_BYTES, "Bytes of the gridmap."),
        ("banned_bytes", gsi::banlist::MAX_BAN_LIST_BYTES, "Bytes of the ban list."),
        ("crl_bytes", gsi::crl::MAX_CRL_BYTES, "Bytes of a revocation list."),
        (
            "contact_handshakes",
            jobmanager::listener::BOUNDS.strangers,
            "Job contact: peers not authenticated yet.",
        ),
        ("contact_connections", jobmanager::listener::BOUNDS.guests, "Job contact: queries served at once."),
    ]
}

/// For people: one limit a line, those that differ from the default marked.
pub fn text(limits: &[Limit]) -> String {
    let mut text = String::from("limits ([gatekeeper.limits]):");
    for Limit { name, value, default, meaning } in limits {
        let note = if value == default { String::new() } else { format!(" (default {default})") };
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {name:<24} {value:>8}  {meaning}{note}");
    }
    text += "\nfixed limits:";
    for (name, value, meaning) in fixed() {
        let _ = write!(text, "\n  {name:<24} {value:>8}  {meaning}");
    }
    text
}

/// For programs.
pub fn json(limits: &[Limit]) -> Value {
    let settable = limits.iter().map(|limit| {
        json!({ "name": limit.name, "value": limit.value, "default": limit.default, "meaning": limit.meaning })
    });
    let fixed = fixed().map(
        |(name, value, meaning)| json!({ "name": name, "value": value, "fixed": true, "meaning": meaning }),
    );
    settable.chain(fixed).collect()
}
