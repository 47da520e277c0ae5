//! Many inputs for a parser, out of a few (promise P5): each is one of the corpus with some mutations. A test gives the corpus,
//! the words of the format, and a check that must hold for any bytes whatever.
//!
//! A failure prints its seed; `SEED=<it>` runs that input alone. `CHAOS=long` runs a million inputs, a push a tenth of them.

mod mutate;

pub use mutate::Dice;

const LONG: u64 = 1_000_000;
const PUSH: u64 = LONG / 10;

/// A parser under test.
#[derive(Debug)]
pub struct Fuzz {
    name: &'static str,
    corpus: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
    bytes_max: usize,
}

impl Fuzz {
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, corpus: Vec::new(), words: Vec::new(), bytes_max: 1_024 }
    }

    /// Inputs to start from.
    #[must_use]
    pub fn corpus<T: AsRef<[u8]>>(mut self, inputs: impl IntoIterator<Item = T>) -> Self {
        self.corpus.extend(inputs.into_iter().map(|input| input.as_ref().to_vec()));
        self
    }

    /// What the format is made of, and what its parsers trip over.
    #[must_use]
    pub fn words<T: AsRef<[u8]>>(mut self, words: impl IntoIterator<Item = T>) -> Self {
        self.words.extend(words.into_iter().map(|word| word.as_ref().to_vec()));
        self
    }

    /// Checks the corpus as it is, then the mutations. The dice are for choices of the check's own, such as where to cut.
    ///
    /// # Panics
    /// When the check does.
    pub fn run(self, mut check: impl FnMut(&[u8], &mut Dice)) {
        let only = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        let first: u64 = only.unwrap_or_else(rand::random);
        let count = if only.is_some() { 1 } else { inputs() };
        for input in &self.corpus {
            check(input, &mut Dice::new(first));
        }
        for number in 0..count {
            let seed = first.wrapping_add(number);
            let mut dice = Dice::new(seed);
            let input = mutate::input(&self.corpus, &self.words, self.bytes_max, &mut dice);
            let shown = OnPanic { name: self.name, seed, input: &input };
            check(&input, &mut dice);
            drop(shown);
        }
        say(&format!("promise P5: {}: {count} fuzzed inputs, 0 panics (seed {first})", self.name));
    }
}

fn inputs() -> u64 {
    if std::env::var("CHAOS").is_ok_and(|size| size == "long") { LONG } else { PUSH }
}

/// Tells which input it was.
struct OnPanic<'a> {
    name: &'a str,
    seed: u64,
    input: &'a [u8],
}

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (name, seed, input) = (self.name, self.seed, self.input.escape_ascii());
            say(&format!("{name}: SEED={seed} runs this input alone: b\"{input}\""));
        }
    }
}

#[expect(clippy::print_stdout, reason = "what a test says")]
fn say(line: &str) {
    println!("{line}");
}
