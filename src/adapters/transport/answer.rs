//! The body of an answer, and what becomes of its connection.

use super::destination::Idle;
use super::line::Line;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Read to its end it gives its connection back; dropped before, it closes it, or resets its HTTP/2 stream.
pub struct AnswerBody {
    /// `None` only while it is dropped.
    incoming: Option<Incoming>,
    /// An HTTP/1.1 connection of its own, and where that goes.
    line: Option<(Line, Arc<Idle>)>,
}

impl AnswerBody {
    pub const fn of_line(incoming: Incoming, line: Line, home: Arc<Idle>) -> Self {
        Self { incoming: Some(incoming), line: Some((line, home)) }
    }

    /// Over a connection that is shared, and driven elsewhere.
    pub const fn shared(incoming: Incoming) -> Self {
        Self { incoming: Some(incoming), line: None }
    }

    fn give_back(&mut self) {
        if let Some((mut line, home)) = self.line.take()
            && line.is_free()
        {
            home.keep(line);
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        let polled = match &mut this.line {
            Some((line, _)) => line.poll_frame(incoming, context),
            None => Pin::new(incoming).poll_frame(context),
        };
        if matches!(polled, Poll::Ready(None)) {
            self.give_back();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        // Its last bytes may be here already, unread: then the connection is as good as any.
        self.incoming = None;
        self.give_back();
    }
}
