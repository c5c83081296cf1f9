//! What the fuzz targets share: real objects to begin with, and damage that the fuzzer's input directs.
//!
//! An input names a sample and then edits, four bytes each. So nearly every input gets past the parser, and the fuzzer
//! searches among objects rather than among texts.

pub mod damage;
pub mod samples;
