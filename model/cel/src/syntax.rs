//! Text to tree: tokens, the grammar, going through it.

mod choose;
pub(crate) mod grammar;
pub(crate) mod lexer;
mod machine;
pub(crate) mod token;
pub(crate) mod walk;
