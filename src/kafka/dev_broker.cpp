#include "kafka/dev_broker.hpp"

#include "kafka/detail/handles.hpp"

#include <librdkafka/rdkafka_mock.h>

#include <cstdint>
#include <utility>

namespace txstream::kafka {

class DevBroker::Impl {
public:
    using Cluster =
        std::unique_ptr<rd_kafka_mock_cluster_t, detail::Destroy<rd_kafka_mock_cluster_destroy>>;

    detail::Client client;
    Cluster cluster;  // after client: destroyed first
    std::string bootstrap;
};

DevBroker::DevBroker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}
DevBroker::~DevBroker() = default;

Result<std::unique_ptr<DevBroker>> DevBroker::start() {
    auto impl = std::make_unique<Impl>();
    TXS_TRY(auto conf, detail::make_conf({{"client.id", "txstream-dev-broker"}}, nullptr));
    TXS_TRY(impl->client, detail::make_client(RD_KAFKA_PRODUCER, std::move(conf)));
    impl->cluster.reset(rd_kafka_mock_cluster_new(impl->client.get(), 1));
    if (!impl->cluster)
        return fail(Code::unavailable, "the development broker could not listen on loopback");
    impl->bootstrap = rd_kafka_mock_cluster_bootstraps(impl->cluster.get());
    return std::unique_ptr<DevBroker>(new DevBroker(std::move(impl)));
}

const std::string& DevBroker::bootstrap() const noexcept {
    return impl_->bootstrap;
}

Result<> DevBroker::create_topic(const std::string& name, int partitions) {
    const auto error =
        rd_kafka_mock_topic_create(impl_->cluster.get(), name.c_str(), partitions, 1);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return tl::unexpected<Error>(
            to_error(error, "create topic " + name + ": " + rd_kafka_err2str(error))
        );
    }
    return {};
}

void DevBroker::set_up(bool up) {
    if (up) {
        rd_kafka_mock_broker_set_up(impl_->cluster.get(), 1);
    } else {
        rd_kafka_mock_broker_set_down(impl_->cluster.get(), 1);
    }
}

void DevBroker::answer_write_with(int error) {
    constexpr std::int16_t kProduce = 0;
    rd_kafka_mock_push_request_errors(
        impl_->cluster.get(), kProduce, 1, static_cast<rd_kafka_resp_err_t>(error)
    );
}

}  // namespace txstream::kafka
