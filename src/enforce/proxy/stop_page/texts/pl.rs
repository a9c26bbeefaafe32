//! The texts in Polish.

use super::Texts;
use crate::policy::Category;

/// Polish.
pub(super) const TEXTS: Texts = Texts {
    language: "pl",
    operator: "Twój dostawca internetu",
    title: "Dostęp do tej strony jest zablokowany",
    lead: "To połączenie zatrzymał operator: {{operator}}{{#authority}}, na polecenie organu: {{authority}}{{/authority}}{{^authority}}, na podstawie własnej reguły{{/authority}}.",
    blocked_by: "Blokujący",
    authority: "Na polecenie",
    basis: "Podstawa prawna",
    order: "Decyzja",
    decided_at: "Data decyzji",
    notice: "Ogłoszenie publiczne",
    category: "Kategoria",
    reason: "Powód",
    list: "Lista",
    unsigned: "niepodpisana",
    redress: "Czy to pomyłka?",
    redress_lead: "Sprzeciw może złożyć każdy użytkownik oraz właściciel strony. Nikt nie musi podawać, dlaczego chciał otworzyć tę stronę.",
    appeal: "Odwołanie do organu",
    deadline: "Termin",
    court: "Sąd",
    contact: "Pytania do dostawcy",
    about: "Informacje o blokowaniu",
    reference: "Numer referencyjny",
    reference_note: "Podaj ten numer, pytając o blokadę. Wskazuje on wpis na liście, a nie Ciebie.",
    help: "Co możesz zrobić",
    privacy: "Twoja prywatność",
    privacy_text: "Ta strona nie zapisuje Twojego adresu, nie używa plików cookie i nie wczytuje niczego od podmiotów trzecich. Zliczana jest tylko liczba zatrzymanych połączeń. Wyświetlenie tej strony nie powoduje wszczęcia wobec Ciebie żadnego postępowania.",
    days: |days| match days {
        1 => "1 dzień".to_owned(),
        days => format!("{days} dni"),
    },
    categories: |category| match category {
        Category::Csam => "Materiały przedstawiające seksualne wykorzystywanie dzieci",
        Category::Terrorism => "Treści o charakterze terrorystycznym",
        Category::Gambling => "Hazard bez zezwolenia",
        Category::Phishing => "Wyłudzanie danych (phishing)",
        Category::Malware => "Złośliwe oprogramowanie",
        Category::Copyright => "Naruszenie praw autorskich",
        Category::CopyrightLive => "Naruszenie praw autorskich, transmisja na żywo",
        Category::Finance => "Usługi finansowe bez zezwolenia",
        Category::Consumer => "Ochrona konsumentów",
        Category::Sanctions => "Sankcje",
        Category::CourtOther => "Orzeczenie sądu",
        Category::Local => "Własna reguła dostawcy",
    },
    statement: |category| match category {
        Category::Csam => {
            "Materiały przedstawiające seksualne wykorzystywanie dzieci ukazują przestępstwa popełnione na prawdziwych dzieciach. Ich wytwarzanie, rozpowszechnianie, posiadanie lub oglądanie jest w wielu krajach przestępstwem."
        }
        _ => "",
    },
    help_text: |category| match category {
        Category::Csam => {
            "Takie treści można anonimowo zgłosić w punkcie kontaktowym w swoim kraju. Jeśli niepokoją Cię własne myśli lub zachowania, dostępna jest poufna pomoc: lekarz lub poradnia wskaże, gdzie ją znaleźć."
        }
        Category::Phishing => {
            "Jeśli na takiej stronie podano hasło lub dane karty, zmień hasło i zawiadom swój bank."
        }
        Category::Malware => {
            "Jeśli z takiej strony pobrano plik, nie otwieraj go i zleć sprawdzenie urządzenia."
        }
        Category::Gambling => {
            "Jeśli gra staje się problemem, poradnie oferują bezpłatną i poufną pomoc."
        }
        _ => "",
    },
    not_blocked: [
        "Ten adres nie jest zablokowany",
        "Blokada została zniesiona albo ta strona została otwarta przez pomyłkę. Spróbuj ponownie za minutę.",
    ],
    unreachable: [
        "Nie można połączyć się ze stroną",
        "Serwer strony nie przyjął połączenia. Strona nie jest tutaj zablokowana. Spróbuj ponownie później.",
    ],
    timeout: [
        "Strona nie odpowiada",
        "Serwer strony nie odpowiedział na czas. Strona nie jest tutaj zablokowana. Spróbuj ponownie później.",
    ],
};
