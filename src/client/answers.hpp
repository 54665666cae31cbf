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
    std::string text;
    std::string answer;  ///< empty: not yet
};

/// For requests that a server sends again because it has not got the answer: once to twice five seconds. The same id with
/// another text is another request: a server that has been restarted counts from the beginning. [loop]
class Answers {
public:
    /// Null when it is new.
    [[nodiscard]] std::shared_ptr<Answered> find(const std::string& id, std::string_view text,
                                                 std::chrono::milliseconds now) {
        age(now);
        for (const auto* requests : {&young_, &old_}) {
            const auto found = requests->find(id);
            if (found != requests->end() && found->second->text == text) {
                return found->second;
            }
        }
        return nullptr;
    }
    [[nodiscard]] std::shared_ptr<Answered> add(const std::string& id, std::string_view text) {
        if (young_.size() >= kMostRequests || bytes_ + text.size() > kMostBytes) {
            begin();
        }
        auto added = std::make_shared<Answered>(Answered{std::string(text), {}});
        young_[id] = added;
        bytes_ += text.size();
        return added;
    }
    void answered(Answered& request, const std::string& answer) {
        request.answer = answer;
        bytes_ += answer.size();
    }
    /// Ids may come again for something else.
    void forget() noexcept {
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

    std::unordered_map<std::string, std::shared_ptr<Answered>> young_;
    std::unordered_map<std::string, std::shared_ptr<Answered>> old_;
    std::size_t bytes_ = 0;  ///< of the young ones
    std::chrono::milliseconds begun_{0};
};

}  // namespace websocket::client
