//! Stand-ins for the world outside: each serves on loopback, speaks the wire format of what it stands for, counts what
//! it did, and misbehaves when it is told to.

pub mod privy;
pub mod provider;
