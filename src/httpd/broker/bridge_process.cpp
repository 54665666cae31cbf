// SPDX-License-Identifier: Apache-2.0
#include "httpd/broker/bridge_process.hpp"

#include <apr_thread_proc.h>
#include <fcntl.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <mpm_common.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <string>

#include "base/descriptor.hpp"
#include "base/sip_hash.hpp"
#include "httpd/broker/broker_config.hpp"
#include "httpd/config/config.hpp"
#include "httpd/module.hpp"
#include "httpd/process/history.hpp"
#include "httpd/process/mpm.hpp"
#include "httpd/process/process_lifetime.hpp"
#include "httpd/process/topics.hpp"

namespace websocket::httpd {

namespace {

using base::Descriptor;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Under this name the process keeps what follows over restarts. The number changes with its layout.
constexpr const char* kBridgeKey = "mod_websocket bridge 1";

constexpr milliseconds kFirstDelay{100};
constexpr milliseconds kLongestDelay{10'000};
/// Who has lived so long may be started at once when it dies.
constexpr milliseconds kLived{10'000};
constexpr int kExitNoProgram = 127;

/// Plain data: another version of the module may find it after a restart.
struct Kept {
    pid_t process = 0;
    int control = -1;        ///< our end, which children have, too: its end is the end of all
    int their_control = -1;  ///< for one process after the other
    std::array<char, 32> identity{};  ///< of what it was told and of its file
    std::int64_t started = 0;         ///< Clock
    std::int64_t delay = 0;           ///< before it was last started, in milliseconds
};

/// Of one reading of the configuration.
struct Bridge {
    server_rec* server;
    Kept* kept;
    apr_proc_t process;
    int settings = -1;  ///< a file in memory
    std::string program;
};

void on_process_event(int reason, void* data, apr_wait_t status);

int make_settings_file(const std::string& text) {
    Descriptor file(::memfd_create("websocket-bridge", MFD_CLOEXEC));
    if (!file.valid() ||
        ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        return -1;
    }
    return file.release();
}

/// Whether it is the same, not whether somebody wants it to look so: the key is no secret.
std::array<char, 32> identity_of(const std::string& settings, const std::string& program) {
    constexpr base::HashKey kIdentityHash{};
    struct stat status {};
    static_cast<void>(::stat(program.c_str(), &status));
    const std::uint64_t hash = base::sip_hash(kIdentityHash, settings + program);
    const std::array<std::uint64_t, 4> words{hash, static_cast<std::uint64_t>(status.st_ino),
                                             static_cast<std::uint64_t>(status.st_mtim.tv_sec) *
                                                     1'000'000'000 +
                                                 static_cast<std::uint64_t>(status.st_mtim.tv_nsec),
                                             static_cast<std::uint64_t>(status.st_size)};
    std::array<char, 32> identity{};
    static_assert(sizeof words == sizeof identity);
    std::memcpy(identity.data(), words.data(), sizeof words);
    return identity;
}

/// In the new process: waits, unless httpd ends meanwhile.
void wait_before_start(int control, milliseconds delay) noexcept {
    pollfd end{control, POLLIN, 0};
    if (delay.count() > 0 && ::poll(&end, 1, static_cast<int>(delay.count())) > 0 &&
        (end.revents & POLLHUP) != 0) {
        ::_exit(EXIT_SUCCESS);
    }
}

/// In the new process: becomes the program, as the user that the children are.
[[noreturn]] void become_program(const Bridge& bridge, int control, milliseconds delay) noexcept {
    for (const int signal :
         {SIGTERM, SIGHUP, SIGINT, SIGUSR1, SIGCHLD, SIGPIPE, SIGALRM, SIGWINCH}) {
        std::signal(signal, SIG_DFL);
    }
    ::close(bridge.kept->control);  // else it would not see the end of the others
    wait_before_start(control, delay);
    // Above the numbers that they shall have; then each is moved without hitting another.
    constexpr int kAbove = 16;
    const int settings = ::fcntl(bridge.settings, F_DUPFD_CLOEXEC, kAbove);
    const int registry = ::fcntl(topic_registry().file(), F_DUPFD_CLOEXEC, kAbove);
    const int presence = ::fcntl(presence_of_server().file(), F_DUPFD_CLOEXEC, kAbove);
    const int own_control = ::fcntl(control, F_DUPFD_CLOEXEC, kAbove);
    const int history = ::fcntl(history_file(), F_DUPFD_CLOEXEC, kAbove);  // perhaps there is none
    if (ap_run_drop_privileges(bridge.server->process->pool, bridge.server) != OK) {
        ::_exit(EXIT_FAILURE);
    }
    if (::dup2(settings, hub::kBridgeSettingsFile) < 0 ||
        ::dup2(registry, hub::kBridgeRegistryFile) < 0 ||
        ::dup2(own_control, hub::kBridgeControl) < 0 ||
        ::dup2(presence, hub::kBridgePresenceFile) < 0 ||
        (history >= 0 && ::dup2(history, hub::kBridgeHistoryFile) < 0)) {
        ::_exit(EXIT_FAILURE);
    }
    std::array<char*, 2> arguments{const_cast<char*>(bridge.program.c_str()), nullptr};
    ::execv(bridge.program.c_str(), arguments.data());
    ap_log_error(APLOG_MARK, APLOG_ERR, errno, bridge.server, "WS0621: cannot run %s",
                 bridge.program.c_str());
    ::_exit(kExitNoProgram);
}

/// Has its end told.
void watch(Bridge& bridge) {
    bridge.process.pid = bridge.kept->process;
    apr_proc_other_child_register(&bridge.process, on_process_event, &bridge, nullptr,
                                  bridge.server->process->pconf);
}

void launch(Bridge& bridge, milliseconds delay) {
    Kept& kept = *bridge.kept;
    const pid_t process = ::fork();
    if (process == 0) {
        become_program(bridge, kept.their_control, delay);
    }
    if (process < 0) {
        ap_log_error(APLOG_MARK, APLOG_ERR, errno, bridge.server,
                     "WS0622: websocket-bridge cannot be started: topics stay within this host");
        return;
    }
    kept.process = process;
    kept.started = Clock::now().time_since_epoch().count();
    kept.delay = delay.count();
    watch(bridge);
}

/// How long to wait before it is started again.
milliseconds next_delay(const Kept& kept) noexcept {
    const Clock::duration lived =
        Clock::now().time_since_epoch() - Clock::duration(kept.started) - milliseconds(kept.delay);
    if (lived >= kLived) {
        return milliseconds(0);
    }
    return std::clamp(milliseconds(kept.delay) * 2, kFirstDelay, kLongestDelay);
}

bool is_stopping() noexcept {
    int state = 0;
    return ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS && state == AP_MPMQ_STOPPING;
}

/// [parent, while it waits for its children]
void on_process_event(int reason, void* data, apr_wait_t /*status*/) {
    auto& bridge = *static_cast<Bridge*>(data);
    if (reason != APR_OC_REASON_DEATH && reason != APR_OC_REASON_LOST) {
        return;
    }
    apr_proc_other_child_unregister(data);
    Kept& kept = *bridge.kept;
    hub::Registry registry = topic_registry();
    registry.reap(kept.process);
    registry.bridge_counts().connected.store(0);
    kept.process = 0;
    if (is_stopping()) {
        return;
    }
    const milliseconds delay = next_delay(kept);
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, bridge.server,
                 "WS0623: websocket-bridge has ended: topics stay within this host until it is "
                 "started again, in "
                 "%ld ms",
                 static_cast<long>(delay.count()));
    launch(bridge, delay);
}

/// [parent, while it waits for its children]
void on_old_process_event(int reason, void* data, apr_wait_t /*status*/) {
    if (reason == APR_OC_REASON_DEATH || reason == APR_OC_REASON_LOST) {
        hub::Registry registry = topic_registry();
        registry.reap(static_cast<apr_proc_t*>(data)->pid);
        apr_proc_other_child_unregister(data);
    }
}

/// A process of an earlier generation goes: it publishes what it has, and ends. Its successor waits for that.
void end_old(apr_pool_t* pconf, Kept& kept) {
    if (kept.process <= 0) {
        return;
    }
    ::kill(kept.process, SIGTERM);
    auto* old = static_cast<apr_proc_t*>(apr_pcalloc(pconf, sizeof(apr_proc_t)));
    old->pid = kept.process;
    apr_proc_other_child_register(old, on_old_process_event, old, nullptr, pconf);
    kept.process = 0;
}

bool make_control(Kept& kept) noexcept {
    std::array<int, 2> ends{};
    if (kept.control < 0) {
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
            return false;
        }
        kept.control = ends[0];
        kept.their_control = ends[1];
    }
    return true;
}

/// After a restart, standard error may be another file.
void pass_log(int control) noexcept {
    char byte = 0;
    iovec part{&byte, sizeof byte};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> extra{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = extra.data();
    message.msg_controllen = extra.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    constexpr int kLog = STDERR_FILENO;
    std::memcpy(CMSG_DATA(header), &kLog, sizeof kLog);
    static_cast<void>(::sendmsg(control, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
}

apr_status_t forget_reading(void* data) {
    auto* bridge = static_cast<Bridge*>(data);
    ::close(bridge->settings);
    delete bridge;
    return APR_SUCCESS;
}

bool lives(const Kept& kept) noexcept { return kept.process > 0 && ::kill(kept.process, 0) == 0; }

void warn_of_scopes(server_rec* server) {
    for (const server_rec* host = server; host != nullptr; host = host->next) {
        if (topic_scope(host).starts_with('=')) {
            continue;
        }
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_WARNING, 0, server,
                     "WS0624: WebSocketBroker without WebSocketTopicScope: only hosts whose names, "
                     "addresses and ports are "
                     "configured alike share topics");
        return;
    }
}

}  // namespace

int start_bridge(apr_pool_t* pconf, apr_pool_t* /*plog*/, apr_pool_t* /*ptemp*/,
                 server_rec* server) {
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;  // it is all read a second time
    }
    try {
        Kept& kept = *make_process_lifetime<Kept>(server, kBridgeKey);
        if (process_config(server).broker == nullptr) {
            end_old(pconf, kept);
            return OK;
        }
        hub::BrokerSettings settings;
        std::string error;
        if (!make_broker_settings(server, settings, error)) {
            ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, server, "WS0620: %s",
                         error.c_str());
            return HTTP_INTERNAL_SERVER_ERROR;
        }
        settings.histories = history_rules(server);
        warn_of_scopes(server);
        const std::string text = settings.to_text();
        auto bridge = std::make_unique<Bridge>(
            Bridge{server, &kept, {}, make_settings_file(text), bridge_program()});
        if (bridge->settings < 0 || !make_control(kept)) {
            ap_log_error(
                APLOG_MARK, APLOG_STARTUP | APLOG_ERR, errno, server,
                "WS0622: websocket-bridge cannot be started: topics stay within this host");
            return HTTP_INTERNAL_SERVER_ERROR;
        }
        const auto identity = identity_of(text, bridge->program);
        Bridge& current = *bridge.release();  // the pool's
        apr_pool_cleanup_register(pconf, &current, forget_reading, apr_pool_cleanup_null);
        if (lives(kept) && kept.identity == identity) {
            pass_log(kept.control);
            watch(current);
            return OK;
        }
        end_old(pconf, kept);
        kept.identity = identity;
        launch(current, milliseconds(0));
        return OK;
    } catch (const std::exception&) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, ENOMEM, server,
                     "WS0622: websocket-bridge cannot be started: topics stay within this host");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
}

}  // namespace websocket::httpd
