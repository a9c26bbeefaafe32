//! The texts in Dutch.

use super::Texts;
use crate::policy::Category;

/// Dutch.
pub(super) const TEXTS: Texts = Texts {
    language: "nl",
    operator: "Uw internetprovider",
    title: "De toegang tot deze pagina is geblokkeerd",
    lead: "{{operator}} heeft dit verzoek tegengehouden{{#authority}} in opdracht van de volgende instantie: {{authority}}{{/authority}}{{^authority}} op grond van een eigen regel{{/authority}}.",
    blocked_by: "Geblokkeerd door",
    authority: "In opdracht van",
    basis: "Rechtsgrond",
    order: "Besluit",
    decided_at: "Datum van het besluit",
    notice: "Bekendmaking",
    category: "Categorie",
    reason: "Reden",
    list: "Lijst",
    unsigned: "niet ondertekend",
    redress: "Denkt u dat dit een vergissing is?",
    redress_lead: "U of de eigenaar van de site kan bezwaar maken. Niemand hoeft te zeggen waarom hij de pagina wilde bekijken.",
    appeal: "Bezwaar bij de instantie",
    deadline: "Termijn",
    court: "Rechtbank",
    contact: "Vragen aan de provider",
    about: "Meer over blokkeren",
    reference: "Kenmerk",
    reference_note: "Vermeld dit kenmerk bij vragen over de blokkade. Het verwijst naar de vermelding op de lijst, niet naar u.",
    help: "Wat u kunt doen",
    privacy: "Uw privacy",
    privacy_text: "Deze pagina slaat uw adres niet op, plaatst geen cookies en laadt niets van derden. Alleen het aantal tegengehouden verzoeken wordt geteld. Dat u deze pagina ziet, leidt niet tot een procedure tegen u.",
    days: |days| match days {
        1 => "1 dag".to_owned(),
        days => format!("{days} dagen"),
    },
    categories: |category| match category {
        Category::Csam => "Beelden van seksueel kindermisbruik",
        Category::Terrorism => "Terroristische inhoud",
        Category::Gambling => "Kansspelen zonder vergunning",
        Category::Phishing => "Phishing",
        Category::Malware => "Kwaadaardige software",
        Category::Copyright => "Inbreuk op het auteursrecht",
        Category::CopyrightLive => "Inbreuk op het auteursrecht, live-uitzending",
        Category::Finance => "Financiële diensten zonder vergunning",
        Category::Consumer => "Consumentenbescherming",
        Category::Sanctions => "Sancties",
        Category::CourtOther => "Gerechtelijk bevel",
        Category::Local => "Eigen regel van de provider",
    },
    statement: |category| match category {
        Category::Csam => {
            "Beelden van seksueel kindermisbruik tonen misdrijven tegen echte kinderen. Het maken, verspreiden, bezitten of bekijken ervan is in veel landen strafbaar."
        }
        _ => "",
    },
    help_text: |category| match category {
        Category::Csam => {
            "U kunt zulke inhoud anoniem melden bij een meldpunt in uw land. Maakt u zich zorgen over uw eigen gedachten of gedrag? Er is vertrouwelijke hulp: een arts of hulpverlener kan u doorverwijzen."
        }
        Category::Phishing => {
            "Hebt u op zo’n pagina een wachtwoord of kaartgegevens ingevuld? Wijzig dan het wachtwoord en waarschuw uw bank."
        }
        Category::Malware => {
            "Hebt u van zo’n pagina een bestand gedownload? Open het niet en laat uw apparaat nakijken."
        }
        Category::Gambling => {
            "Wordt gokken een probleem? Hulpverleners bieden gratis en vertrouwelijke hulp."
        }
        _ => "",
    },
    not_blocked: [
        "Dit adres is niet geblokkeerd",
        "De blokkade is opgeheven, of deze pagina is per vergissing geopend. Probeer het over een minuut opnieuw.",
    ],
    unreachable: [
        "De site is niet bereikbaar",
        "De server van de site heeft de verbinding niet aanvaard. De site is hier niet geblokkeerd. Probeer het later opnieuw.",
    ],
    timeout: [
        "De site antwoordt niet",
        "De server van de site heeft niet op tijd geantwoord. De site is hier niet geblokkeerd. Probeer het later opnieuw.",
    ],
};
