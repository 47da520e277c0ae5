//! Mutations, as fuzzers do them without knowing the code: flips, cuts, copies, splices, words, numbers.

/// Numbers of the edge of something.
const NUMBERS: [&str; 16] = [
    "0",
    "-1",
    "1",
    "-0",
    "0.1",
    "1e5",
    "1e400",
    "127",
    "128",
    "65536",
    "2147483648",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "99999999999999999999999999999999",
];

/// Bytes that end, begin or escape something in most formats.
const BYTES: &[u8] = b"\0\t\n\r \"'()*+,-./0:;<=>?@[\\]_{}\x7f\x80\xc3\xe2\xed\xef\xf0\xff";

/// Choices that a seed decides: splitmix64, as its own seed is enough to get an input back.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`; 0 when that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.roll() % bound).unwrap_or(0)
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// The input in pieces, each at least a byte long.
    pub fn cut<'a>(&mut self, mut input: &'a [u8]) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        while !input.is_empty() {
            let longest = if self.below(4) == 0 { input.len() } else { 8 };
            let (piece, rest) = input.split_at(1 + self.below(longest.min(input.len())));
            pieces.push(piece);
            input = rest;
        }
        pieces
    }
}

/// A mutated input of at most `bytes_max` bytes.
pub fn input(corpus: &[Vec<u8>], words: &[Vec<u8>], bytes_max: usize, dice: &mut Dice) -> Vec<u8> {
    let mut input = dice.pick(corpus).cloned().unwrap_or_default();
    for _ in 0..=dice.below(4) {
        mutate(&mut input, corpus, words, dice);
    }
    input.truncate(bytes_max);
    input
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(input.len() + 1);
    let end = at + dice.below(input.len() - at + 1);
    let byte = u8::try_from(dice.below(256)).unwrap_or_default();
    match dice.below(10) {
        0 => flip(input, at, 1 << dice.below(8)),
        1 => set(input, at, byte),
        2 => input.insert(at, dice.pick(BYTES).copied().unwrap_or(byte)),
        3 => drop(input.drain(at..end)),
        4 => input.truncate(at),
        5 => {
            let copy = input.get(at..end).unwrap_or_default().to_vec();
            let to = dice.below(input.len() + 1);
            drop(input.splice(to..to, copy));
        }
        6 => {
            let other = dice.pick(corpus).map(Vec::as_slice).unwrap_or_default();
            let from = dice.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(other.get(from..).unwrap_or_default());
        }
        7 => replace_number(input, at, dice),
        // Formats are made of their words: twice as likely.
        _ => {
            let word = dice.pick(words).cloned().unwrap_or_else(|| vec![byte]);
            let until = if dice.below(2) == 0 { at } else { end };
            drop(input.splice(at..until, word));
        }
    }
}

fn flip(input: &mut [u8], at: usize, bit: u8) {
    if let Some(byte) = input.get_mut(at) {
        *byte ^= bit;
    }
}

fn set(input: &mut [u8], at: usize, to: u8) {
    if let Some(byte) = input.get_mut(at) {
        *byte = to;
    }
}

/// The next number in the text becomes another one.
fn replace_number(input: &mut Vec<u8>, from: usize, dice: &mut Dice) {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let rest = input.get(from..).unwrap_or_default();
    let Some(start) = rest.iter().position(is_digit).map(|offset| from + offset) else { return };
    let length = input.iter().skip(start).take_while(|byte| is_digit(byte)).count();
    let number = dice.pick(&NUMBERS).copied().unwrap_or("0");
    drop(input.splice(start..start + length, number.bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_its_input_again_and_another_seed_another() {
        let corpus = vec![b"{\"max_tokens\": 16}".to_vec(), b"[1, 2]".to_vec()];
        let words = vec![b"\\u0000".to_vec()];
        let of = |seed| input(&corpus, &words, 64, &mut Dice::new(seed));
        let all: std::collections::HashSet<_> = (0..1_000).map(of).collect();
        assert!(all.len() > 800, "{} different ones", all.len());
        assert!((0..1_000).all(|seed| of(seed) == of(seed) && of(seed).len() <= 64));
    }

    #[test]
    fn cut_pieces_are_the_input() {
        let mut dice = Dice::new(7);
        for _ in 0..100 {
            let pieces = dice.cut(b"0123456789012345678901234567890123456789");
            assert!(pieces.iter().all(|piece| !piece.is_empty()));
            assert_eq!(pieces.concat(), b"0123456789012345678901234567890123456789");
        }
    }
}
