//! The texts in French.

use super::Texts;
use crate::policy::Category;

/// French.
pub(super) const TEXTS: Texts = Texts {
    language: "fr",
    operator: "Votre fournisseur d’accès",
    title: "L’accès à cette page est bloqué",
    lead: "{{operator}} a arrêté cette requête{{#authority}} à la demande de l’autorité suivante : {{authority}}{{/authority}}{{^authority}} en application d’une règle qui lui est propre{{/authority}}.",
    blocked_by: "Bloqué par",
    authority: "À la demande de",
    basis: "Base légale",
    order: "Décision",
    decided_at: "Date de la décision",
    notice: "Avis public",
    category: "Catégorie",
    reason: "Motif",
    list: "Liste",
    unsigned: "non signée",
    redress: "Vous pensez qu’il s’agit d’une erreur ?",
    redress_lead: "Vous-même ou l’éditeur du site pouvez contester ce blocage. Personne n’a à dire pourquoi il souhaitait voir la page.",
    appeal: "Recours auprès de l’autorité",
    deadline: "Délai",
    court: "Juridiction",
    contact: "Questions au fournisseur",
    about: "À propos du blocage",
    reference: "Référence",
    reference_note: "Indiquez cette référence pour toute question sur le blocage. Elle désigne l’entrée de la liste, pas vous.",
    help: "Ce que vous pouvez faire",
    privacy: "Votre vie privée",
    privacy_text: "Cette page n’enregistre pas votre adresse, ne dépose aucun cookie et ne charge rien auprès de tiers. Seul le nombre de requêtes arrêtées est compté. Voir cette page n’entraîne aucune poursuite à votre encontre.",
    days: |days| match days {
        0 | 1 => format!("{days} jour"),
        days => format!("{days} jours"),
    },
    categories: |category| match category {
        Category::Csam => "Contenus pédocriminels",
        Category::Terrorism => "Contenus à caractère terroriste",
        Category::Gambling => "Jeux d’argent non autorisés",
        Category::Phishing => "Hameçonnage",
        Category::Malware => "Logiciels malveillants",
        Category::Copyright => "Atteinte au droit d’auteur",
        Category::CopyrightLive => "Atteinte au droit d’auteur, diffusion en direct",
        Category::Finance => "Services financiers non autorisés",
        Category::Consumer => "Protection des consommateurs",
        Category::Sanctions => "Sanctions",
        Category::CourtOther => "Décision de justice",
        Category::Local => "Règle propre au fournisseur",
    },
    statement: |category| match category {
        Category::Csam => {
            "Les images d’abus sexuels sur des enfants montrent des crimes commis sur des enfants bien réels. Les produire, les diffuser, les détenir ou les consulter est une infraction pénale dans de nombreux pays."
        }
        _ => "",
    },
    help_text: |category| match category {
        Category::Csam => {
            "Vous pouvez signaler de tels contenus anonymement à un point de contact de votre pays. Si vos propres pensées ou votre comportement vous inquiètent, une aide confidentielle existe : un médecin ou un service d’écoute peut vous orienter."
        }
        Category::Phishing => {
            "Si vous avez saisi un mot de passe ou des données de carte sur une telle page, changez le mot de passe et prévenez votre banque."
        }
        Category::Malware => {
            "Si vous avez téléchargé un fichier depuis une telle page, ne l’ouvrez pas et faites vérifier votre appareil."
        }
        Category::Gambling => {
            "Si le jeu devient un problème, des services d’écoute vous aident gratuitement et en toute confidentialité."
        }
        _ => "",
    },
    not_blocked: [
        "Cette adresse n’est pas bloquée",
        "Le blocage a été levé, ou cette page a été ouverte par erreur. Veuillez réessayer dans une minute.",
    ],
    unreachable: [
        "Le site est injoignable",
        "Le serveur du site n’a pas accepté la connexion. Il n’est pas bloqué ici. Veuillez réessayer plus tard.",
    ],
    timeout: [
        "Le site ne répond pas",
        "Le serveur du site n’a pas répondu à temps. Il n’est pas bloqué ici. Veuillez réessayer plus tard.",
    ],
};
