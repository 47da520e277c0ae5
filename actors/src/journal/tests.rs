use super::*;
use std::fs;
use std::path::PathBuf;

/// A file of this test's own, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tollgate-journal-{name}-{}", std::process::id()));
        drop(fs::remove_file(&path));
        Self(path)
    }

    fn open(&self) -> Journal {
        Journal::open(&self.0, 1 << 20).expect("a journal")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

#[test]
fn what_was_appended_comes_back_in_order_after_a_restart() {
    let scratch = Scratch::new("order");
    let mut journal = scratch.open();
    for record in [b"one".as_slice(), b"", b"three"] {
        journal.append(record).expect("room");
    }
    drop(journal);
    assert_eq!(scratch.open().read_all().expect("readable"), [b"one".to_vec(), Vec::new(), b"three".to_vec()]);
}

#[test]
fn a_torn_tail_is_cut_off_wherever_it_was_torn_and_the_journal_goes_on() {
    let scratch = Scratch::new("torn");
    let mut journal = scratch.open();
    journal.append(b"kept").expect("room");
    let kept = journal.len();
    journal.append(b"torn apart").expect("room");
    let whole = fs::read(&scratch.0).expect("readable");
    drop(journal);
    for end in kept..u64::try_from(whole.len()).expect("small") {
        fs::write(&scratch.0, &whole[..usize::try_from(end).expect("small")]).expect("writable");
        let mut journal = scratch.open();
        assert_eq!(journal.read_all().expect("readable"), [b"kept".to_vec()], "torn at {end}");
        journal.append(b"next").expect("room");
        drop(journal);
        assert_eq!(scratch.open().read_all().expect("readable"), [b"kept".to_vec(), b"next".to_vec()]);
    }
}

#[test]
fn a_flipped_bit_ends_the_journal_before_it() {
    let scratch = Scratch::new("flipped");
    let mut journal = scratch.open();
    journal.append(b"kept").expect("room");
    let kept = usize::try_from(journal.len()).expect("small");
    journal.append(b"flipped").expect("room");
    let whole = fs::read(&scratch.0).expect("readable");
    drop(journal);
    for at in kept..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs::write(&scratch.0, flipped).expect("writable");
        assert_eq!(scratch.open().read_all().expect("readable"), [b"kept".to_vec()], "flipped at {at}");
    }
}

#[test]
fn zeroes_that_a_power_cut_left_are_no_records() {
    let scratch = Scratch::new("zeroes");
    fs::write(&scratch.0, [0; 64]).expect("writable");
    assert!(scratch.open().is_empty());
}

#[test]
fn a_full_journal_refuses_and_keeps_what_it_has() {
    let scratch = Scratch::new("full");
    let mut journal = Journal::open(&scratch.0, 32).expect("a journal");
    journal.append(b"0123456789").expect("room");
    assert_eq!(journal.append(b"0123456789ABCDEF").expect_err("full").kind(), io::ErrorKind::StorageFull);
    journal.append(b"small").expect("room");
    assert_eq!(journal.read_all().expect("readable"), [b"0123456789".to_vec(), b"small".to_vec()]);
}

#[test]
fn a_cleared_journal_is_empty_after_a_restart_and_takes_records_again() {
    let scratch = Scratch::new("cleared");
    let mut journal = scratch.open();
    journal.append(b"landed").expect("room");
    journal.clear().expect("cleared");
    journal.append(b"new").expect("room");
    drop(journal);
    assert_eq!(scratch.open().read_all().expect("readable"), [b"new".to_vec()]);
}

#[test]
fn two_at_once_are_refused() {
    let scratch = Scratch::new("locked");
    let _first = scratch.open();
    assert_eq!(Journal::open(&scratch.0, 1 << 20).expect_err("locked").kind(), io::ErrorKind::ResourceBusy);
}
