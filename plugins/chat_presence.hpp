// SPDX-License-Identifier: Apache-2.0
// Who is in a room of websocket_chat.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "chat_line.hpp"

namespace chat {

/// Somebody is in the room as long as one of the children has a client of that name.
class Presence {
public:
    using Names = std::set<std::string, std::less<>>;

    /// Who has come in and who has left.
    struct Change {
        std::vector<std::string> joined = {};
        std::vector<std::string> left = {};
    };

    /// A client of this child. True when the other children do not know of this name yet.
    bool enter(const std::string& name, Change& change) {
        add(name, change);
        return ++here_[name] == 1;
    }
    /// True when it was the last one of this name in this child.
    bool leave(const std::string& name, Change& change) {
        remove(name, change);
        if (--here_[name] > 0) return false;
        here_.erase(name);
        return true;
    }

    /// What another child says of its clients, when this one has counted `now` heartbeats.
    void set(const std::string& child, const Names& names, std::uint64_t now, Change& change) {
        Elsewhere& there = elsewhere_[child];
        there.heard = now;
        const Names before = std::exchange(there.names, names);
        for (const std::string& one : names) {
            if (!before.contains(one)) add(one, change);
        }
        for (const std::string& one : before) {
            if (!names.contains(one)) remove(one, change);
        }
        if (names.empty()) elsewhere_.erase(child);
    }
    /// What the server says of a name, where it knows who is there: a client of any child has it, or none has.
    void see(const std::string& name, bool there, Change& change) {
        if (there ? !seen_.insert(name).second : seen_.erase(name) == 0) return;
        if (there) {
            add(name, change);
        } else {
            remove(name, change);
        }
    }
    /// Forgets the children that were heard last more than `most` heartbeats ago.
    void forget_silent(std::uint64_t now, std::uint64_t most, Change& change) {
        std::vector<std::string> silent;
        for (const auto& [child, there] : elsewhere_) {
            if (now - there.heard > most) silent.push_back(child);
        }
        for (const std::string& child : silent) set(child, {}, now, change);
    }

    /// The names of this child: how many, and each behind a line feed.
    [[nodiscard]] std::size_t here() const noexcept { return here_.size(); }
    [[nodiscard]] std::string words() const {
        std::string text;
        for (const auto& [one, times] : here_) text += '\n' + one;
        return text;
    }
    /// All, for a client.
    [[nodiscard]] std::string json() const {
        std::string all;
        for (const auto& [one, places] : names_) all += (all.empty() ? "" : ",") + quoted(one);
        return "{\"type\":\"here\",\"names\":[" + all + "]}";
    }

private:
    struct Elsewhere {
        Names names;
        std::uint64_t heard = 0;
    };

    void add(const std::string& name, Change& change) {
        if (++names_[name] == 1) change.joined.push_back(name);
    }
    void remove(const std::string& name, Change& change) {
        if (--names_[name] > 0) return;
        names_.erase(name);
        change.left.push_back(name);
    }

    std::map<std::string, int> here_;             ///< of this child: and how many clients each has
    std::map<std::string, Elsewhere> elsewhere_;  ///< by the child
    Names seen_;                                  ///< by the server
    std::map<std::string, int> names_;            ///< in how many places
};

}  // namespace chat
