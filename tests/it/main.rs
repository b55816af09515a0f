//! The one integration binary: a file per feature.

mod connection;
mod corpus;
mod floors;
#[path = "../fuzz/toy.rs"]
mod toy;
