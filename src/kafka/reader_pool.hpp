#pragma once

#include "kafka/record_reader.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace txstream::kafka {

/// Readers that are kept between requests, so that not each of them connects. Any thread.
class ReaderPool {
public:
    using Clock = std::chrono::steady_clock;
    using MakeProperties = std::function<Result<Properties>()>;
    static constexpr std::size_t kIdleMax = 3;
    static constexpr std::chrono::seconds kIdleTime{15};

    ReaderPool(MakeProperties properties, LogCallback log)
        : properties_(std::move(properties)), log_(std::move(log)) {}

    /// A reader for as long as this lives. The caller bounds how many exist at the same time.
    class Lease {
    public:
        Lease(ReaderPool& pool, std::unique_ptr<RecordReader> reader)
            : pool_(&pool), reader_(std::move(reader)) {}
        Lease(Lease&&) = default;
        Lease& operator=(Lease&&) = delete;
        ~Lease() {
            if (reader_) pool_->keep(std::move(reader_));
        }
        RecordReader* operator->() const { return reader_.get(); }
        RecordReader& operator*() const { return *reader_; }

    private:
        ReaderPool* pool_;
        std::unique_ptr<RecordReader> reader_;
    };
    /// Opens a reader when none is idle; does not wait for a connection.
    Result<Lease> lease();

    /// Closes readers that were idle for kIdleTime. Blocks while they disconnect. Whether some are
    /// left.
    bool close_idle(Clock::time_point now);

private:
    /// One whose connection failed is closed: the next one reads the secrets again.
    void keep(std::unique_ptr<RecordReader> reader);

    MakeProperties properties_;
    LogCallback log_;
    std::mutex mutex_;
    std::size_t leased_ = 0;                                                         // by mutex_
    std::vector<std::pair<Clock::time_point, std::unique_ptr<RecordReader>>> idle_;  // by mutex_
};

}  // namespace txstream::kafka
