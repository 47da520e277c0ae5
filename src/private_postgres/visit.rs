//! The addresses of a private PostgreSQL that another process keeps: for commands beside a running server.

use super::connection::Connection;
use super::error::file_error;
use super::folder::read_connection;
use super::{APP_ROLE, OWNER_ROLE, PrivatePostgres, PrivatePostgresError};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;

/// Addresses with their passwords.
pub struct Running {
    pub database_url: String,
    pub admin_url: String,
}

impl PrivatePostgres {
    /// The private PostgreSQL of that data folder, if one runs; it stays its owner's.
    pub fn running(data_dir: &Path) -> Result<Option<Running>, PrivatePostgresError> {
        let file = data_dir.join("postgres").join("connection.json");
        if !file.try_exists().map_err(file_error("look at", &file))? {
            return Ok(None);
        }
        let known = read_connection(&file)?.filter(answers);
        Ok(known.map(|connection| Running {
            database_url: connection.url(APP_ROLE, &connection.app_password),
            admin_url: connection.url(OWNER_ROLE, &connection.owner_password),
        }))
    }
}

fn answers(connection: &Connection) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, connection.port)).is_ok()
}
