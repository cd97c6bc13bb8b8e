//! Proxy files both ways: what the stock tools make of ours, and we of theirs.
