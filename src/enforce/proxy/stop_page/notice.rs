//! [`Notice`]: the short answers that are not the stop page.

use super::markup::push_escaped;
use super::texts::Texts;
use crate::enforce::proxy::target::TargetError;

/// A short answer of the proxy's own: a title and a sentence, nothing of the request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Notice {
    /// 451, of a rule whose record is not at hand.
    Blocked,
    /// 421: at the stop page's address, for a host that is not listed.
    NotBlocked,
    /// 400 or 414: it cannot be said what is asked for.
    Malformed(TargetError),
    /// 400: the forward proxy is asked as if it were an origin.
    NotAnOrigin,
    /// 400: the stop page's address is asked for a tunnel.
    NotAProxy,
    /// 400: an `https` URL in the clear.
    TlsInTheClear,
    /// 403: the client may not use the forward proxy.
    ClientRefused,
    /// 403: the origin's address may not be connected to.
    AddressRefused,
    /// 403: the port may not be connected to.
    PortRefused,
    /// 405: TRACE.
    MethodRefused,
    /// 502: the origin cannot be resolved, connected to or understood.
    Unreachable,
    /// 504: the origin does not answer in time.
    Timeout,
    /// 508: the request went through this proxy before.
    Loop,
}

impl Notice {
    /// Its status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Blocked => 451,
            Self::NotBlocked => 421,
            Self::Malformed(TargetError::TooLong) => 414,
            Self::Malformed(_) | Self::NotAnOrigin | Self::NotAProxy | Self::TlsInTheClear => 400,
            Self::ClientRefused | Self::AddressRefused | Self::PortRefused => 403,
            Self::MethodRefused => 405,
            Self::Unreachable => 502,
            Self::Timeout => 504,
            Self::Loop => 508,
        }
    }

    /// The page and its language. What ordinary visitors meet is in theirs; what only a
    /// wrong program meets is in English.
    pub(super) fn page(self, texts: Option<&'static Texts>) -> (&'static str, String) {
        let english = |title: &str, sentence: &str| ("en", page("en", title, sentence));
        let localized = |pick: fn(&Texts) -> [&'static str; 2]| {
            let texts = texts.unwrap_or(super::texts::ALL[0]);
            let [title, sentence] = pick(texts);
            (texts.language, page(texts.language, title, sentence))
        };
        match self {
            Self::NotBlocked => localized(|texts| texts.not_blocked),
            Self::Unreachable => localized(|texts| texts.unreachable),
            Self::Timeout => localized(|texts| texts.timeout),
            Self::Blocked => english(
                "Unavailable for legal reasons",
                "Access to this page is blocked.",
            ),
            Self::Malformed(error) => english("Bad request", &error.to_string()),
            Self::NotAnOrigin => english(
                "This is a proxy",
                "It has no pages of its own. Set it as the HTTP proxy of your browser or system.",
            ),
            Self::NotAProxy => english("This is not a proxy", "It opens no tunnels."),
            Self::TlsInTheClear => english(
                "Use CONNECT for https",
                "This proxy does not take https requests in the clear.",
            ),
            Self::ClientRefused => english(
                "Not for this client",
                "Your address is not among those that may use this proxy (proxy.forward.clients).",
            ),
            Self::AddressRefused => english(
                "Refused",
                "The host is at an address that this proxy may not connect to (proxy.origins.deny).",
            ),
            Self::PortRefused => english(
                "Refused",
                "The port is not among those that this proxy may connect to (proxy.origins.ports).",
            ),
            Self::MethodRefused => english("Refused", "This proxy does not take TRACE."),
            Self::Loop => english("Loop", "The request has been through this proxy before."),
        }
    }
}

fn page(language: &str, title: &str, sentence: &str) -> String {
    let mut page = String::with_capacity(900);
    page.push_str("<!DOCTYPE html>\n<html lang=\"");
    push_escaped(&mut page, language);
    page.push_str("\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    push_escaped(&mut page, title);
    page.push_str("</title>\n<style>");
    page.push_str(STYLE);
    page.push_str("</style>\n</head>\n<body>\n<main>\n<h1>");
    push_escaped(&mut page, title);
    page.push_str("</h1>\n<p>");
    push_escaped(&mut page, sentence);
    page.push_str("</p>\n</main>\n</body>\n</html>\n");
    page
}

/// The style of the short pages.
const STYLE: &str = "body{margin:0;background:#f3f4f6;color:#1b1f24;font:1rem/1.55 system-ui,-apple-system,\"Segoe UI\",Roboto,sans-serif}main{max-width:36rem;margin:0 auto;padding:15vh 1.25rem 2rem;overflow-wrap:anywhere}h1{font-size:1.6rem;line-height:1.25;margin:0 0 .75rem}p{margin:0}@media (prefers-color-scheme:dark){body{background:#14171a;color:#e8eaed}}";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(notice: Notice, status: u16, language: &str, part: &str) {
        let (found, page) = notice.page(Texts::of("nl"));
        assert_eq!((notice.status(), found), (status, language));
        assert!(page.contains(part), "{page}");
    }

    #[test]
    fn each_says_its_sentence() {
        check(Notice::NotBlocked, 421, "nl", "niet geblokkeerd");
        check(Notice::Unreachable, 502, "nl", "niet bereikbaar");
        check(Notice::Timeout, 504, "nl", "antwoordt niet");
        check(Notice::Blocked, 451, "en", "legal reasons");
        check(
            Notice::Malformed(TargetError::Framing),
            400,
            "en",
            "both a Transfer-Encoding",
        );
        check(Notice::Malformed(TargetError::TooLong), 414, "en", "8192");
        check(Notice::ClientRefused, 403, "en", "proxy.forward.clients");
        check(Notice::Loop, 508, "en", "before");
    }
}
