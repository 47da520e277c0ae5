//! What connects to the private cluster: its port and the passwords, kept in the data folder for its owner alone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::{fmt, io};

use super::DATABASE;

pub(super) const SUPERUSER: &str = "postgres";

#[derive(Serialize, Deserialize)]
pub(super) struct Connection {
    /// Where folder and cluster are when not in the data folder itself.
    pub elsewhere: Option<PathBuf>,
    /// The last port; 0: none yet.
    pub port: u16,
    pub superuser_password: String,
    pub owner_password: String,
    pub app_password: String,
}

impl Connection {
    pub fn new(elsewhere: Option<PathBuf>) -> Self {
        Self {
            elsewhere,
            port: 0,
            superuser_password: random_password(),
            owner_password: random_password(),
            app_password: random_password(),
        }
    }

    /// The alphabet of the passwords needs no escaping in a URL.
    pub fn url(&self, role: &str, password: &str) -> String {
        format!("postgres://{role}:{password}@{}:{}/{DATABASE}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// Keeps the remembered port when it is free, else takes any free one.
    pub fn choose_port(&mut self) -> io::Result<()> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        self.port = listener.local_addr()?.port();
        Ok(())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("port", &self.port).finish_non_exhaustive()
    }
}

fn random_password() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>())
}
