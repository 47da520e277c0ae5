use super::*;

#[test]
fn words_join_and_later_ones_win() {
    let behaviour = Behaviour::parse("delay:60; tokens:200;delay:70;rst;eof-after:3").unwrap();
    assert_eq!(behaviour.delay, Duration::from_millis(70));
    assert_eq!(behaviour.tokens, Some(200));
    assert_eq!(behaviour.fault, Some(Fault::EofAfter(3)));
}

#[test]
fn a_number_follows_a_colon_or_a_dash() {
    for (dash, colon) in [("rst-after-3", "rst-after:3"), ("status-503", "status:503"), ("usage-11,7", "usage:11,7")] {
        assert_eq!(Behaviour::parse(dash), Behaviour::parse(colon), "{dash}");
    }
    assert_eq!(Behaviour::parse("usage:11,7").unwrap().usage, UsageReport::Exact { prompt: 11, completion: 7 });
}

#[test]
fn names_that_end_in_digits_are_not_numbers() {
    assert_eq!(Behaviour::parse("error-in-200").unwrap().fault, Some(Fault::ErrorIn200(2)));
    assert_eq!(Behaviour::parse("error-in-200:5").unwrap().fault, Some(Fault::ErrorIn200(5)));
    assert_eq!(Behaviour::parse("500-html").unwrap().fault, Some(Fault::Html500));
    assert_eq!(Behaviour::parse("bad-utf8").unwrap().fault, Some(Fault::BadUtf8));
}

#[test]
fn retry_after_alone_is_a_429_and_keeps_a_status_that_was_said() {
    let alone = Behaviour::parse("retry-after:2").unwrap();
    assert_eq!((alone.fault, alone.retry_after_s), (Some(Fault::Status(429)), Some(2)));
    for words in ["503;retry-after:2", "retry-after:2;503"] {
        let both = Behaviour::parse(words).unwrap();
        assert_eq!((both.fault, both.retry_after_s), (Some(Fault::Status(503)), Some(2)), "{words}");
    }
}

#[test]
fn fast_forgets_what_stood_before() {
    let slow = Behaviour::parse("delay:50;rst").unwrap();
    assert_eq!(slow.and("fast;tokens:3"), Behaviour::parse("tokens:3"));
}

#[test]
fn what_is_no_word_is_refused_by_name() {
    let wrong = [
        "slwo",
        "delay",
        "delay:x",
        "delay:-1",
        "crlf:3",
        "status:99",
        "status:600",
        "usage:1",
        "usage:a,b",
        "silent:1",
        "429:1",
        "rst-after",
        "tokens:18446744073709551616",
    ];
    for word in wrong {
        assert_eq!(Behaviour::parse(&format!("crlf;{word}")), Err(UnknownBehaviour(word.to_owned())));
    }
}

#[test]
fn nothing_said_is_nothing_odd() {
    for words in ["", ";", " ; ", "fast"] {
        assert_eq!(Behaviour::parse(words), Ok(Behaviour::default()));
    }
}

#[test]
fn every_sample_can_be_read_and_does_something_of_its_own() {
    let faults = Behaviour::faults();
    assert_eq!(faults.len(), FAULTS.len());
    assert_eq!(Behaviour::oddities().len(), ODDITIES.len());
    assert!(faults.len() >= 20, "promise P2 wants 20 kinds");
    let all: Vec<_> = faults.into_iter().chain(Behaviour::oddities()).collect();
    for (index, (word, behaviour)) in all.iter().enumerate() {
        assert_eq!(*behaviour == Behaviour::default(), *word == "fast", "{word}");
        assert!(all.iter().skip(index + 1).all(|(_, other)| other != behaviour), "{word} is there twice");
    }
}

#[test]
fn the_table_lists_every_sample() {
    let source = include_str!("../behaviour.rs");
    let table: String = source.lines().filter_map(|line| line.strip_prefix("//! |")).collect();
    for word in FAULTS.iter().chain(ODDITIES) {
        let name = Word::read(word).name;
        assert!(table.contains(&format!("`{name}`")) || table.contains(&format!("`{name}:")), "{name} is not in the table");
    }
}
