//! A whole gatekeeper on loopback with a fake job manager, asked by our client and by the stock one.

mod house;
mod ours;
mod stock;
