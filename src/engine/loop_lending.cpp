// SPDX-License-Identifier: Apache-2.0
// A loop whose thread does what may block: then another one goes on with the loop.
#include <new>
#include <system_error>
#include <utility>

#include "engine/loop.hpp"

namespace websocket::engine {

constinit thread_local Loop* Loop::lent_ = nullptr;

Loop* Loop::Visit::begin(Loop& loop) noexcept {
    if (!loop.stand_in_->visit()) {
        return nullptr;
    }
    current_ = &loop;
    return &loop;
}

bool Loop::may_be_lent() noexcept {
    if (stand_in_ == nullptr && !no_stand_in_) {
        try {
            spare_buffer_.reset(new std::uint8_t[kReadBuffer]);
            stand_in_ = std::make_unique<StandIn>([this] { serve_meanwhile(); },
                                                  [this] { reactor_.wake(); });
        } catch (const std::exception&) {  // no thread, or no memory for one
            no_stand_in_ = true;
        }
    }
    return stand_in_ != nullptr && !stand_in_leads_;
}

/// Runs what waits for this thread. False when the stand-in has done the rest of the turn, and more. What others have sent
/// may be answers to what came before: errands come behind, the urgent one now and the rest in their next turn.
bool Loop::lend() {
    const bool between_channels = std::exchange(dispatching_, false);
    while (borrower_ != nullptr) {
        if (inbox_.any()) {
            if (!borrower_->urgent()) {
                break;
            }
            carry_out_commands();
        }
        if (Errand* const errand = borrower_->next_errand()) {
            if (!lend_for(*errand)) {
                return false;
            }
        } else {
            borrower_ = nullptr;
        }
    }
    dispatching_ = between_channels;
    return true;
}

bool Loop::lend_for(Errand& errand) noexcept {
    current_ = nullptr;
    lent_ = this;
    stand_in_->lend();
    errand.run();
    const bool has_led = stand_in_->take_back();
    lent_ = nullptr;
    current_ = this;
    if (has_led) {
        uncork();
    }
    return has_led;
}

/// The loop's thread is in an errand that takes long. What it had left of its turn comes first.
void Loop::serve_meanwhile() noexcept {
    current_ = this;
    stand_in_leads_ = true;
    // The errand may need what it was given until it is back.
    std::swap(read_buffer_, spare_buffer_);
    borrower_ = nullptr;  // who hands over at the end of the turn what this thread does not do
    uncork();
    guarded([this] { finish_turn(); });
    while (!ended_ && !stand_in_->wanted_back()) {
        turn();
    }
    end_turn();
    stand_in_leads_ = false;
    current_ = nullptr;
}

/// Small answers of errands are collected for the first connection that gets one.
Connection* Loop::cork_for(ConnectionId id) noexcept {
    cork_.set_owner(find(id));
    return cork_.owner();
}

void Loop::uncork() noexcept {
    if (Connection* const owner = cork_.owner()) {
        owner->uncork();
        cork_.set_owner(nullptr);
    }
}

}  // namespace websocket::engine
