//! A small DER writer (gsi.md §15.6): enough for proxies, requests and a CA, keeping foreign name bytes exactly.
