//! The server in process, over a memory store: every test is a conversation.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod admission;
mod answers;
mod audit;
mod bootstrap;
mod connections;
mod flow_control;
mod heavy;
mod http2;
mod late;
mod load;
mod mirrors;
mod oidc;
mod protobuf;
mod races;
mod recordings;
mod room;
mod rows;
mod server;
mod shared;
mod special;
mod verbs;
mod watches;
