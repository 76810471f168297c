#include "runtime/offload.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>

namespace txstream::runtime {

class Offload::Impl {
public:
    explicit Impl(Limits with_limits) : limits(with_limits), threads(with_limits.threads) {}

    const Limits limits;
    std::atomic<std::size_t> unfinished{0};
    asio::thread_pool threads;
};

Offload::Offload(asio::any_io_executor executor, Limits limits)
    : executor_(std::move(executor)), impl_(std::make_shared<Impl>(limits)) {
}

Offload::~Offload() {
    impl_->threads.stop();
    impl_->threads.join();
}

bool Offload::has_room() const {
    return impl_->unfinished < impl_->limits.threads + impl_->limits.waiting_max;
}

void Offload::post(std::function<std::function<void()>()> work) {
    ++impl_->unfinished;
    asio::post(impl_->threads, [impl = impl_.get(), executor = executor_, work = std::move(work)] {
        auto done = work();
        --impl->unfinished;
        asio::post(executor, std::move(done));
    });
}

}  // namespace txstream::runtime
