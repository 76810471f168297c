#pragma once

#include "base/error.hpp"
#include "config/config.hpp"

#include <memory>
#include <string>

namespace txstream::dev {

/// A PostgreSQL of our own, for `txstream dev`: made by initdb in a directory, listening on a free
/// loopback port, ended with this object. When we are root it runs as the user `postgres`, since it
/// refuses to run as root.
class PrivatePostgres {
public:
    enum class Keep : bool { no, yes };

    /// In `directory`, which is made when it is missing and else must be empty or hold a cluster of
    /// ours, and is nobody else's while this object lives. Keep::no: removed at the end. Blocks
    /// until the server answers, 30 s at most.
    static Result<std::unique_ptr<PrivatePostgres>> start(const std::string& directory, Keep keep);
    ~PrivatePostgres();
    PrivatePostgres(const PrivatePostgres&) = delete;
    PrivatePostgres& operator=(const PrivatePostgres&) = delete;

    /// How to reach it; the database exists.
    const Config::Database& database() const noexcept;

private:
    class Impl;
    explicit PrivatePostgres(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace txstream::dev
