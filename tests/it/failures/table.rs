//! Which test shows which row of trust.md section 7.8, attack of 1.3 and trap of 2.3, and
//! which the pipeline of field.md section 3.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What can happen, and the tests that make it happen, as `module::test`.
const TABLE: &[(&str, &[&str])] = &[
    // 7.8: when things go wrong
    (
        "timestamp expired or unobtainable",
        &[
            "failures::clock::timestamp_unobtainable_goes_stale_with_a_warning_then_an_alarm",
            "trust::what_is_expired_is_refused_and_the_list_stays",
        ],
    ),
    (
        "a list role expired",
        &[
            "trust::one_authority_that_fails_leaves_every_other_working",
            "failures::clock::a_list_that_has_expired_is_dropped_where_its_policy_says_so",
        ],
    ),
    (
        "root expired",
        &["failures::clock::clock_far_ahead_keeps_enforcing_and_recovers_when_the_clock_does"],
    ),
    (
        "rollback, threshold, hash, version mismatch",
        &[
            "failures::events::a_mirror_that_lies_is_a_security_event_with_its_name_and_the_next_is_tried",
        ],
    ),
    (
        "same version, different bytes",
        &[
            "failures::keys::same_version_with_different_bytes_keeps_ours_and_both_as_evidence",
            "failures::keys::a_key_that_signs_one_version_twice_is_an_alarm_on_the_node",
        ],
    ),
    (
        "partial or slow download",
        &[
            "failures::download::partial_download_is_resumed_by_range_and_the_hash_over_the_whole_decides",
            "failures::download::partial_download_leaves_no_file_behind_and_the_next_mirror_is_tried",
            "trust::a_mirror_that_stalls_is_given_up",
        ],
    ),
    (
        "disk full",
        &[
            "failures::disk::disk_full_keeps_enforcing_says_so_and_recovers_by_itself",
            "failures::disk::a_list_that_cannot_be_stored_stays_in_force_until_it_is",
            "failures::writes::a_disk_that_is_full_from_any_write_of_a_node_on_loses_nothing",
            "failures::writes::a_disk_that_is_full_from_any_write_of_an_authority_on_leaves_a_repository_that_is_whole",
            "failures::writes::a_disk_that_is_full_from_any_write_of_a_rotation_on_leaves_nodes_what_they_had",
            "failures::writes::a_disk_that_is_full_leaves_no_half_of_a_key_that_is_made",
        ],
    ),
    (
        "crash at any point",
        &[
            "failures::writes::a_crash_at_any_write_of_a_node_loses_nothing",
            "failures::writes::a_crash_at_any_write_of_an_authority_leaves_a_repository_that_is_whole",
            "failures::writes::a_power_cut_that_leaves_half_a_file_of_a_node_loses_nothing",
            "failures::writes::a_power_cut_that_leaves_half_a_file_of_an_authority_is_served_to_nobody",
        ],
    ),
    (
        "state files damaged",
        &[
            "failures::damage::damaged_metadata_is_set_aside_and_fetched_again",
            "failures::damage::damaged_files_of_our_own_are_set_aside_and_made_anew",
            "failures::damage::a_damaged_root_is_set_aside_and_followed_again",
            "failures::damage::damaged_floors_are_rebuilt_and_still_forbid_going_back",
            "failures::damage::a_damaged_current_names_the_file_and_the_newest_is_taken",
            "failures::damage::a_damaged_state_or_proof_uses_the_older_version_says_so_and_is_fetched_again",
        ],
    ),
    (
        "clock steps back",
        &[
            "failures::clock::clock_steps_back_is_tolerated_with_a_warning",
            "trust::clocks_may_step_but_not_lie",
        ],
    ),
    (
        "clock far ahead",
        &[
            "failures::clock::clock_sweep_from_a_day_back_to_two_years_ahead_never_loses_a_list",
            "failures::clock::clock_far_ahead_keeps_enforcing_and_recovers_when_the_clock_does",
        ],
    ),
    (
        "clock unknown at boot",
        &["failures::clock::clock_unknown_at_boot_enforces_what_is_stored_and_accepts_nothing"],
    ),
    (
        "online key stolen",
        &[
            "failures::keys::online_keys_stolen_can_freeze_and_replay_but_make_no_list",
            "trust::the_floor_of_a_list_survives_the_rotation_of_online_keys",
        ],
    ),
    (
        "one list signer stolen",
        &["failures::keys::one_list_signer_stolen_publishes_nothing"],
    ),
    (
        "both list signers stolen",
        &[
            "failures::keys::both_list_signers_stolen_speak_for_their_list_alone_until_targets_revokes_them",
            "failures::keys::both_list_signers_stolen_are_bounded_by_policy_never_block_and_guards",
            "failures::keys::a_list_whose_serial_a_thief_put_out_of_reach_begins_anew",
        ],
    ),
    (
        "root threshold stolen",
        &[
            "failures::keys::root_threshold_stolen_needs_another_root_by_hand",
            "trust::replace::only_the_word_of_a_person_gives_the_floors_of_another_root_up",
        ],
    ),
    (
        "unknown format or critical field",
        &[
            "failures::events::an_unknown_format_keeps_the_last_edition_and_asks_for_an_upgrade",
            "trust::terms::what_the_policy_demands_of_one_list_costs_no_other",
            "bad_input::a_policy_that_demands_what_is_unknown_is_not_signed_and_stops_its_list_alone",
        ],
    ),
    (
        "never-block or guard hit",
        &[
            "guards::piracy_shield_a_host_below_a_never_block_name_is_left_out",
            "hold::a_list_that_doubles_is_held_over_a_restart_until_somebody_accepts_it",
            "hold::a_held_version_is_superseded_by_a_better_one",
        ],
    ),
    // 7.12: what a stolen key of the role that withdraws can do
    (
        "withdraw key stolen",
        &[
            "failures::keys::the_key_that_withdraws_stolen_lets_some_through_and_does_no_more",
            "trust::terms::withdrawals_outlive_the_role_but_not_its_keys",
            "levers::a_withdrawal_that_the_list_never_confirms_is_an_alarm_on_both_sides",
        ],
    ),
    // field.md section 3: the pipeline, in its order
    (
        "size and time limits",
        &[
            "trust::endless_data_is_refused",
            "trust::a_mirror_that_stalls_is_given_up",
        ],
    ),
    (
        "k-of-n signatures",
        &["failures::keys::one_list_signer_stolen_publishes_nothing"],
    ),
    (
        "serial and freshness",
        &["trust::an_older_serial_or_another_content_under_the_same_is_refused"],
    ),
    (
        "parse with quarantine; key scope; IP budget",
        &[
            "failures::keys::both_list_signers_stolen_are_bounded_by_policy_never_block_and_guards",
            "guards::mooo_com_and_asic_shared_parents_and_addresses_need_leave",
        ],
    ),
    (
        "self-protection",
        &["guards::russia_a_list_does_not_turn_a_node_against_itself"],
    ),
    (
        "protected domains",
        &["guards::piracy_shield_a_host_below_a_never_block_name_is_left_out"],
    ),
    (
        "public suffix and shared platforms",
        &["guards::mooo_com_and_asic_shared_parents_and_addresses_need_leave"],
    ),
    (
        "composition and growth",
        &[
            "guards::denmark_the_wrong_file_is_not_published",
            "guards::growth_is_held_by_version_and_by_day_unless_a_person_says_why",
        ],
    ),
    (
        "preview and hold",
        &["hold::a_list_that_doubles_is_held_over_a_restart_until_somebody_accepts_it"],
    ),
    (
        "self-test after the swap",
        &["self_test::a_version_that_fails_is_taken_back_and_held_until_a_better_one_comes"],
    ),
    (
        "withdrawals skip the delay; a mass removal trips the shrink guard",
        &[
            "levers::a_withdrawn_name_resolves_within_three_seconds",
            "hold::a_rejected_version_never_acts_and_the_next_is_judged_by_what_is_in_force",
        ],
    ),
    (
        "emergency allow",
        &["levers::an_allowed_name_passes_everywhere_for_its_time_and_over_a_restart"],
    ),
    // 1.3: attacks
    (
        "arbitrary content",
        &[
            "trust::a_wrong_signature_is_refused",
            "trust::every_octet_of_every_file_counts",
        ],
    ),
    (
        "rollback",
        &[
            "trust::an_older_version_is_refused",
            "trust::a_signed_snapshot_that_goes_back_is_refused",
            "trust::an_older_serial_or_another_content_under_the_same_is_refused",
        ],
    ),
    (
        "indefinite freeze",
        &["trust::what_is_expired_is_refused_and_the_list_stays"],
    ),
    (
        "fast-forward",
        &["trust::the_floor_of_a_list_survives_the_rotation_of_online_keys"],
    ),
    (
        "mix-and-match",
        &["trust::an_older_snapshot_or_role_under_new_names_is_refused"],
    ),
    ("endless data", &["trust::endless_data_is_refused"]),
    (
        "slow retrieval",
        &["trust::a_mirror_that_stalls_is_given_up"],
    ),
    (
        "wrong authority",
        &["trust::another_authoritys_path_does_not_count"],
    ),
    (
        "key compromise",
        &[
            "failures::keys::one_list_signer_stolen_publishes_nothing",
            "trust::a_root_needs_the_old_and_the_new_keys",
        ],
    ),
    (
        "malicious mirror",
        &["trust::when_a_mirror_is_gone_or_lies_the_next_is_asked"],
    ),
    // 2.3: traps
    (
        "one authority's role must leave every other working",
        &["trust::one_authority_that_fails_leaves_every_other_working"],
    ),
    (
        "a star stays within a path segment",
        &[
            "trust::another_authoritys_path_does_not_count",
            "tuf_client::delegations::stars_and_question_marks_stay_within_a_segment",
        ],
    ),
    (
        "a dropped connection is not \"no newer root\"",
        &["trust::only_a_mirrors_own_word_makes_a_file_absent"],
    ),
    ("a 64 MiB timestamp", &["trust::endless_data_is_refused"]),
    (
        "a short and a long target",
        &["trust::a_file_that_was_cut_short_or_has_another_length_is_refused"],
    ),
    (
        "15,000-deep JSON; a duplicate member",
        &["trust::json_that_readers_disagree_about_is_refused"],
    ),
    (
        "one public key under two ids",
        &[
            "trust::a_root_that_the_lint_refuses_is_not_followed",
            "trust::one_authority_that_fails_leaves_every_other_working",
        ],
    ),
    (
        "40 root rotations in one absence",
        &["trust::roots_are_followed_however_long_the_node_was_away"],
    ),
    (
        "the clock steps back 5 s, or was 400 days ahead",
        &[
            "failures::clock::clock_far_ahead_keeps_enforcing_and_recovers_when_the_clock_does",
            "trust::clocks_may_step_but_not_lie",
        ],
    ),
    (
        "the version floor survives local expiry",
        &["failures::events::the_floor_survives_local_expiry"],
    ),
    (
        "a full disk keeps the floor and leaves the old target whole",
        &["failures::disk::disk_full_keeps_enforcing_says_so_and_recovers_by_itself"],
    ),
];

/// Every `module::test` of the integration tests.
fn tests(folder: &Path, module: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let below = match (module, stem) {
            (module, "mod") => module.to_owned(),
            ("", stem) => stem.to_owned(),
            (module, stem) => format!("{module}::{stem}"),
        };
        if path.is_dir() {
            tests(&path, &below, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for test in text.split("#[test]\n").skip(1) {
            let test = test.trim_start().trim_start_matches("fn ");
            let name = test.split('(').next().unwrap();
            found.insert(format!("{below}::{name}"));
        }
    }
}

#[test]
fn every_row_attack_and_trap_has_its_test() {
    let mut found = BTreeSet::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    tests(&folder, "", &mut found);
    let mut missing = Vec::new();
    for (what, named) in TABLE {
        assert!(!named.is_empty(), "{what}");
        for test in named.iter().filter(|test| !found.contains(**test)) {
            missing.push(format!("{what}: {test}"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    let mut in_table: BTreeSet<&str> = TABLE
        .iter()
        .flat_map(|(_, tests)| *tests)
        .copied()
        .collect();
    in_table.insert("failures::table::every_row_attack_and_trap_has_its_test");
    let left_out: Vec<&String> = found
        .iter()
        .filter(|test| test.starts_with("failures::") && !in_table.contains(test.as_str()))
        .collect();
    assert!(left_out.is_empty(), "in no row of the table: {left_out:?}");
}
