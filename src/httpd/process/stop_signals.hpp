// SPDX-License-Identifier: Apache-2.0
// The signals by which httpd's parent ends its children.
#pragma once

#include <csignal>

namespace websocket::httpd {

/// True inside a handler for SIGTERM or SIGHUP: prefork leaves from there on a hard stop, where
/// only async-signal-safe functions may be called. Async-signal-safe.
[[nodiscard]] bool in_stop_signal_handler() noexcept;

/// Reads what httpd does at a signal; false unless that is a handler which gets its number and no more.
[[nodiscard]] bool read_handler(int number, struct sigaction& action) noexcept;

/// From now on SIGTERM, and SIGHUP with prefork, of any process but this one calls `on_stop` in the
/// signal handler. For a child that is leaving: there, httpd itself ignores these signals.
void watch_for_stop(void (*on_stop)() noexcept, bool prefork) noexcept;

/// prefork: from now on graceful_signal_came() tells whether the parent has asked for a graceful
/// end with its signal, as it does on a restart and on a stop, not when it has too many idle children.
/// In processes that are forked from this one, too.
void watch_for_graceful_signal() noexcept;
[[nodiscard]] bool graceful_signal_came() noexcept;
/// Ends prefork's loop when it looks next, as that signal does, but without having come. False if nobody watches for it.
/// Async-signal-safe.
[[nodiscard]] bool call_httpds_graceful_handler() noexcept;

}  // namespace websocket::httpd
