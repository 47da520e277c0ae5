//! Black-box tests over HTTP: one file per door.

#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;

#[cfg(test)]
mod cli;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod house;
#[cfg(test)]
mod models;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod shutdown;
