// SPDX-License-Identifier: Apache-2.0
#include "bridge/nats_worker.hpp"

#include <atomic>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <new>
#include <random>
#include <utility>

#include "base/signal_mask.hpp"
#include "bridge/nats_connection.hpp"
#include "bridge/nats_errors.hpp"

namespace websocket::bridge {

using std::chrono::milliseconds;

namespace {

/// Until it is looked again whether anybody waits for the answer.
constexpr milliseconds kSlice{100};

}  // namespace

/// What the thread does, and what it shares with the loop.
class NatsWorker::Thread {
public:
    /// Hosts begin with different servers of a cluster.
    Thread(BrokerLinkOptions options, NatsEvents& events)
        : options_(std::move(options)), events_(events), next_host_(std::random_device{}()) {}

    void run() noexcept;

    // [loop]
    void connect(std::uint64_t number) noexcept;
    void post(std::vector<Command>& batch);
    void stop() noexcept;
    /// Whether run() has come to its end in time.
    [[nodiscard]] bool await_end(std::chrono::steady_clock::time_point limit);

private:
    using Connection = std::unique_ptr<NatsConnection>;

    void serve();
    [[nodiscard]] Connection dial(std::uint64_t number);
    [[nodiscard]] bool greet(NatsConnection& connection, std::uint64_t number,
                             const std::string& where);
    void execute(NatsConnection& connection, std::uint64_t number, std::vector<Command>& batch);
    [[nodiscard]] natsStatus await_confirmation(NatsConnection& connection, std::uint64_t number);
    [[nodiscard]] bool is_wanted(std::uint64_t number) const noexcept {
        return wanted_.load() == number;
    }
    void post_end(std::uint64_t number, natsStatus status);
    void post_end(std::uint64_t number, std::string why) noexcept;

    const BrokerLinkOptions options_;
    NatsEvents& events_;
    std::size_t next_host_;                 ///< the thread's own
    std::atomic<std::uint64_t> wanted_{0};  ///< written under the lock
    std::mutex mutex_;                      // guards what follows
    std::condition_variable changed_;
    std::vector<Command> commands_;
    bool stops_ = false;
    bool ended_ = false;
};

NatsWorker::NatsWorker(const BrokerLinkOptions& options, NatsEvents& events)
    : state_(std::make_shared<Thread>(options, events)) {
    const base::SignalsBlocked inherited;
    thread_ = std::thread([state = state_] { state->run(); });
}

NatsWorker::~NatsWorker() {
    constexpr std::chrono::seconds kFarewell{5};
    finish(std::chrono::steady_clock::now() + kFarewell);
}

void NatsWorker::connect(std::uint64_t number) noexcept { state_->connect(number); }
void NatsWorker::post(std::vector<Command>& batch) { state_->post(batch); }
void NatsWorker::stop() noexcept { state_->stop(); }
bool NatsWorker::ended() const { return state_->await_end({}); }

void NatsWorker::finish(std::chrono::steady_clock::time_point limit) {
    if (!thread_.joinable()) {
        return;
    }
    state_->stop();
    if (state_->await_end(limit)) {
        thread_.join();
    } else {
        thread_.detach();
    }
}

// --- the loop's side -----------------------------------------------------------------------------

void NatsWorker::Thread::connect(std::uint64_t number) noexcept {
    {
        const std::lock_guard lock(mutex_);
        wanted_.store(number);
        commands_.clear();
    }
    changed_.notify_all();
}

void NatsWorker::Thread::post(std::vector<Command>& batch) {
    {
        const std::lock_guard lock(mutex_);
        if (commands_.empty()) {
            commands_.swap(batch);
        } else {
            commands_.insert(commands_.end(), std::make_move_iterator(batch.begin()),
                             std::make_move_iterator(batch.end()));
        }
    }
    batch.clear();
    changed_.notify_all();
}

void NatsWorker::Thread::stop() noexcept {
    {
        const std::lock_guard lock(mutex_);
        stops_ = true;
        wanted_.store(0);
    }
    changed_.notify_all();
}

bool NatsWorker::Thread::await_end(std::chrono::steady_clock::time_point limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, limit, [this] { return ended_; });
}

// --- the thread's side ---------------------------------------------------------------------------

void NatsWorker::Thread::run() noexcept {
    serve();
    ::nats_ReleaseThreadMemory();
    {
        const std::lock_guard lock(mutex_);
        ended_ = true;
    }
    changed_.notify_all();
}

void NatsWorker::Thread::serve() {
    Connection connection;
    std::uint64_t number = 0;
    std::vector<Command> batch;
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return stops_ || !is_wanted(number) || !commands_.empty(); });
            if (stops_) {
                return;
            }
            batch.swap(commands_);
            if (!is_wanted(number)) {
                number = wanted_.load();
                lock.unlock();
                connection.reset();
            }
        }
        try {
            if (connection == nullptr && number != 0 && batch.empty()) {
                connection = dial(number);
            } else if (connection != nullptr) {
                execute(*connection, number, batch);
            }
        } catch (const std::bad_alloc&) {
            post_end(number, "memory ran out");
        }
        batch.clear();
    }
}

/// Each server once, from the next one on, until one is there.
NatsWorker::Thread::Connection NatsWorker::Thread::dial(std::uint64_t number) {
    std::string why;
    const auto& hosts = options_.url.hosts;
    for (std::size_t tried = 0; tried < hosts.size() && is_wanted(number); ++tried) {
        const auto& host = hosts[next_host_++ % hosts.size()];
        const std::string where = host.name + ':' + std::to_string(host.port);
        auto connection = NatsConnection::connect(options_, host, events_, number, why);
        if (connection != nullptr) {
            return greet(*connection, number, where) ? std::move(connection) : nullptr;
        }
        if (hosts.size() > 1) {
            why.insert(0, where + ": ");
        }
    }
    post_end(number, why);
    return nullptr;
}

bool NatsWorker::Thread::greet(NatsConnection& connection, std::uint64_t number,
                               const std::string& where) {
    natsStatus status = connection.subscribe(options_.first_channels.front());
    if (status == NATS_OK) {
        status = await_confirmation(connection, number);
    }
    if (status != NATS_OK) {
        post_end(number, status);
        return false;
    }
    events_.post(NatsEvent{.type = NatsEvent::Type::up,
                           .connection = number,
                           .text = where,
                           .most = connection.max_payload()});
    return true;
}

natsStatus NatsWorker::Thread::await_confirmation(NatsConnection& connection,
                                                  std::uint64_t number) {
    natsStatus status = NATS_TIMEOUT;
    while (status == NATS_TIMEOUT && is_wanted(number)) {
        status = connection.confirm(kSlice);
    }
    return status;
}

void NatsWorker::Thread::execute(NatsConnection& connection, std::uint64_t number,
                                 std::vector<Command>& batch) {
    NatsEvent event{.type = NatsEvent::Type::confirmed, .connection = number, .text = {}};
    natsStatus status = NATS_OK;
    for (const Command& command : batch) {
        event.bytes += command.bytes();
        switch (command.type) {
            case Command::Type::publish:
                status = connection.publish(command.subject, command.payload);
                ++(status == NATS_OK ? event.count : event.refused);
                if (status == NATS_MAX_PAYLOAD) {
                    status = NATS_OK;
                }
                break;
            case Command::Type::subscribe: status = connection.subscribe(command.subject); break;
            case Command::Type::unsubscribe: connection.unsubscribe(command.subject); break;
        }
        if (status != NATS_OK) {
            break;
        }
    }
    if (status == NATS_OK) {
        status = await_confirmation(connection, number);
    }
    if (status == NATS_OK) {
        events_.post(std::move(event));
    } else {
        post_end(number, status);
    }
}

/// Of a connection that has ended, the library tells more.
void NatsWorker::Thread::post_end(std::uint64_t number, natsStatus status) {
    if (status != NATS_CONNECTION_CLOSED && status != NATS_CONNECTION_DISCONNECTED) {
        post_end(number, explain_nats(status, {}));
    }
}

void NatsWorker::Thread::post_end(std::uint64_t number, std::string why) noexcept {
    events_.post(NatsEvent{.connection = number, .text = std::move(why)});
}

}  // namespace websocket::bridge
