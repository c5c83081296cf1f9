//! The sampan binary.
fn main() {}
