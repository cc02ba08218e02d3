//! The manifests are what the API's schema says, and keep what is promised of them.

mod made;
mod network;
mod schema;
mod security;
mod whole;
