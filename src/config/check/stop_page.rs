//! Reads `stop_page`.

use std::path::{Path, PathBuf};

use crate::config::scalar::{Scalar, path, text, word};
use crate::config::section::Section;
use crate::enforce::proxy::{Operator, StopPageSettings};

/// Reads it.
pub(super) fn read(s: &mut Section<'_, '_>) -> Option<StopPageSettings> {
    let template = template(s.base());
    let template = s.default(
        "template",
        BUILT_IN,
        "The page: `built-in`, or a file.",
        template,
    );
    let operator = s.section("operator", "Who runs this node.", |s| {
        let name = s.optional("name", "The name.", text("a name"));
        let contact = s.optional(
            "contact",
            "For questions: a `mailto:` or `https:` address.",
            link("a `mailto:` or `https:` address", &["mailto:", "https://"]),
        );
        let url = s.optional(
            "url",
            "The page about blocking.",
            link("an `https:` address", &["https://", "http://"]),
        );
        Some(Operator {
            name: name?,
            contact: contact?,
            url: url?,
        })
    });
    let languages = s.list(
        "languages",
        &["en", "de", "fr", "nl", "pl"],
        "The languages of the page; the first for who asks for none of them.",
        word(&["en", "de", "fr", "nl", "pl"].map(|tag| (tag, tag))),
    );
    let template = template?;
    if let Some(path) = &template {
        s.readable("template", path)?;
    }
    let languages: Vec<String> = languages?.into_iter().map(str::to_owned).collect();
    if languages.is_empty() {
        return s.wrong(
            "languages",
            "`languages` is empty",
            "write at least one: `[en]`",
        );
    }
    Some(StopPageSettings {
        template,
        operator: operator?,
        languages,
    })
}

/// The template: a word for the built-in one, or the path of another.
fn template(base: &Path) -> Scalar<Option<PathBuf>> {
    let path = path(base);
    Scalar::new(
        "`built-in` or the path of a template",
        move |text| match text {
            BUILT_IN => Ok(None),
            _ => path
                .read(text)
                .map(Some)
                .map_err(|_| "write a path".to_owned()),
        },
    )
}

/// An address for people, with one of `schemes`. It becomes a link on the page, so nothing
/// that could end an attribute or run as a script is taken.
fn link(expected: &'static str, schemes: &'static [&'static str]) -> Scalar<String> {
    let kind = text(expected);
    Scalar::new(expected, move |link| {
        let starts = schemes.iter().any(|scheme| {
            link.strip_prefix(scheme)
                .is_some_and(|rest| !rest.is_empty())
        });
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'<>`\\".contains(&byte);
        if starts && link.bytes().all(plain) && kind.read(link).is_ok() {
            Ok(link.to_owned())
        } else {
            Err(format!(
                "start it with {}, without spaces and quotes",
                schemes.join(" or ")
            ))
        }
    })
}

/// The word for the built-in template.
const BUILT_IN: &str = "built-in";
