// SPDX-License-Identifier: Apache-2.0
// Which connections of a loop get the same frames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/connection_id.hpp"

namespace websocket::engine {

class Channel;

/// Names a group of connections of any loops. Whoever gives them out uses each number once, so that
/// what is still on its way to an old group cannot reach the members of a new one.
using GroupId = std::uint64_t;

/// What whoever forms groups has to know.
class GroupListener {
public:
    virtual ~GroupListener() = default;
    /// A connection that was or should have become a member has ended; it is in no group. [loop]
    virtual void on_gone(ConnectionId id) noexcept = 0;
    /// So many members had their send_buffer full and got nothing of one broadcast. [loop]
    virtual void on_too_slow(std::size_t members) noexcept = 0;
};

/// The groups of one loop. An empty group takes no memory, nor does a connection that is in none.
/// [loop]
class Groups {
public:
    /// Does nothing when it is a member already. Throws std::bad_alloc and has then done nothing.
    void join(GroupId id, Channel& member);
    void leave(GroupId id, ConnectionId connection) noexcept;
    void leave_all(ConnectionId connection) noexcept;

    /// Calls `visit(Channel&)` for each member. Nobody may join meanwhile, and none but the
    /// visited one may leave.
    template <class Visit>
    void for_each(GroupId id, Visit visit) {
        const auto found = groups_.find(id);
        if (found == groups_.end()) {
            return;
        }
        Members& members = found->second;
        // From the last to the first: who leaves is replaced by one that had its turn.
        for (std::size_t i = members.size(); i-- > 0;) {
            visit(*members[i].channel);
        }
    }

private:
    /// `place` is the index of the other record of the same membership.
    struct Member {
        Channel* channel;
        std::size_t place;
    };
    struct Membership {
        GroupId group;
        std::size_t place;
    };
    using Members = std::vector<Member>;
    using Memberships = std::vector<Membership>;

    void remove(Memberships& memberships, std::size_t index) noexcept;

    std::unordered_map<GroupId, Members> groups_;
    std::unordered_map<std::uint32_t, Memberships> memberships_;  // by slot
};

}  // namespace websocket::engine
