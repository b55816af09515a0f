//! The one integration binary: a file per feature.

mod corpus;
mod floors;
