//! `POST /auth`: signing in with Privy.

mod accounts;
mod forgeries;
mod keys_of_privy;
mod sessions;
mod shapes;

use crate::support::privy::{APP_ID, PrivyApp, body};
use crate::support::{Reply, eventually};
use serde_json::{Value, json};

const ADA: &str = "did:privy:cmgg27la00077ie0cyazmvlsa";
const BOB: &str = "did:privy:cmzz99bb11188jf1dzbanwmtb";
