//! Black-box tests over HTTP: one file per door.

#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;

#[cfg(test)]
mod errors;
#[cfg(test)]
mod house;
