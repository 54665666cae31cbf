// SPDX-License-Identifier: Apache-2.0
// What may block, but hardly ever does, and so is done on the thread of a loop.
#pragma once

namespace websocket::engine {

/// Something to do, which may be gone afterwards. The thread is no loop's meanwhile: Loop::current() is null, and
/// what is asked of loops happens as it does from any other thread.
class Errand {
public:
    virtual void run() noexcept = 0;

protected:
    ~Errand() = default;
};

/// Who has errands for the thread of a loop. [loop]
class Borrower {
public:
    Borrower() noexcept = default;
    Borrower(const Borrower&) = delete;
    Borrower& operator=(const Borrower&) = delete;

    /// The next one cannot wait: it is about what the channel that had its turn just now has read.
    [[nodiscard]] virtual bool urgent() const noexcept = 0;
    /// The next one, or null.
    [[nodiscard]] virtual Errand* next_errand() noexcept = 0;

protected:
    ~Borrower() = default;
};

}  // namespace websocket::engine
