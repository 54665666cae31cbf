// SPDX-License-Identifier: Apache-2.0
// What the server was answered of late.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace websocket::client {

/// A request of the server, and its answer once there is one.
struct Answered {
    std::string id;
    std::string text;
    std::string answer;  ///< empty: not yet
};

/// For requests that a server sends again because it has not got the answer: until there is one, and then once to twice
/// five seconds. The same id with another text is another request: a server that has been restarted counts from the
/// beginning. [loop]
class Answers {
public:
    /// Null when it is new.
    [[nodiscard]] std::shared_ptr<Answered> find(const std::string& id, std::string_view text,
                                                 std::chrono::milliseconds now) {
        age(now);
        for (const auto* requests : {&unanswered_, &young_, &old_}) {
            const auto found = requests->find(id);
            if (found != requests->end() && found->second->text == text) {
                return found->second;
            }
        }
        return nullptr;
    }
    /// It has to be answered some time, as until then it is not forgotten.
    [[nodiscard]] std::shared_ptr<Answered> add(const std::string& id, std::string_view text) {
        auto added = std::make_shared<Answered>(Answered{id, std::string(text), {}});
        unanswered_[id] = added;
        return added;
    }
    void answered(const std::shared_ptr<Answered>& request, const std::string& answer,
                  std::chrono::milliseconds now) {
        request->answer = answer;
        const auto found = unanswered_.find(request->id);
        if (found == unanswered_.end() || found->second != request) {
            return;  // forgotten
        }
        unanswered_.erase(found);
        age(now);
        const std::size_t size = request->text.size() + answer.size();
        if (young_.size() >= kMostRequests || bytes_ + size > kMostBytes) {
            begin();
        }
        young_[request->id] = request;
        bytes_ += size;
    }
    /// Ids may come again for something else.
    void forget() noexcept {
        unanswered_.clear();
        young_.clear();
        old_.clear();
        bytes_ = 0;
    }

private:
    static constexpr std::chrono::milliseconds kGeneration{5000};
    static constexpr std::size_t kMostRequests = 1000;
    static constexpr std::size_t kMostBytes = std::size_t{1} << 20;

    void age(std::chrono::milliseconds now) {
        if (now - begun_ < kGeneration) {
            return;
        }
        if (now - begun_ >= 2 * kGeneration) {
            young_.clear();
        }
        begun_ = now;
        begin();
    }
    void begin() {
        old_ = std::exchange(young_, {});
        bytes_ = 0;
    }

    using Requests = std::unordered_map<std::string, std::shared_ptr<Answered>>;
    Requests unanswered_;
    Requests young_;
    Requests old_;
    std::size_t bytes_ = 0;  ///< of the young ones
    std::chrono::milliseconds begun_{0};
};

}  // namespace websocket::client
