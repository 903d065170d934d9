"""The contract's rows that the product carries, and where each is shown: a row is met when a test named here passes."""

import re

from tests.kit import ROOT

CARRIED = {
    "D1": ["scenarios/test_tasks.py a_task_in_plain_words_is_matched_run"],
    "D2": ["test_architecture.py the_runtime_imports_the_standard_library_only",
           "test_architecture.py the_server_starts_and_finishes_a_job_without"],
    "D3": ["state/test_machine.py every_pair_of_states", "state/test_projection.py files_that_the_disk_refused"],
    "D4": ["state/test_recovery.py without_the_checkpoint_file_the_documents_alone"],
    "D5": ["skills/test_cache.py an_edit_counts_on_the_next_request_and_compiles_exactly_once", "scenarios/test_tasks.py an_edit_of_a_skill_counts"],
    "D6": ["skills/test_cache.py an_edit_of_the_same_size", "skills/test_cache.py a_broken_skill_keeps_its_last_good_version"],
    "D7": ["test_architecture.py there_are_no_utils_and_no_file"],
    "D8": ["test_architecture.py imports_go_down_only", "test_architecture.py no_function_imports"],
    "D9": ["http/test_waiting.py a_stream_is_sent_in_chunks", "http/test_wirejson.py a_syntax_error_says",
           "router/test_retry_policy.py backoff_doubles"],
    "D10": ["test_architecture.py the_runtime_imports_the_standard_library_only"],
    "D11": ["test_rows.py tests_are_plain_functions"],
    "A17": ["skills/test_match_growth.py ten_times_as_many_skills"],
    "A19": ["skills/test_match_growth.py three_examples_in_a_new_language"],
    "A21": ["skills/test_compile.py every_member_of_a_skill_toml", "skills/test_compile.py the_hash_of_a_definition_changes"],
    "A35": ["skills/test_match_growth.py ten_times_as_many_skills"],
    "E26": ["skills/test_vectors.py texts_of_like_meaning", "skills/test_match.py candidates_come_best_first",
            "skills/test_audience.py only_active_skills"],
    "G8": ["router/test_routing_policy.py where_no_skill_fits_nothing_is_guessed", "scenarios/test_choosing.py a_client_is_asked"],
    "G9": ["router/test_routing_policy.py a_decision_names_the_catalogue", "router/test_routing_policy.py one_that_is_sure_enough"],
    "K1": ["test_architecture.py the_server_starts_and_finishes_a_job_without"],
    "K2": ["test_rows.py the_top_level_is_what_was_ordered"],
    "K3": ["scenarios/test_tasks.py a_task_in_plain_words_is_matched_run", "scenarios/test_fleet.py a_worker_is_registered_by_its_first_heartbeat"],
    "K4": ["test_docs.py what_the_readme_shows_happens", "test_docs.py the_worker_of_curl_and_shell"],
    "R6": ["state/test_machine.py each_move_is_in_the_history", "state/test_machine.py an_illegal_move_raises_changes_nothing"],
    "R7": ["state/test_machine.py every_pair_of_states", "test_docs.py generated_pages_are_what"],
    "R8": ["test_architecture.py states_are_changed_by_the_store_alone"],
    "R10": ["state/test_machine.py moves_of_one_call_are_taken_together", "scenarios/test_fleet.py the_same_result_again",
            "crash/test_workers.py a_worker_that_stands_still"],
    "R11": ["state/test_machine.py an_illegal_move_raises_changes_nothing_and_leaves_one_line",
            "state/test_machine.py the_audit_file_says_of_each_illegal_move_when_and_from_which_place"],
    "R17": ["router/test_dispatch_policy.py each_predicate_refuses_alone", "scenarios/test_jobs.py why_answers_for_every_state"],
    "R18": ["scenarios/test_fleet.py a_worker_is_registered_by_its_first_heartbeat"],
    "R19": ["fleet/test_agent.py a_worker_registers_works"],
    "R21": ["scenarios/test_fleet.py a_silent_worker_is_stale_then_gone"],
    "R22": ["scenarios/test_fleet.py a_worker_is_registered_by_its_first_heartbeat"],
    "R23": ["scenarios/test_fleet.py a_poll_that_parks_is_answered"],
    "R24": ["scenarios/test_fleet.py results_come_in_arrays"],
    "R25": ["scenarios/test_fleet.py work_for_one_named_worker", "test_docs.py the_worker_of_curl_and_shell"],
    "R41": ["scenarios/test_fleet.py a_silent_worker_is_stale_then_gone", "crash/test_full.py a_disk_that_is_full",
            "state/test_projection.py the_lag_of_files", "scenarios/test_limits.py inputs_in_memory_are_bounded",
            "scenarios/test_corners.py the_limit_of_live_jobs", "router/test_dispatch_policy.py each_predicate_refuses_alone",
            "fleet/test_runner.py memory_and_cpu_limits_hold"],
    "R45": ["crash/test_stalls.py a_malformed_document_of_a_running_job", "crash/test_stalls.py files_that_a_crash_left_half_written",
            "crash/test_stalls.py a_stale_file_is_never", "router/test_stuck.py a_result_and_what_follows_from_it_are_one_unit",
            "router/test_stuck.py whatever_jobs_were_in_when_server_and_worker_went_for_six_days"],
    "R26": ["scenarios/test_fleet.py a_silent_worker_is_stale_then_gone", "fleet/test_agent.py results_wait_while_the_server_is_away",
            "crash/test_restart.py restarts_under_constant_submits"],
    "R27": ["scenarios/test_fleet.py the_worker_that_the_server_serves_as_one_file",
            "scenarios/test_fleet.py a_worker_process_with_labels_and_a_secret"],
    "R28": ["test_architecture.py the_worker_side_of_the_fleet_never_sees_the_store"],
    "M1": ["test_architecture.py the_server_starts_and_finishes_a_job_without"],
    "M5": ["test_architecture.py imports_go_down_only"],
    "M31": ["crash/test_kill.py the_server_killed_with_9_in_the_middle_of_1000", "simulation/test_simulation.py every_invariant_holds_under_mixed",
            "fleet/test_agent.py a_phase_is_stored"],
    "M32": ["router/test_dispatch_policy.py each_predicate_refuses_alone", "fleet/test_runner.py memory_and_cpu_limits_hold"],
    "P1": ["test_architecture.py states_are_changed_by_the_store_alone"],
    "P2": ["test_architecture.py the_server_starts_and_finishes_a_job_without"],
    "P3": ["test_architecture.py the_runtime_imports_the_standard_library_only"],
    "P4": ["router/test_dispatch_policy.py over_every_combination_of_facts"],
    "P5": ["scenarios/test_fleet.py the_embedded_worker_is_started_again", "crash/test_full.py a_disk_that_is_full",
           "crash/test_workers.py a_job_is_not_lost_to_its_server"],
    "P11": ["simulation/test_simulation.py every_invariant_holds_under_mixed_faults", "simulation/test_bugs.py every_deliberate_bug",
            "crash/test_kill.py the_server_killed_again_and_again"],
    "P8": ["state/test_machine.py each_move_is_in_the_history", "state/test_lives.py lives_that_end_with_a_power_cut"],
    "P9": ["test_docs.py generated_pages_are_what"],
    "P10": ["scenarios/test_jobs.py why_answers_for_every_state"],
    "X1": ["scenarios/test_fleet.py a_worker_process_with_labels_and_a_secret", "scenarios/test_fleet.py the_embedded_worker_is_started_again"],
    "S1": ["state/test_contract.py a_unit_that_raises", "simulation/test_simulation.py every_invariant_holds_under_mixed_faults"],
    "S2": ["state/test_machine.py a_move_from_a_state_that_the_thing_is_not_in", "crash/test_folder.py a_second_server"],
    "S3": ["state/test_contract.py a_unit_that_cannot_be_written_as_json_fails_alone", "state/test_contract.py a_split_keeps_what_was_done"],
    "S5": ["http/test_waiting.py a_call_on_a_helper_does_not_hold_the_loop", "http/test_slow.py however_a_client_is_slow",
           "scenarios/test_tasks.py a_started_job_is_202"],
    "S10": ["http/test_life.py a_slow_head_gets_408", "scenarios/test_jobs.py a_step_that_runs_too_long",
            "fleet/test_client.py every_call_to_a_server_that_never_answers_times_out",
            "fleet/test_client.py heartbeats_polls_and_results_that_get_no_answer", "fleet/test_fetch.py what_cannot_be_reached_or_takes_too_long"],
    "S14": ["scenarios/test_tasks.py a_batch_answers_each_item", "scenarios/test_fleet.py results_come_in_arrays"],
    "S15": ["fleet/test_agent.py sigterm_lets_running_steps_end", "scenarios/test_operations.py on_sigterm_running_steps_end",
            "scenarios/test_operations.py what_keeps_it_from_starting_is_one_clear_line", "crash/test_full.py a_disk_that_is_full",
            "crash/test_stalls.py a_malformed_document_that_nothing_can_put_right_stops_the_start",
            "state/test_recovery.py a_clean_stop_leaves_a_complete_checkpoint"],
    "S16": ["scenarios/test_operations.py on_sigterm_running_steps_end"],
    "S17": ["test_docs.py every_refusal_has_a_test", "http/test_refusals.py not_now_always_says_when",
            "http/test_refusals.py a_handler_that_fails_is_internal"],
    "S20": ["http/test_slow.py slow_clients_of_the_whole_server", "http/test_turns.py clients_that_hang_up_together"],
    "S23": ["http/test_crowd.py thousands_of_idle_connections", "http/test_life.py a_connection_over_the_cap",
            "http/test_waiting.py what_is_kept_behind_a_parked_request_is_bounded",
            "scenarios/test_limits.py inputs_in_memory_are_bounded", "state/test_retention.py jobs_beyond_the_number_kept",
            "state/test_retention.py bytes_beyond_what_is_kept", "state/test_retention.py jobs_older_than_the_days_kept"],
}


def test_every_carried_row_is_shown_by_a_test_that_is_here():
    missing = []
    for row, places in CARRIED.items():
        for place in places:
            file, _, words = place.partition(" ")
            path = ROOT / "tests" / file
            names = re.findall(r"^def test_(\w+)", path.read_text(), re.MULTILINE) if path.exists() else []
            if not words or sum(words in name for name in names) != 1:         # no test or any of several shows nothing in particular
                missing.append(f"{row}: {place}")
    assert not missing, "\n".join(missing)


def test_the_top_level_is_what_was_ordered():
    for name in ("server.py", "router", "skills", "state", "fleet", "tests", "run_tests.py", "README.md"):
        assert (ROOT / name).exists(), f"{name} is missing"


def test_tests_are_plain_functions_of_no_framework():
    for path in (ROOT / "tests").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) (unittest|pytest|doctest)\b", path.read_text(), re.MULTILINE), f"{path} uses a framework"
