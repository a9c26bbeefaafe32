//! Makes the [`ListFile`] of a list whose role and text were verified.

use serde_json::Value;

use super::chain::Chain;
use super::delegated::Scope;
use super::list_target::SignedState;
use super::{ListFile, Subscription, Text, Verified, VerifyError};
use crate::policy::{Origin, Provenance};

/// The list, with where it came from.
///
/// # Errors
/// [`VerifyError::Malformed`] when the header in it names another list.
pub(super) fn list_file(
    repository: &str,
    subscription: &Subscription,
    chain: &Chain,
    state: &SignedState,
    role: &[u8],
    text: Text,
) -> Result<Verified<ListFile>, VerifyError> {
    let Subscription { name, list } = subscription;
    let header: Value = serde_json::from_slice(&text.header()).unwrap_or_default();
    if header.get("list").and_then(Value::as_str) != Some(list) {
        return Err(VerifyError::Malformed {
            file: format!("{list}/full"),
            reason: "has no header that names its list".to_owned(),
        });
    }
    let signing = chain.signing(list, role)?;
    let expires = chain.delegated(&Scope::of_list(list));
    let provenance = Provenance {
        list: name.clone(),
        title: title_in(&header).unwrap_or_else(|| list.clone()),
        issuer: header
            .pointer("/issuer/name")
            .and_then(Value::as_str)
            .map(str::to_owned),
        origin: Origin::Signed {
            repository: repository.to_owned(),
            generation: state.version.generation,
            seq: state.version.seq,
            state: state.version.state.clone(),
            signers: signing.signers,
            threshold: signing.threshold,
            keys: signing.keys,
            accepted: state.accepted.clone(),
            issued_at: state.issued_at.or_else(|| chain.issued_at()),
            expires: expires.map(|role| role.expires).unwrap_or_default(),
        },
    };
    Ok(Verified::new(ListFile { provenance, text }))
}

/// The title in English, else in the first language.
fn title_in(header: &Value) -> Option<String> {
    let titles = header.get("title")?.as_object()?;
    let title = titles.get("en").or_else(|| titles.values().next())?;
    title.as_str().map(str::to_owned)
}
