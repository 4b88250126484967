//! Carries frames between one WebSocket and whoever answers it.

use std::future::Future;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use belfry_session::{SignalOut, SignalSocket};

/// How long a client may take to take one frame.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the other side may take to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the answering side wants next.
#[derive(Debug)]
pub(crate) enum Out {
    Frame(Vec<u8>),
    Close(u16),
    /// End the connection without a close frame.
    #[cfg(feature = "faults")]
    Drop,
}

/// The answering side of one socket.
pub(crate) trait Answering: Send + 'static {
    fn next(&mut self) -> impl Future<Output = Out> + Send;
    fn frame(&mut self, bytes: Vec<u8>) -> impl Future<Output = ()> + Send;
}

impl Answering for SignalSocket {
    async fn next(&mut self) -> Out {
        match SignalSocket::next(self).await {
            Some(SignalOut::Frame(bytes)) => Out::Frame(bytes),
            // Its queue is gone: it did not keep up, or the lesson is over.
            Some(SignalOut::Close) | None => Out::Close(close_code::NORMAL),
        }
    }

    async fn frame(&mut self, bytes: Vec<u8>) {
        SignalSocket::frame(self, bytes).await;
    }
}

/// Until one side is done.
pub(crate) async fn carry(mut web: WebSocket, mut answering: impl Answering) {
    let code = loop {
        tokio::select! {
            out = answering.next() => match out {
                Out::Frame(bytes) => {
                    let sending = web.send(Message::Binary(bytes.into()));
                    if !matches!(tokio::time::timeout(SEND_TIMEOUT, sending).await, Ok(Ok(()))) {
                        return;
                    }
                }
                Out::Close(code) => break code,
                #[cfg(feature = "faults")]
                Out::Drop => return,
            },
            read = web.recv() => match read {
                Some(Ok(Message::Binary(bytes))) => answering.frame(bytes.to_vec()).await,
                Some(Ok(Message::Text(_))) => break close_code::UNSUPPORTED,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
        }
    };
    close(web, code).await;
}

/// Closes so that what was sent before arrives: a connection that is cut with unread bytes is reset.
async fn close(mut web: WebSocket, code: u16) {
    let frame = CloseFrame { code, reason: "".into() };
    let closing = async {
        if web.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = web.recv().await {}
        }
    };
    if tokio::time::timeout(CLOSE_TIMEOUT, closing).await.is_err() {
        tracing::debug!("a signalling socket did not answer its close");
    }
}
