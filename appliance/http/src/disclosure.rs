//! Answers that show what is kept about people: recorded before the first byte, counted to the last
//! (34 CFR 99.32(a): who received what; the order of events is that of the record).

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, BodyDataStream, HttpBody};
use axum::response::Response;
use belfry_audit::{Detail, Holding, Word};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderValue, header};

use crate::audit::Audit;
use crate::problem::Problem;

/// An answer that is on its way. Tells the record what became of it when it is dropped, sent or not.
#[derive(Debug)]
pub(crate) struct Disclosure {
    audit: Audit,
    /// The place in the record of the event that announced it.
    intent: u64,
    status: u16,
    bytes: u64,
    whole: bool,
}

impl Disclosure {
    /// Durable when it returns. If the record cannot be written, nothing may be shown.
    pub(crate) async fn begin(
        audit: &Audit,
        holding: Holding,
        route: &'static str,
        object: Option<i64>,
    ) -> Result<Self, Problem> {
        let detail = Detail::Disclosing { holding, route: Word::new(route), object };
        let receipt = audit.append(detail).await?;
        let audit = audit.clone();
        Ok(Self { audit, intent: receipt.seq(), status: 0, bytes: 0, whole: false })
    }

    /// Counts the bytes of the answer's body as they are taken to be sent.
    pub(crate) fn count(mut self, answer: Response) -> Response {
        let (mut parts, body) = answer.into_parts();
        self.status = parts.status.as_u16();
        if let Some(length) = body.size_hint().exact() {
            // A stream has none of its own, and would be sent in chunks.
            parts.headers.entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(length));
        }
        let length = parts.headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        self.whole = length == Some(0);
        let counted = Counted { body: body.into_data_stream(), length, disclosure: self };
        Response::from_parts(parts, Body::from_stream(counted))
    }
}

impl Drop for Disclosure {
    fn drop(&mut self) {
        let Self { intent, bytes, whole, .. } = *self;
        let status = u64::from(self.status);
        self.audit.enqueue(Detail::Disclosed { intent, status, bytes, whole });
    }
}

/// A body, and what was taken of it.
struct Counted {
    body: BodyDataStream,
    /// Where it is known beforehand: whoever sends it need not look for its end.
    length: Option<u64>,
    disclosure: Disclosure,
}

impl Stream for Counted {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.body.poll_next_unpin(context);
        let Self { length, disclosure, .. } = &mut *self;
        match &next {
            Poll::Ready(Some(Ok(bytes))) => {
                disclosure.bytes += bytes.len() as u64;
                disclosure.whole = *length == Some(disclosure.bytes);
            }
            Poll::Ready(None) => disclosure.whole = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        next
    }
}
