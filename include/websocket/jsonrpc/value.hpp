// SPDX-License-Identifier: Apache-2.0
// A JSON value that owns all of its parts. Part of websocket/jsonrpc.hpp.
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace websocket::jsonrpc {

class Value;

/// A name and a value. A template, so that it is complete where a Value is, which holds some.
template <class V>
struct BasicMember {
    std::string name;
    V value;

    bool operator==(const BasicMember& other) const noexcept = default;
};
/// Of an object.
using Member = BasicMember<Value>;

/// null, true or false, a number, text (UTF-8), an array or an object, whose members keep their order.
/// Numbers without fraction and exponent are integers, from -2^63 to 2^64-1; the others are doubles.
class Value {
public:
    using Array = std::vector<Value>;
    using Object = std::vector<Member>;

    Value() noexcept = default;
    Value(std::nullptr_t) noexcept {}
    template <std::same_as<bool> T>  // so that no pointer becomes a truth value
    Value(T truth) noexcept : value_(truth) {}
    template <std::integral T>
    requires(!std::same_as<T, bool>) Value(T number)
    noexcept {
        if (std::in_range<std::int64_t>(number)) {
            value_ = static_cast<std::int64_t>(number);
        } else {
            value_ = static_cast<std::uint64_t>(number);
        }
    }
    template <std::floating_point T>
    Value(T number) noexcept : value_(static_cast<double>(number)) {}
    Value(const char* text) : value_(std::string(text)) {}
    Value(std::string_view text) : value_(std::string(text)) {}
    Value(std::string text) noexcept : value_(std::move(text)) {}
    Value(Array items) noexcept : value_(std::move(items)) {}
    Value(Object members) noexcept;
    template <class T>
    Value(const std::vector<T>& items) : value_(Array(items.begin(), items.end())) {}
    template <class T>
    Value(const std::map<std::string, T>& members);
    template <class T>
    Value(const std::optional<T>& value) {
        if (value) *this = Value(*value);
    }

    [[nodiscard]] static Value object(std::initializer_list<Member> members = {});
    [[nodiscard]] static Value array(std::initializer_list<Value> items = {});

    [[nodiscard]] bool is_null() const noexcept { return holds<std::monostate>(); }
    [[nodiscard]] bool is_bool() const noexcept { return holds<bool>(); }
    [[nodiscard]] bool is_integer() const noexcept {
        return holds<std::int64_t>() || holds<std::uint64_t>();
    }
    [[nodiscard]] bool is_number() const noexcept { return is_integer() || holds<double>(); }
    [[nodiscard]] bool is_text() const noexcept { return holds<std::string>(); }
    [[nodiscard]] bool is_array() const noexcept { return holds<Array>(); }
    [[nodiscard]] bool is_object() const noexcept { return holds<Object>(); }
    /// "null", "a boolean", "a number", "a string", "an array" or "an object", for messages.
    [[nodiscard]] const char* kind() const noexcept;

    /// What is in it; of the wrong kind, std::bad_variant_access is thrown.
    [[nodiscard]] bool truth() const { return std::get<bool>(value_); }
    [[nodiscard]] const std::string& text() const { return std::get<std::string>(value_); }
    [[nodiscard]] const Array& items() const { return std::get<Array>(value_); }
    [[nodiscard]] Array& items() { return std::get<Array>(value_); }
    [[nodiscard]] const Object& members() const { return std::get<Object>(value_); }
    [[nodiscard]] Object& members() { return std::get<Object>(value_); }
    /// Any number, rounded to a double.
    [[nodiscard]] double number() const;
    /// A number as an integer of this type; nothing when it is none, or does not fit.
    template <std::integral T>
    [[nodiscard]] std::optional<T> integer() const noexcept;

    /// The member of this name; null when there is none, or this is no object.
    [[nodiscard]] const Value* find(std::string_view name) const noexcept;
    [[nodiscard]] Value* find(std::string_view name) noexcept;
    /// Adds a member, or replaces its value. What is no object becomes one.
    void set(std::string_view name, Value value);
    /// Takes a member out. False when there was none.
    bool remove(std::string_view name);

    bool operator==(const Value& other) const noexcept;

    /// Bytes of memory that it takes, with all of its parts: up to twenty times those of its JSON text.
    [[nodiscard]] std::size_t footprint() const noexcept;

    using Variant = std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double,
                                 std::string, Array, Object>;
    [[nodiscard]] const Variant& variant() const noexcept { return value_; }

private:
    template <class T>
    [[nodiscard]] bool holds() const noexcept {
        return std::holds_alternative<T>(value_);
    }

    Variant value_;
};

inline Value::Value(Object members) noexcept : value_(std::move(members)) {}
inline Value Value::array(std::initializer_list<Value> items) { return Array(items); }

template <class T>
Value::Value(const std::map<std::string, T>& members) {
    Object all;
    all.reserve(members.size());
    for (const auto& [name, value] : members) all.push_back({name, Value(value)});
    value_ = std::move(all);
}

inline Value Value::object(std::initializer_list<Member> members) { return Object(members); }

inline bool Value::operator==(const Value& other) const noexcept { return value_ == other.value_; }

namespace detail {

/// What a string takes besides itself.
[[nodiscard]] inline std::size_t heap_of(const std::string& text) noexcept {
    static const std::size_t own = std::string().capacity();  // fits into the string itself
    return text.capacity() > own ? text.capacity() + 1 : 0;
}

/// The beginning of a text, for messages: at most 64 bytes, and whole characters.
[[nodiscard]] inline std::string_view excerpt(std::string_view text) noexcept {
    constexpr std::size_t kMost = 64;
    if (text.size() <= kMost) return text;
    std::size_t end = kMost;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80) --end;
    return text.substr(0, end);
}

}  // namespace detail

inline std::size_t Value::footprint() const noexcept {
    std::size_t bytes = sizeof(Value);
    if (const auto* text = std::get_if<std::string>(&value_)) {
        bytes += detail::heap_of(*text);
    } else if (const auto* items = std::get_if<Array>(&value_)) {
        bytes += (items->capacity() - items->size()) * sizeof(Value);
        for (const Value& item : *items) bytes += item.footprint();
    } else if (const auto* members = std::get_if<Object>(&value_)) {
        bytes += (members->capacity() - members->size()) * sizeof(Member);
        for (const Member& member : *members) {
            bytes += sizeof(std::string) + detail::heap_of(member.name) + member.value.footprint();
        }
    }
    return bytes;
}

inline const char* Value::kind() const noexcept {
    constexpr const char* kKinds[] = {"null",     "a boolean", "a number", "a number",
                                      "a number", "a string",  "an array", "an object"};
    return kKinds[value_.index()];
}

inline double Value::number() const {
    if (const auto* integer = std::get_if<std::int64_t>(&value_)) {
        return static_cast<double>(*integer);
    }
    if (const auto* integer = std::get_if<std::uint64_t>(&value_)) {
        return static_cast<double>(*integer);
    }
    return std::get<double>(value_);
}

template <std::integral T>
std::optional<T> Value::integer() const noexcept {
    if (const auto* number = std::get_if<std::int64_t>(&value_)) {
        return std::in_range<T>(*number) ? std::optional(static_cast<T>(*number)) : std::nullopt;
    }
    if (const auto* number = std::get_if<std::uint64_t>(&value_)) {
        return std::in_range<T>(*number) ? std::optional(static_cast<T>(*number)) : std::nullopt;
    }
    const auto* number = std::get_if<double>(&value_);
    // 1e3 and 5.0 are integers as well. Beyond 2^53 a double no longer says which one is meant.
    constexpr double kExact = 9007199254740992.0;
    if (number == nullptr || std::abs(*number) > kExact || std::trunc(*number) != *number) {
        return std::nullopt;
    }
    const auto exact = static_cast<std::int64_t>(*number);
    return std::in_range<T>(exact) ? std::optional(static_cast<T>(exact)) : std::nullopt;
}

inline const Value* Value::find(std::string_view name) const noexcept {
    const auto* members = std::get_if<Object>(&value_);
    if (members == nullptr) return nullptr;
    for (const Member& member : *members) {
        if (member.name == name) return &member.value;
    }
    return nullptr;
}

inline Value* Value::find(std::string_view name) noexcept {
    return const_cast<Value*>(std::as_const(*this).find(name));
}

inline void Value::set(std::string_view name, Value value) {
    if (!is_object()) value_ = Object();
    for (Member& member : members()) {
        if (member.name == name) {
            member.value = std::move(value);
            return;
        }
    }
    members().push_back({std::string(name), std::move(value)});
}

inline bool Value::remove(std::string_view name) {
    return is_object() && std::erase_if(members(), [name](const Member& member) {
                              return member.name == name;
                          }) > 0;
}

}  // namespace websocket::jsonrpc
