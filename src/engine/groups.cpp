// SPDX-License-Identifier: Apache-2.0
#include "engine/groups.hpp"

#include <algorithm>

#include "engine/channel.hpp"

namespace websocket::engine {

namespace {

/// So that a push_back cannot fail half-way.
template <class Vector>
void make_room(Vector& vector) {
    if (vector.size() == vector.capacity()) {
        vector.reserve(std::max<std::size_t>(1, 2 * vector.size()));
    }
}

/// Removes an empty vector that was made needlessly.
template <class Map>
class Entry {
public:
    Entry(Map& map, const typename Map::key_type& key)
        : map_(map), place_(map.try_emplace(key).first) {}
    ~Entry() {
        if (place_->second.empty()) {
            map_.erase(place_);
        }
    }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

    [[nodiscard]] typename Map::mapped_type& vector() noexcept { return place_->second; }

private:
    Map& map_;
    typename Map::iterator place_;
};

}  // namespace

void Groups::join(GroupId id, Channel& member) {
    Entry mine(memberships_, member.id().slot());
    Memberships& memberships = mine.vector();
    if (std::ranges::find(memberships, id, &Membership::group) != memberships.end()) {
        return;
    }
    Entry theirs(groups_, id);
    Members& members = theirs.vector();
    make_room(memberships);
    make_room(members);
    memberships.push_back({id, members.size()});
    members.push_back({&member, memberships.size() - 1});
}

void Groups::leave(GroupId id, ConnectionId connection) noexcept {
    const auto mine = memberships_.find(connection.slot());
    if (mine == memberships_.end()) {
        return;
    }
    Memberships& memberships = mine->second;
    const auto found = std::ranges::find(memberships, id, &Membership::group);
    if (found == memberships.end()) {
        return;
    }
    remove(memberships, static_cast<std::size_t>(found - memberships.begin()));
    if (memberships.empty()) {
        memberships_.erase(mine);
    }
}

void Groups::leave_all(ConnectionId connection) noexcept {
    const auto mine = memberships_.find(connection.slot());
    if (mine == memberships_.end()) {
        return;
    }
    for (std::size_t i = mine->second.size(); i-- > 0;) {
        remove(mine->second, i);
    }
    memberships_.erase(mine);
}

/// In both records the last one takes the place of what is removed.
void Groups::remove(Memberships& memberships, std::size_t index) noexcept {
    const Membership gone = memberships[index];
    const auto group = groups_.find(gone.group);
    Members& members = group->second;
    if (gone.place + 1 != members.size()) {
        const Member moved = members.back();
        members[gone.place] = moved;
        memberships_.find(moved.channel->id().slot())->second[moved.place].place = gone.place;
    }
    members.pop_back();
    if (members.empty()) {
        groups_.erase(group);
    }
    if (index + 1 != memberships.size()) {
        const Membership moved = memberships.back();
        memberships[index] = moved;
        groups_.find(moved.group)->second[moved.place].place = index;
    }
    memberships.pop_back();
}

}  // namespace websocket::engine
