// SPDX-License-Identifier: Apache-2.0
#include "hub/incoming_link.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string_view>

#include "engine/event_form.hpp"
#include "engine/gate.hpp"
#include "hub/position.hpp"
#include "hub/record.hpp"

namespace websocket::hub {

namespace {

/// A frame of which this much is missing is received where it will stay.
constexpr std::size_t kDirectLeast = 16U << 10;
/// Bytes of a large frame until others have their turn.
constexpr std::size_t kDirectMost = 256U << 10;

/// As much as the compiler can see is no secret.
bool equal(const Registry::Secret& a, const Registry::Secret& b) noexcept {
    unsigned difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        difference |= unsigned{a.at(i)} ^ b.at(i);
    }
    return difference == 0;
}

template <class Value>
Value value_of(std::span<const std::uint8_t> bytes) noexcept {
    Value value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
}

}  // namespace

bool IncomingLink::read(std::span<std::uint8_t> buffer, Sink& sink) noexcept {
    const std::size_t missing = state_ == State::frame ? frame_size_ - received_ : 0;
    const bool direct = missing >= kDirectLeast;
    if (direct) {
        buffer = frame_.writable().subspan(received_, std::min(missing, kDirectMost));
    }
    const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (count <= 0) {
        return count < 0 && (errno == EAGAIN || errno == EINTR);
    }
    const auto bytes = buffer.first(static_cast<std::size_t>(count));
    if (direct) {
        return take_frame_part(bytes, sink);
    }
    try {
        return consume(bytes, sink);
    } catch (const std::bad_alloc&) {
        sink.on_lost_record();  // because memory for a few bytes ran out: where the next one begins is lost, too
        return false;
    }
}

/// Bytes until the next thing is complete.
std::size_t IncomingLink::wanted() const noexcept {
    switch (state_) {
        case State::hello: return sizeof(Hello);
        case State::head: return sizeof(RecordHead);
        case State::key: return key_size_ + fields_size_ + place_size_;
        case State::frame:
        case State::skipping: break;
    }
    return frame_size_ - received_;
}

/// False when the other side is not what it should be.
bool IncomingLink::consume(std::span<const std::uint8_t> bytes, Sink& sink) {
    while (!bytes.empty()) {
        if (state_ >= State::frame) {
            const std::size_t part = std::min(bytes.size(), wanted());
            if (!take_frame_part(bytes.first(part), sink)) {
                return false;
            }
            bytes = bytes.subspan(part);
            continue;
        }
        const std::size_t part = std::min(bytes.size(), wanted() - partial_.size());
        std::span<const std::uint8_t> whole = bytes.first(part);
        if (part < wanted()) {
            partial_.append(whole);
            whole = partial_.bytes();
        }
        bytes = bytes.subspan(part);
        if (whole.size() < wanted()) {
            return true;
        }
        const base::ByteBuffer used = std::exchange(partial_, {});
        const bool good = state_ == State::hello  ? take_hello(whole)
                          : state_ == State::head ? take_head(whole)
                                                  : take_key(whole, sink);
        if (!good) {
            return false;
        }
    }
    return true;
}

bool IncomingLink::take_hello(std::span<const std::uint8_t> bytes) noexcept {
    state_ = State::head;
    return equal(value_of<Hello>(bytes).secret, registry_.secret());
}

bool IncomingLink::take_head(std::span<const std::uint8_t> bytes) noexcept {
    const auto head = value_of<RecordHead>(bytes);
    frame_size_ = head.frame_size;
    key_size_ = head.key_size;
    fields_size_ = head.fields_size & ~std::size_t{RecordHead::kHasPlace};
    place_size_ = (head.fields_size & RecordHead::kHasPlace) != 0 ? sizeof(RecordPlace) : 0;
    state_ = State::key;
    return frame_size_ > 0 && frame_size_ < engine::Gate::kMaxQueued && key_size_ > 0;
}

bool IncomingLink::take_key(std::span<const std::uint8_t> bytes, Sink& sink) noexcept {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    key_ = TopicKey::parse(text.substr(0, key_size_), registry_.hash_key());
    state_ = State::frame;
    try {
        frame_ = engine::SharedFrame::unwritten(frame_size_);
        engine::set_event_fields(frame_, text.substr(key_size_, fields_size_));
        if (place_size_ != 0) {
            const auto place = value_of<RecordPlace>(bytes.last(place_size_));
            set_position(frame_, place.position);
            set_origin(frame_, place.origin);
        }
    } catch (const std::bad_alloc&) {
        state_ = State::skipping;
        sink.on_lost_record();
    }
    return key_.has_value();
}

bool IncomingLink::take_frame_part(std::span<const std::uint8_t> bytes, Sink& sink) noexcept {
    if (state_ == State::frame) {
        std::uint8_t* place = frame_.writable().data() + received_;
        if (place != bytes.data()) {
            std::copy(bytes.begin(), bytes.end(), place);
        }
    }
    received_ += bytes.size();
    if (received_ < frame_size_) {
        return true;
    }
    if (state_ == State::frame) {
        if (!frame_.is_whole()) {
            return false;
        }
        sink.on_record(*key_, frame_);
    }
    frame_ = {};
    received_ = 0;
    state_ = State::head;
    return true;
}

}  // namespace websocket::hub
