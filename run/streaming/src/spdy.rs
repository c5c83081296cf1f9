//! SPDY/3.1, as far as Kubernetes uses it: many byte streams with headers over one connection.
//!
//! Either side opens streams; each direction of a stream ends by itself. As in all other
//! implementations that Kubernetes uses there is no flow control per stream: a stream that nobody
//! reads holds up the connection. Settings and window updates are read and ignored.
//!
//! Source: SPDY protocol, draft 3.1.

mod connection;
mod dictionary;
mod frame;
mod headers;

pub use connection::{Connection, Incoming, Role, Stream, start};
pub use frame::SpdyError;
pub use headers::Headers;
