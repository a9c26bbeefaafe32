//! [`push_escaped`]: text from outside on a page, and what a page may load.

use sha2::{Digest, Sha256};

/// Appends text from outside, so that it is nothing but text: no markup, no control
/// character, nothing that turns the direction of what follows.
pub(super) fn push_escaped(page: &mut String, text: &str) {
    for character in text.chars().take(VALUE_CHARACTERS_MAX) {
        match character {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {}
            '\n' | '\t' => page.push(' '),
            control if control.is_control() => {}
            other => page.push(other),
        }
    }
}

/// Appends a link, where the text is an address that a page may point at; else the text.
pub(super) fn push_link(page: &mut String, text: &str) {
    let Some(address) = link(text) else {
        push_escaped(page, text);
        return;
    };
    page.push_str("<a href=\"");
    push_escaped(page, &address);
    page.push_str("\" rel=\"noreferrer noopener\">");
    push_escaped(page, text.strip_prefix("mailto:").unwrap_or(text));
    page.push_str("</a>");
}

/// What a text links to: an `http`, `https` or `mailto` address as it is, and a mail address
/// as a `mailto` one. Nothing for any other text.
pub(super) fn link(text: &str) -> Option<String> {
    let is_address = text.len() <= LINK_OCTETS_MAX
        && text
            .bytes()
            .all(|octet| octet.is_ascii_graphic() && !matches!(octet, b'<' | b'>' | b'"' | b'\\'));
    if !is_address {
        return None;
    }
    let scheme = text
        .split_once(':')
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https" | "mailto") => Some(text.to_owned()),
        None => match text.split_once('@') {
            Some((user, host))
                if !user.is_empty()
                    && host.contains('.')
                    && !host.contains('@')
                    && !text.contains(['?', '&', '/']) =>
            {
                Some(format!("mailto:{text}"))
            }
            _ => None,
        },
        Some(_) => None,
    }
}

/// The sources of a Content-Security-Policy that allow exactly the `<style>` elements of a
/// page (CSP Level 3 section 6.7): `'sha256-…'` for each, `'none'` without one.
///
/// `page` may be a template: neither its comments nor HTML's are looked into, since a style
/// that a comment only mentions is none.
pub(super) fn style_sources(page: &str) -> String {
    let mut sources = Vec::new();
    let page = &without(&without(page, "{{!", "!}}"), "<!--", "-->");
    let lowered = page.to_ascii_lowercase();
    let mut at = 0;
    while let Some(opened) = lowered.get(at..).and_then(|rest| rest.find("<style")) {
        let opened = at + opened;
        let Some(start) = lowered.get(opened..).and_then(|rest| rest.find('>')) else {
            break;
        };
        let start = opened + start + 1;
        let Some(length) = lowered.get(start..).and_then(|rest| rest.find("</style")) else {
            break;
        };
        let content = page.get(start..start + length).unwrap_or_default();
        sources.push(format!(
            "'sha256-{}'",
            base64(&Sha256::digest(content.as_bytes()))
        ));
        at = start + length;
    }
    if sources.is_empty() {
        "'none'".to_owned()
    } else {
        sources.join(" ")
    }
}

/// The text without what stands from `open` to `close`.
fn without(text: &str, open: &str, close: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once(open) {
        kept.push_str(before);
        rest = inside.split_once(close).map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    kept
}

/// RFC 4648 section 4.
fn base64(octets: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in octets.chunks(3) {
        let bits = group
            .iter()
            .fold(0_u32, |bits, octet| bits << 8 | u32::from(*octet));
        let bits = bits << (8 * (3 - group.len()));
        for place in 0..4 {
            let six = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap_or_default();
            let letter = ALPHABET.get(six).filter(|_| place <= group.len());
            text.push(letter.map_or('=', |letter| char::from(*letter)));
        }
    }
    text
}

/// How much of one value a page shows, in characters.
const VALUE_CHARACTERS_MAX: usize = 2000;

/// The longest text that becomes a link, in octets.
const LINK_OCTETS_MAX: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_is_allowed_by_its_hash() {
        // The digest of "a" in base64, from sha256sum and base64.
        assert_eq!(
            style_sources("<p><STYLE type=x>a</STYLE>"),
            "'sha256-ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs='"
        );
        assert_eq!(style_sources("<p>"), "'none'");
        assert_eq!(
            style_sources("{{! its <style> !}}<!-- <style>b</style> --><style>a</style>"),
            "'sha256-ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs='"
        );
        assert_eq!(base64(b"ab"), "YWI=");
        assert_eq!(base64(b"a"), "YQ==");
    }
}
