//! [`holes`]: the names that wildcards of a policy zone leave open (rpz.md 0.3, T18); a lint.

use std::collections::HashSet;

use rapidhash::fast::RandomState;

use super::index::Index;
use super::parse::Reject;
use super::rules::{Rule, Shape};
use super::zone_names::{Tree, each_of};
use crate::policy::{Action, NAME_OCTETS_MAX, Name, Reach, Scope};

/// Hands a warning for every hole to `warn`, by the line of the rule that makes it. `lines` are
/// the rules of one policy zone and their lines, both rising.
///
/// A wildcard covers what is below its parent as far as no name of the zone lies between: not
/// the parent itself, no name between it and a deeper rule, and nothing below these.
pub(super) fn holes(index: &Index, lines: &[(u32, u32)], warn: &mut dyn FnMut(Reject)) {
    let is_wildcard = |(number, _): &&(u32, u32)| {
        let rule = index.rules.get(*number);
        rule.and_then(tree_and_scope)
            .is_some_and(|(_, scope)| scope == Scope::Wildcard)
    };
    if !lines.iter().any(|of| is_wildcard(&of)) {
        return;
    }
    let mut lint = Lint {
        index,
        known: HashSet::default(),
    };
    for (number, line) in lines {
        let Some(rule) = index.rules.get(*number) else {
            continue;
        };
        let Some((tree, scope)) = tree_and_scope(rule) else {
            continue;
        };
        let Ok(name) = Name::from_text(index.rules.value(rule)) else {
            continue;
        };
        let reasons = [
            lint.apex(rule, tree, scope, &name),
            lint.below(rule, tree, scope, &name),
        ];
        for reason in reasons.into_iter().flatten() {
            warn(Reject {
                line: *line,
                reason,
            });
        }
    }
}

/// One zone while it is looked at.
struct Lint<'a> {
    index: &'a Index,
    /// The holes that were said, in wire form, behind the number of the tree.
    known: HashSet<Box<[u8]>, RandomState>,
}

impl Lint<'_> {
    /// Says that a wildcard leaves its own parent open.
    fn apex(&mut self, rule: &Rule, tree: Tree, scope: Scope, name: &Name) -> Option<String> {
        let is_open = scope == Scope::Wildcard
            && !name.is_root()
            && !self.has(rule.list, tree, name.as_wire(), Scope::Exact)
            && self.is_new(tree, name.as_wire());
        is_open.then(|| {
            format!(
                "`{}` does not cover {name} itself; add a row for it if it is meant",
                owner("*.", name, tree)
            )
        })
    }

    /// Says what a rule keeps a wildcard above it from covering.
    fn below(&mut self, rule: &Rule, tree: Tree, scope: Scope, name: &Name) -> Option<String> {
        let (wildcard, between) = self.above(rule.list, tree, name)?;
        let mut open: Vec<String> = Vec::new();
        for hole in between {
            if self.is_new(tree, hole.as_wire()) {
                open.push(format!("{hole} with all below it"));
            }
        }
        // What is below a rule that lets pass is meant to pass, too.
        let is_blunt = scope == Scope::Exact && rule.action != Action::PassThru;
        if is_blunt
            && !self.has(rule.list, tree, name.as_wire(), Scope::Wildcard)
            && self.is_new(tree, name.as_wire())
        {
            open.push(format!("all below {name}"));
        }
        if open.is_empty() {
            return None;
        }
        let own = owner(if scope == Scope::Wildcard { "*." } else { "" }, name, tree);
        Some(format!(
            "`{own}` makes a hole in `{}`: {} stays open, for a wildcard stops at the names of its zone; add rows for it if it is meant",
            owner("*.", &wildcard, tree),
            open.join(", ")
        ))
    }

    /// The parent of the closest wildcard above a name, and the names between that have no
    /// rule; nothing without one.
    fn above(&self, list: u16, tree: Tree, name: &Name) -> Option<(Name, Vec<Name>)> {
        let mut between = Vec::new();
        for wire in name.and_parents().skip(1) {
            let (parent, _) = Name::from_wire(wire).ok()?;
            if self.has(list, tree, wire, Scope::Wildcard) {
                return Some((parent, between));
            }
            if !self.has(list, tree, wire, Scope::Exact) {
                between.push(parent);
            }
        }
        None
    }

    /// Whether the zone has a rule of that scope at a name.
    fn has(&self, list: u16, tree: Tree, wire: &[u8], scope: Scope) -> bool {
        let mut found = false;
        each_of(self.index, tree.of(self.index), wire, |_, rule| {
            let is_it = tree_and_scope(rule).is_some_and(|(_, of)| of == scope);
            found |= rule.list == list && is_it;
        });
        found
    }

    /// Whether a hole was not said before.
    fn is_new(&mut self, tree: Tree, wire: &[u8]) -> bool {
        let mut key = Vec::with_capacity(NAME_OCTETS_MAX + 1);
        key.push(u8::from(tree == Tree::NameServer));
        key.extend(wire);
        self.known.insert(key.into())
    }
}

/// Which tree of names a rule of a policy zone is in, and how far it goes.
const fn tree_and_scope(rule: &Rule) -> Option<(Tree, Scope)> {
    match (rule.reach, rule.shape) {
        (Reach::PolicyZone, Shape::Name(scope)) => Some((Tree::Query, scope)),
        (Reach::PolicyZone, Shape::NsName(scope)) => Some((Tree::NameServer, scope)),
        _ => None,
    }
}

/// An owner as the zone has it.
fn owner(star: &str, name: &Name, tree: Tree) -> String {
    let marker = match tree {
        Tree::Query => "",
        Tree::NameServer => ".rpz-nsdname",
    };
    match (star, name.is_root()) {
        ("*.", true) => format!("*{marker}"),
        _ => format!("{star}{name}{marker}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::compile::{Compiler, Format, From, Protected, Settings};
    use crate::policy::Kind;
    use crate::verify::Verified;

    /// The warnings for a zone, the first row of which is line 3.
    #[track_caller]
    fn check(rows: &[&str], expected: &[(u32, &str)]) {
        let zone = format!("$TTL 60\n@ SOA a. b. 1 2 3 4 5\n{}\n", rows.join("\n"));
        let mut settings = Settings::new(
            "zone",
            From::File {
                path: "x".into(),
                format: Format::Rpz,
                scope: None,
            },
        );
        settings.kinds = Kind::ALL.to_vec();
        let protected = Protected::default();
        let mut compiler = Compiler::new(&protected, jiff::Timestamp::UNIX_EPOCH);
        compiler.add(
            &settings,
            &Verified::unsigned("zone", "x", zone.into_bytes()),
        );
        let blocklist = compiler.finish();
        let list = &blocklist.lists()[0];
        assert_eq!(list.rejects, [], "{rows:?}");
        let found = &list.warnings;
        assert_eq!(
            (found.len(), list.warned),
            (expected.len(), expected.len()),
            "{rows:?}: {found:?}"
        );
        for (warning, (line, part)) in found.iter().zip(expected) {
            assert_eq!(warning.line, *line, "{warning:?}");
            assert!(warning.reason.contains(part), "{warning:?}");
        }
    }

    #[test]
    fn t18_what_a_wildcard_leaves_open_is_said() {
        check(&["x.test CNAME .", "y.test CNAME ."], &[]);
        check(&["*.x.test CNAME .", "x.test CNAME ."], &[]);
        check(
            &["*.x.test CNAME ."],
            &[(3, "`*.x.test` does not cover x.test itself")],
        );
        // The names between a wildcard and a deeper rule, and what is below that.
        check(
            &[
                "*.ent.test CNAME .",
                "ent.test CNAME .",
                "x.y.ent.test CNAME .",
            ],
            &[(
                5,
                "`x.y.ent.test` makes a hole in `*.ent.test`: y.ent.test with all below it, all below x.y.ent.test stays open",
            )],
        );
        // Each hole once, by the first row that makes it.
        check(
            &[
                "*.ent.test CNAME .",
                "ent.test CNAME .",
                "*.a.y.ent.test CNAME .",
                "a.y.ent.test CNAME .",
                "*.b.y.ent.test CNAME .",
                "b.y.ent.test CNAME .",
            ],
            &[(
                5,
                "hole in `*.ent.test`: y.ent.test with all below it stays",
            )],
        );
        // Closed again by rows of its own.
        check(
            &[
                "*.ent.test CNAME .",
                "ent.test CNAME .",
                "x.y.ent.test CNAME .",
                "*.x.y.ent.test CNAME .",
                "y.ent.test CNAME .",
                "*.y.ent.test CNAME .",
            ],
            &[],
        );
        // Who lets a name pass means what is below it, too; not the names between.
        check(
            &[
                "*.ent.test CNAME .",
                "ent.test CNAME .",
                "good.ent.test CNAME rpz-passthru.",
                "good.y.ent.test CNAME rpz-passthru.",
            ],
            &[(6, "y.ent.test with all below it stays open")],
        );
        check(
            &[
                "*.ns.test.rpz-nsdname CNAME .",
                "*.ns.test CNAME .",
                "ns.test CNAME .",
            ],
            &[(3, "`*.ns.test.rpz-nsdname` does not cover ns.test itself")],
        );
    }

    #[test]
    fn what_a_hole_leaves_open_really_passes() {
        let zone = "@ SOA a. b. 1 2 3 4 5\n*.ent.test CNAME .\nx.y.ent.test CNAME .\n";
        let from = From::File {
            path: "x".into(),
            format: Format::Rpz,
            scope: None,
        };
        let mut compiler = Compiler::new(&Protected::default(), jiff::Timestamp::UNIX_EPOCH);
        compiler.add(
            &Settings::new("zone", from),
            &Verified::unsigned("zone", "x", zone.into()),
        );
        let blocklist = compiler.finish();
        for (name, passes) in [
            ("ent.test", true),
            ("y.ent.test", true),
            ("z.y.ent.test", true),
            ("x.y.ent.test", false),
            ("a.x.y.ent.test", true),
            ("z.ent.test", false),
            ("a.z.ent.test", false),
        ] {
            let name = crate::policy::Name::from_text(name).unwrap();
            let decision = blocklist.decide_name(&name, None);
            assert_eq!(decision.passes(), passes, "{name}");
        }
    }
}
