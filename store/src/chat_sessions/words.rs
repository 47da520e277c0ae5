//! The words by which a text is found: runs of letters and digits, in one case. They are made here and not by PostgreSQL, whose
//! parser knows letters and cases only as far as the database's locale does.
//!
//! Scripts that leave no space between words (Chinese, Japanese, Thai, …) are indexed by pairs of letters. No stemming: texts
//! are of any language.

use std::collections::BTreeSet;
use std::fmt::Write;
use tollgate_domain::UserId;

/// Longer words are known by their beginning.
const WORD_CHARS_MAX: usize = 64;
/// Of one text so many different words are indexed; PostgreSQL takes a megabyte of them.
const WORDS_MAX: usize = 4_096;
const WORDS_BYTES_MAX: usize = 512 << 10;
/// A search looks for that many words of its text.
const WANTED_MAX: usize = 16;
/// A shorter word is looked for as a whole: half of all words begin with some two letters.
const BEGINNING_CHARS_MIN: usize = 3;

/// PostgreSQL's type; only PostgreSQL reads it.
#[derive(Clone, Copy, Debug, diesel::sql_types::SqlType)]
#[diesel(postgres_type(name = "tsvector", schema = "pg_catalog"))]
pub struct Tsvector;

/// A text's words as a `tsvector`, each behind the user's id.
pub fn document(user: UserId, text: &str) -> String {
    let mut known = BTreeSet::new();
    let mut document = String::new();
    for_each_word(text, Grams::AndLast, |word| {
        if !known.contains(word) {
            // No word has a quote in it.
            _ = write!(document, "'{user}.{word}' ");
            known.insert(word.to_owned());
        }
        known.len() < WORDS_MAX && document.len() < WORDS_BYTES_MAX
    });
    document
}

/// What finds the texts that have all of the words, or words that begin so; `None` when there is no word.
pub fn query(user: UserId, text: &str) -> Option<String> {
    let mut wanted: Vec<String> = Vec::new();
    for_each_word(text, Grams::Only, |word| {
        let is_beginning = word.chars().count() >= BEGINNING_CHARS_MIN || word.chars().all(is_unspaced);
        wanted.push(format!("'{user}.{word}'{}", if is_beginning { ":*" } else { "" }));
        wanted.len() < WANTED_MAX
    });
    (!wanted.is_empty()).then(|| wanted.join(" & "))
}

/// What becomes of a run of letters of an unspaced script.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grams {
    /// Its pairs; a single letter stands for itself.
    Only,
    /// Its last letter, too, so that every letter begins something.
    AndLast,
}

/// Calls for each word of the text, in its order, until that answers false.
fn for_each_word(text: &str, grams: Grams, mut take: impl FnMut(&str) -> bool) {
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        if !first.is_alphanumeric() {
            continue;
        }
        let of_kind = |letter: &char| letter.is_alphanumeric() && is_unspaced(*letter) == is_unspaced(first);
        let mut word = String::from(first);
        word.extend(std::iter::from_fn(|| rest.next_if(of_kind)));
        let goes_on = if is_unspaced(first) { grams_of(&word, grams, &mut take) } else { take_folded(&word, &mut take) };
        if !goes_on {
            return;
        }
    }
}

fn grams_of(run: &str, grams: Grams, take: &mut impl FnMut(&str) -> bool) -> bool {
    let letters: Vec<char> = run.chars().collect();
    let pairs = letters.windows(2).all(|pair| take(&pair.iter().collect::<String>()));
    match letters.last() {
        Some(last) if pairs && (letters.len() == 1 || grams == Grams::AndLast) => take(last.encode_utf8(&mut [0; 4])),
        _ => pairs,
    }
}

/// In one case: by way of upper case, as that is one for `ß` and `SS`, for `σ` and `ς`.
fn take_folded(word: &str, take: &mut impl FnMut(&str) -> bool) -> bool {
    let cased = word.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    let folded: String = cased.filter(|letter| letter.is_alphanumeric()).take(WORD_CHARS_MAX).collect();
    folded.is_empty() || take(&folded)
}

/// Letters of scripts that write words without a space between them.
const fn is_unspaced(letter: char) -> bool {
    matches!(
        letter,
        '\u{e00}'..='\u{eff}'
            | '\u{1000}'..='\u{109f}'
            | '\u{1780}'..='\u{17ff}'
            | '\u{3040}'..='\u{30ff}'
            | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn indexed(text: &str) -> Vec<String> {
        let document = document(UserId(7), text);
        document.split_whitespace().map(|word| word.trim_matches('\'').trim_start_matches("7.").to_owned()).collect()
    }

    #[test]
    fn words_are_runs_of_letters_and_digits_in_one_case() {
        assert_eq!(indexed("Hello, WORLD! hello_world x86-64"), ["hello", "world", "x86", "64"]);
        assert_eq!(indexed("Straße STRASSE ΣΊΣΥΦΟΣ Σίσυφος ÉTÉ été"), ["strasse", "σίσυφοσ", "été"]);
        assert_eq!(indexed(" \n\0'\\:*&|!() "), Vec::<String>::new());
    }

    #[test]
    fn scripts_without_spaces_are_indexed_by_pairs() {
        assert_eq!(indexed("机器学习ok"), ["机器", "器学", "学习", "习", "ok"]);
        assert_eq!(query(UserId(7), "机器学"), Some("'7.机器':* & '7.器学':*".to_owned()));
        assert_eq!(query(UserId(7), "习"), Some("'7.习':*".to_owned()));
    }

    #[test]
    fn a_search_is_for_all_words_and_for_their_beginnings_where_they_say_enough() {
        assert_eq!(query(UserId(7), "Rust of mig"), Some("'7.rust':* & '7.of' & '7.mig':*".to_owned()));
        assert_eq!(query(UserId(7), " ?! "), None);
        assert_eq!(query(UserId(7), &"word ".repeat(100)).unwrap().matches('&').count(), WANTED_MAX - 1);
    }

    #[test]
    fn a_long_text_has_no_more_words_than_the_database_takes() {
        let text: String = (0..100_000).map(|n| format!("{n} ")).collect();
        assert_eq!(indexed(&text).len(), WORDS_MAX);
        let long: String = (0..100_000).map(|n| format!("{n:0>64} ")).collect();
        assert!(document(UserId(i64::MAX), &long).len() < 600_000);
        assert_eq!(indexed(&"x".repeat(1_000))[0].len(), WORD_CHARS_MAX);
    }

    proptest! {
        /// Nothing of a text can end its quotes.
        #[test]
        fn no_text_breaks_out(text in ".{0,80}") {
            let words = indexed(&text);
            prop_assert!(words.iter().all(|word| !word.is_empty() && word.chars().all(char::is_alphanumeric)), "{words:?}");
            // What is indexed is found by itself.
            prop_assert_eq!(query(UserId(7), &text).is_some(), !words.is_empty());
        }
    }
}
