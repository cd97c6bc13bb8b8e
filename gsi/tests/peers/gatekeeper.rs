//! Our connector against the stock `globus-gatekeeper`.
