//! A small file for what is owed while the database is away: records go to its end, each made durable, and come back whole.
//!
//! A record is `length: u32 LE, CRC-32 of length and payload: u32 LE, payload`. A crash in the middle of an append leaves a torn
//! tail, which was never acknowledged: it is cut off at the next opening. Appending and reading block on the disk: call them
//! where a few milliseconds harm nobody.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

#[cfg(test)]
mod tests;

const HEADER_BYTES: usize = 8;

/// An append-only file of records, bounded in bytes. One process at a time: the file is locked while it is open.
#[derive(Debug)]
pub struct Journal {
    file: File,
    length: u64,
    max_bytes: u64,
}

impl Journal {
    /// Opens the file or makes it, and cuts a torn tail off.
    ///
    /// # Errors
    /// Those of the file system; `ResourceBusy` when another process has it open.
    pub fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::ResourceBusy, format!("{} is in use by another process", path.display()))
            }
            TryLockError::Error(error) => error,
        })?;
        // The name in the folder must survive a power cut, too.
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder)?.sync_all()?;
        }
        let mut journal = Self { file, length: 0, max_bytes };
        let content = journal.content()?;
        let whole: usize = records(&content).map(|payload| payload.len() + HEADER_BYTES).sum();
        journal.length = u64::try_from(whole).map_err(io::Error::other)?;
        if whole < content.len() {
            tracing::warn!(path = %path.display(), bytes = content.len() - whole, "a journal's torn tail is cut off");
            journal.cut()?;
        }
        Ok(journal)
    }

    /// Writes one record and waits until it is on the disk.
    ///
    /// # Errors
    /// `StorageFull` when it does not fit the bound, and those of the file system. The record is then not in the journal.
    pub fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(|_| io::ErrorKind::StorageFull)?.to_le_bytes();
        let mut record = Vec::with_capacity(HEADER_BYTES + payload.len());
        record.extend_from_slice(&length);
        record.extend_from_slice(&checksum(length, payload).to_le_bytes());
        record.extend_from_slice(payload);
        let end = self.length.saturating_add(u64::try_from(record.len()).map_err(io::Error::other)?);
        if end > self.max_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = self.file.write_all_at(&record, self.length).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.length = end,
            // Half a record must not stand before the next one.
            Err(_) => self.cut()?,
        }
        written
    }

    /// Every record, oldest first.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn read_all(&mut self) -> io::Result<Vec<Vec<u8>>> {
        Ok(records(&self.content()?).map(<[u8]>::to_vec).collect())
    }

    /// Forgets every record.
    ///
    /// # Errors
    /// Those of the file system: the records may then come back at the next opening.
    pub fn clear(&mut self) -> io::Result<()> {
        self.length = 0;
        self.cut()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Bytes on the disk.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.length
    }

    fn cut(&self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.sync_all()
    }

    fn content(&mut self) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.read_to_end(&mut content)?;
        Ok(content)
    }
}

/// The payloads of the whole records at the start of `content`; ends at the first that is torn.
fn records(mut content: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = content.split_first_chunk::<4>()?;
        let (crc, rest) = rest.split_first_chunk::<4>()?;
        let (payload, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        // Mutant: without this check `a_flipped_bit_ends_the_journal_before_it` is red.
        (checksum(*length, payload) == u32::from_le_bytes(*crc)).then(|| {
            content = rest;
            payload
        })
    })
}

/// Over the length, too: a tail of zeroes is no record.
fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(payload);
    hasher.finalize()
}
