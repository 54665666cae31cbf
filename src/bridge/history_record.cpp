// SPDX-License-Identifier: Apache-2.0
#include "bridge/history_record.hpp"

#include <charconv>

#include "bridge/big_endian.hpp"

namespace websocket::bridge {

namespace {

constexpr char kRecordVersion = 1;
constexpr std::size_t kRecordHead = 2 + 8;
constexpr std::size_t kBodyHead = 1 + 2;

/// Takes digits and the blank behind them away.
template <class Number>
bool take_digits(std::string_view& text, Number& into) noexcept {
    const std::size_t end = text.find(' ');
    if (end == std::string_view::npos) {
        return false;
    }
    const auto [stop, error] = std::from_chars(text.data(), text.data() + end, into);
    const bool good = error == std::errc() && stop == text.data() + end;
    text.remove_prefix(end + 1);
    return good;
}

}  // namespace

std::string HistoryRecord::body(bool delivered, std::string_view key, const Envelope& message) {
    std::string text;
    text += delivered ? '\1' : '\0';
    append_number(text, key.size(), 2);
    text += key;
    text += message.to_payload();
    return text;
}

std::optional<HistoryRecord> HistoryRecord::of_payload(std::string_view payload) noexcept {
    if (payload.size() < kRecordHead || payload[0] != '\0' || payload[1] != kRecordVersion) {
        return {};
    }
    HistoryRecord record;
    record.at.epoch = number_at(payload.substr(2));
    payload.remove_prefix(kRecordHead);
    if (record.at.epoch == 0 || !take_digits(payload, record.at.offset) || record.at.offset == 0 ||
        !take_digits(payload, record.time) || payload.size() < kBodyHead) {
        return {};
    }
    record.delivered = payload[0] != '\0';
    const auto size = static_cast<std::size_t>(number_at(payload.substr(1), 2));
    payload.remove_prefix(kBodyHead);
    if (size == 0 || payload.size() < size) {
        return {};
    }
    record.key = payload.substr(0, size);
    payload.remove_prefix(size);
    const auto message = Envelope::of_payload(payload);
    // One of a bridge: nobody else may write here.
    if (!message || message->host == 0 || message->type == Envelope::Type::heartbeat) {
        return {};
    }
    record.message = *message;
    return record;
}

}  // namespace websocket::bridge
