// SPDX-License-Identifier: Apache-2.0
// Values as the types that methods take. Part of websocket/jsonrpc.hpp.
#pragma once

#include <concepts>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "value.hpp"

namespace websocket::jsonrpc {

/// A value is not of the type that is needed; says what is.
class Mismatch : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// How a T is made of a value. Specialize it for types of your own:
///
///     template <>
///     struct websocket::jsonrpc::Convert<Point> {
///         static Point from(const Value& value) {
///             return {member<double>(value, "x"), member<double>(value, "y")};
///         }
///     };
template <class T>
struct Convert;

/// Throws Mismatch.
template <class T>
[[nodiscard]] T as(const Value& value) {
    return Convert<T>::from(value);
}

/// Of an object, the member of this name. Throws Mismatch.
template <class T>
[[nodiscard]] T member(const Value& object, std::string_view name) {
    if (!object.is_object()) {
        throw Mismatch(std::string("an object is needed, not ") + object.kind());
    }
    static const Value kNothing;
    const Value* value = object.find(name);
    try {
        return as<T>(value != nullptr ? *value : kNothing);
    } catch (const Mismatch& wrong) {
        throw Mismatch("member \"" + std::string(name) + "\": " + wrong.what());
    }
}

template <>
struct Convert<Value> {
    static Value from(const Value& value) { return value; }
};

template <>
struct Convert<bool> {
    static bool from(const Value& value) {
        if (!value.is_bool()) {
            throw Mismatch(std::string("true or false is needed, not ") + value.kind());
        }
        return value.truth();
    }
};

template <std::integral T>
struct Convert<T> {
    static T from(const Value& value) {
        const std::optional<T> number = value.integer<T>();
        if (!number) {
            throw Mismatch("an integer from " + std::to_string(std::numeric_limits<T>::min()) +
                           " to " + std::to_string(std::numeric_limits<T>::max()) + " is needed" +
                           (value.is_number() ? "" : std::string(", not ") + value.kind()));
        }
        return *number;
    }
};

template <std::floating_point T>
struct Convert<T> {
    static T from(const Value& value) {
        if (!value.is_number()) {
            throw Mismatch(std::string("a number is needed, not ") + value.kind());
        }
        return static_cast<T>(value.number());
    }
};

template <>
struct Convert<std::string> {
    static std::string from(const Value& value) {
        if (!value.is_text()) {
            throw Mismatch(std::string("a string is needed, not ") + value.kind());
        }
        return value.text();
    }
};

/// What may be left out, or be null.
template <class T>
struct Convert<std::optional<T>> {
    static std::optional<T> from(const Value& value) {
        return value.is_null() ? std::nullopt : std::optional<T>(as<T>(value));
    }
};

template <class T>
struct Convert<std::vector<T>> {
    static std::vector<T> from(const Value& value) {
        if (!value.is_array()) {
            throw Mismatch(std::string("an array is needed, not ") + value.kind());
        }
        std::vector<T> all;
        all.reserve(value.items().size());
        for (const Value& item : value.items()) {
            try {
                all.push_back(as<T>(item));
            } catch (const Mismatch& wrong) {
                throw Mismatch("item " + std::to_string(all.size() + 1) + ": " + wrong.what());
            }
        }
        return all;
    }
};

template <class T>
struct Convert<std::map<std::string, T>> {
    static std::map<std::string, T> from(const Value& value) {
        if (!value.is_object()) {
            throw Mismatch(std::string("an object is needed, not ") + value.kind());
        }
        std::map<std::string, T> all;
        for (const Member& one : value.members()) {
            try {
                all.emplace(one.name, as<T>(one.value));
            } catch (const Mismatch& wrong) {
                throw Mismatch("member \"" + std::string(detail::excerpt(one.name)) +
                               "\": " + wrong.what());
            }
        }
        return all;
    }
};

namespace detail {

template <class T>
inline constexpr bool may_be_missing = false;
template <class T>
inline constexpr bool may_be_missing<std::optional<T>> = true;

}  // namespace detail

}  // namespace websocket::jsonrpc
