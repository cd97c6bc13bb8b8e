//! One audit line (JSON) per decision.
