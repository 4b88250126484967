//! Serves the misbehaving signalling edge on loopback, for the suite that ships with
//! livekit-client. Prints its URL and runs until it is killed.

use std::io::Write as _;

use belfry_signalling::Signer;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    // The suite's own key and secret.
    let router = belfry_api::faults::router(Signer::new("devkey", b"secret"));
    writeln!(std::io::stdout(), "ws://{}", listener.local_addr()?)?;
    axum::serve(listener, router).await
}
