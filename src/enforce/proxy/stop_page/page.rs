//! [`StopPage`]: the 451 response (RFC 7725).

use std::borrow::Cow;

use jiff::Timestamp;

use super::language::preferred;
use super::markup::{link, style_sources};
use super::notice::Notice;
use super::template::{Field, Template, TemplateError};
use super::texts::Texts;
use crate::compile::RuleView;
use crate::enforce::proxy::settings::{Operator, StopPageSettings};

/// The pages of this node, ready to be written: read and checked once, in every language.
///
/// What the 451 says comes from the list's legal record and the operator's settings alone;
/// nothing of the request gets into it, and nothing of the visitor is kept.
#[derive(Clone, Debug)]
pub struct StopPage {
    pages: Vec<LanguagePage>,
    /// The primary tags of `pages`.
    languages: Vec<&'static str>,
    operator: Operator,
    blocked_by: Option<String>,
    security_policy: String,
}

/// An answer of our own, ready to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Page {
    /// Its status code.
    pub status: u16,
    /// Its fields; names are in lower case.
    pub fields: Vec<(&'static str, Cow<'static, str>)>,
    /// The page itself, in HTML.
    pub body: String,
}

/// The stop page in one language.
#[derive(Clone, Debug)]
struct LanguagePage {
    texts: &'static Texts,
    template: Template,
}

impl StopPage {
    /// The pages by `settings`, of the text of a template.
    ///
    /// # Errors
    /// Every [`TemplateError`].
    pub fn new(settings: &StopPageSettings, template: &str) -> Result<Self, TemplateError> {
        // A browser reads CRLF as LF, and hashes the style after that.
        let template = &template
            .trim_start_matches('\u{feff}')
            .replace("\r\n", "\n");
        let mut pages = Vec::new();
        for language in &settings.languages {
            let texts = Texts::of(language).ok_or_else(|| TemplateError::Language {
                language: language.clone(),
            })?;
            let template = Template::parse(template, texts)?;
            pages.push(LanguagePage { texts, template });
        }
        if pages.is_empty() {
            return Err(TemplateError::NoLanguage);
        }
        Ok(Self {
            languages: pages.iter().map(|page| page.texts.language).collect(),
            blocked_by: blocked_by(&settings.operator),
            operator: settings.operator.clone(),
            security_policy: security_policy(template),
            pages,
        })
    }

    /// The answer to a request that `rule` blocks. `accept_language` is the field of that
    /// name, the one thing of a request that matters here.
    #[must_use]
    pub fn blocked(
        &self,
        rule: &RuleView<'_>,
        accept_language: Option<&str>,
        now: Timestamp,
    ) -> Page {
        let place = preferred(accept_language, &self.languages);
        let Some(page) = self.pages.get(place) else {
            return self.notice(Notice::Blocked, accept_language);
        };
        let values = Values::new(rule, page.texts, now);
        let operator = &self.operator;
        let body = page.template.render(|field| match field {
            Field::Operator => operator.name.as_deref().unwrap_or(page.texts.operator),
            Field::OperatorContact => operator.contact.as_deref().unwrap_or_default(),
            Field::OperatorUrl => operator.url.as_deref().unwrap_or_default(),
            field => values.of(field),
        });
        let policy = self.security_policy.clone();
        self.signed(Page::new(451, page.texts.language, policy, body))
    }

    /// A page that says one sentence.
    #[must_use]
    pub fn notice(&self, notice: Notice, accept_language: Option<&str>) -> Page {
        let place = preferred(accept_language, &self.languages);
        let texts = self.pages.get(place).map(|page| page.texts);
        let (language, body) = notice.page(texts);
        let answer = Page::new(notice.status(), language, security_policy(&body), body);
        if notice == Notice::Blocked {
            self.signed(answer)
        } else {
            answer
        }
    }

    /// The answer with the name of who blocks (RFC 7725 section 4).
    fn signed(&self, mut answer: Page) -> Page {
        if let Some(link) = &self.blocked_by {
            answer.fields.push(("link", link.clone().into()));
        }
        answer
    }
}

impl Page {
    /// An answer with the fields that all of them have.
    fn new(status: u16, language: &'static str, policy: String, body: String) -> Self {
        let fields = vec![
            ("content-type", "text/html; charset=utf-8".into()),
            ("content-language", language.into()),
            ("content-security-policy", policy.into()),
            ("cache-control", "no-store".into()),
            ("vary", "Accept-Language".into()),
            ("referrer-policy", "no-referrer".into()),
            ("x-content-type-options", "nosniff".into()),
        ];
        Self {
            status,
            fields,
            body,
        }
    }
}

/// What the page says of one rule, as text.
struct Values<'a> {
    rule: &'a RuleView<'a>,
    texts: &'static Texts,
    reason: &'a str,
    serial: String,
    reference: String,
    deadline: String,
}

impl<'a> Values<'a> {
    fn new(rule: &'a RuleView<'a>, texts: &'static Texts, now: Timestamp) -> Self {
        let record = rule.record;
        let reason = record.reason.iter().find(|(language, _)| {
            let primary = language.split('-').next().unwrap_or_default();
            primary.eq_ignore_ascii_case(texts.language)
        });
        let provenance = &rule.list.provenance;
        let serial = provenance
            .seq()
            .map_or_else(String::new, |seq| seq.to_string());
        // The hour is enough for support, and too coarse to find anyone in another log.
        let hour = now.strftime("%Y-%m-%d %H:00 UTC");
        let edition = if serial.is_empty() {
            String::new()
        } else {
            format!("/{serial}")
        };
        Self {
            reason: reason.map_or("", |(_, text)| text.as_str()),
            reference: format!("{}{edition}/{} {hour}", provenance.list, rule.entry_id),
            deadline: record
                .redress
                .deadline_days
                .map_or_else(String::new, texts.days),
            serial,
            rule,
            texts,
        }
    }

    fn of(&self, field: Field) -> &str {
        let record = self.rule.record;
        let redress = &record.redress;
        match field {
            Field::Language => self.texts.language,
            Field::Operator | Field::OperatorContact | Field::OperatorUrl => "",
            Field::Authority => &record.authority,
            Field::Basis => &record.basis,
            Field::Order => record.order_ref.as_deref().unwrap_or_default(),
            Field::DecidedAt => record.decided_at.as_deref().unwrap_or_default(),
            Field::Notice => record.notice_url.as_deref().unwrap_or_default(),
            Field::Category => (self.texts.categories)(record.category),
            Field::Reason => self.reason,
            Field::Statement => (self.texts.statement)(record.category),
            Field::Help => (self.texts.help_text)(record.category),
            Field::List => &self.rule.list.provenance.title,
            Field::Serial => &self.serial,
            Field::Reference => &self.reference,
            Field::AppealUrl => redress.url.as_deref().unwrap_or_default(),
            Field::AppealEmail => redress.email.as_deref().unwrap_or_default(),
            Field::Deadline => &self.deadline,
            Field::Court => redress.court.as_deref().unwrap_or_default(),
        }
    }
}

/// Nothing but the page's own style. Framing stays allowed: who meets a blocked frame is to
/// be told why, and the page has nothing to click that acts.
fn security_policy(page: &str) -> String {
    let sources = style_sources(page);
    format!("default-src 'none'; style-src {sources}; base-uri 'none'; form-action 'none'")
}

/// Who blocks (RFC 7725 section 4): the operator's page about blocking, else the contact.
/// The authority does not block, and is never named here.
fn blocked_by(operator: &Operator) -> Option<String> {
    let address = [&operator.url, &operator.contact]
        .into_iter()
        .flatten()
        .find_map(|text| link(text))?;
    Some(format!("<{address}>; rel=\"blocked-by\""))
}

/// The template that is used where the operator names none.
pub const BUILT_IN_TEMPLATE: &str = include_str!("../../../../config/stop-page.html");

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::texts;
    use super::*;
    use crate::compile::{Border, CompiledList, Ede, From, Settings, Triggers, ZoneSoa};
    use crate::policy::{Action, Category, Kind, LegalRecord, Origin, Provenance, Reach, Redress};

    fn settings(languages: &[&str]) -> StopPageSettings {
        StopPageSettings {
            template: None,
            operator: Operator {
                name: Some("Example Net".to_owned()),
                contact: Some("mailto:abuse@isp.example".to_owned()),
                url: Some("https://isp.example/blocking".to_owned()),
            },
            languages: languages.iter().map(|tag| (*tag).to_owned()).collect(),
        }
    }

    fn list(origin: Origin) -> CompiledList {
        CompiledList {
            settings: Settings {
                kinds: vec![Kind::Domain],
                ede: Ede::Censored,
                ..Settings::new(
                    "csam",
                    From::Repository {
                        repository: "hotlines".to_owned(),
                        list: "csam".to_owned(),
                    },
                )
            },
            provenance: Provenance {
                list: "csam".to_owned(),
                title: "Example list".to_owned(),
                issuer: None,
                origin,
            },
            entries: Vec::new(),
            rejects: Vec::new(),
            rejected: 0,
            warnings: Vec::new(),
            warned: 0,
            soa: ZoneSoa::of("csam", 0),
            triggers: Triggers::default(),
            never_blocked: 0,
            not_in_effect: 0,
            withdrawn: 0,
            lapsed: 0,
            overdue: 0,
            border: Border::default(),
            holes: Vec::new(),
        }
    }

    fn signed() -> Origin {
        Origin::Signed {
            repository: "hotlines".to_owned(),
            generation: 1,
            seq: 42,
            state: String::new(),
            signers: Vec::new(),
            threshold: 1,
            keys: 1,
            accepted: None,
            issued_at: None,
            expires: Timestamp::UNIX_EPOCH,
        }
    }

    fn record() -> LegalRecord {
        LegalRecord {
            category: Category::Csam,
            basis: "Example Act, art. 1".to_owned(),
            authority: "Example Police".to_owned(),
            order_ref: Some("EX-2026-1".to_owned()),
            decided_at: Some("2026-03-01".to_owned()),
            notice_url: Some("https://gazette.example/1".to_owned()),
            reason: BTreeMap::from([("de-AT".to_owned(), "Kurzer Grund".to_owned())]),
            redress: Redress {
                url: Some("https://hotline.example/appeal".to_owned()),
                email: Some("appeal@hotline.example".to_owned()),
                deadline_days: Some(14),
                court: Some("Example Court".to_owned()),
            },
        }
    }

    fn answer(record: &LegalRecord, origin: Origin, languages: Option<&str>) -> Page {
        let list = list(origin);
        let rule = RuleView {
            list: &list,
            list_index: 0,
            entry_id: "EX-000123",
            value: "listed.example",
            match_word: "subtree",
            kind: Kind::Domain,
            action: Action::Block,
            reach: Reach::Asked,
            is_on_address: false,
            data: None,
            record,
            expires_at: None,
            canary: false,
        };
        let page = StopPage::new(
            &settings(&["en", "de", "fr", "nl", "pl"]),
            BUILT_IN_TEMPLATE,
        );
        let now = "2026-11-24T08:59:59Z".parse().unwrap();
        page.unwrap().blocked(&rule, languages, now)
    }

    fn field<'a>(answer: &'a Page, name: &str) -> &'a str {
        let found = answer.fields.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, value)| value)
    }

    #[test]
    fn a_browser_may_use_the_style_that_is_sent() {
        let answer = answer(&record(), signed(), None);
        let body = &answer.body;
        let (_, style) = body.split_once("<style>").unwrap();
        let (style, rest) = style.split_once("</style>").unwrap();
        assert!(!rest.contains("<style"), "one style, one hash");
        let policy = field(&answer, "content-security-policy");
        let sources = style_sources(&format!("<style>{style}</style>"));
        assert!(policy.contains(&sources), "{policy}");
    }

    #[test]
    fn it_says_who_why_and_what_to_do() {
        let answer = answer(&record(), signed(), Some("de-AT, en;q=0.5"));
        assert_eq!(answer.status, 451);
        let header = |name: &str| field(&answer, name);
        assert_eq!(
            header("link"),
            "<https://isp.example/blocking>; rel=\"blocked-by\""
        );
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("content-language"), "de");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert!(
            header("content-security-policy").starts_with("default-src 'none'; style-src 'sha256-")
        );
        assert_eq!(header("set-cookie"), "");
        let body = &answer.body;
        for part in [
            "<html lang=\"de\">",
            "Example Net",
            "Example Police",
            "Example Act, art. 1",
            "EX-2026-1",
            "2026-03-01",
            "<a href=\"https://gazette.example/1\"",
            "Kurzer Grund",
            "<a href=\"https://hotline.example/appeal\"",
            "<a href=\"mailto:appeal@hotline.example\"",
            "14 Tage",
            "Example Court",
            "strafbar",
            "csam/42/EX-000123 2026-11-24 08:00 UTC",
        ] {
            assert!(body.contains(part), "{part} is missing in {body}");
        }
        assert!(!body.contains("listed.example"), "the target is not named");
        assert!(!body.contains("{{") && !body.contains("<script") && !body.contains(" src="));
        assert!(
            !body.contains("placeholder"),
            "the comment is not part of the page"
        );
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let unsigned = Origin::Unsigned {
            path: "house-rules".to_owned(),
            digest: String::new(),
        };
        let body = answer(&LegalRecord::default(), unsigned, None).body;
        assert!(body.contains("under a rule of its own"));
        assert!(body.contains("Example list</bdi> (not signed)"));
        assert!(body.contains(">csam/EX-000123 2026-11-24 08:00 UTC<"));
        for label in [
            "Ordered by",
            "Legal basis",
            "Decision",
            "Reason",
            "Time limit",
            "Court<",
            "Appeal",
        ] {
            assert!(!body.contains(label), "{label} has no value");
        }
    }

    #[test]
    fn a_list_cannot_put_markup_on_the_page() {
        let evil = "\"><script>alert(1)</script><img src=x>";
        let mut record = record();
        record.basis = evil.to_owned();
        record.authority = evil.to_owned();
        record.order_ref = Some(evil.to_owned());
        record.notice_url = Some("javascript:alert(1)".to_owned());
        record.redress.url = Some(format!("https://a.example/{evil}"));
        record.redress.court = Some(evil.to_owned());
        let body = answer(&record, signed(), None).body;
        assert!(!body.contains("<script") && !body.contains("<img"));
        assert!(!body.contains("href=\"javascript:"));
        assert!(body.contains("&lt;script&gt;"));
    }

    #[test]
    fn every_language_is_whole() {
        for texts in texts::ALL {
            for category in Category::ALL {
                let mut record = record();
                record.category = category;
                let answer = answer(&record, signed(), Some(texts.language));
                assert_eq!(field(&answer, "content-language"), texts.language);
                let body = &answer.body;
                assert!(body.contains((texts.categories)(category)));
                assert!(body.contains((texts.statement)(category)));
                assert!(body.len() < 9000, "{} octets", body.len());
            }
            assert!(texts.named().iter().all(|(_, text)| !text.is_empty()));
        }
    }

    #[test]
    fn the_documented_template_names_every_placeholder() {
        for (name, _) in Field::ALL {
            assert!(
                BUILT_IN_TEMPLATE.contains(&format!("{{{{{name}}}}}")),
                "{name}"
            );
        }
        for (name, _) in texts::ALL[0].named() {
            assert!(
                BUILT_IN_TEMPLATE.contains(&format!("{{{{text.{name}}}}}")),
                "{name}"
            );
        }
    }

    #[test]
    fn the_link_names_who_blocks() {
        let mut operator = settings(&["en"]).operator;
        operator.url = None;
        let link = blocked_by(&operator).unwrap();
        assert_eq!(link, "<mailto:abuse@isp.example>; rel=\"blocked-by\"");
        operator.contact = Some("https://x.example/>; rel=evil".to_owned());
        assert_eq!(blocked_by(&operator), None);
    }

    #[test]
    fn a_template_with_crlf_is_the_same_page() {
        let dos = format!("\u{feff}{}", BUILT_IN_TEMPLATE.replace('\n', "\r\n"));
        let settings = settings(&["en"]);
        let policy = |template: &str| StopPage::new(&settings, template).unwrap().security_policy;
        assert_eq!(policy(&dos), policy(BUILT_IN_TEMPLATE));
    }

    #[test]
    fn a_wrong_template_or_language_is_refused() {
        let found = StopPage::new(&settings(&["en"]), "a\n{{x}}").unwrap_err();
        assert!(matches!(found, TemplateError::Unknown { line: 2, .. }));
        let found = StopPage::new(&settings(&["it"]), "").unwrap_err();
        assert!(matches!(found, TemplateError::Language { .. }));
        let found = StopPage::new(&settings(&[]), "").unwrap_err();
        assert_eq!(found, TemplateError::NoLanguage);
    }
}
