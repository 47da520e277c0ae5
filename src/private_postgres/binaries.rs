//! The machine's PostgreSQL programs. Debian keeps the server's out of PATH, one folder per major version.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{env, fs};

use super::PrivatePostgresError;
use super::account::Account;

const DEBIAN_FOLDER: &str = "/usr/lib/postgresql";
const NEEDED: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

#[derive(Debug)]
pub(super) struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// The programs of PATH, then Debian's, newest first. A cluster that exists needs those of the `wanted` major version.
    pub async fn find(account: &Account, wanted: Option<(PathBuf, u32)>) -> Result<Self, PrivatePostgresError> {
        let path = env::var_os("PATH").unwrap_or_default();
        Self::find_in(candidates(&path, Path::new(DEBIAN_FOLDER)), account, wanted).await
    }

    pub async fn find_in(
        candidates: Vec<PathBuf>,
        account: &Account,
        wanted: Option<(PathBuf, u32)>,
    ) -> Result<Self, PrivatePostgresError> {
        let usable = candidates
            .into_iter()
            .filter(|folder| account.can_reach(folder) && NEEDED.iter().all(|program| folder.join(program).is_file()));
        let Some((cluster, major)) = wanted else {
            return usable.map(|folder| Self { folder }).next().ok_or(PrivatePostgresError::BinariesMissing);
        };
        for folder in usable {
            if major_version(account, &folder).await == Some(major) {
                return Ok(Self { folder });
            }
        }
        Err(PrivatePostgresError::OtherVersion { cluster, major })
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Real folders, because a link in PATH may stand alone, without the programs that belong to it.
fn candidates(path: &OsStr, debian: &Path) -> Vec<PathBuf> {
    let in_path = env::split_paths(path)
        .filter_map(|folder| folder.join("initdb").canonicalize().ok())
        .filter_map(|initdb| Some(initdb.parent()?.to_path_buf()));
    in_path.chain(debian_folders(debian)).collect()
}

fn debian_folders(root: &Path) -> Vec<PathBuf> {
    let mut majors: Vec<u32> =
        fs::read_dir(root).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    majors.sort_unstable_by(|one, other| other.cmp(one));
    majors.into_iter().map(|major| root.join(major.to_string()).join("bin")).collect()
}

/// From a line like `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
async fn major_version(account: &Account, folder: &Path) -> Option<u32> {
    let mut command = tokio::process::Command::from(account.command(folder.join("postgres")));
    let output = command.arg("--version").output().await.ok()?;
    let line = String::from_utf8(output.stdout).ok()?;
    line.split(' ').nth(2)?.split('.').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_binaries_one_line_names_the_package_to_install() {
        let nowhere = candidates(OsStr::new("/nonexistent"), Path::new("/nonexistent"));
        let error = Binaries::find_in(nowhere, &Account::find().unwrap(), None).await.unwrap_err().to_string();
        assert!(error.contains("install Debian's package postgresql"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    #[tokio::test]
    async fn a_cluster_of_another_major_version_asks_for_its_package() {
        let account = Account::find().unwrap();
        let error = Binaries::find(&account, Some((PathBuf::from("/data"), 8))).await.unwrap_err().to_string();
        assert!(error.contains("/data was written by PostgreSQL 8: install Debian's package postgresql-8"), "{error}");
    }
}
