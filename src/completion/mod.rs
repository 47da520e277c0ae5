pub mod estimate;
pub mod facts;
pub mod refusal;
pub mod request;
pub mod route;
pub mod settle;
pub mod sse;
