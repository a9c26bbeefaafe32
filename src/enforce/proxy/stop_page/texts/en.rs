//! The texts in English.

use super::Texts;
use crate::policy::Category;

/// English.
pub(super) const TEXTS: Texts = Texts {
    language: "en",
    operator: "Your internet provider",
    title: "Access to this page is blocked",
    lead: "{{operator}} has stopped this request{{#authority}} by order of the following authority: {{authority}}{{/authority}}{{^authority}} under a rule of its own{{/authority}}.",
    blocked_by: "Blocked by",
    authority: "Ordered by",
    basis: "Legal basis",
    order: "Decision",
    decided_at: "Decided on",
    notice: "Public notice",
    category: "Category",
    reason: "Reason",
    list: "List",
    unsigned: "not signed",
    redress: "Do you think this is a mistake?",
    redress_lead: "You, or the owner of the site, can object. Nobody needs to say why they wanted to see the page.",
    appeal: "Appeal to the authority",
    deadline: "Time limit",
    court: "Court",
    contact: "Questions to the provider",
    about: "About blocking",
    reference: "Reference",
    reference_note: "Quote this reference when you ask about the block. It identifies the entry on the list, not you.",
    help: "What you can do",
    privacy: "Your privacy",
    privacy_text: "This page does not store your address, sets no cookies and loads nothing from third parties. Only the number of stopped requests is counted. Seeing this page does not start any proceedings against you.",
    days: |days| match days {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    },
    categories: |category| match category {
        Category::Csam => "Depictions of child sexual abuse",
        Category::Terrorism => "Terrorist content",
        Category::Gambling => "Unlicensed gambling",
        Category::Phishing => "Phishing",
        Category::Malware => "Malicious software",
        Category::Copyright => "Copyright infringement",
        Category::CopyrightLive => "Copyright infringement, live broadcast",
        Category::Finance => "Unauthorised financial services",
        Category::Consumer => "Consumer protection",
        Category::Sanctions => "Sanctions",
        Category::CourtOther => "Court order",
        Category::Local => "The provider’s own rule",
    },
    statement: |category| match category {
        Category::Csam => {
            "Depictions of child sexual abuse show crimes against real children. Making, sharing, possessing or viewing them is a criminal offence in many countries."
        }
        _ => "",
    },
    help_text: |category| match category {
        Category::Csam => {
            "You can report such content anonymously to a hotline in your country. If you are worried about your own thoughts or behaviour, confidential help is available: a doctor or a counselling service can put you in touch with it."
        }
        Category::Phishing => {
            "If you entered a password or card details on such a page, change the password and tell your bank."
        }
        Category::Malware => {
            "If you downloaded a file from such a page, do not open it, and have your device checked."
        }
        Category::Gambling => {
            "If gambling is becoming a burden, counselling services offer free and confidential help."
        }
        _ => "",
    },
    not_blocked: [
        "This address is not blocked",
        "The block has been lifted, or this page was opened by mistake. Please try again in a minute.",
    ],
    unreachable: [
        "The site cannot be reached",
        "The site’s server did not accept the connection. It is not blocked here. Please try again later.",
    ],
    timeout: [
        "The site does not answer",
        "The site’s server did not answer in time. It is not blocked here. Please try again later.",
    ],
};
