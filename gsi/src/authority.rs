//! A small certification authority and certificate requests, for sites without one.
