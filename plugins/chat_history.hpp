// SPDX-License-Identifier: Apache-2.0
// What was said in the rooms of websocket_chat.cpp, as far as it is kept.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <set>
#include <string_view>
#include <utility>

#include "chat_line.hpp"

namespace chat {

class History;

/// The bounds, and what all rooms take together. Outlives them.
class Histories {
public:
    struct Limits {
        std::size_t lines;  ///< of a room
        std::size_t room;   ///< bytes of a room
        std::size_t bytes;  ///< of all
    };
    explicit Histories(const Limits& limits) noexcept : limits_(limits) {}
    Histories(const Histories&) = delete;
    Histories& operator=(const Histories&) = delete;

    [[nodiscard]] const Limits& limits() const noexcept { return limits_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

private:
    friend class History;
    void resize(History& room, std::size_t before, std::size_t now) {
        if (now > 0) by_size_.emplace(now, &room);
        if (before > 0) by_size_.erase({before, &room});
        bytes_ = bytes_ - before + now;
    }
    [[nodiscard]] History& largest() const { return *by_size_.rbegin()->second; }

    const Limits limits_;
    std::size_t bytes_ = 0;
    std::set<std::pair<std::size_t, History*>> by_size_;
};

/// The last lines of one room, in the order in which they were said. Where all rooms together take too
/// much, the one that takes the most gives: so nobody can talk the others' history away.
class History {
public:
    explicit History(Histories& all) noexcept : all_(all) {}
    ~History() { all_.resize(*this, bytes_, 0); }
    History(const History&) = delete;
    History& operator=(const History&) = delete;

    using Lines = std::deque<Line>;
    [[nodiscard]] const Lines& lines() const noexcept { return lines_; }

    /// False when it is known already, too old, or too long.
    bool add(Line line) {
        const Histories::Limits& limits = all_.limits();
        const std::size_t cost = cost_of(line);
        if (line.id.empty() || limits.lines == 0 || cost > std::min(limits.room, limits.bytes)) {
            return false;
        }
        const auto place = std::upper_bound(lines_.begin(), lines_.end(), line);
        const bool full = lines_.size() >= limits.lines || bytes_ + cost > limits.room;
        if ((full && place == lines_.begin()) ||
            std::ranges::any_of(lines_, [&](const Line& one) { return one.id == line.id; })) {
            return false;
        }
        lines_.insert(place, std::move(line));
        set_bytes(bytes_ + cost);
        while (lines_.size() > limits.lines || bytes_ > limits.room) drop_oldest();
        while (all_.bytes() > limits.bytes) all_.largest().drop_oldest();
        return true;
    }

    /// The first line behind what a reader has got: everything before `at`, and of what was said then
    /// all up to `id`, if that is still there.
    [[nodiscard]] Lines::const_iterator behind(std::int64_t at, std::string_view id) const {
        const auto first = std::ranges::lower_bound(lines_, at, {}, &Line::at);
        for (auto line = first; line != lines_.end() && line->at == at; ++line) {
            if (line->id == id) return line + 1;
        }
        return first;
    }

private:
    /// With what a Line takes besides its texts.
    static std::size_t cost_of(const Line& line) noexcept {
        return line.text.size() + line.id.size() + sizeof(Line);
    }
    void drop_oldest() {
        const std::size_t cost = cost_of(lines_.front());
        lines_.pop_front();
        set_bytes(bytes_ - cost);
    }
    void set_bytes(std::size_t bytes) {
        all_.resize(*this, bytes_, bytes);
        bytes_ = bytes;
    }

    Histories& all_;
    Lines lines_;
    std::size_t bytes_ = 0;
};

}  // namespace chat
