//! The texts in German.

use super::Texts;
use crate::policy::Category;

/// German.
pub(super) const TEXTS: Texts = Texts {
    language: "de",
    operator: "Ihr Internetanbieter",
    title: "Der Zugang zu dieser Seite ist gesperrt",
    lead: "{{operator}} hat diesen Aufruf{{#authority}} auf Veranlassung der folgenden Stelle angehalten: {{authority}}{{/authority}}{{^authority}} aufgrund einer eigenen Regel angehalten{{/authority}}.",
    blocked_by: "Gesperrt durch",
    authority: "Veranlasst von",
    basis: "Rechtsgrundlage",
    order: "Entscheidung",
    decided_at: "Entschieden am",
    notice: "Bekanntmachung",
    category: "Kategorie",
    reason: "Begründung",
    list: "Liste",
    unsigned: "nicht signiert",
    redress: "Halten Sie das für einen Fehler?",
    redress_lead: "Sie oder der Betreiber der Seite können widersprechen. Niemand muss angeben, weshalb er die Seite aufrufen wollte.",
    appeal: "Beschwerde bei der Behörde",
    deadline: "Frist",
    court: "Gericht",
    contact: "Fragen an den Anbieter",
    about: "Mehr über Sperren",
    reference: "Vorgangskennung",
    reference_note: "Nennen Sie diese Kennung bei Fragen zur Sperre. Sie bezeichnet den Eintrag auf der Liste, nicht Sie.",
    help: "Was Sie tun können",
    privacy: "Ihre Privatsphäre",
    privacy_text: "Diese Seite speichert Ihre Adresse nicht, setzt keine Cookies und lädt nichts von Dritten. Gezählt wird nur, wie viele Aufrufe angehalten wurden. Wer diese Seite sieht, hat deswegen kein Verfahren zu erwarten.",
    days: |days| match days {
        1 => "1 Tag".to_owned(),
        days => format!("{days} Tage"),
    },
    categories: |category| match category {
        Category::Csam => "Darstellungen sexuellen Kindesmissbrauchs",
        Category::Terrorism => "Terroristische Inhalte",
        Category::Gambling => "Unerlaubtes Glücksspiel",
        Category::Phishing => "Phishing",
        Category::Malware => "Schadsoftware",
        Category::Copyright => "Urheberrechtsverletzung",
        Category::CopyrightLive => "Urheberrechtsverletzung, Live-Übertragung",
        Category::Finance => "Unerlaubte Finanzdienstleistungen",
        Category::Consumer => "Verbraucherschutz",
        Category::Sanctions => "Sanktionen",
        Category::CourtOther => "Gerichtliche Anordnung",
        Category::Local => "Eigene Regel des Anbieters",
    },
    statement: |category| match category {
        Category::Csam => {
            "Darstellungen sexuellen Kindesmissbrauchs zeigen Verbrechen an wirklichen Kindern. Sie herzustellen, zu verbreiten, zu besitzen oder anzusehen ist in vielen Ländern strafbar."
        }
        _ => "",
    },
    help_text: |category| match category {
        Category::Csam => {
            "Solche Inhalte können Sie anonym einer Meldestelle in Ihrem Land melden. Wenn Sie sich wegen eigener Gedanken oder Handlungen sorgen, gibt es vertrauliche Hilfe: Eine Ärztin, ein Arzt oder eine Beratungsstelle kann sie vermitteln."
        }
        Category::Phishing => {
            "Wenn Sie auf einer solchen Seite ein Passwort oder Kartendaten eingegeben haben, ändern Sie das Passwort und verständigen Sie Ihre Bank."
        }
        Category::Malware => {
            "Wenn Sie von einer solchen Seite eine Datei heruntergeladen haben, öffnen Sie sie nicht und lassen Sie Ihr Gerät prüfen."
        }
        Category::Gambling => {
            "Wenn das Spielen zur Last wird, helfen Beratungsstellen kostenlos und vertraulich."
        }
        _ => "",
    },
    not_blocked: [
        "Diese Adresse ist nicht gesperrt",
        "Die Sperre wurde aufgehoben, oder diese Seite wurde versehentlich aufgerufen. Bitte versuchen Sie es in einer Minute noch einmal.",
    ],
    unreachable: [
        "Die Seite ist nicht erreichbar",
        "Der Server der Seite hat die Verbindung nicht angenommen. Gesperrt ist sie hier nicht. Bitte versuchen Sie es später noch einmal.",
    ],
    timeout: [
        "Die Seite antwortet nicht",
        "Der Server der Seite hat nicht rechtzeitig geantwortet. Gesperrt ist sie hier nicht. Bitte versuchen Sie es später noch einmal.",
    ],
};
