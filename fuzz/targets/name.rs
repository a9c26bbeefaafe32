//! Names: read from wire form, from messages, and from text; each form leads to the same name.

use std::cmp::Ordering;

use cordon::enforce::resolver::wire::{name_at, skip_name};
use cordon::policy::{NAME_OCTETS_MAX, Name};

/// The octets are two names in wire form, then a message with names anywhere; and a text.
pub(super) fn run(octets: &[u8]) {
    if let Ok((name, used)) = Name::from_wire(octets) {
        assert_eq!(used, name.as_wire().len());
        assert!(name.as_wire().eq_ignore_ascii_case(&octets[..used]));
        check(&name);
        if let Ok((other, _)) = Name::from_wire(&octets[used..]) {
            check_pair(&name, &other);
        }
    }
    for at in 0..octets.len().min(MESSAGE_OCTETS_MAX) {
        if let Some(name) = name_at(octets, at) {
            assert!(skip_name(octets, at).is_some_and(|end| end > at && end <= octets.len()));
            check(&name);
        }
    }
    if let Ok(text) = std::str::from_utf8(octets)
        && let Ok(name) = Name::from_text(text)
    {
        assert_eq!(Name::from_text(&name.to_string()), Ok(name), "{text:?}");
        check(&name);
    }
}

/// What holds of every name.
fn check(name: &Name) {
    let wire = name.as_wire();
    assert!(wire.len() <= NAME_OCTETS_MAX && wire.last() == Some(&0));
    assert_eq!(Name::from_wire(wire), Ok((*name, wire.len())));
    let parents: Vec<&[u8]> = name.and_parents().collect();
    assert_eq!(parents.len(), name.label_count() + 1);
    for parent in parents {
        let (parent, _) = Name::from_wire(parent).expect("a parent is a name");
        assert!(name.is_at_or_below(&parent));
    }
    let text = name.to_string();
    // What may stand in a wire may not all be written; what is written says the same name.
    if let Ok(read) = Name::from_text(&text) {
        assert_eq!(read, *name, "{text:?}");
    }
}

/// What holds of every two names.
fn check_pair(one: &Name, other: &Name) {
    let order = one.canonical_cmp(other);
    assert_eq!(order, other.canonical_cmp(one).reverse());
    assert_eq!(order == Ordering::Equal, one == other);
    if one.is_at_or_below(other) {
        assert_ne!(order, Ordering::Less, "a parent comes before its children");
    }
    let length = one.as_wire().len() + other.as_wire().len() - 1;
    match one.before(other) {
        Some(joined) => {
            assert_eq!(joined.as_wire().len(), length);
            assert!(joined.is_at_or_below(other));
            check(&joined);
        }
        None => assert!(length > NAME_OCTETS_MAX),
    }
}

/// How far into the octets names are looked for.
const MESSAGE_OCTETS_MAX: usize = 512;
