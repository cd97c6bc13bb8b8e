//! The service table: own configuration and classic /etc/grid-services files (gram.md §16).
