//! The listener: accepts, bounds, spawns one task per connection, stops gracefully.

/// A bound gatekeeper.
pub struct Gatekeeper {/* owner decides */}

impl Gatekeeper {
    /// Reads certificates and gridmap, binds.
    pub async fn bind(_config: crate::Config) -> std::io::Result<Self> {
        todo!()
    }
    /// `host:port:subject`, what clients use.
    pub fn contact(&self) -> String {
        todo!()
    }
    /// Serves until `stop` completes; then lets running requests finish.
    pub async fn run(self, _stop: impl std::future::Future<Output = ()>) -> std::io::Result<()> {
        todo!()
    }
}

/// Bind and run.
pub async fn serve(
    _config: crate::Config,
    _stop: impl std::future::Future<Output = ()>,
) -> std::io::Result<()> {
    todo!()
}
