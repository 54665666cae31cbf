// SPDX-License-Identifier: Apache-2.0
#include "httpd/process/child.hpp"

#include <dlfcn.h>
#include <http_config.h>
#include <http_log.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <utility>

#include "base/signal_mask.hpp"
#include "httpd/config/endpoint_settings.hpp"
#include "httpd/handshake/connection_caps.hpp"
#include "httpd/module.hpp"
#include "httpd/process/descriptors.hpp"
#include "httpd/process/history.hpp"
#include "httpd/process/mpm.hpp"
#include "httpd/process/topics.hpp"
#include "httpd/siblings/arrival.hpp"
#include "httpd/status/own_metrics.hpp"

namespace websocket::httpd {

namespace {

Child* process_child = nullptr;  // httpd's hooks have no other place for it

constexpr unsigned kMaxDefaultLoops = 4;

/// No secret: so that it is the same in all generations, whatever versions of the module they have.
constexpr base::HashKey kLeadersHash{0x6c656164, 0x65727331};

/// How long it waits for the bus: a little more than the bus itself does.
constexpr int kBusPatience = static_cast<int>(hub::LocalBus::kStopTimeout.count()) + 100;  // ms
/// How long it waits for logs: a little more than the writer itself does.
constexpr int kLogPatience = static_cast<int>(LogWriter::kStopTimeout.count()) + 100;  // ms
/// How long it waits for threads that serve clients of siblings: their sockets are shut.
constexpr int kGuestPatience = 500;  // ms
/// How long it waits for a look, which takes no time unless its thread gets none.
constexpr int kWatchPatience = 100;    // ms
constexpr int kStopPollInterval = 10;  // ms

unsigned default_loops() {
    if (is_prefork()) {
        return 1;  // many children, each with few connections
    }
    return std::clamp(std::thread::hardware_concurrency(), 1U, kMaxDefaultLoops);
}

engine::EngineOptions engine_options(const Config& config, std::function<void()> on_end) {
    engine::EngineOptions options;
    options.loops = config.has(Setting::threads)
                        ? static_cast<unsigned>(config.get(Setting::threads))
                        : default_loops();
    options.max_connections = static_cast<std::uint32_t>(config.get(Setting::max_connections));
    options.on_end = std::move(on_end);
    options.broadcast_buffer = static_cast<std::size_t>(config.get(Setting::topic_buffer));
    options.open_counts = own_open_counts();
    if (const Siblings* siblings = Siblings::instance()) {
        options.connections = &siblings->own().used;
    }
    return options;
}

hub::LocalBusOptions bus_options(const Config& config) {
    hub::LocalBusOptions options;
    options.buffer = static_cast<std::size_t>(config.get(Setting::topic_buffer));
    return options;
}

hub::HubOptions hub_options(const Config& config, hub::History* history) {
    hub::HubOptions options;
    options.max_topics = static_cast<std::size_t>(config.get(Setting::max_topics));
    options.hash_key = topic_registry().hash_key();
    options.counts = own_topic_counts();
    options.history = history;
    options.names = {"WebSocketSendBuffer", "WebSocketTopicBuffer", "WebSocketMaxTopics",
                     "WebSocketMaxTopicsPerLocation"};
    return options;
}

plugin::PoolOptions pool_options(const Config& config) {
    plugin::PoolOptions options;
    options.min_threads = static_cast<unsigned>(config.get(Setting::pool_min_threads));
    options.max_threads = static_cast<unsigned>(config.get(Setting::pool_max_threads));
    options.shared = config.plugin_sections > 1;
    return options;
}

std::chrono::milliseconds drain_timeout(const Config& config) {
    return std::chrono::milliseconds(config.get(Setting::drain_timeout));
}

/// httpd unloads its modules in the last moments of a process, when the pool's threads still run.
void stay_loaded() {
    Dl_info module{};
    if (::dladdr(&process_child, &module) != 0) {
        ::dlopen(module.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
    }
}

}  // namespace

Child::Child(server_rec* server)
    : log_(server), log_writer_(report_left_out),
      engine_(engine_options(process_config(server), [this] { instances_.end(); }), log_),
      bus_(topic_registry(), bus_options(process_config(server)), log_),
      history_(history_of_process(server, log_)),
      hub_(engine_, bus_, log_, hub_options(process_config(server), history_.get())),
      presence_(presence_of_server(), hub_, topic_registry().hash_key(), log_),
      leaders_(leaders_file(), kLeadersHash, log_),
      pool_(pool_options(process_config(server)), log_), host_{engine_, pool_, log_},
      instances_(host_), pump_slots_(process_config(server).pump_slots),
      watch_([this](auto now) { look(now); }), metrics_(metric_catalogue()),
      lifecycle_(
          server, host_, drain_timeout(process_config(server)),
          [this](auto deadline) { announce_drain(deadline); },
          [this] { return doorkeeper_ == nullptr || doorkeeper_->drained(); }),
      process_(::getpid()) {
    set_reminder(&log_writer_);
    host_.topics = &hub_;
    host_.listener_buffer = bus_options(process_config(server)).buffer;
    host_.presence = &presence_;
    host_.leaders = &leaders_;
    host_.metrics = &metrics_;
}

Child* Child::instance() noexcept { return process_child; }

void Child::init(apr_pool_t* pchild, server_rec* server) {
    const base::SignalsBlocked held;  // prefork would end the process inside of an allocation
    raise_descriptor_limit(process_config(server), server);
    stay_loaded();
    try {
        keep_endpoints();
        // Never freed: plugins that do not return from a callback keep using it until the end.
        process_child = new Child(server);
        claim_own_counts();
        process_child->join_siblings(server);
    } catch (const std::exception&) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, server,
                     "WS0202: out of memory, this child will serve no WebSocket");
        return;
    }
    // Without a place for it exit() destroys as usual.
    static_cast<void>(std::atexit(end_process));
    // Before anything else of the child is taken down: what plugins use still works while it drains.
    apr_pool_pre_cleanup_register(pchild, process_child, leave_pool);
}

/// With prefork there is no other thread for the clients of others: see prefork_pause.hpp.
void Child::join_siblings(server_rec* server) noexcept {
    const Siblings* siblings = Siblings::instance();
    if (siblings == nullptr) {
        return;
    }
    static_cast<void>(Arrival::measure());
    if (is_prefork()) {
        return;
    }
    try {
        doorkeeper_ = std::make_unique<Doorkeeper>(
            *siblings, engine_,
            static_cast<std::uint32_t>(std::max(1, ask_mpm(AP_MPMQ_MAX_THREADS))));
    } catch (const std::exception&) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server,
                     "WS0203: no thread or descriptor for clients that other children have no room "
                     "for: this child takes none");
    }
}

void Child::stopping(apr_pool_t* /*pchild*/, int graceful) {
    if (process_child != nullptr) {
        process_child->lifecycle_.told_to_go(graceful != 0);
        if (const Siblings* siblings = Siblings::instance()) {
            siblings->own().leaves.store(true);
        }
        if (process_child->doorkeeper_ != nullptr) {
            process_child->doorkeeper_->begin_drain();
        }
    }
}

/// The workers have ended. With prefork this may run inside a signal handler, so nothing here
/// may lock or allocate then: the loops and the pool do the work, this waits.
void Child::leave() noexcept {
    if (std::exchange(left_, true)) {
        return;
    }
    lifecycle_.leave();
    if (doorkeeper_ != nullptr) {
        doorkeeper_->begin_stop();
        for (int waited = 0; waited < kGuestPatience && !doorkeeper_->stopped();
             waited += kStopPollInterval) {
            ::poll(nullptr, 0, kStopPollInterval);
        }
    }
    // What plugins have published at last goes out to other children.
    bus_.begin_stop();
    for (int waited = 0; waited < kBusPatience && !bus_.stopped(); waited += kStopPollInterval) {
        ::poll(nullptr, 0, kStopPollInterval);
    }
    log_writer_.begin_stop();
    for (int waited = 0; waited < kLogPatience && !log_writer_.stopped();
         waited += kStopPollInterval) {
        ::poll(nullptr, 0, kStopPollInterval);
    }
    watch_.begin_stop();
    for (int waited = 0; waited < kWatchPatience && !watch_.stopped();
         waited += kStopPollInterval) {
        ::poll(nullptr, 0, kStopPollInterval);
    }
    log_.end();
    error_logs_.end();
    if (host_.sessions.load() != 0) {
        plugin::Plugin::abandon_all();  // a callback has not returned
    }
}

bool Child::at_rest() const noexcept {
    return engine_.stopped() && bus_.stopped() && log_writer_.stopped() && watch_.stopped() &&
           (doorkeeper_ == nullptr || doorkeeper_->stopped()) && host_.sessions.load() == 0;
}

/// exit() destroys static objects and httpd's pools, which a thread that has not come back in time uses
/// when it does.
void Child::end_process() noexcept {
    const Child& child = *process_child;
    if (child.left_ && child.process_ == ::getpid() && !child.at_rest()) {
        ::_exit(EXIT_SUCCESS);
    }
}

apr_status_t Child::leave_pool(void* child) {
    static_cast<Child*>(child)->leave();
    return APR_SUCCESS;
}

// mpm_itk forks a process for each connection. Its only thread gets here before any other exists.
bool Child::settle() noexcept {
    const pid_t self = ::getpid();
    if (self == process_) {
        return true;
    }
    if (engine_.started()) {
        return false;
    }
    process_ = self;
    forked_ = true;
    lifecycle_.moved();
    return true;
}

void Child::look(ChildWatch::Clock::time_point now) noexcept {
    show_hanging_loops(engine_.look_for_hangs(
        now, [this](const engine::Engine::Hang& hang) { report_hang(hang); }));
    hub_.look_after_history();
    presence_.look_after();
    const auto end = lifecycle_.handlers_end(now);
    const std::size_t ended = end && now >= *end ? held_sockets_.shut_down() : 0;
    if (ended > 0) {
        std::array<char, 160> line;
        std::snprintf(line.data(), line.size(),
                      "WS0125: this child has to end: cutting %zu connections that still hold "
                      "threads",
                      ended);
        log_.write(base::LogLevel::info, line.data());
    }
}

void Child::report_hang(const engine::Engine::Hang& hang) noexcept {
    std::array<char, 640> line;
    if (hang.over) {
        std::snprintf(line.data(), line.size(), "WS0307: event loop %u is back", hang.loop);
    } else {
        const char* plugin = hang.beat.whose != nullptr && !hang.beat.whose->owner.empty()
                                 ? hang.beat.whose->owner.c_str()
                                 : "(none)";
        std::snprintf(line.data(), line.size(),
                      "WS0306: event loop %u hangs: for %u s it has not come back from %s, of the "
                      "plugin %s; its clients wait, new ones get other loops",
                      hang.loop,
                      static_cast<unsigned>(engine::HangDetector::kPolls *
                                            engine::HangDetector::kPollInterval.count() / 1000),
                      name_of(hang.beat.work), plugin);
    }
    log_.write(hang.over ? base::LogLevel::info : base::LogLevel::error, line.data());
}

void Child::announce_drain(std::chrono::steady_clock::time_point deadline) noexcept {
    leaders_.begin_drain();
    instances_.begin_drain(deadline);
}

}  // namespace websocket::httpd
