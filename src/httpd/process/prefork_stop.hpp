// SPDX-License-Identifier: Apache-2.0
// A hard stop of a child of prefork, whose MPM ends it within the signal handler, wherever its main thread is. That may
// be within malloc, whose lock the rest of the end waits for, and for ever: with threads beside it, the lock is real.
#pragma once

namespace websocket::httpd {

class Scoreboard;

/// In child_init with prefork, once. From now on SIGTERM and SIGHUP end the child as before while its main thread waits
/// for a connection. While it has one, they call `on_stop`, async-signal-safe, and let it finish what it does, for
/// kStopGrace milliseconds at most. `scoreboard` stays. Where the system refuses what this needs, all stays as it was.
void let_main_thread_finish(void (*on_stop)() noexcept, const Scoreboard& scoreboard) noexcept;
inline constexpr int kStopGrace = 500;

/// Notices when the main thread gets a connection.
void register_prefork_stop();

}  // namespace websocket::httpd
