//! The ledger: nobody changes it unnoticed, several replicas write one chain, and none has more rights than it needs.

mod chain;
mod replicas;
mod rights;
mod secure;
mod tampering;
mod verdict;
