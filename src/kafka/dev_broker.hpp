#pragma once

#include "base/error.hpp"

#include <memory>
#include <string>

namespace txstream::kafka {

/// A Kafka broker inside this process (librdkafka's mock cluster) with a real listener on loopback,
/// for `txstream dev` and fault tests. Keeps the newest 5 MiB of each partition, in memory; no
/// admin interface, no retention, transactions are not enforced: never evidence for exactly-once.
class DevBroker {
public:
    static Result<std::unique_ptr<DevBroker>> start();
    ~DevBroker();

    /// host:port; the port is chosen by the kernel.
    const std::string& bootstrap() const noexcept;
    Result<> create_topic(const std::string& name, int partitions);
    /// Makes the broker refuse connections, or take them again.
    void set_up(bool up);
    /// The next write is answered with this error code of Kafka; those after it as usual.
    void answer_write_with(int error);

private:
    class Impl;
    explicit DevBroker(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace txstream::kafka
