//! The SSL-compatible style against `openssl`.
