//! The behaviour of `client_ws`, as tests that run natively and in a browser.
//!
//! Each test is an `async fn` over the public API of `client_ws`. A test takes an [`Env`], which starts circles and fake
//! circles for it, and returns a [`Failure`] if the client does not behave as it should.
//!
//! - `tests/client_behaviour.rs` runs every test natively.
//! - `web/tests/client.test.mjs` runs every test in Chromium, from this crate compiled to WebAssembly.
//!
//! Tests of what differs between the two sides by design are in `sides.rs`.

pub mod control;
mod env;
mod failure;

mod authentication;
mod calls;
mod calls_real;
mod cancellation;
mod connection;
mod end;
mod events;
mod limits;
mod plays;
mod queries;
mod reconnection;
mod sides;
mod subscriptions;
mod tolerance;

#[cfg(target_arch = "wasm32")]
pub mod browser;

use futures_util::future::LocalBoxFuture;

pub use env::Env;
pub use failure::Failure;

/// The result of a test.
pub type Outcome = Result<(), Failure>;

/// Starts a test.
pub type Start = fn(Env) -> LocalBoxFuture<'static, Outcome>;

/// Calls a macro with the tests: `module { test, … } …`.
#[macro_export]
macro_rules! for_each_test {
    ($callback:ident) => {
        $callback! {
            connection {
                client_without_connection_is_not_connected,
                client_knows_the_identity_of_its_circle,
                client_refuses_other_identity,
                identity_check_decides,
                circle_without_valid_identity_is_not_a_circle,
                client_sends_nothing_to_refused_circle,
                silent_server_is_not_a_circle,
                client_reports_unreachable_circle,
                second_connection_is_a_new_session,
                clients_have_separate_sessions,
                invalid_url_is_refused_before_a_connection,
            }
            authentication {
                member_authenticates_and_plays,
                refused_key_leaves_the_session_as_it_was,
                client_without_key_cannot_authenticate,
                client_does_not_sign_nonce_for_other_circle,
                client_does_not_sign_text_that_is_not_a_nonce,
                unencrypted_authentication_needs_permission,
            }
            calls_real {
                function_returns_its_value,
                function_knows_its_caller,
                thrown_value_reaches_the_caller,
                unfit_parameters_are_named,
                unknown_function_and_forbidden_one_are_the_same,
                failure_of_function_is_internal_without_the_right_to_play,
                call_is_cancelled_while_plays_and_calls_run,
                call_stops_at_its_timeout,
                output_of_call_is_for_callers_who_may_play,
                functions_are_those_of_the_role,
                visitor_may_not_play,
            }
            plays {
                value_is_read_as_a_type,
                value_keeps_all_digits,
                variables_stay_between_plays,
                script_error_has_position_and_trace,
                script_that_does_not_parse_is_an_error,
                concurrent_plays_get_their_own_results,
                play_stops_at_its_timeout,
                shortest_timeout_is_one_millisecond,
                value_is_bound_to_a_name,
                result_over_the_output_limit_is_an_error,
            }
            events {
                prints_are_a_stream_before_the_result,
                debug_output_has_a_position,
                progress_is_an_event,
                running_play_is_an_owned_stream,
                untaken_events_delay_nothing_else,
                events_over_the_limit_are_counted,
            }
            cancellation {
                cancelled_play_keeps_the_session,
                queued_play_is_cancelled,
                play_is_cancelled_by_its_id,
                dropped_play_is_cancelled,
                dropped_future_of_play_cancels,
                dropped_future_of_result_cancels,
                detached_play_goes_on,
                ended_play_is_not_cancelled,
            }
            calls {
                value_of_function_is_read_as_a_type,
                parameters_are_by_position_too,
                value_of_another_type_keeps_the_connection,
                time_limit_of_a_call_is_sent,
                errors_of_calls_have_their_data,
                running_call_is_an_owned_stream,
                calls_and_plays_get_their_own_answers,
                call_is_cancelled_and_dropped_as_a_play_is,
                functions_are_those_of_the_document,
                call_fails_with_its_connection,
            }
            queries {
                completions_know_the_session,
                scope_lists_variables_and_functions,
                lookup_finds_documentation,
                reset_replaces_the_environment,
                circle_describes_itself,
                contract_is_an_openrpc_document,
            }
            limits {
                unanswered_request_times_out,
                play_has_no_timeout_of_the_client,
                message_over_stated_limit_closes_connection,
                message_over_32_mib_closes_connection,
                binary_message_closes_connection,
                message_that_is_not_json_rpc_closes_connection,
            }
            end {
                reason_for_the_end_is_never_lost,
                circle_that_shuts_down_says_so,
                unauthenticated_connection_ends_with_a_reason,
                running_play_fails_with_its_connection,
                next_notice_returns_notices_before_the_end,
                disconnect_ends_everything,
                dropped_client_closes_its_connection,
            }
            reconnection {
                client_reconnects_and_authenticates_and_repeats_nothing,
                client_sends_nothing_again,
                calls_wait_until_the_client_has_reconnected,
                client_does_not_reconnect_to_other_circle,
                client_gives_up_after_the_attempts_of_the_policy,
                client_gives_up_when_its_key_is_not_admitted,
                client_that_disconnects_does_not_reconnect,
            }
            subscriptions {
                subscription_is_a_stream_of_events,
                dropped_subscription_is_ended,
                subscription_goes_on_after_a_reconnection,
                subscription_fails_with_its_connection,
                slow_program_leaves_and_resumes_its_subscription,
                refused_subscription_is_an_error,
                subscription_is_an_owned_stream,
            }
            tolerance {
                unknown_words_of_notifications_end_nothing,
                unknown_words_of_answers_are_unknown,
                unknown_error_is_kept,
                late_and_unknown_responses_are_ignored,
            }
            sides {
                authority_is_that_of_the_side,
                localhost_is_what_the_side_dials,
                refused_connection_says_what_the_side_may_know,
                foreign_origin_is_a_matter_of_browsers,
                idle_client_sends_the_heartbeat_of_the_side,
            }
        }
    };
}

macro_rules! table {
    ($($module:ident { $($test:ident),* $(,)? })*) => {
        /// The tests, by module and name.
        pub const TESTS: &[(&str, &str, Start)] =
            &[$($((stringify!($module), stringify!($test), |env| Box::pin($module::$test(env)))),*),*];
    };
}

for_each_test!(table);
