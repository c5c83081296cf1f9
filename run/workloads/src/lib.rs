//! Watches the workloads of any cluster and shows what the status engine says about them.
//!
//! `sampan status` is [`run`]; [`publish`] serves `kubectl get workloads`. What an API or a console needs is below it: [`World`] holds the objects
//! of a cluster and joins them, [`Board`] keeps the verdicts and says which of them changed,
//! [`Session`] feeds both from a cluster.
//!
//! Invariants as absences: no rule about any kind is decided here; one list and watch per kind, never
//! a request per workload; no object is asked for again and again: a verdict that changes by time alone is
//! judged again at its own `recheckAt`. Only whether a person's cluster still answers is asked now and
//! then, since a dead connection looks like a cluster where nothing happens.

mod args;
mod board;
mod discover;
mod error;
mod follow;
mod kinds;
mod lang;
mod lean;
mod live;
mod offline;
mod pack;
mod publish;
mod pulse;
mod run;
mod session;
mod show;
mod world;

pub use args::{OutputForm, StatusArgs};
pub use board::{Board, BoardChange, Item, View};
pub use discover::{Followed, Plan, Role, Target};
pub use error::StatusError;
pub use lang::Lang;
pub use publish::{WORKLOADS, publish, roles};
pub use run::{Outcome, run};
pub use session::{Notice, Session};
pub use world::{Around, Id, Lean, Reading, World};
