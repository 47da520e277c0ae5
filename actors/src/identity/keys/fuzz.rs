//! Promise P5 for what is presented as a key: a mutated key is none.

use super::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tollgate_fuzz::Fuzz;

#[test]
fn fuzz_no_mutation_of_a_key_is_taken_for_a_key() {
    let peppers = Peppers::parse(&SecretString::from(format!("v1:{}", STANDARD.encode([7; 32])))).unwrap();
    let mint = |environment| peppers.mint(environment, &mut StdRng::seed_from_u64(1)).secret.expose_secret().to_owned();
    let keys: Vec<String> = Environment::ALL.into_iter().map(mint).collect();
    let words = ["gw_", "gw_live_", "gw_test_", "sk_live_", "_", "-", "\u{e9}", "\0", " "];
    let mut wrong = 0_u32;
    Fuzz::new("keys").corpus(&keys).words(words).run(|text, _| {
        let Ok(text) = std::str::from_utf8(text) else { return };
        let is_known = keys.iter().any(|key| key == text);
        wrong += u32::from(!is_known);
        // Mutant: a checksum that is not compared turns this red.
        assert_eq!(is_well_formed(text), is_known, "{text:?}");
    });
    assert!(wrong > 0);
}
