//! Does the client have this already? `If-None-Match` as RFC 9110 (8.8.3, 13.1.2) says it.

use actix_web::http::header::{HeaderMap, IF_NONE_MATCH};

/// An entity tag, weak: the time of fetching may differ between two bodies with the same models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ETag(pub u64);

impl ETag {
    /// `W/"0123456789abcdef"`.
    pub fn header(self) -> String {
        format!("W/{}", self.opaque())
    }

    fn opaque(self) -> String {
        format!("\"{:016x}\"", self.0)
    }

    /// Is it in `If-None-Match`, compared weakly (whether or not either is weak), or is there a `*`?
    ///
    /// Lines that are no lists of tags count for nothing: then the client gets the whole answer.
    pub fn is_known(self, headers: &HeaderMap) -> bool {
        let own = self.opaque();
        let lines = headers.get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
        lines.filter_map(tags).flatten().any(|tag| tag == "*" || tag == own)
    }
}

/// The tags of a line in their quotes, without `W/`; or `*` alone. `None` for what is no such list.
fn tags(line: &str) -> Option<Vec<&str>> {
    let line = line.trim_matches([' ', '\t']);
    if line == "*" {
        return Some(vec![line]);
    }
    let (mut rest, mut tags) = (line, Vec::new());
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(tags);
        }
        let opaque = rest.strip_prefix("W/").unwrap_or(rest);
        // A tag may hold commas: its end is a quote, which it can't hold.
        let end = opaque.strip_prefix('"')?.find('"')?.checked_add(2)?;
        tags.push(opaque.get(..end)?);
        rest = opaque.get(end..)?;
        if !rest.trim_start_matches([' ', '\t']).is_empty() && !rest.trim_start_matches([' ', '\t']).starts_with(',') {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    const OWN: &str = "\"00000000000000ab\"";

    fn is_known(lines: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        lines.iter().for_each(|line| headers.append(IF_NONE_MATCH, HeaderValue::from_str(line).unwrap()));
        ETag(0xab).is_known(&headers)
    }

    #[test]
    fn a_tag_is_known_weak_or_strong_alone_or_in_lists() {
        let weak = format!("W/{OWN}");
        assert_eq!(ETag(0xab).header(), weak);
        let lists = [format!("\"x\", {weak}"), format!("W/\"a,b\",{OWN} , \"c\""), format!(",, {OWN},"), format!("\t{OWN}")];
        // Mutant: comparing with the whole weak tag turns the strong ones red.
        for line in [OWN, &weak, "*", " * "].into_iter().chain(lists.iter().map(String::as_str)) {
            assert!(is_known(&[line]), "{line}");
        }
        assert!(is_known(&["\"x\"", OWN]), "a second line");
    }

    #[test]
    fn other_tags_and_what_is_no_tag_are_not_known() {
        let inside = format!("\"x, {}\"", OWN.trim_matches('"'));
        let lower = format!("w/{OWN}");
        let glued = format!("\"x\"{OWN}");
        let bare = OWN.trim_matches('"');
        let open = OWN.trim_end_matches('"');
        for line in ["", "\"x\"", &inside, &lower, &glued, bare, open, "**", "\"*\"", "*, \"x\""] {
            assert!(!is_known(&[line]), "{line}");
        }
        assert!(!is_known(&[]));
    }
}
