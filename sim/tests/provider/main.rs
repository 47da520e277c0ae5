//! The stand-in provider, seen from the wire: by a usual HTTP client where answers are usual, byte by byte where not.

#[cfg(test)]
mod control;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod oddities;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod stream;
#[cfg(test)]
mod support;
