//! The operating-system account PostgreSQL runs as: ours, or `postgres` when we are root, which PostgreSQL refuses.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::{env, io};

use super::PrivatePostgresError;
use super::error::file_error;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    /// User and group to change to; `None`: PostgreSQL runs as we do.
    switch_to: Option<(u32, u32)>,
}

impl Account {
    pub fn find() -> Result<Self, PrivatePostgresError> {
        let own_process = Path::new("/proc/self");
        let user = fs::metadata(own_process).map_err(file_error("look at", own_process))?.uid();
        if user != 0 {
            return Ok(Self { switch_to: None });
        }
        let path = Path::new("/etc/passwd");
        let passwd = fs::read_to_string(path).map_err(file_error("read", path))?;
        let postgres = postgres_in(&passwd).ok_or(PrivatePostgresError::NoPostgresUser)?;
        Ok(Self { switch_to: Some(postgres) })
    }

    pub fn is_another(&self) -> bool {
        self.switch_to.is_some()
    }

    /// A program that runs as this account, away from folders it can't enter and from the caller's `PG…` variables.
    pub fn command(&self, program: PathBuf) -> std::process::Command {
        use std::os::unix::process::CommandExt;

        let mut command = std::process::Command::new(program);
        command.current_dir("/").env_clear().env("LC_ALL", "C").stdin(std::process::Stdio::null());
        if let Some(path) = env::var_os("PATH") {
            command.env("PATH", path);
        }
        if let Some((user, group)) = self.switch_to {
            command.uid(user).gid(group);
        }
        command
    }

    /// Makes the account the owner of `path`.
    pub fn give(&self, path: &Path) -> io::Result<()> {
        match self.switch_to {
            Some((user, group)) => chown(path, Some(user), Some(group)),
            None => Ok(()),
        }
    }

    /// Whether the account may enter `folder` and every folder above it. Supplementary groups do not count: they are dropped.
    pub fn can_reach(&self, folder: &Path) -> bool {
        let Some((user, group)) = self.switch_to else { return true };
        let Ok(folder) = folder.canonicalize() else { return false };
        folder.ancestors().all(|ancestor| fs::metadata(ancestor).is_ok_and(|found| may_enter(&found, user, group)))
    }
}

fn may_enter(folder: &Metadata, user: u32, group: u32) -> bool {
    let mode = folder.permissions().mode();
    let bit = if folder.uid() == user {
        0o100
    } else if folder.gid() == group {
        0o010
    } else {
        0o001
    };
    mode & bit != 0
}

/// User and group id of `postgres` in the text of /etc/passwd.
fn postgres_in(passwd: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().find(|line| line.starts_with("postgres:"))?;
    let mut ids = line.split(':').skip(2);
    Some((ids.next()?.parse().ok()?, ids.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_postgres_is_found_by_its_name_only() {
        let passwd = "root:x:0:0:root:/:/bin/sh\npostgresql:x:7:8::/:\npostgres:x:115:121:admin:/var/lib/postgresql:/bin/sh\n";
        assert_eq!(postgres_in(passwd), Some((115, 121)));
        assert_eq!(postgres_in("root:x:0:0::/:/bin/sh\n"), None);
    }
}
