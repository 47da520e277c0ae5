//! All of this package is in its tests.
