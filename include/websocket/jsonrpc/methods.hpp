// SPDX-License-Identifier: Apache-2.0
// Functions as methods: arguments by position and by name. Part of websocket/jsonrpc.hpp.
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "convert.hpp"
#include "transaction.hpp"

namespace websocket::jsonrpc {

/// As the only argument of a method: the params as they came.
struct Params {
    Value value;
};

namespace detail {

using Method = std::function<void(const Transaction&)>;

/// The arguments of a function or function object that is not overloaded.
template <class F>
struct Signature : Signature<decltype(&F::operator())> {};
template <class R, class... A>
struct Signature<R (*)(A...)> {
    using Result = R;
    using Arguments = std::tuple<std::remove_cvref_t<A>...>;
};
template <class R, class C, class... A>
struct Signature<R (C::*)(A...)> : Signature<R (*)(A...)> {};
template <class R, class C, class... A>
struct Signature<R (C::*)(A...) const> : Signature<R (*)(A...)> {};
template <class R, class C, class... A>
struct Signature<R (C::*)(A...) noexcept> : Signature<R (*)(A...)> {};
template <class R, class C, class... A>
struct Signature<R (C::*)(A...) const noexcept> : Signature<R (*)(A...)> {};

template <class T>
concept Context = std::same_as<T, Transaction> || std::same_as<T, Session>;

/// The arguments without a Transaction or Session in front.
template <class Tuple>
struct Split {
    using First = void;
    using Rest = Tuple;
};
template <Context C, class... A>
struct Split<std::tuple<C, A...>> {
    using First = C;
    using Rest = std::tuple<A...>;
};

using Names = std::vector<std::string>;

/// The value for each parameter; null where there is none. Throws InvalidParams.
inline std::vector<const Value*> match(const Value& params, const Names& names, std::size_t count) {
    static const Value kNothing;
    std::vector<const Value*> found(count, &kNothing);
    if (params.is_object()) {
        if (names.empty() && count > 0) throw InvalidParams("params have to be an array");
        for (const Member& one : params.members()) {
            std::size_t at = 0;
            while (at < names.size() && names[at] != one.name) ++at;
            if (at == names.size()) {
                std::string known;
                for (const std::string& name : names) known += (known.empty() ? "" : ", ") + name;
                throw InvalidParams("there is no parameter \"" + std::string(excerpt(one.name)) +
                                    "\"" + (known.empty() ? "" : "; there are: " + known));
            }
            found[at] = &one.value;
        }
        return found;
    }
    // Kurento's clients may send anything as the one parameter.
    const bool lone = !params.is_array() && !params.is_null();
    const std::size_t given = lone ? 1 : params.is_array() ? params.items().size() : 0;
    if (given > count) {
        throw InvalidParams(std::to_string(given) + " parameters were given; there are " +
                            std::to_string(count));
    }
    for (std::size_t i = 0; i < given; ++i) found[i] = lone ? &params : &params.items()[i];
    return found;
}

template <class T>
T argument(const Value& value, const Names& names, std::size_t index) {
    try {
        return as<T>(value);
    } catch (const Mismatch& wrong) {
        std::string what = "parameter " + std::to_string(index + 1);
        if (index < names.size()) what += " \"" + names[index] + "\"";
        throw InvalidParams(what + (value.is_null() ? " is missing: " : ": ") + wrong.what());
    }
}

/// How many arguments stand for parameters.
template <class F>
inline constexpr std::size_t parameter_count =
    std::tuple_size_v<typename Split<typename Signature<F>::Arguments>::Rest>;

template <class F>
Method make_method(F function, Names names) {
    using Arguments = Split<typename Signature<F>::Arguments>;
    using First = typename Arguments::First;
    using Rest = typename Arguments::Rest;
    using Result = typename Signature<F>::Result;
    return [function = std::move(function), names = std::move(names)](const Transaction& to) {
        const auto call = [&](auto&&... arguments) -> Result {
            if constexpr (std::same_as<First, Transaction>) {
                return function(to, std::move(arguments)...);
            } else if constexpr (std::same_as<First, Session>) {
                return function(to.session(), std::move(arguments)...);
            } else {
                return function(std::move(arguments)...);
            }
        };
        const auto with_arguments = [&]() -> Result {
            if constexpr (std::same_as<Rest, std::tuple<Params>>) {
                return call(Params{to.params()});
            } else {
                return [&]<std::size_t... I>(std::index_sequence<I...>)->Result {
                    const auto found = match(to.params(), names, sizeof...(I));
                    static_cast<void>(found);
                    // In braces, so that the first one that is wrong is told of.
                    Rest arguments{argument<std::tuple_element_t<I, Rest>>(*found[I], names, I)...};
                    return call(std::move(std::get<I>(arguments))...);
                }
                (std::make_index_sequence<std::tuple_size_v<Rest>>());
            }
        };
        if constexpr (!std::is_void_v<Result>) {
            to.respond(Value(with_arguments()));
        } else if constexpr (std::same_as<First, Transaction>) {
            with_arguments();
        } else {
            with_arguments();
            to.respond();
        }
    };
}

}  // namespace detail

}  // namespace websocket::jsonrpc
