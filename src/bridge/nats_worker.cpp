// SPDX-License-Identifier: Apache-2.0
#include "bridge/nats_worker.hpp"

#include <iterator>
#include <new>
#include <random>
#include <utility>

#include "base/signal_mask.hpp"
#include "bridge/nats_errors.hpp"

namespace websocket::bridge {

using std::chrono::milliseconds;

namespace {

/// Until it is looked again whether anybody waits for the answer.
constexpr milliseconds kSlice{100};

}  // namespace

/// Hosts begin with different servers of a cluster.
NatsWorker::NatsWorker(const BrokerLinkOptions& options, NatsEvents& events)
    : options_(options), events_(events), next_host_(std::random_device{}()), wanted_(0) {
    const base::SignalsBlocked inherited;
    thread_ = std::thread([this] { run(); });
}

NatsWorker::~NatsWorker() {
    {
        const std::lock_guard lock(mutex_);
        stops_ = true;
        wanted_.store(0);
    }
    changed_.notify_one();
    thread_.join();
}

// --- the loop's side -----------------------------------------------------------------------------

void NatsWorker::connect(std::uint64_t number) noexcept {
    {
        const std::lock_guard lock(mutex_);
        wanted_.store(number);
        commands_.clear();
    }
    changed_.notify_one();
}

void NatsWorker::post(std::vector<Command>& batch) {
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
    changed_.notify_one();
}

// --- the thread's side ---------------------------------------------------------------------------

void NatsWorker::run() noexcept {
    Connection connection;
    std::uint64_t number = 0;
    std::vector<Command> batch;
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return stops_ || !is_wanted(number) || !commands_.empty(); });
            if (stops_) {
                break;
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
    ::nats_ReleaseThreadMemory();
}

/// Each server once, from the next one on, until one is there.
NatsWorker::Connection NatsWorker::dial(std::uint64_t number) {
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

bool NatsWorker::greet(NatsConnection& connection, std::uint64_t number, const std::string& where) {
    natsStatus status = connection.subscribe(options_.first_channel);
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

natsStatus NatsWorker::await_confirmation(NatsConnection& connection, std::uint64_t number) {
    natsStatus status = NATS_TIMEOUT;
    while (status == NATS_TIMEOUT && is_wanted(number)) {
        status = connection.confirm(kSlice);
    }
    return status;
}

void NatsWorker::execute(NatsConnection& connection, std::uint64_t number,
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
void NatsWorker::post_end(std::uint64_t number, natsStatus status) {
    if (status != NATS_CONNECTION_CLOSED && status != NATS_CONNECTION_DISCONNECTED) {
        post_end(number, explain_nats(status, {}));
    }
}

void NatsWorker::post_end(std::uint64_t number, std::string why) noexcept {
    events_.post(NatsEvent{.connection = number, .text = std::move(why)});
}

}  // namespace websocket::bridge
