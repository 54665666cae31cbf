/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * For the headers beside it and in ext, which end with it: WS_LAYOUT_(condition) checks the layout of a
 * structure where pointers have 64 bits and the compiler can. It is not defined elsewhere. Whoever includes
 * this uses it and undefines it again, so there is no include guard.
 */

#if defined(__LP64__) || defined(_LP64)
#if defined(__cplusplus) && __cplusplus >= 201103L
#define WS_LAYOUT_(condition) static_assert(condition, #condition)
#elif !defined(__cplusplus) && defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define WS_LAYOUT_(condition) _Static_assert(condition, #condition)
#endif
#endif
