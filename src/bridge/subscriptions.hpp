// SPDX-License-Identifier: Apache-2.0
// Which channels the processes of this host want, and what came there last.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace websocket::bridge {

/// Not safe for threads.
class Subscriptions {
public:
    /// Numbers of the last messages of other hosts.
    class LastSequences {
    public:
        /// So many hosts are remembered: those that were heard last.
        static constexpr std::size_t kMostHosts = 256;
        /// How many messages of this host are missing before this one. None before the first one, and when a host
        /// counts from the beginning again.
        [[nodiscard]] std::uint64_t missing_before(std::uint64_t host, std::uint64_t sequence);
        void clear() noexcept { last_.clear(); }

    private:
        struct Last {
            std::uint64_t host;
            std::uint64_t sequence;
            std::uint64_t heard;  ///< after so many messages
        };
        std::vector<Last> last_;
        std::uint64_t messages_ = 0;
    };
    struct Channel {
        std::string key;  ///< hub::TopicKey::bytes()
        std::uint32_t links = 0;
        std::chrono::milliseconds unwanted_since{0};  ///< while there are no links
        LastSequences sequences;
    };
    using Entry = std::pair<const std::string, Channel>;

    /// A process wants this one. True when the channel is new. Throws std::bad_alloc.
    bool want(std::uint64_t link, const std::string& channel, std::string_view key);
    /// A process does not want it any more; who subscribes again soon has not to be told from the beginning.
    void unwant(std::uint64_t link, const std::string& channel, std::chrono::milliseconds now);
    void drop_link(std::uint64_t link, std::chrono::milliseconds now);

    /// Null when nobody wants it, for as long as it has not been taken away.
    [[nodiscard]] Channel* find(const std::string& channel) noexcept;
    /// Takes away what nobody has wanted since `before`, and returns the names. Throws std::bad_alloc.
    [[nodiscard]] std::vector<std::string> take_unwanted(std::chrono::milliseconds before);

    [[nodiscard]] std::size_t size() const noexcept { return channels_.size(); }
    [[nodiscard]] bool has_unwanted() const noexcept { return !unwanted_.empty(); }
    /// Calls `each(name)`.
    template <class Each>
    void for_each(Each each) const {
        for (const Entry& entry : channels_) {
            each(entry.first);
        }
    }

private:
    void unwant(Entry& entry, std::chrono::milliseconds now);

    std::unordered_map<std::string, Channel> channels_;
    std::unordered_map<std::uint64_t, std::unordered_set<Entry*>> links_;
    std::unordered_set<Entry*> unwanted_;
};

}  // namespace websocket::bridge
