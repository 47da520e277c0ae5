mod actor;
mod fakes;
mod snapshot;
