//! Tokens that are good in some way and bad in another, and who takes them: Privy's own SDK (`verifyAccessToken` of
//! `@privy-io/node`, which judges these rows in `tests/sdk/node/privy.test.mjs`), and Tollgate.
//!
//! The set has one key while they are judged: the SDK then takes a token that names none.

use super::keys::{SigningKey, encode};
use serde::Serialize;
use serde_json::{Value, json};

/// The order of P-256's group, which turns a signature's s into its twin.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Longer than any token that somebody should read.
const HUGE_BYTES: usize = 2 << 20;

/// Who takes a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Both,
    Nobody,
    /// Tollgate is stricter.
    SdkAlone,
    /// Tollgate's leeway of five seconds.
    TollgateAlone,
}

use Taken::{Both, Nobody, SdkAlone, TollgateAlone};

/// A token, and who takes it.
#[derive(Clone, Debug, Serialize)]
pub struct Attack {
    pub name: String,
    pub token: String,
    /// Privy's own SDK does.
    pub sdk: bool,
    pub tollgate: bool,
    /// A second decides: to be judged at the very time that it was made for.
    pub to_the_second: bool,
}

/// All of them. `key` signs for the app, `did` is a user's, `now_s` is in seconds since 1970.
pub(super) fn all(key: &SigningKey, app_id: &str, did: &str, now_s: i64) -> Vec<Attack> {
    // Without randomness there is no forger, and no forgery.
    let Ok(forger) = SigningKey::new(key.id.clone()) else { return Vec::new() };
    let (header, claims) = (super::header(&key.id), super::claims(app_id, did, now_s));
    let mut table = Table { key, forger, header, claims, rows: Vec::new() };
    table.algorithms();
    table.key_ids();
    table.foreign_keys();
    table.headers();
    table.times(now_s);
    table.audiences(app_id);
    table.subjects(did);
    table.texts();
    table.signatures();
    table.rows
}

struct Table<'a> {
    key: &'a SigningKey,
    /// Someone else's, under the same id.
    forger: SigningKey,
    header: Value,
    claims: Value,
    rows: Vec<Attack>,
}

impl Table<'_> {
    fn put(&mut self, taken: Taken, name: impl Into<String>, token: String) {
        let (sdk, tollgate) = match taken {
            Both => (true, true),
            Nobody => (false, false),
            SdkAlone => (true, false),
            TollgateAlone => (false, true),
        };
        self.rows.push(Attack { name: name.into(), token, sdk, tollgate, to_the_second: false });
    }

    /// The good token, and one row for each change of its header.
    fn header_rows(&mut self, rows: &[(Taken, &str, Value)]) {
        for (taken, name, changes) in rows {
            let token = self.key.token(&changed(&self.header, changes), &self.claims.to_string());
            self.put(*taken, *name, token);
        }
    }

    /// One row for each change of the claims.
    fn claim_rows(&mut self, rows: &[(Taken, &str, Value)]) {
        for (taken, name, changes) in rows {
            let token = self.key.token(&self.header.to_string(), &changed(&self.claims, changes));
            self.put(*taken, *name, token);
        }
    }

    /// One row for each text of claims, whatever it is.
    fn text_rows(&mut self, rows: &[(Taken, &str, String)]) {
        for (taken, name, claims) in rows {
            let token = self.key.token(&self.header.to_string(), claims);
            self.put(*taken, *name, token);
        }
    }

    /// The good token's message: header and claims.
    fn message(&self) -> String {
        format!("{}.{}", encode(self.header.to_string()), encode(self.claims.to_string()))
    }

    fn algorithms(&mut self) {
        self.header_rows(&[(Both, "a good token", json!({}))]);
        for name in ["none", "None", "NONE", "nOnE"] {
            let header = changed(&self.header, &json!({"alg": name}));
            let unsigned = format!("{}.{}.", encode(&header), encode(self.claims.to_string()));
            self.put(Nobody, format!("alg {name}, unsigned"), unsigned);
            self.put(Nobody, format!("alg {name}, signed"), self.key.token(&header, &self.claims.to_string()));
        }
        self.header_rows(&[
            (Nobody, "alg empty", json!({"alg": ""})),
            (Nobody, "alg null", json!({"alg": null})),
            (Nobody, "alg missing", json!({"alg": "(missing)"})),
            (Nobody, "alg a list", json!({"alg": ["ES256"]})),
            (Nobody, "alg in lower case", json!({"alg": "es256"})),
            (Nobody, "alg ES384", json!({"alg": "ES384"})),
            (Nobody, "alg ES256K", json!({"alg": "ES256K"})),
            (Nobody, "alg RS256", json!({"alg": "RS256"})),
            (Nobody, "alg PS256", json!({"alg": "PS256"})),
            (Nobody, "alg EdDSA", json!({"alg": "EdDSA"})),
            (Nobody, "alg HS256", json!({"alg": "HS256"})),
        ]);
        let header = changed(&self.header, &json!({"alg": "HS256"}));
        let message = format!("{}.{}", encode(header), encode(self.claims.to_string()));
        for (secret, bytes) in [("the point", self.key.point().to_vec()), ("the JWK", self.key.jwk().to_string().into_bytes())] {
            let hmac = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &bytes), message.as_bytes());
            self.put(Nobody, format!("HS256 with {secret} of the public key"), format!("{message}.{}", encode(hmac)));
        }
        let twice = format!(r#"{{"alg":"none","typ":"JWT","kid":"{}","alg":"ES256"}}"#, self.key.id);
        self.put(SdkAlone, "alg twice", self.key.token(&twice, &self.claims.to_string()));
    }

    fn key_ids(&mut self) {
        self.header_rows(&[
            (Nobody, "kid unknown", json!({"kid": "nobodys"})),
            (Nobody, "kid a path", json!({"kid": "../../../../dev/null"})),
            (Nobody, "kid SQL", json!({"kid": "' OR 1=1 --"})),
            (Nobody, "kid an address", json!({"kid": "http://127.0.0.1/key"})),
            (Nobody, "kid with a null character", json!({"kid": "sim-key-1\u{0}"})),
            (Nobody, "kid empty", json!({"kid": ""})),
            (Nobody, "kid long", json!({"kid": "k".repeat(5_000)})),
            (SdkAlone, "kid missing", json!({"kid": "(missing)"})),
            (Nobody, "kid null", json!({"kid": null})),
            (Nobody, "kid a list", json!({"kid": [self.key.id]})),
            (Nobody, "kid a number", json!({"kid": 1})),
        ]);
    }

    /// The token brings its key along.
    fn foreign_keys(&mut self) {
        let jwk = self.forger.jwk();
        let certificate = json!({"x5c": ["MIIBAg=="], "x5t": "AAAA"});
        for (name, changes) in [
            ("signed by somebody under the same kid", json!({})),
            ("jwk in the header", json!({"jwk": jwk})),
            ("jku in the header", json!({"jku": "https://attacker.example/jwks.json"})),
            ("x5u in the header", json!({"x5u": "https://attacker.example/cert.pem"})),
            ("x5c in the header", certificate),
        ] {
            let token = self.forger.token(&changed(&self.header, &changes), &self.claims.to_string());
            self.put(Nobody, format!("a stranger's: {name}"), token);
        }
        let nameless = changed(&self.header, &json!({"jwk": self.forger.jwk(), "kid": "(missing)"}));
        self.put(Nobody, "a stranger's: jwk without kid", self.forger.token(&nameless, &self.claims.to_string()));
        self.header_rows(&[(Both, "jku in Privy's own header", json!({"jku": "https://attacker.example/jwks.json"}))]);
    }

    fn headers(&mut self) {
        self.header_rows(&[
            (Nobody, "crit unknown", json!({"crit": ["exp"], "exp": 1})),
            (Nobody, "crit empty", json!({"crit": []})),
            (Nobody, "crit a text", json!({"crit": "exp"})),
            (Nobody, "crit b64 false", json!({"crit": ["b64"], "b64": false})),
            (SdkAlone, "crit b64 true", json!({"crit": ["b64"], "b64": true})),
            (SdkAlone, "b64 false without crit", json!({"b64": false})),
            (Nobody, "typ at+jwt", json!({"typ": "at+jwt"})),
            (Nobody, "typ missing", json!({"typ": "(missing)"})),
            (Nobody, "typ null", json!({"typ": null})),
            (Nobody, "typ a number", json!({"typ": 1})),
            (Both, "typ in lower case", json!({"typ": "jwt"})),
            (Both, "typ in full", json!({"typ": "application/jwt"})),
        ]);
        let claims = self.claims.to_string();
        for (name, header) in [("no JSON", "{"), ("a list", "[]"), ("null", "null"), ("empty", "")] {
            self.put(Nobody, format!("the header is {name}"), self.key.token(header, &claims));
        }
    }

    fn times(&mut self, now_s: i64) {
        let first = self.rows.len();
        self.claim_rows(&[
            (Both, "exp in a second", json!({"exp": now_s + 1})),
            (TollgateAlone, "exp now", json!({"exp": now_s})),
            (TollgateAlone, "exp four seconds ago", json!({"exp": now_s - 4})),
            (Nobody, "exp five seconds ago", json!({"exp": now_s - 5})),
            (Nobody, "exp six seconds ago", json!({"exp": now_s - 6})),
            (Both, "nbf now", json!({"nbf": now_s})),
            (TollgateAlone, "nbf in a second", json!({"nbf": now_s + 1})),
            (TollgateAlone, "nbf in five seconds", json!({"nbf": now_s + 5})),
            (Nobody, "nbf in six seconds", json!({"nbf": now_s + 6})),
        ]);
        self.rows.iter_mut().skip(first).for_each(|row| row.to_the_second = true);
        self.claim_rows(&[
            (Nobody, "exp an hour ago", json!({"exp": now_s - 3_600})),
            (Nobody, "exp missing", json!({"exp": "(missing)"})),
            (Nobody, "exp a text", json!({"exp": (now_s + 3_600).to_string()})),
            (Nobody, "exp negative", json!({"exp": -1})),
            (Nobody, "exp 0", json!({"exp": 0})),
            (Nobody, "exp null", json!({"exp": null})),
            (Nobody, "exp true", json!({"exp": true})),
            (Nobody, "exp a list", json!({"exp": [now_s + 3_600]})),
            (Both, "exp with a fraction", json!({"exp": 9_999_999_999.5})),
            (Nobody, "nbf in an hour", json!({"nbf": now_s + 3_600})),
            (Nobody, "nbf a text", json!({"nbf": now_s.to_string()})),
            (Nobody, "nbf null", json!({"nbf": null})),
            (Nobody, "iat missing", json!({"iat": "(missing)"})),
            (Nobody, "iat a text", json!({"iat": now_s.to_string()})),
            (Nobody, "iat 0", json!({"iat": 0})),
            (Both, "iat in an hour", json!({"iat": now_s + 3_600})),
        ]);
        let endless = self.claims.to_string().replace(&format!("\"exp\":{}", now_s + 3_600), "\"exp\":1e400");
        let twice = self.claims.to_string().replace('}', &format!(",\"exp\":{}}}", now_s + 7_200));
        self.text_rows(&[(SdkAlone, "exp 1e400", endless), (SdkAlone, "exp twice", twice)]);
    }

    fn audiences(&mut self, app_id: &str) {
        self.claim_rows(&[
            (Nobody, "aud another app", json!({"aud": "another-app"})),
            (Nobody, "aud missing", json!({"aud": "(missing)"})),
            (Nobody, "aud empty", json!({"aud": ""})),
            (Nobody, "aud null", json!({"aud": null})),
            (Nobody, "aud a number", json!({"aud": 1})),
            (Nobody, "aud a list of ours", json!({"aud": [app_id]})),
            (Nobody, "aud a list with ours", json!({"aud": ["another-app", app_id]})),
            (Nobody, "aud an empty list", json!({"aud": []})),
            (Nobody, "aud in upper case", json!({"aud": app_id.to_uppercase()})),
            (Nobody, "aud with more behind", json!({"aud": format!("{app_id}x")})),
            (Nobody, "iss an address", json!({"iss": "https://privy.io"})),
            (Nobody, "iss with a slash", json!({"iss": "privy.io/"})),
            (Nobody, "iss in upper case", json!({"iss": "PRIVY.IO"})),
            (Nobody, "iss a look-alike", json!({"iss": "privy.io.attacker.example"})),
            (Nobody, "iss empty", json!({"iss": ""})),
            (Nobody, "iss null", json!({"iss": null})),
            (Nobody, "iss missing", json!({"iss": "(missing)"})),
            (Nobody, "iss a list", json!({"iss": ["privy.io"]})),
        ]);
    }

    fn subjects(&mut self, did: &str) {
        self.claim_rows(&[
            (Nobody, "sub a number", json!({"sub": 1})),
            (Nobody, "sub empty", json!({"sub": ""})),
            (Nobody, "sub null", json!({"sub": null})),
            (Nobody, "sub missing", json!({"sub": "(missing)"})),
            (Nobody, "sub a list", json!({"sub": [did]})),
            (SdkAlone, "sub no DID", json!({"sub": "user_1"})),
            (SdkAlone, "sub a DID of nobody", json!({"sub": "did:privy:"})),
            (SdkAlone, "sub another method's DID", json!({"sub": "did:key:abc"})),
            (SdkAlone, "sub with a null character", json!({"sub": format!("{did}\u{0}")})),
            (SdkAlone, "sub too long", json!({"sub": format!("did:privy:{}", "x".repeat(300))})),
            (Nobody, "sid missing: an identity token", json!({"sid": "(missing)", "linked_accounts": "[]"})),
            (Nobody, "sid empty", json!({"sid": ""})),
            (Nobody, "sid a number", json!({"sid": 1})),
            (Both, "claims of one's own", json!({"admin": true, "scope": "*"})),
        ]);
        let twice = self.claims.to_string().replace('}', ",\"sub\":\"did:privy:victim\"}");
        self.text_rows(&[(SdkAlone, "sub twice", twice)]);
    }

    fn texts(&mut self) {
        let claims = self.claims.to_string();
        let inner = self.key.token(&self.header.to_string(), &claims);
        let padded = claims.replace('}', &format!(",\"pad\":\"{}\"}}", "x".repeat(HUGE_BYTES)));
        self.text_rows(&[
            (Nobody, "the claims are a list", "[]".to_owned()),
            (Nobody, "the claims are a text", "\"sub\"".to_owned()),
            (Nobody, "the claims are null", "null".to_owned()),
            (Nobody, "the claims are empty", String::new()),
            (Nobody, "the claims are cut", claims.trim_end_matches('}').to_owned()),
            (Nobody, "the claims have garbage behind", format!("{claims}x")),
            (Nobody, "a token in a token", inner.clone()),
            (SdkAlone, "two million bytes", padded),
        ]);
        self.put(Nobody, "an empty text", String::new());
        self.put(Nobody, "two dots", "..".to_owned());
        self.put(Nobody, "four segments", format!("{inner}.AAAA"));
        self.put(Nobody, "five segments", format!("{inner}.AAAA.AAAA"));
        self.put(Nobody, "two segments", self.message());
        self.put(Nobody, "a dot in front", format!(".{inner}"));
        self.put(Nobody, "Bearer in front", format!("Bearer {inner}"));
        self.put(Nobody, "deflated", self.key.token(&changed(&self.header, &json!({"zip": "DEF"})), "x\u{1}\u{2}"));
    }

    fn signatures(&mut self) {
        let message = self.message();
        let good = self.key.sign(message.as_bytes());
        let (r, s) = good.split_at(good.len() / 2);
        let zeros = [0_u8; 32];
        for (taken, name, signature) in [
            (Nobody, "empty", Vec::new()),
            (Nobody, "of zeros", vec![0; 64]),
            (Nobody, "with r 0", [zeros.as_slice(), s].concat()),
            (Nobody, "with s 0", [r, zeros.as_slice()].concat()),
            (Nobody, "with s the order", [r, ORDER.as_slice()].concat()),
            (Nobody, "a byte short", good.iter().copied().skip(1).collect()),
            (Nobody, "a byte long", [good.as_slice(), &[0]].concat()),
            (Nobody, "in DER", self.key.sign_der(message.as_bytes())),
            (Nobody, "with r and s swapped", [s, r].concat()),
            (Nobody, "of another message", self.key.sign(b"another message")),
            (Both, "with the other s", [r, twin(s).as_slice()].concat()),
        ] {
            self.put(taken, format!("a signature {name}"), format!("{message}.{}", encode(signature)));
        }
        // One that differs in the two alphabets: most do.
        let differs = |text: &String| text.contains(['-', '_']);
        let text = (0..100).map(|_| encode(self.key.sign(message.as_bytes()))).find(differs).unwrap_or_default();
        self.put(SdkAlone, "a signature with padding", format!("{message}.{text}=="));
        self.put(SdkAlone, "a line feed behind", format!("{message}.{text}\n"));
        let (start, end) = text.split_at(text.len() / 2);
        self.put(SdkAlone, "a blank in the signature", format!("{message}.{start} {end}"));
        self.put(
            Nobody,
            "a signature in the standard alphabet",
            format!("{message}.{}", text.replace('-', "+").replace('_', "/")),
        );
        self.put(SdkAlone, "a signature whose last bits are not zero", format!("{message}.{}", not_canonical(&text)));
    }
}

/// The object with some members changed, as text; `"(missing)"` takes one out.
fn changed(object: &Value, changes: &Value) -> String {
    let mut changed = object.clone();
    for (name, value) in changes.as_object().into_iter().flatten() {
        if let Some(members) = changed.as_object_mut() {
            if value == "(missing)" {
                members.remove(name);
            } else {
                members.insert(name.clone(), value.clone());
            }
        }
    }
    changed.to_string()
}

/// The order less s: as good a signature.
fn twin(s: &[u8]) -> Vec<u8> {
    let mut borrow = 0_i16;
    let mut twin: Vec<u8> = Vec::with_capacity(ORDER.len());
    for (order, s) in ORDER.iter().rev().zip(s.iter().rev()) {
        let difference = i16::from(*order) - i16::from(*s) - borrow;
        borrow = i16::from(difference < 0);
        twin.push(u8::try_from(difference.rem_euclid(256)).unwrap_or(0));
    }
    twin.reverse();
    twin
}

/// 64 bytes are 86 characters, the last of which has four bits that say nothing.
fn not_canonical(text: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut twin = text.to_owned();
    let last = twin.pop().and_then(|last| ALPHABET.find(last));
    twin.extend(last.and_then(|place| ALPHABET.chars().nth(place | 1)));
    twin
}
